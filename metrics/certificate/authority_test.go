package certificate

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const dialed = "swell-metrics.swell-system.svc"

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func step(t require, s state, now time.Time) (state, []string) {
	t.Helper()
	next, done, err := s.next(now, dialed, Lives{}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	return next, done
}

type require interface {
	Helper()
	Fatal(...any)
}

// believed says why somebody with a bundle does not believe a certificate at a time; nil is that he does.
func believed(bundle []byte, leaf *x509.Certificate, now time.Time) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, DNSName: dialed, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}

// TestSevenYearsOfRotation walks seven years in days: whoever has the bundle of ten minutes ago believes the certificate of now, and
// whoever has that of now believes the certificate of ten minutes ago.
func TestSevenYearsOfRotation(t *testing.T) {
	lives := Lives{}.withDefaults()
	s, done := step(t, state{}, noon)
	if len(done) != 2 || len(s.authorities) != 1 {
		t.Fatalf("at first it did %v", done)
	}
	authorities, leaves := 1, 1
	for now := noon; now.Before(noon.Add(7 * 365 * 24 * time.Hour)); now = now.Add(lives.Settle * 72) {
		for _, at := range []time.Time{now, now.Add(lives.Settle)} {
			before := s
			s, done = step(t, s, at)
			if err := believed(before.bundle(), s.serving.cert, at); err != nil {
				t.Fatalf("%s: who was not told yet does not believe the certificate after %v: %v", at, done, err)
			}
			if err := believed(s.bundle(), before.serving.cert, at); err != nil {
				t.Fatalf("%s: who was told does not believe a replica that was not, after %v: %v", at, done, err)
			}
			for _, d := range done {
				if strings.HasPrefix(d, "made an authority") {
					authorities++
				}
				if strings.HasPrefix(d, "made a certificate") {
					leaves++
				}
			}
			if _, again := step(t, s, at); len(again) > 0 {
				t.Fatalf("%s: done twice: %v", at, again)
			}
		}
	}
	// an authority of five years is followed after forty months, a certificate of ninety days after sixty; each new authority needs one more
	if authorities != 3 || leaves < 42 || leaves > 48 {
		t.Errorf("%d authorities and %d certificates in seven years", authorities, leaves)
	}
	if len(s.authorities) > 2 {
		t.Errorf("%d authorities are still believed", len(s.authorities))
	}
}

func TestACertificateOfAnotherNameIsReplaced(t *testing.T) {
	s, _ := step(t, state{}, noon)
	next, done, err := s.next(noon, "swell-metrics.elsewhere.svc", Lives{}.withDefaults())
	if err != nil || len(done) != 1 || next.serving.cert.VerifyHostname("swell-metrics.elsewhere.svc") != nil {
		t.Errorf("%v, %v", done, err)
	}
}

// What is written is read as it was, and a spoiled text is an error that names where.
func TestASecretKeepsTheState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, now := state{}, noon
		for range rapid.IntRange(1, 3).Draw(t, "steps") {
			s, _ = step(t, s, now)
			now = now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "days")) * 24 * time.Hour)
		}
		data, err := s.write()
		if err != nil {
			t.Fatal(err)
		}
		again, err := read(data)
		if err != nil {
			t.Fatal(err)
		}
		if string(again.bundle()) != string(s.bundle()) || !again.serving.cert.Equal(s.serving.cert) || !again.serving.key.Equal(s.serving.key) {
			t.Fatal("it is another state")
		}
		key := rapid.SampledFrom([]string{authorityCerts, authorityKeys, servingCert, servingKey}).Draw(t, "spoiled")
		data[key] = []byte("x" + string(data[key])[40:])
		if _, err := read(data); err == nil || !strings.Contains(err.Error(), key) {
			t.Fatalf("%s is spoiled: %v", key, err)
		}
	})
	if s, err := read(nil); err != nil || s.serving != nil || len(s.authorities) > 0 {
		t.Errorf("an empty Secret: %v", err)
	}
}
