package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"swell/bench/figure"
	"swell/bench/testbed/controlplane"
)

// The parts of the bench are this program under other names.
func TestMain(m *testing.M) {
	if code, isPart := runPart(); isPart {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// TestShortRunHasEveryFigure runs all that needs no peer, so that the bench does not rot between two runs of it.
func TestShortRunHasEveryFigure(t *testing.T) {
	t.Setenv(controlplane.BinaryEnv, controlplane.BinaryForTest(t))
	o := short()
	if err := o.findPrograms(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	figures, err := run(context.WithoutCancel(t.Context()), o, &out, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]figure.Figure{}
	for d := json.NewDecoder(&out); d.More(); {
		var f figure.Figure
		if err := d.Decode(&f); err != nil {
			t.Fatalf("standard output is not JSON lines: %v", err)
		}
		if f.Bench != "metrics" || f.Unit == "" || f.Value <= 0 || f.Labels["groups"] != "20" || f.Labels["partitions"] != "80" {
			t.Errorf("figure %+v: want a value above zero with its unit and size", f)
		}
		found[f.Metric] = append(found[f.Metric], f)
	}
	for _, name := range []string{"requests_per_poll", "first_poll_requests", "poll_cpu_ms", "poll_bytes", "get_p50_us", "get_p99_us",
		"aggregated_get_p50_ms", "aggregated_get_p99_ms", "rss_mib", "rss_peak_mib", "heap_mib"} {
		if len(found[name]) == 0 {
			t.Errorf("no figure %s in %d", name, len(figures))
		}
	}
	for _, asks := range allAsks {
		i := slices.IndexFunc(found["requests_per_poll"], func(f figure.Figure) bool { return f.Labels["asks"] == asks })
		if i < 0 {
			t.Errorf("no requests_per_poll for %s", asks)
		} else if f := found["requests_per_poll"][i]; f.Value < float64(o.brokers) {
			t.Errorf("%g requests a poll for %s: fewer than the brokers, all of which lead", f.Value, asks)
		}
	}
}
