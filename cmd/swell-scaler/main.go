// Command swell-scaler keeps a cluster's nodes ahead of its load.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/uuid"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/api/version"
	"swell/scaler"
	"swell/scaler/history/backfill"
)

const program = "swell-scaler"

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	slog.SetDefault(log)
	ctrllog.SetLogger(logr.FromSlogHandler(log.Handler()))
	path := flag.String("config", "", "path of the configuration file")
	asked := flag.Bool("version", false, "print the version and end")
	flag.Parse() // --kubeconfig is controller-runtime's
	if *asked {
		fmt.Println(version.Get().Line(program))
		return
	}
	if flag.NArg() > 0 {
		log.Error("swell-scaler", "error", fmt.Sprintf("unknown argument %q; the configuration is given with --config", flag.Arg(0)))
		os.Exit(2)
	}
	if err := run(ctrl.SetupSignalHandler(), *path, log); err != nil {
		log.Error("swell-scaler", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, path string, log *slog.Logger) error {
	c, err := config.LoadScaler(path)
	if err != nil {
		return err
	}
	book, copies, err := openLedger(ctx, c, log)
	if err != nil {
		return err
	}
	defer book.Close()
	if copies != nil {
		go copies.Run(ctx, book)
		defer copies.Last(book)
	}
	cloud, err := newCloud(ctx, c)
	if err != nil {
		return err
	}
	cloud.expose(metrics.Registry)
	rest, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the cluster: %w; give --kubeconfig or run in a pod", err)
	}
	rest.UserAgent = version.Get().Agent(program)
	rest.QPS, rest.Burst = usualRate, 2*usualRate
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return err
	}
	manager, err := ctrl.NewManager(rest, managerOptions(c, scheme))
	if err != nil {
		return fmt.Errorf("starting: %w", err)
	}
	kube, err := newClients(rest)
	if err != nil {
		return fmt.Errorf("starting: %w", err)
	}
	options := scaler.Options{Config: c, Identity: identity(), Self: self(rest), Drains: kube.drains, Fence: kube.fence, Events: kube.events, Log: log}
	if err := addPage(manager, kube.page, book, &options); err != nil {
		return err
	}
	if p := c.History.Prometheus; p != nil {
		if options.Prometheus, err = backfill.NewPrometheus(ctx, *p); err != nil {
			return err
		}
	}
	loop := scaler.New(manager.GetClient(), kube.usual, cloud, book, options)
	if err := loop.Watch(ctx, manager.GetCache()); err != nil {
		return err
	}
	if err := manager.Add(loop); err != nil {
		return err
	}
	if err := manager.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	if err := manager.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	return manager.Start(ctx)
}

func managerOptions(c config.Scaler, scheme *runtime.Scheme) ctrl.Options {
	lease := c.LeaderElection.LeaseDuration.Duration
	renew, retry := lease*2/3, lease/8
	off := func(address string) string {
		if address == "" {
			return "0"
		}
		return address
	}
	noWait := time.Duration(0)
	return ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       server.Options{BindAddress: off(c.MetricsAddress)},
		HealthProbeBindAddress:        off(c.HealthAddress),
		LeaderElection:                c.LeaderElection.Namespace != "",
		LeaderElectionID:              "swell-scaler",
		LeaderElectionNamespace:       c.LeaderElection.Namespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &lease,
		RenewDeadline:                 &renew,
		RetryPeriod:                   &retry,
		GracefulShutdownTimeout:       &noWait,
	}
}

// identity tells this process from every other, restarts of the same pod included.
func identity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + uuid.NewString()
}
