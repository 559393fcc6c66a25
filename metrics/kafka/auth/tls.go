package auth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"swell/api/config"
)

// tlsFiles are the files of a TLS connection.
type tlsFiles struct {
	field  string
	config config.KafkaTLS
	pool   rotating[*x509.CertPool]
	pair   rotating[*tls.Certificate]
}

func newTLSFiles(field string, c config.KafkaTLS, log *slog.Logger) *tlsFiles {
	return &tlsFiles{
		field: field, config: c,
		pool: rotating[*x509.CertPool]{log: log, load: func() (*x509.CertPool, error) { return readPool(field+".caFile", c.CAFile) }},
		pair: rotating[*tls.Certificate]{log: log, usable: current, load: func() (*tls.Certificate, error) {
			return readPair(field, c.CertFile, c.KeyFile)
		}},
	}
}

// connection is the configuration of one connection, with the files as they are now.
func (f *tlsFiles) connection(address string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: f.config.ServerName}
	if c.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("read the broker's address: %w: give host:port", err)
		}
		c.ServerName = host
	}
	var err error
	if c.RootCAs, err = f.pool.get(); err != nil {
		return nil, err
	}
	if f.config.CertFile == "" {
		return c, nil
	}
	pair, err := f.pair.get()
	if err != nil {
		return nil, err
	}
	// Sent whatever authorities the broker names: an answer that refuses a certificate says more than one that misses it.
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
	return c, nil
}

// errPlain ends a handshake with a port that answers without TLS.
var errPlain = errors.New("it answers without TLS")

// dialTLS connects to a broker and shakes hands. A port without TLS may wait for more of what it takes for a request, so it is asked
// as such once a handshake takes long.
func (i *Identity) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := i.tls.connection(address)
	if err != nil {
		return nil, explained{fmt.Errorf("connect to broker %s of Kafka cluster %q: %w", address, i.cluster.Name, err)}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout(i.cluster))
	defer cancel()
	shaking, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	end, _ := ctx.Deadline()
	long := time.AfterFunc(time.Until(end)/3, func() {
		if speaksPlain(ctx, address) {
			stop(errPlain)
		}
	})
	defer long.Stop()
	conn, err := (&tls.Dialer{Config: c}).DialContext(shaking, network, address)
	var notTLS tls.RecordHeaderError
	switch {
	case err == nil:
		return conn, nil
	case context.Cause(shaking) == errPlain,
		(hungUp(err) || errors.As(err, &notTLS)) && speaksPlain(ctx, address):
		return nil, i.withoutTLS(address)
	}
	return nil, i.Explain(fmt.Errorf("connect to broker %s: %w", address, handshaking{err}))
}

// Handshake is what a broker showed of itself when it was dialled.
type Handshake struct {
	Version, Cipher string
	// Subject, Issuer, Names and NotAfter are of the broker's certificate.
	Subject, Issuer string
	Names           []string
	NotAfter        time.Time
	// OwnSubject and OwnNotAfter are of swell's own certificate; empty and zero without one.
	OwnSubject  string
	OwnNotAfter time.Time
}

// Handshake dials a broker over TLS and says what it showed.
func (i *Identity) Handshake(ctx context.Context, address string) (Handshake, error) {
	if i.tls == nil {
		return Handshake{}, fmt.Errorf("shake hands with broker %s: %s is not given", address, fieldOf(i.cluster, "tls"))
	}
	conn, err := i.dialTLS(ctx, "tcp", address)
	if err != nil {
		return Handshake{}, err
	}
	defer conn.Close()
	s := conn.(*tls.Conn).ConnectionState()
	leaf := s.PeerCertificates[0]
	h := Handshake{Version: tls.VersionName(s.Version), Cipher: tls.CipherSuiteName(s.CipherSuite),
		Subject: leaf.Subject.String(), Issuer: leaf.Issuer.String(), Names: leaf.DNSNames, NotAfter: leaf.NotAfter}
	for _, ip := range leaf.IPAddresses {
		h.Names = append(h.Names, ip.String())
	}
	if i.tls.config.CertFile != "" {
		pair, err := i.tls.pair.get()
		if err != nil {
			return h, err
		}
		h.OwnSubject, h.OwnNotAfter = pair.Leaf.Subject.String(), pair.Leaf.NotAfter
	}
	return h, nil
}
