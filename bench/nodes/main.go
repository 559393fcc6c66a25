// Command nodes measures the node planner: what a plan costs on a large cluster, how soon pods without a place are bought for,
// how soon 1,000 pods that wait run, and what an hour of load costs, the last two beside Karpenter's kwok build on the same
// machine. Figures are JSON lines on standard output, progress and targets on standard error.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"swell/bench/figure"
	"swell/bench/nodes/tick"
)

func main() {
	o, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "nodes:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := &bench{options: o, out: os.Stdout, log: os.Stderr}
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "nodes:", err)
		stop()
		os.Exit(1)
	}
}

// The parts of a run, in their order.
const (
	partTick     = "tick"
	partReaction = "reaction"
	partBurst    = "burst"
	partHour     = "hour"
)

// options of a run.
type options struct {
	// short makes everything small enough for five minutes; its figures prove nothing.
	short bool
	parts []string
	// karpenter is the path of Karpenter's kwok build, crds the folders of its kinds.
	karpenter string
	crds      []string
	// doc is the page to write; empty is none.
	doc string
	// keep is a folder for the logs of every run; empty is none.
	keep string

	// bursts are how many reactions are measured, one pod or three a burst.
	bursts int
	// pods wait at once; boot is launch to Node; repeats are runs of each peer.
	pods, repeats int
	boot          time.Duration
	// hour is how long the hour of load is played, peak its highest number of pods.
	hour time.Duration
	peak int
	tick tick.Options
}

func parse(args []string) (options, error) {
	o := options{bursts: 120, pods: 1000, repeats: 3, boot: 30 * time.Second, hour: 10 * time.Minute, peak: 360}
	var parts, crds string
	flags := flag.NewFlagSet("nodes", flag.ContinueOnError)
	flags.BoolVar(&o.short, "short", false, "a small run of everything, to see that it works")
	flags.StringVar(&parts, "parts", strings.Join([]string{partTick, partReaction, partBurst, partHour}, ","), "what to measure")
	flags.StringVar(&o.karpenter, "karpenter", "", "the path of Karpenter's kwok build")
	flags.StringVar(&crds, "karpenter-crds", "", "the folders of its kinds, comma-separated")
	flags.StringVar(&o.doc, "doc", "", "the page that is written with the figures")
	flags.StringVar(&o.keep, "keep-logs", "", "a folder that gets the logs of every run")
	flags.IntVar(&o.repeats, "repeats", o.repeats, "how often each peer meets the burst")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.short {
		o.bursts, o.pods, o.repeats, o.boot, o.hour, o.peak = 16, 100, 1, 5*time.Second, 40*time.Second, 60
		o.tick = tick.Options{Nodes: 200, Pods: 4000, Pending: 100, Classes: 20, Rounds: 2}
	}
	o.parts = strings.Split(parts, ",")
	for _, p := range o.parts {
		if !slices.Contains([]string{partTick, partReaction, partBurst, partHour}, p) {
			return o, fmt.Errorf("--parts names %q: give some of tick, reaction, burst, hour", p)
		}
	}
	if crds != "" {
		o.crds = strings.Split(crds, ",")
	}
	if (slices.Contains(o.parts, partBurst) || slices.Contains(o.parts, partHour)) && (o.karpenter == "" || len(o.crds) == 0) {
		return o, errors.New("--karpenter or --karpenter-crds is missing: run make bench-nodes, which builds it")
	}
	if flags.NArg() > 0 || o.repeats < 1 {
		return o, errors.New("give --repeats of 1 or more and no arguments")
	}
	return o, nil
}

// bench is one run.
type bench struct {
	options
	out, log io.Writer
	figures  []figure.Figure
	missed   []string
}

func (b *bench) run(ctx context.Context) error {
	began := time.Now()
	for _, p := range b.parts {
		b.say("%s", p)
		work := map[string]func(context.Context) error{partTick: b.ticks, partReaction: b.reactions, partBurst: b.burst, partHour: b.hours}[p]
		if err := work(ctx); err != nil {
			return fmt.Errorf("measuring %s: %w", p, err)
		}
	}
	if b.doc != "" {
		if err := b.writePage(); err != nil {
			return err
		}
	}
	b.say("%d figures in %s", len(b.figures), time.Since(began).Round(time.Second))
	if len(b.missed) > 0 && !b.short {
		return fmt.Errorf("targets were missed: %s; run it again on a machine that does nothing else", strings.Join(b.missed, "; "))
	}
	return nil
}

func (b *bench) ticks(context.Context) error {
	figures, err := tick.Measure(b.tick)
	if err != nil {
		return err
	}
	for _, f := range figures {
		if err := b.add(f.Metric, f.Unit, f.Value, f.Labels); err != nil {
			return err
		}
		limit := map[string]float64{"tick_ms one pod and one node changed": 200, "tick_ms pending pods": 2000, "rss_mib one pod and one node changed": 1024}
		if most, ok := limit[f.Metric+" "+f.Labels["case"]]; ok {
			b.target(f.Metric+" of "+f.Labels["case"], f.Value, most)
		}
	}
	return nil
}

// add writes a figure.
func (b *bench) add(metric, unit string, value float64, labels map[string]string) error {
	f := figure.Figure{Bench: "nodes", Metric: metric, Value: value, Unit: unit, Labels: labels}
	b.figures = append(b.figures, f)
	if err := json.NewEncoder(b.out).Encode(f); err != nil {
		return fmt.Errorf("writing a figure: %w", err)
	}
	return nil
}

// target notes a figure above its limit.
func (b *bench) target(what string, value, most float64) {
	if value > most {
		b.missed = append(b.missed, fmt.Sprintf("%s is %.4g, at most %.4g is promised", what, value, most))
		b.say("MISSED: %s", b.missed[len(b.missed)-1])
	}
}

// say tells what is going on.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.log, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}
