package auth_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/metrics/kafka/auth"
	"swell/metrics/kafka/auth/authtest"
)

var inAnHour = time.Now().Add(time.Hour)

// brokers starts a cluster.
func brokers(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(1, "orders")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func clusterAt(c *kfake.Cluster) config.KafkaCluster {
	return config.KafkaCluster{Name: "main", Brokers: c.ListenAddrs(), RequestTimeout: metav1.Duration{Duration: 5 * time.Second}}
}

// ask makes a new client, and one request with it.
func ask(t testing.TB, k config.KafkaCluster) error {
	t.Helper()
	i, err := auth.New(k, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return askAs(t, i, k)
}

// askWithin is ask, for those who have little time.
func askWithin(t testing.TB, k config.KafkaCluster, most time.Duration) error {
	t.Helper()
	i, err := auth.New(k, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return askFor(t, i, k, most)
}

func askAs(t testing.TB, i *auth.Identity, k config.KafkaCluster) error {
	t.Helper()
	return askFor(t, i, k, 20*time.Second)
}

func askFor(t testing.TB, i *auth.Identity, k config.KafkaCluster, most time.Duration) error {
	t.Helper()
	client, err := kgo.NewClient(append(i.Options(), kgo.SeedBrokers(k.Brokers...), kgo.RequestRetries(0), kgo.RequestTimeoutOverhead(min(most, 10*time.Second)))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	_, err = kmsg.NewPtrMetadataRequest().RequestWith(ctx, client)
	return i.Explain(err)
}

// wantError checks that an error names the cluster and all that is wanted, and holds none of the secrets.
func wantError(t testing.TB, err error, secrets []string, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, w := range append(want, `"main"`) {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
	for _, s := range secrets {
		if strings.Contains(err.Error(), s) {
			t.Errorf("%q holds the secret %q", err, s)
		}
	}
}

func TestTLSVerifiesTheBrokers(t *testing.T) {
	ours, theirs := authtest.NewAuthority(t, "ours"), authtest.NewAuthority(t, "theirs")
	dir := t.TempDir()
	ca := authtest.Write(t, dir, "ca.crt", ours.PEM)
	both := authtest.Write(t, dir, "both.crt", append(bytes.Clone(theirs.PEM), ours.PEM...))
	other := authtest.Write(t, dir, "other.crt", theirs.PEM)
	good := ours.Server(inAnHour)
	named := authtest.NewAuthority(t, "named")
	namedCA := authtest.Write(t, dir, "named.crt", named.PEM)
	for name, tc := range map[string]struct {
		server authtest.Pair
		tls    config.KafkaTLS
		want   []string // of the error; none: it works
	}{
		"good":               {good, config.KafkaTLS{CAFile: ca}, nil},
		"an authority more":  {good, config.KafkaTLS{CAFile: both}, nil},
		"server name":        {named.Server(inAnHour, "kafka.example"), config.KafkaTLS{CAFile: namedCA, ServerName: "kafka.example"}, nil},
		"wrong authority":    {good, config.KafkaTLS{CAFile: other}, []string{"unknown authority", other, "clusters[name=main].tls.caFile"}},
		"system's authority": {good, config.KafkaTLS{}, []string{"unknown authority", "clusters[name=main].tls.caFile"}},
		"expired":            {ours.Server(time.Now().Add(-time.Hour)), config.KafkaTLS{CAFile: ca}, []string{"expired", "renew the brokers' certificate", "clusters[name=main].tls"}},
		"wrong name":         {good, config.KafkaTLS{CAFile: ca, ServerName: "kafka.example"}, []string{"kafka.example", "clusters[name=main].tls.serverName"}},
		"no file":            {good, config.KafkaTLS{CAFile: "nowhere.crt"}, []string{"nowhere.crt", "no such file", "clusters[name=main].tls.caFile", "mount"}},
		"cut off":            {good, config.KafkaTLS{CAFile: authtest.Write(t, dir, "cut.crt", append(bytes.Clone(ours.PEM), theirs.PEM[:200]...))}, []string{"cut.crt", "write certificates in PEM"}},
		"empty":              {good, config.KafkaTLS{CAFile: authtest.Write(t, dir, "empty.crt", nil)}, []string{"empty.crt", "certificates in it: 0", "write certificates in PEM"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := brokers(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{tc.server.TLS(t)}}))
			k := clusterAt(c)
			k.TLS = &tc.tls
			err := ask(t, k)
			if tc.want == nil && err != nil {
				t.Fatal(err)
			}
			if tc.want != nil {
				wantError(t, err, nil, tc.want...)
			}
		})
	}
}

func TestWhatSpeaksNeitherTLSNorKafka(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 512))
			_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			_ = conn.Close()
		}
	}()
	k := config.KafkaCluster{Name: "main", Brokers: []string{l.Addr().String()}, TLS: &config.KafkaTLS{}}
	wantError(t, ask(t, k), nil, "does not look like a TLS handshake", "clusters[name=main].brokers", "TLS port")
}

// mutual is a cluster that wants certificates of an authority.
func mutual(t testing.TB, server, clients *authtest.Authority, version uint16) *kfake.Cluster {
	return brokers(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{server.Server(inAnHour).TLS(t)}, MaxVersion: version,
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients.Pool()}))
}

