package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestTheEndOfTheServingCertificateIsGiven(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tls.crt")
	r := prometheus.NewRegistry()
	r.MustRegister(certificate{path: func() string { return path }})
	given := func() []float64 {
		t.Helper()
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var all []float64
		for _, f := range families {
			for _, m := range f.GetMetric() {
				all = append(all, m.GetGauge().GetValue())
			}
		}
		return all
	}
	if got := given(); len(got) != 0 {
		t.Errorf("without a file: %v", got)
	}
	for _, end := range []time.Time{time.Unix(2_000_000_000, 0), time.Unix(2_100_000_000, 0)} { // renewed in place
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: end}
		raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := given(); len(got) != 1 || got[0] != float64(end.Unix()) {
			t.Errorf("got %v, want %d", got, end.Unix())
		}
	}
	if err := os.WriteFile(path, []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := given(); len(got) != 0 {
		t.Errorf("of a file that is no certificate: %v", got)
	}
}
