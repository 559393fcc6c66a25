package main

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"swell/bench/figure"
)

// page is docs/nodes-bench.md before its tables.
const page = `# What the node planner costs, and what its nodes do

Written by ` + "`make bench-nodes`" + ` (%d cores, %s, %s/%s). ` + "`make bench-nodes SHORT=1`" + ` plays all of it in small, within five minutes, and writes nothing here.

`

// parts of the page: the metrics of a table, and what stands before it.
var pageParts = []struct {
	title, text string
	metrics     []string
}{
	{"One plan", `A plan by itself, without servers: the slowest of ten after one pod and one node changed, then with pods that wait, 30 % of them spread
over zones, 10 % one a node, 5 % with a volume of a zone. Promised: 200 ms and 2 s at 5,000 nodes and 100,000 pods, within 1 GiB.`,
		[]string{"tick_ms", "rss_mib"}},
	{"From a pod without a place to the launch", `swell at its own defaults on the testbed's real control plane, without clock compression, with a group for each of five types, three zones and
two markets. Pods without a workload come one or three at a time, half a second to two seconds apart; each fits one type in one zone, and fills a
node. Timed from the arrival of the scheduler's Unschedulable patch (API server's audit log) to the LaunchInstances call (AWS emulator's log).
A quarter of a second of it is swell's own wait for more events (` + "`observe.settle`" + `). Promised: 1 s at the 99th percentile.`,
		[]string{"reaction_p50_ms", "reaction_p99_ms", "reaction_max_ms"}},
	{"All pods of a burst run", `Ten Deployments without pods are scaled at once, on a control plane without a node: a third of the pods spread over the zones, some bound to one zone or to
two, requests from a tenth of a core to three. Timed from the first patch to the last pod Running. Each run has a new control plane; the peers run one after the other
and take turns at being first; medians are compared. Nothing is kept from either: no Balloon, no history.

Karpenter is its own kwok build, unchanged, with its defaults. Both are given the same five instance types with the same prices, spot and on-demand, in three zones, and the same
allocatable (all but 100m and 10Mi). Both boot in exactly the same time: the AWS emulator's boot time without spread, and Karpenter's ` + "`nodeRegistrationDelay`" + `. Karpenter's nodes carry its
own start-up taint until it has seen them, which is part of its time. The scheduler's own limit of 50 requests a second holds for both.

cost_per_hour is what the nodes that stand in the end cost an hour: where it is higher, more or dearer nodes were bought.`,
		[]string{"all_running_s", "nodes", "cost_per_hour", "all_running_ratio", "cost_per_hour_ratio"}},
	{"An hour of load", `The same ten Deployments follow the same curve, from a fifth of the peak up steeply, along a plateau with dips, and down again, in twenty steps. Karpenter cannot be told of another clock, so the
hour is a shorter stretch of the machine's time (hour_s), and node-hours and cost are multiplied up to an hour. In that stretch
boots take a sixtieth of the hour, and swell's ` + "`scaleIn.after`" + ` is a sixth of it, as the default ten minutes are of an hour. Everything else of both takes the machine's time, so
what the two do per second (batching, settling, draining, Karpenter's fifteen seconds before it consolidates) weighs more than in a real hour: this favours neither for certain.
Karpenter consolidates as it does by default, at once; swell keeps a node for the sixth of the hour first, which costs node-hours here and saves
churn: pods_made beyond the load's own growth are pods that a returned node made anew.

A node is paid for from its launch (its Node's coming, less the boot) until its Node is gone, as a watch of the API server sees it, for both alike. Forecasts and balloons play no part: they are
compared in [the replay](replay.md).`,
		[]string{"node_hours", "cost", "pod_wait_p50_s", "pod_wait_p99_s", "pods_made"}},
}

// writePage writes the page of all figures.
func (b *bench) writePage() error {
	var out strings.Builder
	fmt.Fprintf(&out, page, runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, part := range pageParts {
		fmt.Fprintf(&out, "## %s\n\n%s\n\n", part.title, part.text)
		out.WriteString(tableOf(b.figures, part.metrics))
	}
	if err := os.WriteFile(b.doc, []byte(out.String()), 0o644); err != nil {
		return fmt.Errorf("writing the page: %w; run this at the module's root", err)
	}
	return nil
}

func tableOf(figures []figure.Figure, metrics []string) string {
	var rows strings.Builder
	for _, metric := range metrics {
		for _, f := range figures {
			if f.Metric != metric {
				continue
			}
			rows.WriteString("| " + strings.Join([]string{who(f), f.Metric, rounded(f.Value), f.Unit, inWords(f.Labels)}, " | ") + " |\n")
		}
	}
	if rows.Len() == 0 {
		return "Not measured.\n\n"
	}
	return "| who | figure | value | unit | of |\n|---|---|---:|---|---|\n" + rows.String() + "\n"
}

func who(f figure.Figure) string {
	if peer := f.Labels["peer"]; peer != "" {
		return peer
	}
	return swell
}

// rounded has three digits, or all that stand before the point.
func rounded(v float64) string {
	switch {
	case v >= 100 || v == float64(int(v)):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

func inWords(labels map[string]string) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		if k != "peer" {
			parts = append(parts, k+" "+labels[k])
		}
	}
	return strings.Join(parts, ", ")
}
