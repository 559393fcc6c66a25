package passon

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	metrics "sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"swell/api/config"
)

// adapter speaks what another metrics server speaks, over TLS, and keeps what it was asked.
type adapter struct {
	*httptest.Server
	mu      sync.Mutex
	asked   []*http.Request
	answers map[string]answer
}

type answer struct {
	code int
	body string
}

func (a *adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, r)
	got, ok := a.answers[r.URL.Path]
	if !ok {
		got = answer{http.StatusNotFound, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","message":"no such metric","code":404}`}
	}
	w.Header().Set("Content-Type", "application/json")
	if got.code == http.StatusFound {
		w.Header().Set("Location", got.body)
	}
	w.WriteHeader(got.code)
	_, _ = w.Write([]byte(got.body))
}

func (a *adapter) last() *http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked[len(a.asked)-1]
}

func (a *adapter) set(path string, code int, body string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers[path] = answer{code, body}
}

// newAdapter starts one and gives the options for asking it as the service account that swell-metrics runs as.
func newAdapter(t *testing.T) (*adapter, Options) {
	t.Helper()
	a := &adapter{answers: map[string]answer{}}
	a.Server = httptest.NewTLSServer(a)
	t.Cleanup(a.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw})
	own := &rest.Config{Host: "https://kubernetes.invalid", BearerTokenFile: file(t, "own-token"), TLSClientConfig: rest.TLSClientConfig{CAData: ca}}
	return a, Options{Field: "passOn.external", Service: config.MetricsService{URL: a.URL}, Own: own, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Timeout: 5 * time.Second}
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newExternal(t *testing.T, o Options) *External {
	t.Helper()
	e, err := NewExternal(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func newCustom(t *testing.T, o Options) *Custom {
	t.Helper()
	c, err := NewCustom(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func selector(t *testing.T, s string) labels.Selector {
	t.Helper()
	parsed, err := labels.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

const (
	depthPath = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/s0-depth"
	depth     = `{"kind":"ExternalMetricValueList","apiVersion":"external.metrics.k8s.io/v1beta1","metadata":{},"items":[
		{"metricName":"s0-depth","metricLabels":{"queue":"mails"},"timestamp":"2026-11-20T08:41:00Z","value":"1500m"}]}`
)

func depthOf(t *testing.T, e *External, s string) (int64, error) {
	t.Helper()
	l, err := e.GetExternalMetric(t.Context(), "shop", selector(t, s), metrics.ExternalMetricInfo{Metric: "s0-depth"})
	if err != nil {
		return 0, err
	}
	return l.Items[0].Value.MilliValue(), nil
}

func TestExternalValuesArePassedOn(t *testing.T) {
	a, o := newAdapter(t)
	a.set(depthPath, http.StatusOK, depth)
	e := newExternal(t, o)
	if v, err := depthOf(t, e, "queue in (mails),scaledobject.keda.sh/name=mailer"); err != nil || v != 1500 {
		t.Fatalf("%d, %v", v, err)
	}
	r := a.last()
	if got := r.URL.Query().Get("labelSelector"); got != "queue in (mails),scaledobject.keda.sh/name=mailer" {
		t.Errorf("selector %q", got)
	}
	if got := r.Header.Get("Authorization"); got != "Bearer own-token" {
		t.Errorf("asked as %q", got)
	}
}

func TestIdentityAndAuthority(t *testing.T) {
	a, o := newAdapter(t)
	a.set(depthPath, http.StatusOK, depth)
	theirs := o
	theirs.Service.TokenFile, theirs.Service.CAFile = file(t, "their-token"), file(t, string(o.Own.CAData))
	theirs.Own = &rest.Config{Host: "https://kubernetes.invalid", BearerToken: "own-token"}
	if _, err := depthOf(t, newExternal(t, theirs), ""); err != nil {
		t.Fatal(err)
	}
	if got := a.last().Header.Get("Authorization"); got != "Bearer their-token" {
		t.Errorf("asked as %q", got)
	}
	n := len(a.asked)
	unknown := theirs
	unknown.Service.CAFile = ""
	if _, err := depthOf(t, newExternal(t, unknown), ""); !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "certificate") || !strings.Contains(err.Error(), "passOn.external") {
		t.Errorf("a server of an unknown authority: %v", err)
	}
	named := o
	named.Service.ServerName = "other.example"
	if _, err := depthOf(t, newExternal(t, named), ""); !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "other.example") {
		t.Errorf("a server of another name: %v", err)
	}
	if len(a.asked) != n {
		t.Error("a server that is not known was asked, and got the token")
	}
	insecure := unknown
	insecure.Service.InsecureSkipVerify = true
	if _, err := depthOf(t, newExternal(t, insecure), ""); err != nil {
		t.Errorf("any certificate: %v", err)
	}
}

func TestErrorsKeepTheirStatus(t *testing.T) {
	a, o := newAdapter(t)
	e := newExternal(t, o)
	for code, tc := range map[int]struct {
		body string
		is   func(error) bool
		says string
	}{
		http.StatusNotFound:            {`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","message":"no such metric","code":404}`, apierrors.IsNotFound, "no such metric"},
		http.StatusForbidden:           {`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","message":"swell may not","code":403}`, apierrors.IsForbidden, "swell may not"},
		http.StatusInternalServerError: {`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"scaler gave no value","code":500}`, nil, "scaler gave no value"},
		http.StatusBadGateway:          {`<html>upstream is gone</html>`, nil, "upstream is gone"},
		http.StatusUnauthorized:        {`{"message":"who are you"}`, apierrors.IsUnauthorized, "who are you"},
		http.StatusFound:               {a.URL + "/elsewhere", apierrors.IsServiceUnavailable, ""},
	} {
		a.set(depthPath, code, tc.body)
		_, err := depthOf(t, e, "")
		var status apierrors.APIStatus
		if !errors.As(err, &status) || code >= 400 && status.Status().Code != int32(code) || tc.is != nil && !tc.is(err) || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), a.URL) {
			t.Errorf("%d: %v", code, err)
		}
	}
	for body, says := range map[string]string{`{"kind":"ExternalMetricValueList"}`: "read its answer", `{"kind":"PodList","apiVersion":"v1","items":[]}`: "external.metrics.k8s.io", strings.Repeat(" ", maxAnswer+1): "longer than"} {
		a.set(depthPath, http.StatusOK, body)
		if _, err := depthOf(t, e, ""); !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40s: %v", body, err)
		}
	}
	a.Close()
	if _, err := depthOf(t, e, ""); !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "check that it runs") {
		t.Errorf("a server that is down: %v", err)
	}
}

