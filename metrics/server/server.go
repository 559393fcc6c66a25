// Package server puts swell-metrics together: pollers, store, consumers and the two aggregated APIs.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/metrics/legacyregistry"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	basecmd "sigs.k8s.io/custom-metrics-apiserver/pkg/cmd"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/metrics/consumers"
	"swell/metrics/kafka"
	"swell/metrics/provider"
	"swell/metrics/store"
)

// Server is swell-metrics. Set its flags, then run it once.
type Server struct {
	basecmd.AdapterBase
	configPath string
	kubeconfig string
	log        *slog.Logger
	ready      atomic.Bool
}

// New makes a server that is configured by flags.
func New(log *slog.Logger) *Server {
	s := &Server{log: log}
	s.Name = "swell-metrics"
	s.FlagSet = pflag.NewFlagSet(s.Name, pflag.ContinueOnError)
	s.InstallFlags()
	s.setDefault("client-qps", "50")
	s.setDefault("client-burst", "100")
	s.FlagSet.StringVar(&s.configPath, "config", "/etc/swell/metrics.yaml", "configuration file: Kafka clusters, clock and lease")
	s.FlagSet.StringVar(&s.kubeconfig, "kubeconfig", "", "kubeconfig for everything that names none of its own; empty: the pod's service account")
	return s
}

// setDefault changes the default of a flag that the library declares: its own rate is too low for the
// statuses and scale targets of a hundred QueueConsumers.
func (s *Server) setDefault(flag, value string) {
	f := s.FlagSet.Lookup(flag)
	if err := f.Value.Set(value); err != nil {
		panic(fmt.Sprintf("set the default of --%s: %v", flag, err))
	}
	f.DefValue = value
}

// Run serves until the context ends. An error says what could not be set up, or what broke.
func (s *Server) Run(ctx context.Context) error {
	for _, own := range []*string{&s.RemoteKubeConfigFile, &s.Authentication.RemoteKubeConfigFile, &s.Authorization.RemoteKubeConfigFile} {
		if *own == "" {
			*own = s.kubeconfig
		}
	}
	cfg, err := config.LoadMetrics(s.configPath)
	if err != nil {
		return err
	}
	restConfig, err := s.ClientConfig()
	if err != nil {
		return fmt.Errorf("reach the Kubernetes API: %w: give --kubeconfig, or run in a pod", err)
	}
	objects, err := newObjects(restConfig, s.log)
	if err != nil {
		return err
	}
	live := &consumers.Ready{Live: objects.GetClient(), Cached: objects.GetCache(), Clock: cfg.Clock}
	readings := store.New()
	known := consumers.New(consumers.Options{Config: cfg, Store: readings, Objects: objects.GetCache(), Pods: live.Pods, Log: s.log})
	pollers, err := s.pollers(cfg, readings, known)
	if err != nil {
		return err
	}
	if err := s.install(cfg, known); err != nil {
		return err
	}
	collector := provider.Collector{Source: known, Pollers: func() map[string]kafka.Stats { return statsOf(pollers) }}
	if err := legacyregistry.Registerer().Register(collector); err != nil {
		return fmt.Errorf("register the Prometheus metrics: %w", err)
	}
	defer legacyregistry.Registerer().Unregister(collector)
	return s.serve(ctx, cfg, restConfig, objects, known, live, pollers)
}

// newObjects watches QueueConsumers and pods.
func newObjects(restConfig *rest.Config, log *slog.Logger) (cluster.Cluster, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme), addScale(scheme)); err != nil {
		return nil, fmt.Errorf("register the kinds: %w", err)
	}
	objects, err := cluster.New(restConfig, func(o *cluster.Options) {
		o.Scheme = scheme
		o.Logger = logr.FromSlogHandler(log.Handler())
		o.Cache = cache.Options{ByObject: map[client.Object]cache.ByObject{&corev1.Pod{}: {Transform: consumers.Slim}}}
	})
	if err != nil {
		return nil, fmt.Errorf("reach the Kubernetes API: %w", err)
	}
	return objects, nil
}

