package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"swell/bench/measure"
	"swell/bench/traces"
	"swell/scaler/series"
)

func worldCup(t *testing.T) series.Series {
	t.Helper()
	s, err := traces.Load(traces.WorldCup98)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func drawn(t *testing.T, seed int64) scenario {
	t.Helper()
	s, err := draw("test", worldCup(t), "UTC", seed, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheHourPeaksAtTheScaleAndHoldsTheRise(t *testing.T) {
	for seed := int64(1); seed <= 12; seed++ {
		s := drawn(t, seed)
		peak := 0.0
		for at := s.from; at.Before(s.from.Add(s.length)); at = at.Add(time.Minute) {
			v, _ := s.trace.At(at)
			peak = math.Max(peak, v*s.webScale)
		}
		if math.Abs(peak-webPeak) > 1e-6 {
			t.Errorf("seed %d peaks at %g pods: want %g", seed, peak, webPeak)
		}
		if s.rise.Before(s.from) || s.rise.After(s.from.Add(s.length/2)) {
			t.Errorf("seed %d: the rise of %s is not in the first half of the hour from %s", seed, s.rise, s.from)
		}
	}
}

func TestTheHistoryEndsBeforeThePlayedPart(t *testing.T) {
	s := drawn(t, 2)
	files, err := s.writeHistory(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 2 {
		t.Fatalf("%d files: want web's and orders'", len(files))
	}
	for _, f := range files {
		past, err := series.ReadFile(f.File)
		if err != nil {
			t.Fatal(err)
		}
		if past.End().After(s.begin()) || s.begin().Sub(past.End()) >= s.trace.Step {
			t.Errorf("the history of %s ends at %s, the load begins at %s", f.Balloon, past.End(), s.begin())
		}
	}
}

func TestAnEmptyRowWithinTheHourIsNamedBeforeAnythingBoots(t *testing.T) {
	trace := worldCup(t)
	s := drawn(t, 1)
	trace.Values = append([]float64(nil), trace.Values...)
	i, ok := trace.Index(s.from.Add(20 * time.Minute))
	if !ok {
		t.Fatal("the hour is not in the trace")
	}
	trace.Values[i] = math.NaN()
	_, err := draw("load.csv", trace, "UTC", 1, time.Hour)
	if err == nil || !strings.Contains(err.Error(), "load.csv") || !strings.Contains(err.Error(), trace.Time(i).Format(time.RFC3339)) {
		t.Errorf("%v: want an error that names the file and the row", err)
	}
}

func TestTheFleetBeginsAsThePolicyWouldHaveIt(t *testing.T) {
	for seed := int64(1); seed <= 12; seed++ {
		s := drawn(t, seed)
		web, orders := s.start()
		onDemand, spot := 0, 0
		for _, g := range s.fleet().Groups {
			if g.Market == "spot" {
				spot += g.Desired
			} else {
				onDemand += g.Desired
			}
		}
		if n := (onDemand + spot) * podsPerNode; n < web+orders || n > web+orders+3*podsPerNode+(web+orders)/10 {
			t.Errorf("seed %d: room for %d pods at the start of %d", seed, n, web+orders)
		}
		if above := onDemand + spot - onDemandBase; onDemand < onDemandBase || float64(spot) > spotMax*float64(above) {
			t.Errorf("seed %d: %d on-demand and %d spot nodes: want %d on-demand first, and at most 70%% spot above", seed, onDemand, spot, onDemandBase)
		}
	}
}

func TestTheManifestHasNoHoles(t *testing.T) {
	raw, err := drawn(t, 1).manifest(10, "Observe")
	if err != nil {
		t.Fatal(err)
	}
	if text := string(raw); strings.Contains(text, "<no value>") || strings.Count(text, "mode: Observe") != 2 {
		t.Errorf("the manifest is\n%s", text)
	}
}

func TestARunThatBrokeAPromiseFails(t *testing.T) {
	zero, one, second := int64(0), int64(1), 1.0
	good := measure.Run{Policy: "swell", MessagesLost: &zero}
	recovered := measure.Fault{Target: "kafka", Recovered: &second}
	for name, c := range map[string]struct {
		run   measure.Run
		chaos bool
		says  string
	}{
		"all is well":     {good, false, ""},
		"a message lost":  {measure.Run{MessagesLost: &one}, false, "lost"},
		"unknown loss":    {measure.Run{}, false, "lost"},
		"above max":       {measure.Run{MessagesLost: &zero, OverMax: []string{"g"}}, false, "maximum"},
		"no recovery":     {measure.Run{MessagesLost: &zero, Faults: []measure.Fault{recovered, recovered, recovered, {Target: "aws"}}}, true, "aws did not recover"},
		"too few killed":  {measure.Run{MessagesLost: &zero, Faults: []measure.Fault{recovered}}, true, "1 of 4"},
		"killed and back": {measure.Run{MessagesLost: &zero, Faults: []measure.Fault{recovered, recovered, recovered, recovered}}, true, ""},
	} {
		err := broken(measure.Summary{Runs: []measure.Run{c.run}}, c.chaos)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v: want %q", name, err, c.says)
		}
	}
}

func TestABadTraceFailsBeforeAnythingIsMade(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "gap.csv")
	if err := os.WriteFile(path, []byte("timestamp,value\n2026-01-01T00:00:00Z,1\n2026-01-01T00:05:00Z,2\n2026-01-01T00:20:00Z,3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	err := run(t.Context(), options{out: out, trace: path, zone: "UTC", speed: 10, length: time.Hour})
	if err == nil || !strings.Contains(err.Error(), "gap.csv") || !strings.Contains(err.Error(), "line 4") {
		t.Errorf("%v: want an error that names the file and the line", err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a folder was made for a run that cannot begin")
	}
}
