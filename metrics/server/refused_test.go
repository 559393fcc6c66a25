package server

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/metrics/consumers"
	"swell/metrics/lag"
	"swell/metrics/provider"
	"swell/metrics/store"
)

// authority writes a certificate that can be read.
func authority(t *testing.T, path string) {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	var c *x509.Certificate = s.Certificate()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsRefusedForAReasonOutsideTheFileIsTriedAgain(t *testing.T) {
	kafka, ca := newKafka(t), filepath.Join(t.TempDir(), "ca.crt")
	good := fmt.Sprintf("clusters: [{name: main, brokers: ['%s'], pollEvery: 20ms}]\n", kafka)
	r := newReloading(t, good)
	r.write(good + fmt.Sprintf("listen: ':1'\npassOn: {external: {url: 'https://127.0.0.1:1', caFile: '%s'}}", ca))
	for range 3 {
		r.reload(t.Context())
	}
	if r.config.PassOn.External != nil || r.logs.count("is not used") != 1 || r.logs.count("needs a restart") != 0 {
		t.Errorf("without the file that it names: in force %+v; %d errors in the log, want 1", r.config.PassOn, r.logs.count("is not used"))
	}
	if err := os.WriteFile(ca, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r.reload(t.Context())
	}
	if n := r.logs.count("is not used"); n != 2 {
		t.Errorf("%d errors in the log, want one for each reason", n)
	}
	authority(t, ca)
	for range 3 {
		r.reload(t.Context())
	}
	if r.config.PassOn.External == nil || r.logs.count("is in force") != 1 || r.logs.count("needs a restart") != 1 {
		t.Errorf("with it: %+v, put in force %d times", r.config.PassOn, r.logs.count("is in force"))
	}
	if got := r.metrics(); !strings.Contains(got, "\nswell_config_reload_success 1\n") {
		t.Errorf("/metrics after it:\n%s", swellOf(got))
	}
}

// broken describes no metric that Prometheus would take.
type broken struct{ prometheus.Collector }

func (broken) Describe(to chan<- *prometheus.Desc) {
	to <- prometheus.NewInvalidDesc(errors.New("two of one name"))
}

func TestNothingOfAConfigurationIsUsedWhereAPartFails(t *testing.T) {
	kafka, ca := newKafka(t), filepath.Join(t.TempDir(), "ca.crt")
	authority(t, ca)
	good := fmt.Sprintf("clusters: [{name: main, brokers: ['%s'], pollEvery: 20ms}]\n", kafka)
	r := newReloading(t, good)
	made, err := r.others.prepare(r.config.PassOn)
	if err != nil {
		t.Fatal(err)
	}
	r.others.use(t.Context(), made, r.provider)
	handlers, collector := r.scrape.handlers.Load(), r.collector
	r.collector = func(*config.Metrics) prometheus.Collector { return broken{} }
	r.write(good + fmt.Sprintf("passOn: {external: {url: 'https://127.0.0.1:1', caFile: '%s'}}", ca))
	r.reload(t.Context())
	if r.others.config != (config.PassOn{}) || r.scrape.handlers.Load() != handlers || r.config.PassOn != (config.PassOn{}) {
		t.Errorf("a part of it is in force: %+v", r.others.config)
	}
	r.collector = collector
	r.reload(t.Context())
	if r.others.config.External == nil || r.scrape.handlers.Load() == handlers {
		t.Error("it is not in force once all parts can be used")
	}
}

// autoscalers is an API server that has nothing but one HPA.
type autoscalers struct {
	client.Reader
	mu    sync.Mutex
	lists int
	fail  error
}

func (a *autoscalers) List(_ context.Context, l client.ObjectList, _ ...client.ListOption) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lists++
	h := autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "orders"}}
	h.Spec.Metrics = []autoscalingv2.MetricSpec{{Type: autoscalingv2.ExternalMetricSourceType, External: &autoscalingv2.ExternalMetricSource{
		Metric: autoscalingv2.MetricIdentifier{Name: provider.Lag, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"cluster": "main", "group": "orders"}}}}}}
	l.(*autoscalingv2.HorizontalPodAutoscalerList).Items = []autoscalingv2.HorizontalPodAutoscaler{h}
	return a.fail
}

func TestAReplicaThatIsNotAskedKnowsWhatAutoscalersSelect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &autoscalers{}
		known := consumers.New(consumers.Options{Config: &config.Metrics{Clusters: []config.KafkaCluster{{Name: "main"}}}, Store: store.New(), Objects: nobody{}, Log: slog.New(slog.DiscardHandler),
			Pods: func(context.Context, string, v1alpha1.ScaleTarget) (lag.Pods, error) { return lag.Pods{Ready: -1}, nil }})
		if n, err := askForAutoscalers(t.Context(), api, known, nil); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		ctx, stop := context.WithCancel(t.Context())
		go keepAsking(ctx, api, known, nil, slog.New(slog.DiscardHandler))
		for range 10 {
			time.Sleep(consumers.AskedFor / 3)
			if w := known.Wanted("main"); len(w) != 1 || w[0].Group != "orders" {
				t.Fatalf("wanted %+v", w)
			}
		}
		if api.lists > 10 {
			t.Errorf("listed %d times", api.lists)
		}
		stop()
		time.Sleep(2 * consumers.AskedFor)
		if w := known.Wanted("main"); len(w) != 0 {
			t.Errorf("wanted %+v after it ended", w)
		}
	})
}
