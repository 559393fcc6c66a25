// Package certificate makes and rotates the certificate by which the API server knows swell-metrics, and the authority that signs it.
package certificate

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// Lives are how long what is made holds. Each is renewed when a third of it is left.
type Lives struct {
	// Authority is that of an authority; five years by default.
	Authority time.Duration
	// Serving is that of the certificate; ninety days by default.
	Serving time.Duration
	// Settle is how long an authority is published before it signs, so that nobody meets its certificate first; ten minutes by default.
	Settle time.Duration
}

func (l Lives) withDefaults() Lives {
	for d, v := range map[*time.Duration]time.Duration{&l.Authority: 5 * 365 * 24 * time.Hour, &l.Serving: 90 * 24 * time.Hour, &l.Settle: 10 * time.Minute} {
		if *d == 0 {
			*d = v
		}
	}
	return l
}

// skew is how far back certificates begin, for clocks that are behind.
const skew = 5 * time.Minute

// pair is a certificate with its key.
type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// state is what the replicas share.
type state struct {
	authorities []pair // oldest first
	serving     *pair  // nil is none
}

// next is what a state is to become: authorities that ended are gone, one that is about to has a successor, and the certificate is
// for the name, by the newest authority that everyone has had time to learn of. It says what was done, nothing being no change.
func (s state) next(now time.Time, name string, lives Lives) (state, []string, error) {
	var done []string
	out := state{serving: s.serving}
	for _, a := range s.authorities {
		if now.Before(a.cert.NotAfter) {
			out.authorities = append(out.authorities, a)
		} else {
			done = append(done, "dropped an authority that ended on "+a.cert.NotAfter.Format(time.DateOnly))
		}
	}
	if n := len(out.authorities); n == 0 || out.authorities[n-1].cert.NotAfter.Sub(now) < lives.Authority/3 {
		a, err := newAuthority(now, lives)
		if err != nil {
			return state{}, nil, err
		}
		out.authorities = append(out.authorities, a)
		done = append(done, "made an authority until "+a.cert.NotAfter.Format(time.DateOnly))
	}
	signer := out.signer(now, lives)
	if why := out.stale(now, name, signer, lives); why != "" {
		leaf, err := signer.issue(now, name, lives)
		if err != nil {
			return state{}, nil, err
		}
		out.serving = &leaf
		done = append(done, "made a certificate until "+leaf.cert.NotAfter.Format(time.DateOnly)+": "+why)
	}
	return out, done, nil
}

// signer is the newest authority that was published long enough, else the oldest.
func (s state) signer(now time.Time, lives Lives) pair {
	for _, a := range slices.Backward(s.authorities) {
		if !now.Before(a.cert.NotBefore.Add(skew + lives.Settle)) {
			return a
		}
	}
	return s.authorities[0]
}

// stale is why the certificate is to be replaced; empty is that it is not.
func (s state) stale(now time.Time, name string, signer pair, lives Lives) string {
	switch {
	case s.serving == nil:
		return "there was none"
	case s.serving.cert.VerifyHostname(name) != nil:
		return "the one before was for another name"
	case s.serving.cert.CheckSignatureFrom(signer.cert) != nil:
		return "the one before was by another authority"
	case s.serving.cert.NotAfter.Sub(now) < lives.Serving/3:
		return "the one before ends on " + s.serving.cert.NotAfter.Format(time.DateOnly)
	}
	return ""
}

// bundle is all authorities in PEM: what the API server is to believe.
func (s state) bundle() []byte {
	var out bytes.Buffer
	for _, a := range s.authorities {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
	}
	return out.Bytes()
}

func newAuthority(now time.Time, lives Lives) (pair, error) {
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "swell-metrics-ca"}, IsCA: true, BasicConstraintsValid: true,
		MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: now.Add(-skew), NotAfter: now.Add(lives.Authority)}
	return sign(template, nil)
}

// issue never makes what would outlive its authority.
func (a pair) issue(now time.Time, name string, lives Lives) (pair, error) {
	ends := now.Add(lives.Serving)
	if ends.After(a.cert.NotAfter) {
		ends = a.cert.NotAfter
	}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: now.Add(-skew), NotAfter: ends,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	return sign(template, &a)
}

// sign makes a key, and the certificate of it by an authority, or by itself where that is nil.
func sign(template *x509.Certificate, by *pair) (pair, error) {
	fail := func(err error) (pair, error) {
		return pair{}, fmt.Errorf("make the certificate of %s: %w", template.Subject.CommonName, err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fail(err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return fail(err)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return fail(err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		return fail(err)
	}
	return pair{cert, key}, nil
}

// pem is the pair's certificate and key.
func (p pair) pem() (cert, key []byte, err error) {
	raw, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		return nil, nil, fmt.Errorf("encode the key of %s: %w", p.cert.Subject.CommonName, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), nil
}

// parsePair reads a certificate and its key, which must belong together, and gives the rest of both texts.
func parsePair(certs, keys []byte) (p pair, moreCerts, moreKeys []byte, err error) {
	cert, moreCerts := pem.Decode(certs)
	key, moreKeys := pem.Decode(keys)
	if cert == nil || key == nil {
		return pair{}, nil, nil, errors.New("a certificate without a key, or the other way round")
	}
	if p.cert, err = x509.ParseCertificate(cert.Bytes); err != nil {
		return pair{}, nil, nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(key.Bytes)
	if err != nil {
		return pair{}, nil, nil, err
	}
	var ok bool
	if p.key, ok = parsed.(*ecdsa.PrivateKey); !ok || !p.key.PublicKey.Equal(p.cert.PublicKey) {
		return pair{}, nil, nil, errors.New("the key is not the certificate's")
	}
	return p, moreCerts, moreKeys, nil
}
