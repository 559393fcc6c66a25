package backfill

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"swell/api/config"
	"swell/scaler/series"
)

// mostPoints of a series in one request: Prometheus refuses more than 11,000.
const mostPoints = 10_000

// Prometheus is a server of Prometheus' HTTP API.
type Prometheus struct {
	api     promv1.API
	timeout time.Duration
}

// NewPrometheus reads no file but those of TLS; passwords and tokens are read for each request, so that they may rotate.
func NewPrometheus(ctx context.Context, c config.Prometheus) (*Prometheus, error) {
	fail := func(err error) (*Prometheus, error) { return nil, fmt.Errorf("connecting to Prometheus: %w", err) }
	next := http.DefaultTransport.(*http.Transport).Clone()
	var err error
	if next.TLSClientConfig, err = tlsOf(c); err != nil {
		return fail(err)
	}
	var sign func(*http.Request) error
	if c.SigV4 != nil {
		if sign, err = signer(ctx, *c.SigV4); err != nil {
			return fail(err)
		}
	}
	t := &transport{next: next, timeout: c.Timeout.Duration, wait: retryAfter, sleep: sleep, prepare: func(r *http.Request) error {
		if err := authorize(r, c); err != nil || sign == nil {
			return err
		}
		return sign(r)
	}}
	client, err := api.NewClient(api.Config{Address: c.URL, RoundTripper: t})
	if err != nil {
		return fail(fmt.Errorf("%w; correct history.prometheus.url", err))
	}
	return &Prometheus{api: promv1.NewAPI(client), timeout: c.Timeout.Duration}, nil
}

func tlsOf(c config.Prometheus) (*tls.Config, error) {
	out := &tls.Config{ServerName: c.ServerName, MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading history.prometheus.caFile: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("history.prometheus.caFile %s holds no certificate; give a PEM file", c.CAFile)
		}
	}
	if c.CertFile != "" {
		out.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
			return &pair, err
		}
	}
	return out, nil
}

// authorize sets what the configuration says.
func authorize(r *http.Request, c config.Prometheus) error {
	for name, value := range c.Headers {
		r.Header.Set(name, value)
	}
	switch {
	case c.BearerTokenFile != "":
		token, err := os.ReadFile(c.BearerTokenFile)
		if err != nil {
			return fmt.Errorf("reading history.prometheus.bearerTokenFile: %w", err)
		}
		r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	case c.BasicAuth != nil:
		password, err := os.ReadFile(c.BasicAuth.PasswordFile)
		if err != nil {
			return fmt.Errorf("reading history.prometheus.basicAuth.passwordFile: %w", err)
		}
		r.SetBasicAuth(c.BasicAuth.Username, strings.TrimSpace(string(password)))
	}
	return nil
}

// signer signs for Amazon Managed Service for Prometheus, with the credentials that the SDK finds.
func signer(ctx context.Context, c config.SigV4) (func(*http.Request) error, error) {
	loaded, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(c.Region))
	if err != nil {
		return nil, fmt.Errorf("finding AWS credentials for history.prometheus.sigv4: %w", err)
	}
	return signWith(loaded.Credentials, c.Region, time.Now), nil
}

func signWith(credentials aws.CredentialsProvider, region string, now func() time.Time) func(*http.Request) error {
	s := v4.NewSigner()
	return func(r *http.Request) error {
		var body []byte
		if r.Body != nil {
			var err error
			if body, err = io.ReadAll(r.Body); err != nil {
				return err
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		sum := sha256.Sum256(body)
		keys, err := credentials.Retrieve(r.Context())
		if err != nil {
			return fmt.Errorf("reading AWS credentials: %w; give the pod a role that may aps:QueryMetrics", err)
		}
		return s.SignHTTP(r.Context(), keys, r, hex.EncodeToString(sum[:]), "aps", region, now())
	}
}

// Range pages through query_range. A row is the query's value at its stamp.
func (p *Prometheus) Range(ctx context.Context, query string, from, to time.Time, step time.Duration) (series.Series, error) {
	out := series.Series{Start: from.UTC(), Step: step, Values: make([]float64, max(int(to.Sub(from)/step), 0))}
	for i := range out.Values {
		out.Values[i] = math.NaN()
	}
	seen := false
	for at := 0; at < len(out.Values); at += mostPoints {
		last := min(at+mostPoints, len(out.Values)) - 1
		found, err := p.page(ctx, query, &out, at, last)
		if err != nil {
			return series.Series{}, fmt.Errorf("asking Prometheus for %s to %s: %w", out.Time(at).Format(time.RFC3339), out.Time(last).Format(time.RFC3339), err)
		}
		seen = seen || found
	}
	if !seen {
		return series.Series{}, errors.New("asking Prometheus: the query gave nothing in all that time; see that its metric and labels exist")
	}
	return out, nil
}

func (p *Prometheus) page(ctx context.Context, query string, out *series.Series, first, last int) (bool, error) {
	// a server that is asked to wait gets more than one time-out
	ctx, cancel := context.WithTimeout(ctx, tries*(p.timeout+retryMost))
	defer cancel()
	v, _, err := p.api.QueryRange(ctx, query, promv1.Range{Start: out.Time(first), End: out.Time(last), Step: out.Step}, promv1.WithTimeout(p.timeout))
	if err != nil {
		return false, explain(err)
	}
	m, ok := v.(model.Matrix)
	if !ok {
		return false, fmt.Errorf("the query gave a %s; give one that gives an instant vector", v.Type())
	}
	if len(m) == 0 {
		return false, nil
	}
	if len(m) > 1 {
		return false, severalSeries(len(m), m[0].Metric.String(), m[1].Metric.String())
	}
	found := false
	for _, x := range m[0].Values {
		if i, ok := out.Index(x.Timestamp.Time()); ok && !math.IsNaN(float64(x.Value)) && !math.IsInf(float64(x.Value), 0) && x.Value >= 0 {
			out.Values[i], found = float64(x.Value), true
		}
	}
	return found, nil
}

// Instant is a query's value at a time.
func (p *Prometheus) Instant(ctx context.Context, query string, at time.Time) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	v, _, err := p.api.Query(ctx, query, at)
	if err != nil {
		return math.NaN(), fmt.Errorf("asking Prometheus: %w", explain(err))
	}
	switch v := v.(type) {
	case *model.Scalar:
		return float64(v.Value), nil
	case model.Vector:
		switch {
		case len(v) == 0:
			return math.NaN(), errors.New("asking Prometheus: the query gave nothing; see that its metric and labels exist")
		case len(v) > 1:
			return math.NaN(), fmt.Errorf("asking Prometheus: %w", severalSeries(len(v), v[0].Metric.String(), v[1].Metric.String()))
		}
		return float64(v[0].Value), nil
	}
	return math.NaN(), fmt.Errorf("asking Prometheus: the query gave a %s; give one that gives an instant vector", v.Type())
}

func severalSeries(n int, a, b string) error {
	return fmt.Errorf("the query gave %d series, such as %s and %s; aggregate them to one, as with sum(…) or max(…)", n, clip(a), clip(b))
}

// explain adds the mend to what the client says.
func explain(err error) error {
	var e *promv1.Error
	switch {
	case errors.Is(err, errTooLarge):
		return errTooLarge
	case !errors.As(err, &e):
		return err
	case e.Type == promv1.ErrBadData:
		return fmt.Errorf("%s; correct the query", e.Msg)
	case strings.Contains(e.Msg, ": 401") || strings.Contains(e.Msg, ": 403"):
		return fmt.Errorf("%s; correct the credentials in history.prometheus of the configuration of swell-scaler", e.Msg)
	}
	return err
}