func TestServerThatHangsIsGivenUp(t *testing.T) {
	release := make(chan struct{})
	slow := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer slow.Close()
	defer close(release)
	_, o := newAdapter(t)
	o.Service = config.MetricsService{URL: slow.URL, InsecureSkipVerify: true}
	o.Timeout = 50 * time.Millisecond
	if _, err := depthOf(t, newExternal(t, o), ""); !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "deadline") {
		t.Errorf("%v", err)
	}
}

func TestNamesCannotLeaveTheirPath(t *testing.T) {
	a, o := newAdapter(t)
	e := newExternal(t, o)
	for _, bad := range []string{"..", "a/b", "", "a%2fb"} {
		if _, err := e.GetExternalMetric(t.Context(), "shop", labels.Everything(), metrics.ExternalMetricInfo{Metric: bad}); !apierrors.IsBadRequest(err) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if len(a.asked) > 0 {
		t.Errorf("asked for %s", a.asked[0].URL)
	}
}

func TestWhatWasPassedOnIsNotPassedOnAgain(t *testing.T) {
	_, o := newAdapter(t)
	asked := 0
	var e *External
	self := httptest.NewTLSServer(NoCircle(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		_, err := e.GetExternalMetric(r.Context(), "shop", labels.Everything(), metrics.ExternalMetricInfo{Metric: "s0-depth"})
		var status apierrors.APIStatus
		if errors.As(err, &status) {
			w.WriteHeader(int(status.Status().Code))
			_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Message: status.Status().Message})
		}
	})))
	defer self.Close()
	o.Service = config.MetricsService{URL: self.URL, InsecureSkipVerify: true}
	e = newExternal(t, o)
	if _, err := depthOf(t, e, ""); !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "address of another server") || asked != 1 {
		t.Errorf("asked %d times: %v", asked, err)
	}
}

