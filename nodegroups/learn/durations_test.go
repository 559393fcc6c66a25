package learn_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"swell/nodegroups"
	"swell/nodegroups/learn"
)

func durations(t *testing.T, o learn.Options) *learn.Durations[learn.BootKey] {
	t.Helper()
	if o.Prior == (learn.Prior{}) {
		o.Prior = learn.BootPrior
	}
	d, err := learn.NewDurations[learn.BootKey](o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func near(t *testing.T, what string, got, want, by time.Duration) {
	t.Helper()
	if got < want-by || got > want+by {
		t.Errorf("%s: %v, want %v within %v", what, got, want, by)
	}
}

var key = learn.BootKey{Zone: "a", Type: "m7g.large", Image: "ami-1", Market: nodegroups.Spot}

func TestNothingSeenIsThePrior(t *testing.T) {
	d := durations(t, learn.Options{})
	near(t, "p50", d.Quantile(key, 0.5), 50*time.Second, 10*time.Millisecond)
	near(t, "p95", d.Quantile(key, 0.95), 120*time.Second, 10*time.Millisecond)
}

func TestObservationsTakeOverFromThePrior(t *testing.T) {
	d := durations(t, learn.Options{})
	random := rand.New(rand.NewPCG(1, 2))
	add := func(n int) {
		for range n {
			if err := d.Add(key, time.Duration(20+20*random.Float64())*time.Second); err != nil {
				t.Fatal(err)
			}
		}
	}
	add(5)
	if few := d.Quantile(key, 0.95); few < 60*time.Second {
		t.Errorf("p95 after 5 boots of at most 40 s: %v, want some of the prior's caution", few)
	}
	add(195)
	near(t, "p95 after 200 boots", d.Quantile(key, 0.95), 40*time.Second, 3*time.Second)
	for range 200 { // a slower image on the same key
		if err := d.Add(key, 90*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if got := d.Quantile(key, 0.5); got < 89*time.Second || d.Count(key) != 200 {
		t.Errorf("median %v of %d boots: want the last 200, which took 90 s", got, d.Count(key))
	}
}

func TestOtherKeysCountWhereTheirOwnIsNew(t *testing.T) {
	other := key
	other.Zone = "b"
	for weight, wantNear := range map[float64]time.Duration{0: 120 * time.Second, 40: 200 * time.Second} {
		d := durations(t, learn.Options{OthersWeight: weight})
		for range 100 {
			if err := d.Add(other, 200*time.Second); err != nil {
				t.Fatal(err)
			}
		}
		near(t, "p95 of a new key", d.Quantile(key, 0.95), wantNear, time.Second)
		for range 100 {
			if err := d.Add(key, 30*time.Second); err != nil {
				t.Fatal(err)
			}
		}
		near(t, "median of a key with its own", d.Quantile(key, 0.5), 30*time.Second, time.Second)
		d.Forget(func(k learn.BootKey) bool { return k == key })
		if d.Count(other) != 0 || d.Count(key) != 100 {
			t.Errorf("counts %d and %d after forgetting the other", d.Count(other), d.Count(key))
		}
	}
}

func TestQuantilesAreInOrderAndWithinWhatWasSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, err := learn.NewDurations[string](learn.Options{Prior: learn.BootPrior, PriorWeight: 1e-6})
		if err != nil {
			t.Fatal(err)
		}
		list := rapid.SliceOfN(rapid.IntRange(1, 100_000), 1, 50).Draw(t, "ms")
		least, most := time.Hour, time.Duration(0)
		for _, ms := range list {
			took := time.Duration(ms) * time.Millisecond
			least, most = min(least, took), max(most, took)
			if err := d.Add("x", took); err != nil {
				t.Fatal(err)
			}
		}
		a, b := rapid.Float64Range(0.01, 0.99).Draw(t, "a"), rapid.Float64Range(0.01, 0.99).Draw(t, "b")
		low, high := d.Quantile("x", min(a, b)), d.Quantile("x", max(a, b))
		if low > high {
			t.Fatalf("quantile %g is %v and %g is %v", min(a, b), low, max(a, b), high)
		}
		if low < least-time.Millisecond || high > most+time.Millisecond {
			t.Fatalf("%v and %v of observations from %v to %v", low, high, least, most)
		}
	})
}

func TestWhatCannotBeUsedIsRefused(t *testing.T) {
	if _, err := learn.NewDurations[string](learn.Options{Prior: learn.Prior{P50: time.Minute, P95: time.Second}}); err == nil {
		t.Error("a prior whose p95 is below its median was taken")
	}
	if err := durations(t, learn.Options{}).Add(key, 0); err == nil {
		t.Error("a boot of no time was learned")
	}
}
