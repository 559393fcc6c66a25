package conformance_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// pki is one authority with a certificate for brokers at 127.0.0.1 and one for clients, in PEM and in files.
type pki struct {
	authority, serverCert, serverKey             []byte
	authorityFile, clientCertFile, clientKeyFile string
}

func newPKI(t *testing.T) *pki {
	t.Helper()
	p, dir := &pki{}, t.TempDir()
	root, rootKey := certificate(t, "authority", nil, nil)
	p.authority = pemOf("CERTIFICATE", root.Raw)
	server, serverKey := certificate(t, "broker", root, rootKey)
	p.serverCert, p.serverKey = pemOf("CERTIFICATE", server.Raw), keyPEM(t, serverKey)
	client, clientKey := certificate(t, "reader", root, rootKey)
	p.authorityFile = file(t, dir, "ca.pem", p.authority)
	p.clientCertFile = file(t, dir, "client.pem", pemOf("CERTIFICATE", client.Raw))
	p.clientKeyFile = file(t, dir, "client-key.pem", keyPEM(t, clientKey))
	return p
}

func (p *pki) client() *tls.Config {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.authority)
	return &tls.Config{RootCAs: roots}
}

// certificate is one signed by parent, or by itself.
func certificate(t *testing.T, name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	if parent == nil {
		template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func keyPEM(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf("PRIVATE KEY", der)
}

// file writes a file and is its path.
func file(t *testing.T, dir, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
