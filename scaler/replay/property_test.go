package replay_test

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"swell/scaler/replay"
	"swell/scaler/series"
)

var start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// drawInput is a day and a half of a load that wanders, of which half a day is played.
func drawInput(t *rapid.T) replay.Input {
	s := series.Series{Start: start, Step: 5 * time.Minute}
	level := rapid.Float64Range(10, 1000).Draw(t, "level")
	for range 432 {
		level = min(max(level*rapid.Float64Range(0.85, 1.18).Draw(t, "growth"), 1), 1e5)
		s.Values = append(s.Values, level)
	}
	name := rapid.SampledFrom([]string{"core-300", "core-120", "core-3z"}).Draw(t, "scenario")
	in := replay.Input{Trace: s, Seed: rapid.Int64Range(0, 100).Draw(t, "seed")}
	in.Scenario, _ = replay.BuiltIn(name)
	return in
}

func play(t interface{ Fatal(...any) }, in replay.Input, policies ...string) []replay.Result {
	runs, err := replay.Run(in, policies)
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

func TestMoreHeadroomNeverServesLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		in.Scenario, _ = replay.BuiltIn("core-300")
		runs := play(t, in, "reactive", "static:5", "static:20", "static:80", "static:300")
		for i := 1; i < len(runs); i++ {
			if runs[i].Unserved > runs[i-1].Unserved || runs[i].NodeHours < runs[i-1].NodeHours {
				t.Fatalf("%+v after %+v", runs[i], runs[i-1])
			}
		}
	})
}

func TestNoneThatServesAllIsCheaperThanClairvoyant(t *testing.T) {
	serving := 0
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		in.Scenario, _ = replay.BuiltIn("core-300")
		in.Scenario.Lead.Duration = rapid.SampledFrom([]time.Duration{15 * time.Second, 2 * time.Minute, 10 * time.Minute}).Draw(t, "lead")
		runs := play(t, in, "clairvoyant", "reactive", "static:40", "static:400", "rule:0.99", "slope:3", "karpenter", "scheduled", "hourly", "swell")
		if c := runs[0]; c.Unserved != 0 || c.CostOverClairvoyant != 1 {
			t.Fatalf("%+v", c)
		}
		for _, r := range runs[1:] {
			if r.Unserved == 0 {
				serving++
				if r.CostOverClairvoyant < 1-1e-12 {
					t.Fatalf("%+v", r)
				}
			}
			if !(r.Unserved >= 0 && r.Unserved <= 1) || !(r.NodeHours > 0) || math.IsInf(r.Cost, 0) {
				t.Fatalf("%+v", r)
			}
		}
	})
	if serving == 0 {
		t.Fatal("no policy ever served all: nothing was compared")
	}
}

func TestASeedGivesTheSameRun(t *testing.T) {
	policies := []string{"swell", "reactive", "karpenter"}
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		a, b := play(t, in, policies...), play(t, in, policies...)
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("%+v\n%+v", a, b)
		}
		if alone := play(t, in, "karpenter"); !reflect.DeepEqual(alone[0], a[2]) {
			t.Fatalf("beside others %+v, alone %+v", a[2], alone[0])
		}
	})
}

func TestAnotherSeedIsAnotherCluster(t *testing.T) {
	for _, name := range []string{"core-3z", "office-morning"} {
		in := replay.Input{Trace: series.Series{Start: start, Step: time.Hour, Values: wave(24 * 30)}}
		in.Scenario, _ = replay.BuiltIn(name)
		in.Seed = 1
		a := play(t, in, "reactive")[0]
		in.Seed = 2
		if b := play(t, in, "reactive")[0]; a.Unserved == b.Unserved && a.NodeHours == b.NodeHours {
			t.Errorf("%s: both seeds give %+v", name, a)
		}
	}
}

// wave is a load by the hour with a day and a night.
func wave(hours int) (out []float64) {
	for i := range hours {
		out = append(out, 100+80*math.Sin(float64(i)*2*math.Pi/24))
	}
	return out
}

func TestAnUnknownRowIsNamed(t *testing.T) {
	in := replay.Input{Trace: series.Series{Start: start, Step: time.Hour, Values: wave(24 * 30)}}
	in.Scenario, _ = replay.BuiltIn("core-300")
	in.Trace.Values[100] = math.NaN()
	_, err := replay.Run(in, []string{"reactive"})
	if err == nil || !strings.Contains(err.Error(), "row 101 (2026-03-06T04:00:00Z)") {
		t.Fatalf("got %v", err)
	}
	in.Trace.Values = make([]float64, 24*30)
	if _, err := replay.Run(in, []string{"reactive"}); err == nil || !strings.Contains(err.Error(), "zero throughout") {
		t.Fatalf("got %v", err)
	}
	in.Trace.Values = in.Trace.Values[:5]
	if _, err := replay.Run(in, []string{"reactive"}); err == nil || !strings.Contains(err.Error(), "too few") {
		t.Fatalf("got %v", err)
	}
}

func TestPoliciesAreCheckedByName(t *testing.T) {
	for text, want := range map[string]string{
		"static:5": "", "swell": "", "swell:0.95": "", "rule:0.8": "", "slope:0": "", "clairvoyant": "",
		"statik":      "is not known; give one of clairvoyant, ",
		"static:five": `"five" is not a percentage`,
		"static:-1":   "is not a percentage from 0 to 1000; write it like static:5",
		"static:NaN":  "is not a percentage",
		"rule:95":     "is not a quantile",
		"reactive:5":  `takes no number; leave ":5" out`,
		"":            "is not known",
	} {
		err := replay.CheckPolicy(text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
