package replay

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"swell/scaler/series"
)

// Every policy decides the same up to a moment, whatever comes after it.
func TestNoPolicyKnowsTheFuture(t *testing.T) {
	r := rand.New(rand.NewPCG(300, 5))
	s := series.Series{Start: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), Step: 5 * time.Minute}
	for i := range 45 * 288 {
		s.Values = append(s.Values, 100+80*math.Sin(float64(i)*2*math.Pi/288)+20*r.Float64())
	}
	known := s.Len() - 500 // rows; those after it are shuffled, which leaves the mean that the trace is scaled by
	shuffled := s
	shuffled.Values = append([]float64(nil), s.Values...)
	r.Shuffle(500, func(i, j int) {
		v := shuffled.Values[known:]
		v[i], v[j] = v[j], v[i]
	})
	// Between the middles of rows the load is on a line, so the last known row is told apart from its middle on.
	until := s.Time(known).Add(-s.Step / 2).Unix()
	for _, scenario := range []string{"core-300", "core-3z"} {
		for name := range makers {
			if name == clairvoyantName {
				continue
			}
			decisions := func(s series.Series) (before, after []float64) {
				in := Input{Trace: s, Seed: 7}
				in.Scenario, _ = BuiltIn(scenario)
				in.decided = func(now int64, want float64) {
					if now <= until {
						before = append(before, want)
					} else {
						after = append(after, want)
					}
				}
				if _, err := Run(in, []string{name}); err != nil {
					t.Fatal(err)
				}
				return before, after
			}
			a, afterA := decisions(s)
			b, afterB := decisions(shuffled)
			if len(a) < 10000 || len(a) != len(b) {
				t.Fatalf("%s: %d and %d decisions", name, len(a), len(b))
			}
			for i := range a {
				if a[i] != b[i] {
					t.Fatalf("%s, %s: decision %d of %d is %g, with another future %g", scenario, name, i, len(a), a[i], b[i])
				}
			}
			same := true
			for i := range afterA {
				same = same && afterA[i] == afterB[i]
			}
			if same {
				t.Errorf("%s, %s: the decisions do not depend on the load at all", scenario, name)
			}
		}
	}
}

func TestSplitMixIsThePublishedOne(t *testing.T) {
	// Known first outputs: of state 0, and of 1234567.
	if a, b := mix64(0), mix64(1234567); a != 0xE220A8397B1DCDAF || b != 6457827717110365317 {
		t.Fatalf("got %x, %d", a, b)
	}
	sum, squares, n := 0.0, 0.0, 200000
	for m := range n {
		z := minuteNoise(int64(m))
		sum, squares = sum+z, squares+z*z
	}
	if mean, deviation := sum/float64(n), math.Sqrt(squares/float64(n)); math.Abs(mean) > 0.01 || math.Abs(deviation-1) > 0.01 {
		t.Fatalf("mean %g, deviation %g", mean, deviation)
	}
}
