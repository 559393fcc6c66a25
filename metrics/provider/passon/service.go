// Package passon asks another metrics server for the metrics that are not swell's own. A cluster has one server for
// each of the two API groups, so swell-metrics may stand in front of the one that was there before.
package passon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/apiserver"

	"swell/api/config"
)

const (
	defaultTimeout    = 5 * time.Second
	defaultNamesEvery = 30 * time.Second
	// maxAnswer is the longest answer that is read, in bytes.
	maxAnswer = 16 << 20
	// maxQuoted is how much of an answer that is no status stands in an error.
	maxQuoted = 512
)

// Options say which server is asked, and how. Times are the machine's.
type Options struct {
	// Field is the server's place in the configuration, for messages, as in passOn.external.
	Field   string
	Service config.MetricsService
	// Own is how swell-metrics reaches the cluster: its authority and its identity count where Service names none.
	Own *rest.Config
	// Timeout is how long one answer may take. Default: 5s.
	Timeout time.Duration
	// NamesEvery is the time between two looks at the server's metric names. Default: 30s.
	NamesEvery time.Duration
	Log        *slog.Logger
}

// Validate reports options that cannot be used.
func (o Options) Validate() error {
	if o.Own == nil || o.Log == nil {
		return errors.New("pass metrics on: Own or Log is missing: give both")
	}
	if o.Timeout < 0 || o.NamesEvery < 0 {
		return fmt.Errorf("pass metrics on: Timeout %s or NamesEvery %s is negative: give zero or more", o.Timeout, o.NamesEvery)
	}
	return nil
}

// server is one API group of another metrics server.
type server struct {
	opts   Options
	group  string
	base   *url.URL
	client *http.Client
}

func newServer(group string, o Options) (*server, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.NamesEvery == 0 {
		o.NamesEvery = defaultNamesEvery
	}
	base, err := url.Parse(o.Service.URL)
	if err != nil {
		return nil, fmt.Errorf("read %s.url: %w: give https://service.namespace.svc:port", o.Field, err)
	}
	client, err := rest.HTTPClientFor(clientConfig(o.Service, o.Own))
	if err != nil {
		return nil, fmt.Errorf("make a client of %s: %w: check its caFile and tokenFile", o.Field, err)
	}
	// A redirect would carry the token to wherever it points.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &server{opts: o, group: group, base: base, client: client}, nil
}

// clientConfig is the service's own, completed by how the cluster is reached.
func clientConfig(m config.MetricsService, own *rest.Config) *rest.Config {
	c := rest.CopyConfig(own)
	if m.TokenFile != "" {
		c = rest.AnonymousClientConfig(own)
		c.BearerTokenFile = m.TokenFile
	}
	c.Host, c.APIPath, c.Timeout, c.UserAgent = m.URL, "", 0, "swell-metrics/pass-on"
	c.Proxy, c.Dial, c.WrapTransport, c.Transport = nil, nil, nil, nil
	c.ServerName, c.Insecure = m.ServerName, m.InsecureSkipVerify
	switch {
	case m.InsecureSkipVerify:
		c.CAFile, c.CAData = "", nil
	case m.CAFile != "":
		c.CAFile, c.CAData = m.CAFile, nil
	}
	return c
}

// get asks for one path below /apis/group and decodes the answer into the API's internal form. Its errors are API
// statuses: the other server's own, or 503 where it gave none.
func (s *server) get(ctx context.Context, version string, segments []string, query url.Values) (runtime.Object, error) {
	raw, err := s.read(ctx, version, segments, query)
	if err != nil {
		return nil, err
	}
	object, err := runtime.Decode(apiserver.Codecs.UniversalDecoder(schema.GroupVersion{Group: s.group, Version: runtime.APIVersionInternal}), raw)
	if err != nil {
		return nil, s.failed(fmt.Errorf("read its answer: %w: does it serve %s", err, s.group))
	}
	return object, nil
}

func (s *server) read(ctx context.Context, version string, segments []string, query url.Values) ([]byte, error) {
	if ctx.Value(passedOnKey{}) != nil {
		return nil, s.failed(errors.New("the request was passed on by swell-metrics already: give the address of another server"))
	}
	for _, one := range segments {
		if problems := content.IsPathSegmentName(one); len(problems) > 0 || one == "" {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("pass on to %s: %q is no name: give one without / and %%", s.opts.Field, one))
		}
	}
	target := s.base.JoinPath(append([]string{"apis", s.group, version}, segments...)...)
	target.RawQuery = query.Encode()
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, s.failed(err)
	}
	req.Header.Set("Accept", runtime.ContentTypeJSON)
	req.Header.Set(passedOn, "1")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, s.failed(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, s.failed(fmt.Errorf("read its answer: %w", err))
	case len(raw) > maxAnswer:
		return nil, s.failed(fmt.Errorf("its answer is longer than %d bytes: select less", maxAnswer))
	case resp.StatusCode != http.StatusOK:
		return nil, s.refused(resp.StatusCode, raw)
	}
	return raw, nil
}

// failed is 503: nobody knows the value, so the HPA holds.
func (s *server) failed(err error) error {
	return apierrors.NewServiceUnavailable(fmt.Sprintf("pass on to %s at %s: %v: check that it runs, and the entry in swell-metrics' configuration", s.opts.Field, s.opts.Service.URL, err))
}

// refused is the other server's own status, with whose it is.
func (s *server) refused(code int, raw []byte) error {
	generic := apierrors.NewGenericServerResponse(code, "get", schema.GroupResource{Group: s.group}, "", "", 0, false).ErrStatus
	var status metav1.Status
	if err := json.Unmarshal(raw, &status); err != nil || status.Message == "" {
		status = generic
		status.Message = strings.TrimSpace(fmt.Sprintf("%d %s %s", code, http.StatusText(code), raw[:min(len(raw), maxQuoted)]))
	}
	if status.Reason == "" {
		status.Reason = generic.Reason
	}
	status.Status, status.Code = metav1.StatusFailure, int32(code)
	if code < 400 {
		// Neither a value nor an error is an answer of something else.
		status.Code, status.Reason = http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable
	}
	status.Message = fmt.Sprintf("%s at %s answers: %s", s.opts.Field, s.opts.Service.URL, status.Message)
	return &apierrors.StatusError{ErrStatus: status}
}
