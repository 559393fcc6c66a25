package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/component-base/metrics/legacyregistry"

	"swell/metrics/provider"
)

// scrape serves /metrics: the API server's and the process's, the configuration's, and those of the collector in force,
// whose labels depend on the configuration. OpenMetrics is given to those who ask for it.
type scrape struct {
	own        *prometheus.Registry
	reloaded   prometheus.Gauge
	reloadedAt prometheus.Gauge
	handlers   atomic.Pointer[handlers]
}

// handlers are for scrapers of the text format and of OpenMetrics.
type handlers struct{ text, open http.Handler }

func newScrape() *scrape {
	s := &scrape{own: prometheus.NewRegistry(),
		reloaded: prometheus.NewGauge(prometheus.GaugeOpts{Name: "swell_config_reload_success",
			Help: "1 where the configuration file as it stands is in force, 0 where it was refused."}),
		reloadedAt: prometheus.NewGauge(prometheus.GaugeOpts{Name: "swell_config_last_reload_timestamp_seconds",
			Help: "When the configuration in force was read, by the machine's clock."})}
	s.own.MustRegister(s.reloaded, s.reloadedAt, buildInfo())
	return s
}

// Collectors are what /metrics has beside the process's and the API server's own, with partitionMetrics and without.
func Collectors() (plain, partitions []prometheus.Collector) {
	s := newScrape()
	own := []prometheus.Collector{s.reloaded, s.reloadedAt, certificate{}, buildInfo()}
	return append(own, provider.Collector{}), []prometheus.Collector{provider.Collector{Partitions: true}}
}

// note keeps what became of the configuration file.
func (s *scrape) note(err error) {
	if err != nil {
		s.reloaded.Set(0)
		return
	}
	s.reloaded.Set(1)
	s.reloadedAt.SetToCurrentTime()
}

// prepare makes the handlers of a collector. It fails where two of its metrics have one name.
func (s *scrape) prepare(c prometheus.Collector) (*handlers, error) {
	r := prometheus.NewRegistry()
	if err := r.Register(c); err != nil {
		return nil, fmt.Errorf("register the Prometheus metrics: %w", err)
	}
	all := prometheus.Gatherers{legacyregistry.DefaultGatherer, s.own, r}
	opts := promhttp.HandlerOpts{EnableOpenMetrics: true, ErrorHandling: promhttp.ContinueOnError, CoalesceGather: true}
	return &handlers{text: promhttp.HandlerFor(all, opts), open: promhttp.HandlerFor(apart(all), opts)}, nil
}

// use serves from other handlers.
func (s *scrape) use(h *handlers) { s.handlers.Store(h) }

func (s *scrape) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := s.handlers.Load()
	if strings.Contains(r.Header.Get("Accept"), "openmetrics") {
		h.open.ServeHTTP(w, r)
		return
	}
	h.text.ServeHTTP(w, r)
}

// apart leaves out a gauge x where there is a counter x_total: OpenMetrics calls both x, and strict readers refuse all of it.
func apart(of prometheus.Gatherer) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := of.Gather()
		counters := map[string]bool{}
		for _, f := range families {
			if name, ok := strings.CutSuffix(f.GetName(), "_total"); ok && f.GetType() == dto.MetricType_COUNTER {
				counters[name] = true
			}
		}
		return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool { return counters[f.GetName()] }), err
	})
}

// listen serves the plain port until the context ends, where one is wanted.
func listen(ctx context.Context, address string, metrics http.Handler, ready *readiness) error {
	if address == "" {
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /healthz", ok)
	mux.HandleFunc("GET /livez", ok)
	mux.HandleFunc("GET /readyz", ready.serve)
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen for /metrics: %w: change listen in swell-metrics' configuration", err)
	}
	plain := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = plain.Close() })
	defer stop()
	if err := plain.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve /metrics: %w", err)
	}
	return nil
}
