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

// up boots a control plane and Kafka for use by hand, until Ctrl-C or the end of a part.
func up(args []string) int {
	flags := pflag.NewFlagSet("testbed up", pflag.ContinueOnError)
	keep := flags.Bool("keep", false, "keep the folder of data and logs")
	start := flags.Duration("pod-start", 0, "how long a bound pod takes to be Ready")
	topics := flags.StringToInt("topics", map[string]int{"orders": 60}, "Kafka topics and their partitions")
	flags.Usage = func() {
		fmt.Printf("testbed up boots a control plane and Kafka, prints where they are, and ends them at Ctrl-C.\n\nUsage:\n  testbed up [flags]\n\nFlags:\n%s", flags.FlagUsages())
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return 0
		}
		fmt.Fprintf(os.Stderr, "testbed up: %v; see testbed up --help\n", err)
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "testbed up: %q is not expected here; see testbed up --help\n", flags.Arg(0))
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, controlplane.Options{KeepDir: *keep, PodStart: *start, Log: os.Stderr}, *topics); err != nil {
		fmt.Fprintf(os.Stderr, "testbed up: %v\n", err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, options controlplane.Options, topics map[string]int) (err error) {
	if options.Binary, err = os.Executable(); err != nil {
		return fmt.Errorf("finding the running program: %w", err)
	}
	cluster, err := controlplane.Start(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	broker, err := kafka.StartFake(ctx, kafka.FakeOptions{Binary: options.Binary, Dir: filepath.Join(cluster.Dir(), "kafka"), Topics: topics})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Stop()) }()
	admin, err := cluster.Kubeconfig("admin", "system:masters")
	if err != nil {
		return err
	}
	fmt.Printf("export KUBECONFIG=%s\n# API server %s\n# Kafka      %s\n# audit log  %s\n# folder     %s\n# Ctrl-C ends it\n",
		admin, cluster.URL(), broker.Bootstrap, cluster.AuditLog(), cluster.Dir())
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
