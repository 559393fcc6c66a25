package traces_test

import (
	"slices"
	"testing"
	"time"

	"swell/bench/traces"
)

func TestTracesAreWhole(t *testing.T) {
	for name, want := range map[string]struct {
		rows  int
		step  time.Duration
		first float64
	}{
		traces.NASA:       {17856, 5 * time.Minute, 301},
		traces.Wikimedia:  {10621, time.Hour, 14843479},
		traces.WorldCup98: {25062, 5 * time.Minute, 39},
	} {
		s, err := traces.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if s.Len() != want.rows || s.Step != want.step || s.Values[0] != want.first {
			t.Errorf("%s: got %d rows of %v beginning with %v", name, s.Len(), s.Step, s.Values[0])
		}
		if _, err := time.LoadLocation(traces.TimeZone(name)); err != nil || !slices.Contains(traces.Names(), name) {
			t.Errorf("%s: zone %v, names %v", name, err, traces.Names())
		}
	}
	if _, err := traces.Load("euro96"); err == nil {
		t.Fatal("an unknown trace was loaded")
	}
}

func TestRisesAreSteepAndApart(t *testing.T) {
	s, err := traces.Load(traces.WorldCup98)
	if err != nil {
		t.Fatal(err)
	}
	rises := traces.Rises(s, traces.MinHistory)
	if len(rises) < 12 {
		t.Fatalf("%d rises, want a dozen", len(rises))
	}
	for i, r := range rises {
		if i < 12 {
			t.Logf("%2d %s %6.0f → %6.0f (× %.1f)", i+1, r.Start.Format(time.RFC3339), r.From, r.To, r.Growth())
		}
		if r.Growth() < 2 || r.End.Sub(r.Start) != time.Hour || r.HourBefore().Sub(s.Start) < traces.MinHistory {
			t.Fatalf("rise %d: %+v", i, r)
		}
		if i > 0 && rises[i-1].To-rises[i-1].From < r.To-r.From {
			t.Fatalf("rise %d is steeper than the one before it", i)
		}
		for _, o := range rises[:i] {
			if r.Start.Sub(o.Start).Abs() < 3*time.Hour {
				t.Fatalf("%v and %v overlap", r.Start, o.Start)
			}
		}
	}
	for seed := int64(-3); seed < 30; seed++ {
		a, err := traces.Draw(s, seed)
		if err != nil || a != rises[((seed-1)%12+12)%12] {
			t.Fatalf("seed %d: %v %v", seed, a, err)
		}
	}
}