func (s *Server) pollers(cfg *config.Metrics, sink kafka.Sink, known *consumers.Consumers) ([]*kafka.Poller, error) {
	var pollers []*kafka.Poller
	for _, k := range cfg.Clusters {
		p, err := kafka.NewPoller(kafka.Options{Cluster: k, Clock: cfg.Clock, Wanted: known.Wanted, Sink: sink, After: known.Evaluate, Log: s.log})
		if err != nil {
			return nil, err
		}
		pollers = append(pollers, p)
	}
	return pollers, nil
}

func statsOf(pollers []*kafka.Poller) map[string]kafka.Stats {
	all := map[string]kafka.Stats{}
	for _, p := range pollers {
		all[p.Cluster()] = p.Stats()
	}
	return all
}

// install puts the APIs that are to be served into the API server.
func (s *Server) install(cfg *config.Metrics, known *consumers.Consumers) error {
	p := provider.New(known, cfg.Clock)
	if slices.Contains(cfg.APIs, config.ExternalMetrics) {
		s.WithExternalMetrics(p)
	}
	if slices.Contains(cfg.APIs, config.CustomMetrics) {
		s.WithCustomMetrics(p)
	}
	api, err := s.AdapterBase.Server()
	if err != nil {
		return fmt.Errorf("set up the metrics API server: %w: check the flags for the secure port, certificates and kubeconfigs", err)
	}
	check := healthz.NamedCheck("queueconsumers", func(*http.Request) error {
		if !s.ready.Load() {
			return errors.New("QueueConsumers and pods are not listed yet")
		}
		return nil
	})
	if err := api.GenericAPIServer.AddReadyzChecks(check); err != nil {
		return fmt.Errorf("set up the readiness check: %w", err)
	}
	return nil
}

func (s *Server) serve(ctx context.Context, cfg *config.Metrics, restConfig *rest.Config, objects cluster.Cluster, known *consumers.Consumers, live *consumers.Ready, pollers []*kafka.Poller) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return objects.Start(ctx) })
	group.Go(func() error {
		if err := s.AdapterBase.Run(ctx); err != nil {
			return fmt.Errorf("serve the metrics API: %w", err)
		}
		return nil
	})
	group.Go(func() error { return s.listen(ctx, cfg.Listen) })
	group.Go(func() error {
		if err := awaitObjects(ctx, objects); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		s.ready.Store(true)
		group.Go(func() error { live.Run(ctx); return nil })
		s.log.Info("polling", "clusters", len(pollers))
		for _, p := range pollers {
			group.Go(func() error { return p.Run(ctx) })
		}
		return lead(ctx, cfg.Lease, restConfig, s.log, func(ctx context.Context) { known.WriteStatuses(ctx, objects.GetClient()) })
	})
	return group.Wait()
}

// awaitObjects waits until everything that is watched was listed once.
func awaitObjects(ctx context.Context, objects cluster.Cluster) error {
	if _, err := objects.GetCache().GetInformer(ctx, &v1alpha1.QueueConsumer{}); err != nil {
		return fmt.Errorf("watch QueueConsumers: %w: install the CRDs of charts/swell/crds, and let swell-metrics list and watch queueconsumers.capacity.swell", err)
	}
	if _, err := objects.GetCache().GetInformer(ctx, &corev1.Pod{}); err != nil {
		return fmt.Errorf("watch pods: %w: let swell-metrics list and watch pods", err)
	}
	if !objects.GetCache().WaitForCacheSync(ctx) {
		return errors.New("watch QueueConsumers and pods: stopped before they were listed")
	}
	return nil
}

// listen serves the plain port, where one is wanted.
func (s *Server) listen(ctx context.Context, address string) error {
	if address == "" {
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", legacyregistry.Handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !s.ready.Load() {
			http.Error(w, "QueueConsumers and pods are not listed yet", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok"))
	})
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
