// Package server puts swell-metrics together: pollers, store, consumers and the two aggregated APIs.
package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	basecmd "sigs.k8s.io/custom-metrics-apiserver/pkg/cmd"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/api/version"
	keeper "swell/metrics/certificate"
	"swell/metrics/consumers"
	"swell/metrics/kafka"
	"swell/metrics/lag"
	"swell/metrics/provider"
	"swell/metrics/provider/passon"
	"swell/metrics/store"
)

// Server is swell-metrics. Set its flags, then run it once.
type Server struct {
	basecmd.AdapterBase
	configPath  string
	kubeconfig  string
	drain       time.Duration
	reloadEvery time.Duration
	version     bool
	certificate certificateFlags
	log         *slog.Logger
}

// New makes a server that is configured by flags.
func New(log *slog.Logger) *Server {
	s := &Server{log: log}
	s.Name = "swell-metrics"
	s.FlagSet = pflag.NewFlagSet(s.Name, pflag.ContinueOnError)
	s.InstallFlags()
	s.setDefault("client-qps", "50")
	s.setDefault("client-burst", "100")
	// An HPA asks every 15 s: a shorter memory asks the API server again each time whether it may.
	s.setDefault("authorization-webhook-cache-authorized-ttl", "1m")
	s.FlagSet.StringVar(&s.configPath, "config", "/etc/swell/metrics.yaml", "configuration file: Kafka clusters, clock and lease; read again when it changes")
	s.FlagSet.StringVar(&s.kubeconfig, "kubeconfig", "", "kubeconfig for everything that names none of its own; empty: the pod's service account")
	s.FlagSet.DurationVar(&s.drain, "drain", 5*time.Second, "how long to serve on after SIGTERM while /readyz fails, so that no request comes any more when the server ends")
	s.FlagSet.DurationVar(&s.reloadEvery, "reload-every", 5*time.Second, "time between two looks at the configuration file")
	s.certificate.register(s.FlagSet)
	s.FlagSet.BoolVar(&s.version, "version", false, "print the version and end")
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

// instance is one run of the server: its parts and the configuration in force.
type instance struct {
	*Server
	restConfig *rest.Config
	file       *configFile
	// config is changed by reload alone.
	config   *config.Metrics
	objects  cluster.Cluster
	live     *consumers.Ready
	known    *consumers.Consumers
	provider *provider.Provider
	balloons *balloons
	pollers  *pollers
	others   *others
	scrape   *scrape
	// keeper of the serving certificate; nil where it comes from files.
	keeper    *keeper.Keeper
	readiness *readiness
	// collector is what a configuration wants Prometheus to have.
	collector func(*config.Metrics) prometheus.Collector
}

// Run serves until the context ends and the requests are drained. An error says what could not be set up, or what broke.
func (s *Server) Run(ctx context.Context) error {
	if s.drain < 0 || s.reloadEvery <= 0 {
		return fmt.Errorf("--drain is %s and --reload-every is %s: give zero or more, and a duration above zero", s.drain, s.reloadEvery)
	}
	for _, own := range []*string{&s.RemoteKubeConfigFile, &s.Authentication.RemoteKubeConfigFile, &s.Authorization.RemoteKubeConfigFile} {
		if *own == "" {
			*own = s.kubeconfig
		}
	}
	if err := s.certificate.check(s); err != nil {
		return err
	}
	i, err := s.newInstance(ctx)
	if err != nil {
		return err
	}
	return i.serve(ctx)
}

func (s *Server) newInstance(ctx context.Context) (*instance, error) {
	i := &instance{Server: s, file: &configFile{path: s.configPath}}
	var err error
	if i.config, err = i.file.load(); err != nil {
		return nil, err
	}
	if i.restConfig, err = s.ClientConfig(); err != nil {
		return nil, fmt.Errorf("reach the Kubernetes API: %w: give --kubeconfig, or run in a pod", err)
	}
	i.restConfig.UserAgent = version.Get().Agent(s.Name)
	if i.objects, err = newObjects(i.restConfig, s.log); err != nil {
		return nil, err
	}
	i.live = &consumers.Ready{Live: i.objects.GetClient(), Cached: i.objects.GetCache(), Clock: i.config.Clock}
	if err := i.assemble(i.objects.GetCache(), i.live.Pods); err != nil {
		return nil, err
	}
	i.balloons = newBalloons(i.restConfig, i.objects.GetScheme(), i.objects.GetAPIReader(), s.log)
	i.provider.SetBalloons(i.balloons)
	if i.keeper, err = i.keepCertificate(ctx); err != nil {
		return nil, err
	}
	return i, i.install()
}

// assemble makes the parts between Kafka and the API, which need Kubernetes for its objects alone.
func (i *instance) assemble(objects client.Reader, pods func(context.Context, string, v1alpha1.ScaleTarget) (lag.Pods, error)) error {
	clock, readings := i.config.Clock, store.New()
	i.known = consumers.New(consumers.Options{Config: i.config, Store: readings, Objects: objects, Pods: pods, Log: i.log})
	i.provider = provider.New(i.known, clock)
	i.pollers = &pollers{log: i.log, running: map[string]*polling{},
		options: kafka.Options{Clock: clock, Wanted: i.known.Wanted, Sink: readings, After: i.known.Evaluate, Log: i.log}}
	i.others = &others{own: i.restConfig, log: i.log}
	i.readiness = &readiness{settled: i.pollers.settled}
	i.collector = func(m *config.Metrics) prometheus.Collector {
		return provider.Collector{Source: i.known, Clock: m.Clock, Partitions: m.PartitionMetrics, Pollers: i.pollers.stats}
	}
	i.scrape = newScrape()
	i.scrape.own.MustRegister(certificate{path: func() string { return i.SecureServing.ServerCert.CertKey.CertFile }, kept: i.keptCertificate})
	i.scrape.note(nil)
	h, err := i.scrape.prepare(i.collector(i.config))
	if err != nil {
		return err
	}
	i.scrape.use(h)
	return nil
}

// install puts the APIs that are to be served into the API server.
func (i *instance) install() error {
	if slices.Contains(i.config.APIs, config.ExternalMetrics) {
		i.WithExternalMetrics(i.provider)
	}
	if slices.Contains(i.config.APIs, config.CustomMetrics) {
		i.WithCustomMetrics(i.provider)
	}
	i.EnableMetrics = false
	const mend = "check the flags for the secure port, certificates and kubeconfigs"
	if i.keeper != nil {
		i.SecureServing.ServerCert.CertDirectory = "" // what the library makes by default is not used, and not to be written
	}
	settings, err := i.Config()
	if err != nil {
		return fmt.Errorf("set up the metrics API server: %w: %s", err, mend)
	}
	if i.keeper != nil {
		settings.GenericConfig.SecureServing.Cert = i.keeper
	}
	settings.GenericConfig.ShutdownDelayDuration = i.drain
	settings.GenericConfig.BuildHandlerChainFunc = func(h http.Handler, c *server.Config) http.Handler {
		return server.DefaultBuildHandlerChain(passon.NoCircle(h), c)
	}
	api, err := i.AdapterBase.Server()
	if err != nil {
		return fmt.Errorf("set up the metrics API server: %w: %s", err, mend)
	}
	api.GenericAPIServer.Handler.NonGoRestfulMux.Handle("/metrics", i.scrape)
	if err := api.GenericAPIServer.AddReadyzChecks(healthz.NamedCheck("metrics", i.readiness.check)); err != nil {
		return fmt.Errorf("set up the readiness check: %w", err)
	}
	return nil
}

// serve runs all parts. When the context ends the API server drains first: what it serves from goes on until it has ended,
// and only the lease is given up at once.
func (i *instance) serve(ctx context.Context) error {
	inner, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	group, inner := errgroup.WithContext(inner)
	serving, stop := context.WithCancel(ctx)
	defer stop()
	i.balloons.ctx = inner
	context.AfterFunc(inner, stop)
	context.AfterFunc(serving, func() { i.readiness.draining.Store(true) })
	group.Go(func() error {
		defer end()
		if err := i.AdapterBase.Run(serving); err != nil {
			return fmt.Errorf("serve the metrics API: %w", err)
		}
		return nil
	})
	group.Go(func() error { return i.objects.Start(inner) })
	if i.keeper != nil {
		group.Go(func() error { i.keeper.Run(inner); return nil })
	}
	address := i.config.Listen
	group.Go(func() error { return listen(inner, address, i.scrape, i.readiness) })
	group.Go(func() error {
		err := i.poll(inner, serving, group)
		if inner.Err() != nil {
			return nil
		}
		return err
	})
	err := group.Wait()
	i.pollers.stop(nil)
	return err
}

// poll starts what needs the objects in memory.
func (i *instance) poll(inner, serving context.Context, group *errgroup.Group) error {
	if err := awaitObjects(inner, i.objects); err != nil {
		return err
	}
	if groups, err := askForAutoscalers(inner, i.objects.GetAPIReader(), i.known, i.balloons); err != nil {
		i.log.Warn("groups that HorizontalPodAutoscalers select are not known before they ask", "error", err)
	} else {
		i.log.Info("groups that HorizontalPodAutoscalers select without a QueueConsumer", "selectors", groups)
	}
	others, err := i.others.prepare(i.config.PassOn)
	if err != nil {
		return err
	}
	i.others.use(inner, others, i.provider)
	made, err := i.pollers.prepare(i.config.Clusters)
	if err != nil {
		return err
	}
	i.pollers.start(inner, made, i.config.Clusters)
	i.readiness.listed.Store(true)
	lease := i.config.Lease // from here on the configuration is the reload's
	group.Go(func() error { i.live.Run(inner); return nil })
	group.Go(func() error { keepAsking(inner, i.objects.GetAPIReader(), i.known, i.balloons, i.log); return nil })
	group.Go(func() error { i.watchConfig(inner); return nil })
	group.Go(func() error {
		return lead(serving, lease, i.restConfig, i.log, func(ctx context.Context) { i.known.WriteStatuses(ctx, i.objects.GetClient()) })
	})
	return nil
}
