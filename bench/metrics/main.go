// Command metrics measures what the lag metrics API costs: requests, CPU and bytes a poll, the latency of a GET straight and
// through the aggregator, memory, and KEDA's own Kafka scaler beside it on the same brokers. Figures are JSON lines on standard
// output, progress and targets on standard error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"swell/bench/figure"
	"swell/bench/testbed/process"
)

func main() {
	if code, isPart := runPart(); isPart {
		os.Exit(code)
	}
	o, err := parseOptions(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "metrics:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if _, err := run(ctx, o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "metrics:", err)
		stop()
		os.Exit(1)
	}
}

// bench is one run.
type bench struct {
	options
	*record
	dir string
	// lag is what a poll for lag alone cost.
	lag map[size]pollerReport
}

// run measures everything that the options name, and returns what it wrote.
func run(ctx context.Context, o options, out, progress io.Writer) (figures []figure.Figure, err error) {
	dir, remove, err := process.TempDir("swell-bench-metrics-*")
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, record: &record{out: out, progress: progress}, dir: dir, lag: map[size]pollerReport{}}
	defer func() {
		if err != nil && ctx.Err() == nil {
			b.showLogs()
		}
		err = errors.Join(err, remove())
	}()
	b.say("%d CPUs, %s; brokers, poller, servers and whoever asks share them", runtime.NumCPU(), runtime.Version())
	for i, s := range o.sizes {
		if stages := o.stagesOf(i); len(stages) > 0 {
			if err := b.measure(ctx, s, stages); err != nil {
				return b.figures, fmt.Errorf("measure %s: %w", s, err)
			}
		}
	}
	switch {
	case b.err != nil:
		return b.figures, b.err
	case b.missed > 0 && o.check:
		return b.figures, fmt.Errorf("%d targets were missed: see above", b.missed)
	}
	b.say("done: %d figures, %d targets missed", len(b.figures), b.missed)
	return b.figures, nil
}

// site is where one size is measured: brokers of its own, in which a load moves the offsets.
type site struct {
	*broker
	size size
	load *load
}

// measure runs stages on one size.
func (b *bench) measure(ctx context.Context, s size, stages []string) (err error) {
	b.say("%d brokers, %s", b.brokers, s)
	at := &site{size: s}
	if at.broker, err = startBroker(ctx, b.brokers, b.log("kafka")); err != nil {
		return err
	}
	defer at.process.Stop()
	if at.load, err = newLoad(ctx, at.addresses, s); err != nil {
		return err
	}
	defer at.load.close()
	work := map[string]func(context.Context, *site) error{stagePoller: b.measurePoller, stageKEDA: b.compare, stageServer: b.measureServer}
	return at.load.while(ctx, func(ctx context.Context) error {
		for _, stage := range stages {
			if err := work[stage](ctx, at); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *bench) log(name string) string { return filepath.Join(b.dir, name+".log") }

// showLogs prints the ends of the logs, since they go with the folder.
func (b *bench) showLogs() {
	paths, _ := filepath.Glob(filepath.Join(b.dir, "*.log"))
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil || len(text) == 0 {
			continue
		}
		const most = 2000
		fmt.Fprintf(b.progress, "the end of %s:\n%s\n", filepath.Base(path), text[max(0, len(text)-most):])
	}
}
