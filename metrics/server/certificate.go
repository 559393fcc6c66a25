package server

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var descCertificate = prometheus.NewDesc("swell_certificate_not_after_timestamp_seconds",
	"When the serving certificate expires, that of --tls-cert-file or of --certificate-secret; absent where none is given or it cannot be read.", nil, nil)

// certificate gives Prometheus the end of the serving certificate. The file is read with each scrape, as the server reads it anew
// when it changes.
type certificate struct {
	path func() string
	// kept is the certificate of --certificate-secret, in PEM; nil is that there is none.
	kept func() []byte
}

func (c certificate) Describe(ch chan<- *prometheus.Desc) { ch <- descCertificate }

func (c certificate) Collect(ch chan<- prometheus.Metric) {
	var end time.Time
	raw, err := []byte(nil), error(nil)
	if c.kept != nil {
		raw = c.kept()
	}
	if raw != nil {
		end, err = firstEnd(raw, "of --certificate-secret")
	} else {
		end, err = notAfter(c.path())
	}
	if err == nil {
		ch <- prometheus.MustNewConstMetric(descCertificate, prometheus.GaugeValue, float64(end.Unix()))
	}
}

// notAfter is when the first certificate of a PEM file expires.
func notAfter(path string) (time.Time, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the serving certificate: %w; give --tls-cert-file", err)
	}
	return firstEnd(raw, path)
}

// firstEnd is when the first certificate of a PEM text expires.
func firstEnd(raw []byte, path string) (time.Time, error) {
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return time.Time{}, fmt.Errorf("reading the serving certificate %s: %w; write it anew", path, err)
		}
		return c.NotAfter, nil
	}
	return time.Time{}, fmt.Errorf("reading the serving certificate %s: it has no PEM block CERTIFICATE; write it anew", path)
}
