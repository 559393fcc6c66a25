package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"swell/bench/testbed/controlplane"
)

// A burst into balloons is one that swell makes room for, and nothing is bought for it; how long it takes is the
// benchmark's business.
func TestABurstPopsBalloonsAndBuysNothing(t *testing.T) {
	controlplane.BinaryForTest(t)
	b, err := boot(t.Context(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.stack.Stop(); err != nil {
			t.Error(err)
		}
	}()
	s, err := b.burst(t.Context(), popped)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d balloons were popped", s.pops)
	if s.bought != 0 || s.pops == 0 || s.pops > heldBalloons {
		raw, err := os.ReadFile(filepath.Join(b.stack.LedgerDir(), "ledger.jsonl"))
		for line := range strings.Lines(string(raw)) {
			if strings.Contains(line, `"launch"`) || strings.Contains(line, `"create-balloons"`) {
				t.Log(line)
			}
		}
		t.Errorf("reading the ledger: %v; %d balloons were popped and %d instances launched: want some, and none", err, s.pops, s.bought)
	}
}

func TestTheVerdictIsOfTheMedians(t *testing.T) {
	samples := func(seconds ...float64) (out []sample) {
		for _, v := range seconds {
			out = append(out, sample{seconds: v, pops: 180})
		}
		return out
	}
	good := map[string][]sample{free: samples(4, 9, 4), popped: samples(4.8, 4.7, 30), preempted: samples(12, 13, 14)}
	var out strings.Builder
	if err := judge(options{repeats: 3, ratio: 1.2}, good, &out); err != nil {
		t.Error(err)
	}
	ratios := map[string]float64{}
	for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		var f struct {
			Metric string
			Value  float64
			Labels map[string]string
		}
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatal(err)
		}
		if f.Metric == "all_running_ratio" {
			ratios[f.Labels["way"]] = f.Value
		}
	}
	if ratios[popped] != 1.2 || ratios[preempted] != 3.25 {
		t.Errorf("ratios %v: want 4.8 and 13 to 4", ratios)
	}
	slow := map[string][]sample{free: samples(4), popped: samples(4.9), preempted: samples(12)}
	if err := judge(options{repeats: 1, ratio: 1.2}, slow, io.Discard); err == nil || !strings.Contains(err.Error(), "1.23") {
		t.Errorf("%v: want the ratio that is too large", err)
	}
	good[popped][1].bought = 2
	if err := judge(options{repeats: 3, ratio: 1.2}, good, io.Discard); err == nil || !strings.Contains(err.Error(), "2 instances") {
		t.Errorf("%v: want the instances that were launched", err)
	}
}
