// Command demo plays a steep hour of a recorded load on a real control plane, with swell scaling it, and measures what
// the pods and the bill saw.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"swell/bench/measure"
	"swell/bench/report"
	"swell/bench/testbed/stack"
	"swell/bench/traces"
	"swell/scaler/series"
)

type options struct {
	out     string
	seed    int64
	speed   float64
	length  time.Duration
	compare bool
	chaos   bool
	real    bool
	trace   string
	zone    string
}

func main() {
	var o options
	flag.StringVar(&o.out, "out", "out/demo", "folder for summary.json, report.html and the logs")
	flag.Int64Var(&o.seed, "seed", 1, "which rise of the trace; 1 is the steepest")
	flag.Float64Var(&o.speed, "speed", 10, "how much faster than life, 1 to 10")
	flag.DurationVar(&o.length, "length", time.Hour, "how much of the trace is played")
	flag.BoolVar(&o.compare, "compare", false, "play the same hour with prediction and balloons off as well")
	flag.BoolVar(&o.chaos, "chaos", false, "kill the scaler, the metrics server, AWS and Kafka on the way")
	flag.BoolVar(&o.real, "real-kafka", false, "an Apache Kafka broker in place of kfake; needs Java and Maven")
	flag.StringVar(&o.trace, "trace", "", "a CSV of timestamp,value to play instead of the World Cup 98 trace")
	flag.StringVar(&o.zone, "timezone", "UTC", "time zone of that trace's users")
	flag.Parse()
	if flag.NArg() > 0 || o.speed < 1 || o.speed > 10 || o.length < 10*time.Minute {
		fmt.Fprintln(os.Stderr, "demo: give --speed from 1 to 10, --length of 10m or more, and no arguments")
		os.Exit(2)
	}
	if o.chaos && o.length < time.Duration(o.speed)*leastChaos {
		fmt.Fprintf(os.Stderr, "demo: --chaos needs a --length of %s or more at this speed: each part is down for %s\n", time.Duration(o.speed)*leastChaos, down)
		os.Exit(2)
	}
	klog.SetLogger(logr.Discard()) // the table is for people; what matters comes as an error
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	name, zone, trace, err := loadTrace(o)
	if err != nil {
		return err
	}
	s, err := draw(name, trace, zone, o.seed, o.length)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return fmt.Errorf("making the folder for the results: %w; give another --out", err)
	}
	written, page := filepath.Join(o.out, "summary.json"), filepath.Join(o.out, "report.html")
	for _, old := range []string{written, page} { // a run that fails must not leave another's results
		if err := os.RemoveAll(old); err != nil {
			return fmt.Errorf("removing the results of an earlier run: %w", err)
		}
	}
	policies := []string{"swell"}
	if o.compare {
		policies = append(policies, "reactive")
	}
	summary := measure.Summary{
		Trace: name, Compression: o.speed, Seed: uint64(o.seed), RiseStart: s.rise.Format(time.RFC3339),
		ControllerManagerQPS: stack.ControllerQPS, SchedulerQPS: float64(stack.SchedulerQPS(o.speed)), Attribution: attribution(name), Command: command(o),
	}
	var lines []measure.Timeline
	for _, policy := range policies {
		r, line, err := play(ctx, o, s, policy)
		if err != nil {
			return fmt.Errorf("playing %s: %w", policy, err)
		}
		summary.Runs, lines = append(summary.Runs, r), append(lines, line)
		if err := measure.Write(written, summary); err != nil {
			return err
		}
		if err := report.WriteHTML(page, summary, lines); err != nil {
			return err
		}
	}
	fmt.Println()
	if err := report.WriteTable(os.Stdout, summary); err != nil {
		return err
	}
	fmt.Printf("\n%s\n%s\n", written, page)
	return broken(summary, o.chaos)
}

// broken says what of the demo's promises did not hold.
func broken(s measure.Summary, chaos bool) error {
	var errs []error
	for _, r := range s.Runs {
		if len(r.OverMax) > 0 {
			errs = append(errs, fmt.Errorf("%s: groups above their maximum: %v", r.Policy, r.OverMax))
		}
		if len(r.TokensReused) > 0 {
			errs = append(errs, fmt.Errorf("%s: launched twice under one token: %v", r.Policy, r.TokensReused))
		}
		if r.MessagesLost == nil || *r.MessagesLost != 0 {
			errs = append(errs, fmt.Errorf("%s: messages were lost, or it is not known whether", r.Policy))
		}
		if chaos && len(r.Faults) != parts {
			errs = append(errs, fmt.Errorf("%s: %d of %d parts were killed", r.Policy, len(r.Faults), parts))
		}
		for _, f := range r.Faults {
			if f.Recovered == nil {
				errs = append(errs, fmt.Errorf("%s: %s did not recover by itself", r.Policy, f.Target))
			}
		}
	}
	return errors.Join(errs...)
}

func loadTrace(o options) (name, zone string, s series.Series, err error) {
	if o.trace == "" {
		s, err = traces.Load(traces.WorldCup98)
		return traces.WorldCup98, traces.TimeZone(traces.WorldCup98), s, err
	}
	if _, err := time.LoadLocation(o.zone); err != nil {
		return "", "", s, fmt.Errorf("--timezone: %w; give an IANA name, such as Asia/Tokyo", err)
	}
	s, err = series.ReadFile(o.trace)
	return filepath.Base(o.trace), o.zone, s, err
}

func attribution(name string) string {
	if name != traces.WorldCup98 {
		return ""
	}
	return "Requests to the France 98 web site: Internet Traffic Archive, collected by M. Arlitt and T. Jin (HP)."
}

func command(o options) string {
	c := fmt.Sprintf("make demo SEED=%d", o.seed)
	if o.compare {
		c += " COMPARE=1"
	}
	if o.chaos {
		c += " CHAOS=1"
	}
	if o.real {
		c += " KAFKA=real"
	}
	return c
}
