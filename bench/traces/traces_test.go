package traces_test

import (
	"testing"
	"time"

	"swell/bench/traces"
)

func TestWorldCupIsWhole(t *testing.T) {
	s, err := traces.Load(traces.WorldCup98)
	if err != nil {
		t.Fatal(err)
	}
	if s.Len() != 25062 || s.Step != 5*time.Minute || s.Values[0] != 39 {
		t.Fatalf("got %d rows of %v beginning with %v", s.Len(), s.Step, s.Values[0])
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
