package auth_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"swell/api/config"
	"swell/metrics/kafka/auth"
	"swell/metrics/kafka/auth/authtest"
)

// before puts a port in front of a cluster's first one, that sees a connection's first byte and says whether to go on.
func before(t testing.TB, c *kfake.Cluster, goOn func(first byte, conn net.Conn) bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				first, err := in.Peek(1)
				if err != nil || !goOn(first[0], conn) {
					return
				}
				broker, err := net.Dial("tcp", c.ListenAddrs()[0])
				if err != nil {
					return
				}
				defer broker.Close()
				go func() { _, _ = io.Copy(broker, in) }()
				_, _ = io.Copy(conn, broker)
			}()
		}
	}()
	return l.Addr().String()
}

func TestPortsOfAnotherKindAreNamed(t *testing.T) {
	a := authtest.NewAuthority(t, "ours")
	withTLS := kfake.TLS(&tls.Config{Certificates: []tls.Certificate{a.Server(inAnHour).TLS(t)}})
	trust := &config.KafkaTLS{CAFile: authtest.Write(t, t.TempDir(), "ca.crt", a.PEM)}
	login := &config.KafkaSASL{Mechanism: config.SASLPlain, Username: "swell", PasswordFile: authtest.Write(t, t.TempDir(), "password", []byte("secret"))}
	wantsLogin := []kfake.Opt{kfake.EnableSASL(), kfake.User("PLAIN", "swell", "secret")}
	for name, tc := range map[string]struct {
		port []kfake.Opt
		tls  *config.KafkaTLS
		sasl *config.KafkaSASL
		want []string
	}{
		"TLS to a port without":                       {nil, trust, nil, []string{"it answers without TLS", "remove clusters[name=main].tls", "TLS port in clusters[name=main].brokers"}},
		"TLS and a login to a port with a login only": {wantsLogin, trust, login, []string{"it answers without TLS", "remove clusters[name=main].tls"}},
		"no TLS to a port with":                       {[]kfake.Opt{withTLS}, nil, nil, []string{"its port speaks TLS", "give clusters[name=main].tls"}},
		"a login without TLS to a port with both":     {append(wantsLogin, withTLS), nil, login, []string{"its port speaks TLS", "give clusters[name=main].tls"}},
		"a login to a port without":                   {nil, nil, login, []string{"has no login", "remove clusters[name=main].sasl"}},
		"a login over TLS to a port without":          {[]kfake.Opt{withTLS}, trust, login, []string{"has no login", "remove clusters[name=main].sasl"}},
		"no login to a port that wants one":           {wantsLogin, nil, nil, []string{"wants a login, by ", "PLAIN", "give clusters[name=main].sasl"}},
		"no login over TLS to a port that wants one":  {append(wantsLogin, withTLS), trust, nil, []string{"wants a login, by ", "PLAIN", "give clusters[name=main].sasl"}},
		"neither to a port that wants both":           {append(wantsLogin, withTLS), nil, nil, []string{"its port speaks TLS", "give clusters[name=main].tls"}},
		"what the port wants":                         {append(wantsLogin, withTLS), trust, login, nil},
		"nothing to a port that wants nothing":        {nil, nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			k := clusterAt(brokers(t, tc.port...))
			k.TLS, k.SASL, k.RequestTimeout.Duration = tc.tls, tc.sasl, 3*time.Second
			err := ask(t, k)
			if tc.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, []string{"secret"}, tc.want...)
			if isTimeout(err) {
				t.Errorf("it is taken for a time-out: %v", err)
			}
		})
	}
}

func isTimeout(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || strings.Contains(err.Error(), "timeout") ||
		strings.Contains(err.Error(), "deadline")
}

// As Apache Kafka's brokers do, which take a handshake for a request that is too large.
func TestPortThatHangsUpOnAHandshake(t *testing.T) {
	const handshake = 0x16
	c := brokers(t)
	for name, goOn := range map[string]func(byte, net.Conn) bool{
		"at once":           func(first byte, _ net.Conn) bool { return first != handshake },
		"with a reset":      func(first byte, conn net.Conn) bool { return first != handshake || reset(conn) },
		"in another tongue": func(first byte, conn net.Conn) bool { return first != handshake || says(conn, "ERROR\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			k := clusterAt(c)
			k.Brokers, k.TLS = []string{before(t, c, goOn)}, &config.KafkaTLS{}
			wantError(t, ask(t, k), nil, "it answers without TLS", "remove clusters[name=main].tls")
		})
	}
	k := clusterAt(c)
	k.Brokers, k.TLS = []string{before(t, c, func(byte, net.Conn) bool { return false })}, &config.KafkaTLS{}
	if err := ask(t, k); err == nil || strings.Contains(err.Error(), "it answers without TLS") {
		t.Errorf("a port that hangs up on everyone: %v", err)
	}
	k.TLS = nil
	if err := ask(t, k); err == nil || strings.Contains(err.Error(), "its port speaks TLS: ") || !strings.Contains(err.Error(), "hung up") {
		t.Errorf("a port that hangs up on everyone, without TLS: %v", err)
	}
	// A port that shakes hands in its own time is waited for.
	a := authtest.NewAuthority(t, "ours")
	c = brokers(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{a.Server(inAnHour).TLS(t)}}))
	k.RequestTimeout.Duration = 2 * time.Second
	k.Brokers, k.TLS = []string{before(t, c, func(byte, net.Conn) bool { time.Sleep(time.Second); return true })}, &config.KafkaTLS{CAFile: authtest.Write(t, t.TempDir(), "ca.crt", a.PEM)}
	i, err := auth.New(k, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Handshake(t.Context(), k.Brokers[0]); err != nil {
		t.Error(err)
	}
}

func reset(conn net.Conn) bool { _ = conn.(*net.TCPConn).SetLinger(0); return false }

func says(conn net.Conn, text string) bool {
	_, _ = conn.Write([]byte(text))
	_, _ = conn.Read(make([]byte, 1000))
	return false
}

// A broker that hangs up for another reason, as one does that goes down, wants no login therefore.
func TestBrokerThatHangsUpWantsNoLogin(t *testing.T) {
	c := brokers(t)
	var hungUp atomic.Bool
	c.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if hungUp.Swap(true) {
			return nil, nil, false
		}
		return nil, errors.New("hang up"), true
	})
	if err := ask(t, clusterAt(c)); err == nil || strings.Contains(err.Error(), "its port wants a login") {
		t.Error(err)
	}
}

// Against a plain client a port with TLS may say in its own words that it has another tongue.
func TestAlertsAreKnown(t *testing.T) {
	c := brokers(t)
	k := clusterAt(c)
	k.Brokers = []string{before(t, c, func(_ byte, conn net.Conn) bool { return says(conn, "\x15\x03\x03\x00\x02\x02\x46") })}
	wantError(t, ask(t, k), nil, "its port speaks TLS", "give clusters[name=main].tls")
}

func TestSilentPortIsATimeOut(t *testing.T) {
	c := brokers(t)
	wait := func(_ byte, conn net.Conn) bool { _, _ = io.Copy(io.Discard, conn); return false }
	for name, tls := range map[string]*config.KafkaTLS{"with TLS": {}, "without": nil} {
		t.Run(name, func(t *testing.T) {
			k := clusterAt(c)
			k.Brokers, k.TLS, k.RequestTimeout.Duration = []string{before(t, c, wait)}, tls, time.Second
			if err := askWithin(t, k, 2*time.Second); err == nil || !isTimeout(err) {
				t.Errorf("%v, want a time-out", err)
			}
		})
	}
}