func TestMutualTLS(t *testing.T) {
	ours, theirs := authtest.NewAuthority(t, "ours"), authtest.NewAuthority(t, "theirs")
	dir := t.TempDir()
	ca := authtest.Write(t, dir, "ca.crt", ours.PEM)
	pair := func(p authtest.Pair, name string) config.KafkaTLS {
		cert, key := p.Write(t, dir, name)
		return config.KafkaTLS{CAFile: ca, CertFile: cert, KeyFile: key}
	}
	good := pair(ours.Client("swell", inAnHour), "good")
	half := pair(ours.Client("swell", inAnHour), "half")
	half.KeyFile = good.KeyFile
	gone := good
	gone.KeyFile = filepath.Join(dir, "gone.key")
	for name, tc := range map[string]struct {
		tls  config.KafkaTLS
		want []string
	}{
		"good":            {good, nil},
		"wrong authority": {pair(theirs.Client("swell", inAnHour), "theirs"), []string{"theirs.crt", "clusters[name=main].tls.certFile", "trust store"}},
		"expired":         {pair(ours.Client("swell", time.Now().Add(-time.Minute)), "expired"), []string{"expired.crt", "clusters[name=main].tls.certFile", "renew it"}},
		"none":            {config.KafkaTLS{CAFile: ca}, []string{"mTLS", "clusters[name=main].tls.certFile"}},
		"half-written":    {half, []string{"half.crt", "good.key", "clusters[name=main].tls.keyFile", "the key that belongs to it"}},
		"gone":            {gone, []string{"gone.key", "clusters[name=main].tls.keyFile", "mount"}},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(name+" "+tls.VersionName(version), func(t *testing.T) {
				k := clusterAt(mutual(t, ours, ours, version))
				k.TLS = &tc.tls
				err := ask(t, k)
				if tc.want == nil && err != nil {
					t.Fatal(err)
				}
				if tc.want != nil {
					wantError(t, err, nil, tc.want...)
				}
			})
		}
	}
}

func TestWhatIsNotTrustedAnyMoreFails(t *testing.T) {
	before, after := authtest.NewAuthority(t, "before"), authtest.NewAuthority(t, "after")
	dir := t.TempDir()
	cert, key := before.Client("swell", inAnHour).Write(t, dir, "swell")
	k := clusterAt(mutual(t, after, after, tls.VersionTLS13))
	k.TLS = &config.KafkaTLS{CAFile: authtest.Write(t, dir, "ca.crt", after.PEM), CertFile: cert, KeyFile: key}
	i, err := auth.New(k, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, askAs(t, i, k), nil, "swell.crt", "trust store")
	after.Client("swell", inAnHour).Write(t, dir, "swell")
	if err := askAs(t, i, k); err != nil {
		t.Errorf("after the certificate was replaced: %v", err)
	}
}

func TestTheLastGoodPairServesUntilItExpires(t *testing.T) {
	a := authtest.NewAuthority(t, "ours")
	dir := t.TempDir()
	until := time.Now().Add(3 * time.Second)
	cert, key := a.Client("swell", until).Write(t, dir, "swell")
	k := clusterAt(mutual(t, a, a, tls.VersionTLS13))
	k.TLS = &config.KafkaTLS{CAFile: authtest.Write(t, dir, "ca.crt", a.PEM), CertFile: cert, KeyFile: key}
	var log bytes.Buffer
	i, err := auth.New(k, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := askAs(t, i, k); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := askAs(t, i, k); err != nil && time.Now().Before(until) {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), "swell.key") || !strings.Contains(log.String(), "cluster=main") {
		t.Errorf("want one warning that names cluster and file:\n%s", log.String())
	}
	time.Sleep(time.Until(until.Add(1100 * time.Millisecond))) // certificates count whole seconds
	wantError(t, askAs(t, i, k), nil, "swell.key", "clusters[name=main].tls.keyFile")
}

func TestHandshakeSaysWhatTheBrokerShowed(t *testing.T) {
	a := authtest.NewAuthority(t, "ours")
	dir := t.TempDir()
	cert, key := a.Client("swell", inAnHour).Write(t, dir, "swell")
	k := clusterAt(mutual(t, a, a, tls.VersionTLS13))
	k.TLS = &config.KafkaTLS{CAFile: authtest.Write(t, dir, "ca.crt", a.PEM), CertFile: cert, KeyFile: key}
	i, err := auth.New(k, nil)
	if err != nil {
		t.Fatal(err)
	}
	h, err := i.Handshake(context.Background(), k.Brokers[0])
	if err != nil || h.Subject != "CN=broker" || h.Issuer != "CN=ours" || h.OwnSubject != "CN=swell" || h.Version != "TLS 1.3" ||
		h.NotAfter.Unix() != inAnHour.Unix() || h.OwnNotAfter.Unix() != inAnHour.Unix() || strings.Join(h.Names, " ") != "127.0.0.1" {
		t.Errorf("%+v, %v", h, err)
	}
	k.TLS = nil
	if i, err = auth.New(k, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Handshake(context.Background(), k.Brokers[0]); err == nil {
		t.Error("a handshake in plain text")
	}
}

func TestExplainLeavesOtherErrorsAlone(t *testing.T) {
	k := config.KafkaCluster{Name: "main", TLS: &config.KafkaTLS{}}
	for _, err := range []error{nil, errors.New("x"), context.DeadlineExceeded, &net.OpError{Op: "dial", Err: errors.New("refused")}} {
		if got := auth.Explain(k, err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
}
