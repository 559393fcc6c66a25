package main

import (
	"bytes"
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"swell/bench/figure"
	"swell/bench/traces"
	"swell/scaler/replay"
	"swell/scaler/replay/frontier"
)

// The kept loads' lines of the document are what their replays give.
func TestTheDocumentIsUpToDate(t *testing.T) {
	var out, log bytes.Buffer
	if err := run(options{traces: traces.Folder(), docs: filepath.Join("..", "..", "docs"), check: true}, traces.All(), &out, &log); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for _, line := range lines {
		var f figure.Figure
		if err := json.Unmarshal([]byte(line), &f); err != nil || f.Bench != "replay" || f.Value < 0 || f.Labels["scenario"] == "" {
			t.Fatalf("%s: %v", line, err)
		}
	}
	if len(lines) < 9 {
		t.Fatalf("%d figures", len(lines))
	}
}

func TestTheTablesHaveTheirPlace(t *testing.T) {
	before, between, after, err := split("# Head\n" + tableBegin + "\nold\n" + tableEnd + "\ntail\n")
	if err != nil || before != "# Head\n"+tableBegin+"\n" || between != "old\n" || after != tableEnd+"\ntail\n" {
		t.Fatalf("%q %q %q %v", before, between, after, err)
	}
	if _, _, _, err := split("no place\n"); err == nil {
		t.Fatal("a document without a place passes")
	}
	c := coreRun{load: traces.Recorded{Name: "nasa"}, scenario: coreName, costs: []float64{1.2, math.NaN(), 1.3}, best: frontier.Comparison{Best: "static", Ratio: 0.5}}
	runs := coreRuns{c}
	if lines := outdated(runs.tables(), runs); len(lines) != 0 {
		t.Fatalf("right after writing: %v", lines)
	}
	if lines := outdated(strings.Replace(runs.tables(), "1.2000", "1.2001", 1), runs); len(lines) != 1 {
		t.Fatal("a changed line passes")
	}
}

func TestMissesAreNamed(t *testing.T) {
	runs := coreRuns{
		{load: traces.Recorded{Name: "much"}, scenario: coreName, swell: replay.Result{Unserved: 0.002}, best: frontier.Comparison{Ratio: 0.9}},
		{load: traces.Recorded{Name: "dear"}, scenario: coreName, best: frontier.Comparison{Best: "rule", Ratio: 1.1}},
		{load: traces.Recorded{Name: "alone"}, scenario: coreName, best: frontier.Comparison{Ratio: math.NaN()}},
	}
	err := runs.misses(true)
	for _, want := range []string{"much, core-300: 0.2000 % unserved", "dear, core-300: swell costs", "alone", "geometric mean"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not among %v", want, err)
		}
	}
	office := &randomRun{scenario: "office-morning", policy: "swell"}
	office.unserved.add(0.001)
	office.cost.add(1.2)
	if err := (randomRuns{office}).misses(); err == nil || strings.Count(err.Error(), "allowed") != 2 {
		t.Errorf("got %v", err)
	}
	if err := (coreRuns{{load: traces.Recorded{Name: "good"}, scenario: coreName, best: frontier.Comparison{Best: "rule", Ratio: 0.7}}}).misses(true); err != nil {
		t.Error(err)
	}
}

func TestALoadThatIsAbsentIsSaid(t *testing.T) {
	found, absent, err := readAll("", []traces.Recorded{{Name: "gone", File: "gone"}, traces.All()[0]})
	if err != nil || len(found) != 1 || len(absent) != 1 || absent[0] != "gone.csv" {
		t.Fatalf("%d found, absent %v, %v", len(found), absent, err)
	}
}
