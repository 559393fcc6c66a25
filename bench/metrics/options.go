package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"swell/bench/testbed/controlplane"
)

// Parts of the bench that may be run alone.
const (
	stagePoller = "poller"
	stageKEDA   = "keda"
	stageServer = "server"
)

var (
	allStages = []string{stagePoller, stageKEDA, stageServer}
	allAsks   = []string{asksLag, asksLate, asksAges}
)

// options shape a run. The zero value of a field is not its default: begin with full or short.
type options struct {
	// brokers in the Kafka cluster.
	brokers int
	// sizes are polled one after the other. KEDA is compared on the first, the server is measured on the last.
	sizes []size
	// polls that are averaged, after the first; a multiple of 15, so that each look at the metadata counts with its share.
	polls int
	// speed of the poller's clock: how many times faster than every 5 s it polls. The server is measured at 1.
	speed float64
	// asks and stages that are measured.
	asks, stages []string
	// serverPolls are waited for before the server's memory is read; serverEvery is the time between two of them.
	serverPolls int
	serverEvery time.Duration
	// hpas ask once in each syncEvery, in so many rounds that count.
	hpas      int
	syncEvery time.Duration
	rounds    int
	// closedFor is how long workers ask without a pause.
	closedFor time.Duration
	// keda is the program of bench/keda; without it there is no peer.
	keda string
	// kedaGroups are the numbers of groups that are compared, evaluations how often each is evaluated after the first time.
	kedaGroups  []int
	evaluations int
	// metrics is the program swell-metrics.
	metrics string
	// check makes a missed target a failure.
	check bool
}

func full() options {
	return options{brokers: 6, sizes: []size{{200, 20}, {2000, 50}}, polls: 30, speed: 5, asks: allAsks, stages: allStages,
		serverPolls: 12, serverEvery: 5 * time.Second, hpas: 1000, syncEvery: 15 * time.Second, rounds: 2, closedFor: 10 * time.Second,
		kedaGroups: []int{1, 10, 200}, evaluations: 12}
}

// short has every part but the peer, and figures that mean nothing.
func short() options {
	o := full()
	o.sizes, o.polls, o.speed, o.kedaGroups = []size{{20, 4}}, 8, 10, nil
	o.serverPolls, o.serverEvery, o.hpas, o.syncEvery, o.rounds, o.closedFor = 3, 500*time.Millisecond, 20, time.Second, 1, time.Second
	return o
}

// validate reports options that cannot be used.
func (o options) validate() error {
	var errs []error
	for _, s := range o.stages {
		if !slices.Contains(allStages, s) {
			errs = append(errs, fmt.Errorf("--stages has %q: give some of %s", s, strings.Join(allStages, ",")))
		}
	}
	for _, a := range o.asks {
		if !slices.Contains(allAsks, a) {
			errs = append(errs, fmt.Errorf("--asks has %q: give some of %s", a, strings.Join(allAsks, ",")))
		}
	}
	if o.polls < 1 || o.brokers < 1 || o.serverPolls < 1 || len(o.sizes) == 0 {
		errs = append(errs, fmt.Errorf("%d polls of %d brokers: give at least 1 of each", o.polls, o.brokers))
	}
	if o.speed < 1 || o.speed > 10 {
		errs = append(errs, fmt.Errorf("--speed is %g: give a number from 1 to 10", o.speed))
	}
	return errors.Join(errs...)
}

// parseOptions reads the flags.
func parseOptions(args []string, usage io.Writer) (options, error) {
	o := full()
	set := flag.NewFlagSet("metrics", flag.ContinueOnError)
	set.SetOutput(usage)
	isShort := set.Bool("short", false, "8 polls of 20 groups, without the peer: shows that the bench runs, measures nothing")
	polls := set.Int("polls", 0, "polls that are averaged (default 30)")
	speed := set.Float64("speed", 0, "how many times faster than every 5 s the poller polls, 1 to 10 (default 5)")
	stages := set.String("stages", strings.Join(allStages, ","), "what is measured")
	asks := set.String("asks", strings.Join(allAsks, ","), "what polls are asked for")
	keda := set.String("keda", "", "program of bench/keda; without it there is no peer")
	program := set.String("swell-metrics", "", "program that is measured (default bin/swell-metrics)")
	check := set.Bool("check", false, "exit 1 when a target is missed")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	if set.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; all is given by flags", set.Arg(0))
	}
	if *isShort {
		o = short()
	}
	if *polls > 0 {
		o.polls = *polls
	}
	if *speed > 0 {
		o.speed = *speed
	}
	o.stages, o.asks, o.keda, o.metrics, o.check = strings.Split(*stages, ","), strings.Split(*asks, ","), *keda, *program, *check
	if o.keda == "" {
		o.kedaGroups = nil
	}
	if err := o.validate(); err != nil {
		return o, err
	}
	return o, o.findPrograms()
}

// stagesOf are the stages that are measured on one of the sizes: KEDA on the first, the server on the last.
func (o options) stagesOf(i int) []string {
	var stages []string
	for _, s := range o.stages {
		if s == stageKEDA && (i > 0 || len(o.kedaGroups) == 0) || s == stageServer && i < len(o.sizes)-1 {
			continue
		}
		stages = append(stages, s)
	}
	return stages
}

// findPrograms finds what the server needs and was not named, before anything is measured.
func (o *options) findPrograms() error {
	if !slices.Contains(o.stages, stageServer) {
		return nil
	}
	if _, err := controlplane.FindBinary(); err != nil {
		return err
	}
	if o.metrics != "" {
		return nil
	}
	root, err := controlplane.ModuleRoot()
	if err != nil {
		return err
	}
	o.metrics = filepath.Join(root, "bin", "swell-metrics")
	if _, err := os.Stat(o.metrics); err != nil {
		return fmt.Errorf("find swell-metrics: %w: run \"make build\"", err)
	}
	return nil
}
