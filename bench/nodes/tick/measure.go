package tick

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"swell/bench/figure"
	"swell/scaler/plan"
)

// Measure plans for a cluster after one pod and one node changed, and then with pending pods, and gives the slowest of each in
// milliseconds, and the process's memory in MiB.
func Measure(o Options) ([]figure.Figure, error) {
	o = o.withDefaults()
	c := newCluster(o)
	labels := func(pending, classes int) map[string]string {
		return map[string]string{"nodes": strconv.Itoa(o.Nodes), "pods": strconv.Itoa(o.Pods), "pending": strconv.Itoa(pending), "classes": strconv.Itoa(classes)}
	}
	var planner plan.Planner
	var memory plan.Memory
	step := func() (plan.Plan, float64) {
		begin := time.Now()
		p, next := planner.Make(c.now, c.s, c.policy, memory)
		memory = next
		return p, float64(time.Since(begin).Microseconds()) / 1000
	}
	_, first := step()
	slowest := 0.0
	for round := range o.Rounds {
		c.changeOne(round)
		_, ms := step()
		slowest = max(slowest, ms)
	}
	debug.FreeOSMemory()
	quiet, err := resident()
	if err != nil {
		return nil, err
	}
	c.addPending()
	p, burst := step()
	if placed := len(p.Placed); placed != o.Pending {
		return nil, fmt.Errorf("planning for %d pending pods: %d have a place and %d have none; look at the cluster that is measured", o.Pending, placed, len(p.Unplaced))
	}
	after, err := resident()
	if err != nil {
		return nil, err
	}
	f := func(metric string, value float64, unit, what string, l map[string]string) figure.Figure {
		l["case"], l["room"] = what, "free"
		if o.Full {
			l["room"] = "none"
		}
		return figure.Figure{Bench: "nodes", Metric: metric, Value: value, Unit: unit, Labels: l}
	}
	return []figure.Figure{
		f("tick_ms", first, "ms", "first plan", labels(0, 0)),
		f("tick_ms", slowest, "ms", "one pod and one node changed", labels(0, 0)),
		f("rss_mib", quiet, "MiB", "one pod and one node changed", labels(0, 0)),
		f("tick_ms", burst, "ms", "pending pods", labels(o.Pending, o.Classes)),
		f("rss_mib", after, "MiB", "pending pods", labels(o.Pending, o.Classes)),
	}, nil
}

// resident is the memory of this process that is in use, from the kernel, in MiB.
func resident() (float64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, fmt.Errorf("reading the process's memory: %w; it is measured on Linux", err)
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0, fmt.Errorf("reading the process's memory from %q: it has no resident size", text)
	}
	pages, err := strconv.ParseFloat(string(fields[1]), 64)
	if err != nil {
		return 0, fmt.Errorf("reading the process's memory: %w", err)
	}
	return pages * float64(os.Getpagesize()) / (1 << 20), nil
}
