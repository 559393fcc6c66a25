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
	"When the serving certificate that stands in --tls-cert-file expires; absent where none is given or it cannot be read.", nil, nil)

// certificate gives Prometheus the end of the serving certificate. The file is read with each scrape, as the server reads it anew
// when it changes.
type certificate struct{ path func() string }

func (c certificate) Describe(ch chan<- *prometheus.Desc) { ch <- descCertificate }

func (c certificate) Collect(ch chan<- prometheus.Metric) {
	if end, err := notAfter(c.path()); err == nil {
		ch <- prometheus.MustNewConstMetric(descCertificate, prometheus.GaugeValue, float64(end.Unix()))
	}
}

// notAfter is when the first certificate of a PEM file expires.
func notAfter(path string) (time.Time, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the serving certificate: %w; give --tls-cert-file", err)
	}
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
