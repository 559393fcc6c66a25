package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/pflag"

	"swell/bench/testbed/controlplane"
	"swell/bench/testbed/kafka"
)

// upOptions are the flags of up.
type upOptions struct {
	control controlplane.Options
	topics  map[string]int
	fleet   string
	speed   float64
	dir     string
	detach  bool
}

// up boots a control plane and Kafka, and AWS where there is a fleet, for use by hand, until Ctrl-C or the end of a part.
func up(args []string) int {
	o := upOptions{control: controlplane.Options{Log: os.Stderr}}
	flags := pflag.NewFlagSet("testbed up", pflag.ContinueOnError)
	flags.BoolVar(&o.control.KeepDir, "keep", false, "keep the folder of data and logs")
	flags.DurationVar(&o.control.PodStart, "pod-start", 0, "how long a bound pod takes to be Ready")
	flags.StringToIntVar(&o.topics, "topics", map[string]int{"orders": 60}, "Kafka topics and their partitions")
	flags.StringVar(&o.fleet, "fleet", "", "a fleet.yaml: AWS with its groups runs too, swell's kinds and rights are installed, and a configuration of swell-scaler is written")
	flags.Float64Var(&o.speed, "speed", 10, "how much faster AWS and swell-scaler's clock run, 1 to 10; with --fleet")
	flags.StringVar(&o.dir, "dir", "", "an empty folder for data and logs, kept; default a temporary one")
	flags.BoolVar(&o.detach, "detach", false, "go on in the background once all is up, until testbed down")
	flags.Usage = func() {
		fmt.Printf("testbed up boots a control plane and Kafka, prints where they are, and ends them at Ctrl-C.\n\nUsage:\n  testbed up [flags]\n\nFlags:\n%s", flags.FlagUsages())
	}
	if code, done := parse(flags, args); done {
		return code
	}
	if o.speed < 1 || o.speed > 10 {
		fmt.Fprintf(os.Stderr, "testbed up: --speed is %g: give a number from 1 to 10\n", o.speed)
		return 2
	}
	if o.dir != "" {
		abs, err := filepath.Abs(o.dir)
		if err != nil {
			fmt.Fprintf(os.Stderr, "testbed up: finding --dir: %v\n", err)
			return 1
		}
		o.dir = abs
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := serve
	switch {
	case o.detach:
		run = func(ctx context.Context, o upOptions) error { return detach(ctx, args, o) }
	case o.fleet != "":
		run = serveFleet
	}
	if err := run(ctx, o); err != nil {
		fmt.Fprintf(os.Stderr, "testbed up: %v\n", err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, o upOptions) (err error) {
	options := o.control
	if o.dir != "" {
		options.Dir = filepath.Join(o.dir, "controlplane")
	}
	if options.Binary, err = os.Executable(); err != nil {
		return fmt.Errorf("finding the running program: %w", err)
	}
	cluster, err := controlplane.Start(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	broker, err := kafka.StartFake(ctx, kafka.FakeOptions{Binary: options.Binary, Dir: filepath.Join(cluster.Dir(), "kafka"), Topics: o.topics})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Stop()) }()
	admin, err := cluster.Kubeconfig("admin", "system:masters")
	if err != nil {
		return err
	}
	if err := announce(o.dir, fmt.Sprintf("export KUBECONFIG=%s\n# API server %s\n# Kafka      %s\n# audit log  %s\n# folder     %s\n",
		admin, cluster.URL(), broker.Bootstrap, cluster.AuditLog(), cluster.Dir())); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case exit := <-cluster.Failures():
		return exit
	case <-broker.Process().Done():
		if ctx.Err() != nil {
			return nil
		}
		return broker.Process().Wait()
	}
}
