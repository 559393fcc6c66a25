package ui_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
)

// from is a client that connects from an address of this machine; it keeps no connection.
func (s served) from(t *testing.T, address string) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(s.cluster.CA()) {
		t.Fatal("the cluster's CA cannot be read")
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DialContext: dialer.DialContext, DisableKeepAlives: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// ask asks for the state with a token; 0 is no answer, and why.
func (s served) ask(ctx context.Context, client *http.Client, token string) (int, string) {
	request := must(http.NewRequestWithContext(ctx, http.MethodGet, s.url.JoinPath("api/state.json").String(), nil))
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(text)
}

// hammer asks with ever new tokens that are none, so many at a time, until the test ends.
func (s served) hammer(t *testing.T, address string, atOnce int) (asked *atomic.Int64) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	asked = &atomic.Int64{}
	client := s.from(t, address)
	var all sync.WaitGroup
	for i := range atOnce {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if code, _ := s.ask(ctx, client, fmt.Sprintf("bogus.%s.%d.%d", address, i, n)); code == 200 {
					t.Error("an invented token is let in")
				}
				if asked.Add(1) > 1000 {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	t.Cleanup(func() { stop(); all.Wait() })
	return asked
}

// Somebody who hammers the page with invented tokens keeps nobody out who has a good one: neither who was seen before, nor who comes
// for the first time, from elsewhere or from the same address.
func TestInventedTokensKeepNobodyOut(t *testing.T) {
	s := serve(t, nil)
	allow(t, s.admin, rbacv1.Subject{Kind: "Group", APIGroup: rbacv1.GroupName, Name: "system:serviceaccounts:shop"})
	known := token(t, s.admin, "known")
	elsewhere := s.from(t, "127.0.0.3")
	until(t, "a reader is let in", 30*time.Second, func() (bool, string) {
		code, text := s.ask(t.Context(), elsewhere, known)
		return code == 503, fmt.Sprint(code, " ", text) // no plan was made
	})
	var fresh []string
	for i := range 8 {
		fresh = append(fresh, token(t, s.admin, fmt.Sprint("fresh-", i)))
	}
	asked := s.hammer(t, "127.0.0.2", 220)
	until(t, "it is hammered", 30*time.Second, func() (bool, string) { return asked.Load() > 300, fmt.Sprint(asked.Load(), " requests") })
	for i, one := range fresh[:4] {
		if code, text := s.ask(t.Context(), elsewhere, one); code != 503 || !strings.Contains(text, "no plan was made yet") {
			t.Errorf("a new reader, %d: %d %s, want the page's own answer", i, code, text)
		}
		if code, text := s.ask(t.Context(), elsewhere, known); code != 503 || !strings.Contains(text, "no plan was made yet") {
			t.Errorf("a reader who was seen before, %d: %d %s, want the page's own answer", i, code, text)
		}
		time.Sleep(3 * time.Second) // answers are remembered for five seconds
	}
	s.hammer(t, "127.0.0.3", 40)
	for i, one := range fresh[4:] {
		code, text := s.ask(t.Context(), elsewhere, one)
		if code != 503 || !strings.Contains(text, "no plan was made yet") {
			t.Errorf("a new reader, %d, at the address of somebody who hammers: %d %s, want the page's own answer", i, code, text)
		}
	}
	t.Log(asked.Load(), "requests with invented tokens")
}

// One token that is none is asked about once, and no token is written anywhere.
func TestARefusalIsRemembered(t *testing.T) {
	s := serve(t, nil)
	client := s.from(t, "127.0.0.2")
	reviews := func() (n int) {
		raw, err := s.admin.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			if strings.HasPrefix(line, "apiserver_request_total{") && strings.Contains(line, `resource="tokenreviews"`) {
				count, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
				if err != nil {
					t.Fatal(err)
				}
				n += int(count)
			}
		}
		return n
	}
	until(t, "tokens are asked about", 30*time.Second, func() (bool, string) {
		code, text := s.ask(t.Context(), client, "warming.up")
		return code == 401, fmt.Sprint(code, " ", text)
	})
	before := reviews()
	for range 20 {
		if code, text := s.ask(t.Context(), client, "sEcReT.tOkEn"); code != 401 || strings.Contains(text, "sEcReT") {
			t.Fatalf("%d %s, want 401 without the token", code, text)
		}
	}
	if n := reviews() - before; n < 1 || n > 3 {
		t.Errorf("the API server was asked %d times about one token: want once or, on a slow machine, a few times", n)
	}
}
