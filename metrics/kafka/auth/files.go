package auth

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// rotating is the content of files that are read each time they are asked for.
type rotating[T any] struct {
	load func() (T, error)
	// usable says whether content that was read before can still be used; nil: always.
	usable func(T) bool
	log    *slog.Logger

	mu      sync.Mutex
	last    *T
	problem string
}

// get reads the content, or gives the last good one where it cannot.
func (r *rotating[T]) get() (T, error) {
	v, err := r.load()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		if r.problem != "" {
			r.log.Info("read again what could not be read", "before", r.problem)
		}
		r.last, r.problem = &v, ""
		return v, nil
	}
	if r.last == nil || r.usable != nil && !r.usable(*r.last) {
		return v, err
	}
	if r.problem != err.Error() {
		r.problem = err.Error()
		r.log.Warn("go on with what was read before", "error", err)
	}
	return *r.last, nil
}

// readPair reads a certificate with its key. Two files that do not belong together are an error, as is a certificate that
// is out of date.
func readPair(field, certFile, keyFile string) (*tls.Certificate, error) {
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("read %s.certFile: %w: mount the Secret with the certificate there", field, err)
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("read %s.keyFile: %w: mount the Secret with the key there", field, err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("read %s.certFile %s with %s.keyFile %s: %w: write a certificate in PEM and the key that belongs to it",
			field, certFile, field, keyFile, err)
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, fmt.Errorf("read %s.certFile %s: %w: write a certificate in PEM", field, certFile, err)
		}
	}
	if !current(&pair) {
		return nil, fmt.Errorf("read %s.certFile %s: the certificate of %q is valid from %s to %s: renew it, or set this machine's clock",
			field, certFile, pair.Leaf.Subject, pair.Leaf.NotBefore.Format(time.RFC3339), pair.Leaf.NotAfter.Format(time.RFC3339))
	}
	return &pair, nil
}

func current(pair *tls.Certificate) bool {
	now := time.Now()
	return !now.Before(pair.Leaf.NotBefore) && !now.After(pair.Leaf.NotAfter)
}

// readPool reads the certificates of authorities; an empty path is the system's.
func readPool(field, path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w: mount the authority's certificate there", field, err)
	}
	pool, found := x509.NewCertPool(), 0
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			// A file that is cut off in a later certificate must not lose that authority without a word.
			if found == 0 || bytes.Contains(rest, []byte("-----BEGIN")) {
				return nil, fmt.Errorf("read %s %s: whole certificates in it: %d, and then something else: write certificates in PEM", field, path, found)
			}
			return pool, nil
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read %s %s: certificate %d: %w: write certificates in PEM", field, path, found+1, err)
		}
		pool.AddCert(cert)
		found++
	}
}

// readSecret reads a secret without the newline at its end.
func readSecret(field, path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read %s: %w: mount the Secret there", field, err)
	}
	text = bytes.TrimRight(text, "\r\n")
	if len(text) == 0 {
		return "", fmt.Errorf("read %s: %s is empty: write the secret into it", field, path)
	}
	return string(text), nil
}
