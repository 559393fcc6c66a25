package backlog_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/metrics/pkg/apis/external_metrics/v1beta1"

	"swell/api/config"
	"swell/bench/testbed/stack"
)

const token = "of-swell-metrics"

// other is another external metrics server, as a vendor's agent is one: it knows one metric, and asks who asks.
func other(w http.ResponseWriter, r *http.Request) {
	answer := func(code int, object any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(object)
	}
	const root = "/apis/external.metrics.k8s.io/v1beta1"
	switch {
	case r.Header.Get("Authorization") != "Bearer "+token:
		answer(http.StatusUnauthorized, metav1.Status{Status: "Failure", Code: http.StatusUnauthorized, Reason: metav1.StatusReasonUnauthorized})
	case r.URL.Path == root:
		answer(http.StatusOK, metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: "external.metrics.k8s.io/v1beta1",
			APIResources: []metav1.APIResource{{Name: "page_views", Namespaced: true, Kind: "ExternalMetricValueList", Verbs: metav1.Verbs{"get"}}}})
	case r.URL.Path == root+"/namespaces/shop/page_views" && r.URL.Query().Get("labelSelector") == "site=main":
		list := v1beta1.ExternalMetricValueList{TypeMeta: metav1.TypeMeta{Kind: "ExternalMetricValueList", APIVersion: "external.metrics.k8s.io/v1beta1"}}
		value := v1beta1.ExternalMetricValue{MetricName: "page_views", MetricLabels: map[string]string{"site": "main"}, Timestamp: metav1.NewTime(time.Now())}
		value.Value.Set(1234)
		list.Items = append(list.Items, value)
		answer(http.StatusOK, list)
	default:
		answer(http.StatusNotFound, metav1.Status{Status: "Failure", Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound, Message: "no such metric here"})
	}
}

// serveOther runs it and says how swell-metrics reaches it.
func (r *rig) serveOther(t *testing.T) *config.MetricsService {
	t.Helper()
	cert, key, err := r.Cluster.ServingCert("other")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(other)}
	go func() { _ = server.ServeTLS(l, cert, key) }()
	t.Cleanup(func() { _ = server.Close() })
	dir := t.TempDir()
	for name, text := range map[string][]byte{"ca.crt": r.Cluster.CA(), "token": []byte(token)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &config.MetricsService{URL: "https://" + l.Addr().String(), CAFile: filepath.Join(dir, "ca.crt"), TokenFile: filepath.Join(dir, "token")}
}

// A cluster has one external metrics server: what is not swell's is answered by the one behind it.
func TestAnotherMetricsServerBehindStillAnswers(t *testing.T) {
	r := newRig(t, map[string]int{"plain": partitions}, func(r *rig) stack.MetricsOptions {
		return stack.MetricsOptions{PassOn: config.PassOn{External: r.serveOther(t)}}
	})
	r.commitEnds(t, "plain")
	for metric, c := range map[string]struct{ selector, want string }{
		"page_views":              {"site=main", `"value":"1234"`},
		"kafka_consumergroup_lag": {"cluster=main,group=plain", `"value":"0"`},
	} {
		r.eventually(t, metric, func() error {
			body, err := r.external(t.Context(), metric, c.selector)
			if err == nil && !strings.Contains(body, c.want) {
				err = fmt.Errorf("no %s in %s", c.want, body)
			}
			return err
		})
	}
	raw, err := r.Kube.Discovery().RESTClient().Get().AbsPath("/apis/external.metrics.k8s.io/v1beta1").DoRaw(t.Context())
	if err != nil || !strings.Contains(string(raw), "page_views") || !strings.Contains(string(raw), "kafka_consumergroup_lag") {
		t.Errorf("discovery gives %s, %v; want the names of both", raw, err)
	}
	if body, err := r.external(t.Context(), "nobody_has_it", "site=main"); err == nil || !strings.Contains(err.Error(), "no such metric here") {
		t.Errorf("a metric that neither has: %s, %v; want the other's own 404", body, err)
	}
}
