package auth_test

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"swell/api/config"
	"swell/metrics/kafka/auth"
	"swell/metrics/kafka/auth/authtest"
)

// rotating is a cluster whose certificate and trust change while it runs.
type rotating struct {
	t        *testing.T
	cluster  config.KafkaCluster
	identity *auth.Identity
	dir      string

	mu     sync.Mutex
	server *tls.Config
}

func newRotating(t *testing.T, a *authtest.Authority) *rotating {
	r := &rotating{t: t, dir: t.TempDir()}
	r.serve(a, a)
	c := brokers(t, kfake.TLS(&tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.server.Clone(), nil
	}}))
	r.cluster = clusterAt(c)
	cert, key := a.Client("swell", inAnHour).Write(t, r.dir, "swell")
	r.cluster.TLS = &config.KafkaTLS{CAFile: authtest.Write(t, r.dir, "ca.crt", a.PEM), CertFile: cert, KeyFile: key}
	var err error
	if r.identity, err = auth.New(r.cluster, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return r
}

// serve gives the brokers a new certificate of an authority, and the authorities of clients that they trust.
func (r *rotating) serve(a *authtest.Authority, trusted ...*authtest.Authority) {
	r.mu.Lock()
	defer r.mu.Unlock()
	pool := trusted[0].Pool()
	for _, more := range trusted[1:] {
		pool.AppendCertsFromPEM(more.PEM)
	}
	r.server = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, Certificates: []tls.Certificate{a.Server(inAnHour).TLS(r.t)}}
}

// connects wants five connections, one after the other, to be made.
func (r *rotating) connects(when string) {
	for range 5 {
		if err := askAs(r.t, r.identity, r.cluster); err != nil {
			r.t.Errorf("%s: %v", when, err)
		}
	}
}

// load makes connections without a pause until stop, which returns how many it made; none may fail.
func (r *rotating) load(workers int) (stop func() int) {
	quit, made := make(chan struct{}), make(chan int, workers)
	for range workers {
		go func() {
			n := 0
			defer func() { made <- n }()
			for {
				select {
				case <-quit:
					return
				default:
				}
				if err := askAs(r.t, r.identity, r.cluster); err != nil {
					r.t.Errorf("while certificates were replaced: %v", err)
					return
				}
				n++
			}
		}()
	}
	return func() int {
		close(quit)
		total := 0
		for range workers {
			total += <-made
		}
		return total
	}
}

// TestRotationUnderLoad replaces certificate, key and authority while connections are made without a pause. The brokers
// trust the old and the new authority while it lasts, and only the new one after it.
func TestRotationUnderLoad(t *testing.T) {
	before, after := authtest.NewAuthority(t, "before"), authtest.NewAuthority(t, "after")
	r := newRotating(t, before)
	stop := r.load(4)
	r.connects("before")
	r.serve(before, before, after)
	authtest.Write(t, r.dir, "ca.crt", append(bytes.Clone(before.PEM), after.PEM...))
	r.connects("both are trusted")
	for range 10 { // each time, the certificate is new for a while and its key still the old one
		next := after.Client("swell", inAnHour)
		authtest.Write(t, r.dir, "swell.crt", next.Cert)
		r.connects("the certificate is new, the key is old")
		authtest.Write(t, r.dir, "swell.key", next.Key)
		r.connects("the pair is new")
	}
	r.serve(after, before, after)
	r.connects("the brokers have a new certificate")
	if err := os.WriteFile(filepath.Join(r.dir, "ca.crt"), after.PEM[:100], 0o600); err != nil {
		t.Fatal(err)
	}
	r.connects("the authorities are half-written")
	authtest.Write(t, r.dir, "ca.crt", after.PEM)
	r.connects("the old authority is gone")
	// Who read the old pair before the last replacement has connected by now.
	total := stop()
	r.serve(after, after)
	r.connects("the brokers trust the new one only")
	if total < 20 {
		t.Errorf("only %d connections were made beside the rotation", total)
	}
	t.Logf("%d connections beside the rotation", total)
}