func TestNamesOutliveTheirServer(t *testing.T) {
	a, o := newAdapter(t)
	e := newExternal(t, o)
	if l := e.ListAllExternalMetrics(); len(l) != 0 {
		t.Errorf("before the server was asked: %v", l)
	}
	const path = "/apis/external.metrics.k8s.io/v1beta1"
	a.set(path, http.StatusOK, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"external.metrics.k8s.io/v1beta1","resources":[{"name":"s0-depth","namespaced":true,"kind":"ExternalMetricValueList","verbs":["get"]}]}`)
	e.names.note(e.names.refresh(t.Context()))
	want := []metrics.ExternalMetricInfo{{Metric: "s0-depth"}}
	if l := e.ListAllExternalMetrics(); !slices.Equal(l, want) {
		t.Errorf("%v", l)
	}
	a.set(path, http.StatusServiceUnavailable, "")
	e.names.note(e.names.refresh(t.Context()))
	if l := e.ListAllExternalMetrics(); !e.names.failing || !slices.Equal(l, want) {
		t.Errorf("while it is down: %v", l)
	}
}

const podValue = `{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/%s","metadata":{},"items":[{"describedObject":{"kind":"Pod","namespace":"shop","name":"web-1","apiVersion":"/v1"},%s,"timestamp":"2026-11-20T08:41:00Z","value":"12","selector":null}]}`

func podValueOf(version, metric string) string {
	return strings.NewReplacer("%s\"", version+"\"", ",%s", ","+metric).Replace(podValue)
}

func TestObjectMetricsArePassedOn(t *testing.T) {
	a, o := newAdapter(t)
	c := newCustom(t, o)
	pods := metrics.CustomMetricInfo{GroupResource: schema.GroupResource{Resource: "pods"}, Namespaced: true, Metric: "requests"}
	const base = "/apis/custom.metrics.k8s.io/v1beta2"
	body := podValueOf("v1beta2", `"metric":{"name":"requests"}`)
	a.set(base+"/namespaces/shop/pods/web-1/requests", http.StatusOK, body)
	a.set(base+"/namespaces/shop/pods/*/requests", http.StatusOK, body)
	a.set(base+"/namespaces/shop/metrics/requests", http.StatusOK, body)
	a.set(base+"/nodes/n1/load", http.StatusOK, body)
	v, err := c.GetMetricByName(t.Context(), types.NamespacedName{Namespace: "shop", Name: "web-1"}, pods, selector(t, "path=checkout"))
	if err != nil || v.Value.Value() != 12 || v.Metric.Name != "requests" || v.DescribedObject.Name != "web-1" {
		t.Fatalf("%+v, %v", v, err)
	}
	if got := a.last().URL.Query().Get("metricLabelSelector"); got != "path=checkout" {
		t.Errorf("metric selector %q", got)
	}
	l, err := c.GetMetricBySelector(t.Context(), "shop", selector(t, "app=web"), pods, labels.Everything())
	if err != nil || len(l.Items) != 1 || a.last().URL.Query().Get("labelSelector") != "app=web" {
		t.Errorf("%+v, %v, asked %s", l, err, a.last().URL)
	}
	namespaces := metrics.CustomMetricInfo{GroupResource: schema.GroupResource{Resource: "namespaces"}, Metric: "requests"}
	if _, err := c.GetMetricByName(t.Context(), types.NamespacedName{Name: "shop"}, namespaces, labels.Everything()); err != nil {
		t.Errorf("of a namespace: %v", err)
	}
	nodes := metrics.CustomMetricInfo{GroupResource: schema.GroupResource{Resource: "nodes"}, Metric: "load"}
	if _, err := c.GetMetricByName(t.Context(), types.NamespacedName{Name: "n1"}, nodes, labels.Everything()); err != nil {
		t.Errorf("of a node: %v", err)
	}
}

func TestServersOfTheOlderVersionAreUnderstood(t *testing.T) {
	a, o := newAdapter(t)
	c := newCustom(t, o)
	const base = "/apis/custom.metrics.k8s.io/v1beta1"
	a.set(base, http.StatusOK, `{"kind":"APIResourceList","apiVersion":"v1","resources":[{"name":"pods/requests","namespaced":true},{"name":"jobs.batch/age","namespaced":true},{"name":"nodes/load"}]}`)
	a.set(base+"/namespaces/shop/pods/web-1/requests", http.StatusOK, podValueOf("v1beta1", `"metricName":"requests"`))
	info := metrics.CustomMetricInfo{GroupResource: schema.GroupResource{Resource: "pods"}, Namespaced: true, Metric: "requests"}
	v, err := c.GetMetricByName(t.Context(), types.NamespacedName{Namespace: "shop", Name: "web-1"}, info, nil)
	if err != nil || v.Value.Value() != 12 || v.Metric.Name != "requests" {
		t.Fatalf("before its names were read: %+v, %v", v, err)
	}
	want := []metrics.CustomMetricInfo{info, {GroupResource: schema.GroupResource{Group: "batch", Resource: "jobs"}, Namespaced: true, Metric: "age"}, {GroupResource: schema.GroupResource{Resource: "nodes"}, Metric: "load"}}
	if l := c.ListAllMetrics(); !slices.Equal(l, want) {
		t.Errorf("%v, want %v", l, want)
	}
	n := len(a.asked)
	info.Metric = "other"
	if _, err := c.GetMetricByName(t.Context(), types.NamespacedName{Namespace: "shop", Name: "web-1"}, info, nil); !apierrors.IsNotFound(err) || len(a.asked) != n+1 {
		t.Errorf("%v with %d requests, want one", err, len(a.asked)-n)
	}
}
