package ui_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"swell/scaler/ledger"
	"swell/scaler/ui"
)

func itoa(n int) string { return strconv.Itoa(n) }

func must(r *http.Request, err error) *http.Request {
	if err != nil {
		panic(err)
	}
	return r
}

// selfSigned is a client certificate that no cluster knows.
func selfSigned(t *testing.T, name string, groups ...string) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name, Organization: groups}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return raw, key
}

// TestReadersHoldNothingUp opens many streams that nobody reads from, and has the loop's side go on as if there were none.
func TestReadersHoldNothingUp(t *testing.T) {
	elected := make(chan struct{})
	s := serve(t, elected)
	root := user(t, s.cluster, "root", "system:masters")
	until(t, "a replica that does not lead says so", 30*time.Second, func() (bool, string) { // its own rights come to the API server by a watch
		code, text := s.get(t, root, "/")
		return code == 200 && strings.Contains(text, "stands by"), text
	})
	if code, text := s.get(t, root, "/api/state.json"); code != 503 || !strings.Contains(text, "stands by") {
		t.Errorf("its state: %d %s, want 503 that says so", code, text)
	}
	close(elected)
	until(t, "one that leads says that it has made no plan yet", 10*time.Second, func() (bool, string) {
		code, text := s.get(t, root, "/")
		return code == 200 && strings.Contains(text, "has made no plan yet"), text
	})

	var held []net.Conn
	defer func() {
		for _, c := range held {
			c.Close()
		}
	}()
	for reader := range 6 { // of six users, more than one may have each
		for range 10 {
			held = append(held, s.deaf(t, user(t, s.cluster, fmt.Sprintf("reader-%d", reader), "system:masters")))
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		state := ui.State{Leader: "scaler-0", Mode: "Enforce"}
		for i := range 100 {
			state.Problems = append(state.Problems[:i%ui.MostProblems:i%ui.MostProblems], ui.Problem{Object: "group x", What: strings.Repeat("what it is ", 5000)})
		}
		for i := range 3000 {
			state.At, state.Tick = time.Now(), int64(i)
			s.Show(state)
			s.Decided(ledger.Entry{At: time.Now(), Model: time.Now(), Phase: ledger.Note, Action: "problem", Object: "group x", Reason: strings.Repeat("why ", 1000)})
		}
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second): // it takes a fraction of a second; one reader that is waited for, ten
		t.Fatal("the loop waits for readers")
	}
	until(t, "another reader is served", 30*time.Second, func() (bool, string) {
		code, text := s.get(t, root, "/api/state.json")
		return code == 200 && strings.Contains(text, `"tick":2999`), fmt.Sprint(code)
	})
	if code, text := s.get(t, user(t, s.cluster, "reader-0", "system:masters"), "/events"); code != 503 || !strings.Contains(text, "streams are open") {
		t.Errorf("a stream more than a user may have: %d %.200s, want 503", code, text)
	}
}

// deaf asks for the events and never reads them.
func (s served) deaf(t *testing.T, who *rest.Config) net.Conn {
	t.Helper()
	secure, err := rest.TLSConfigFor(who)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tls.Dial("tcp", s.url.Host, secure)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c, "GET /events HTTP/1.1\r\nHost: %s\r\n\r\n", s.url.Host); err != nil {
		t.Fatal(err)
	}
	return c
}
