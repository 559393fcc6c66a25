package lag

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"swell/api/v1alpha1"
)

// pointsOf are polls 5 s apart, between which so many messages came.
func pointsOf(counts ...float64) []point {
	at := time.Unix(1_000_000, 0)
	points := []point{{at: at}}
	for _, n := range counts {
		at = at.Add(5 * time.Second)
		points = append(points, point{at: at, produced: points[len(points)-1].produced + n})
	}
	return points
}

func TestBatchesAreARateOnceTheyRepeat(t *testing.T) {
	for name, tc := range map[string]struct {
		counts []float64
		want   float64
	}{
		"nothing":                         {[]float64{0, 0, 0, 0, 0, 0}, 0},
		"one burst":                       {[]float64{0, 0, 0, 1000, 0, 0}, 0},
		"one burst over three polls":      {[]float64{0, 0, 300, 1000, 300, 0, 0, 0}, 0},
		"two":                             {[]float64{0, 0, 1000, 0, 1000, 0}, 0},
		"two whole periods":               {[]float64{0, 0, 1000, 0, 1000, 0, 1000}, 100},
		"every third poll":                {[]float64{0, 1500, 0, 0, 1500, 0, 0, 1500}, 100},
		"two and three polls":             {[]float64{0, 1000, 0, 1000, 0, 0, 1000, 0, 1000, 0, 0, 1000}, 200.0 / 3},
		"each over two polls":             {[]float64{0, 300, 200, 0, 0, 300, 200, 0, 0, 300}, 25},
		"beside what always comes":        {[]float64{50, 50, 1000, 50, 1000, 50, 1000, 50}, 105},
		"the next is almost due":          {[]float64{0, 1000, 0, 1000, 0, 1000, 0, 0}, 100},
		"the next is overdue":             {[]float64{0, 1000, 0, 1000, 0, 1000, 0, 0, 0, 0}, 0},
		"a burst among them":              {[]float64{0, 1000, 0, 90_000, 0, 1000, 0, 1000, 0}, 100},
		"two very different":              {[]float64{0, 90_000, 0, 0, 100, 0, 0, 100, 0}, 100.0 / 15},
		"one burst among what comes":      {[]float64{100, 100, 100, 5000, 100, 100, 100}, 0},
		"a rate that has changed":         {[]float64{100, 100, 100, 200, 200, 200, 200}, 0},
		"too few polls to tell a pattern": {[]float64{0, 9, 0}, 0},
	} {
		if got := batches(pointsOf(tc.counts...)); !near(got, tc.want) {
			t.Errorf("%s: %g/s, want %g", name, got, tc.want)
		}
	}
}

// One burst, in however many polls in a row, must not count as a rate whatever comes evenly beside it.
func TestABurstIsNoBatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(4, 24).Draw(t, "polls")
		rate := rapid.Float64Range(0, 200).Draw(t, "rate")
		phase := rapid.Float64Range(0, 1).Draw(t, "phase")
		counts := make([]float64, n)
		for i := range counts {
			counts[i] = math.Floor(float64(i+1)*5*rate+phase) - math.Floor(float64(i)*5*rate+phase)
		}
		from, over := rapid.IntRange(0, n-1).Draw(t, "from"), rapid.IntRange(1, 4).Draw(t, "over")
		for i := from; i < min(n, from+over); i++ {
			counts[i] += rapid.Float64Range(1, 1e6).Draw(t, "burst")
		}
		// Whole messages come up to one early in each of two periods.
		if got := batches(pointsOf(counts...)); got > rate*1.001+0.2 {
			t.Fatalf("%v: %g/s, without the burst %g", counts, got, rate)
		}
	})
}

// A producer that writes every second or third poll has the pods that its mean rate needs, from its second whole period on.
func TestReplicasForBatches(t *testing.T) {
	for every := 1; every <= 4; every++ {
		t.Run(fmt.Sprintf("every %d polls", every), func(t *testing.T) {
			policy := Policy{DrainTarget: time.Minute, RebalanceTime: 5 * time.Second, Utilization: 0.8}
			tr, err := NewTracker(Options{Rules: Rules{Isolation: v1alpha1.ReadUncommitted}, Policy: policy, PerPod: 10})
			if err != nil {
				t.Fatal(err)
			}
			need := int(math.Ceil(Need(Load{Produce: 100, PerPod: 10}, policy)))
			// One batch waits while it is read, and what came until the rate was known.
			most := int(math.Ceil(Need(Load{Lag: int64(500 * (2*every + 3)), Produce: 100, PerPod: 10}, policy))) + 1
			now := time.Unix(1_000_000, 0)
			var end, commit int64
			pods := 1
			for i := range 72 {
				now = now.Add(5 * time.Second)
				if i >= 12 && i%every == 0 {
					end += int64(500 * every)
				}
				commit = min(end, commit+int64(5*10*pods))
				readings := make([]Reading, 20)
				for p := range readings {
					readings[p] = Reading{Topic: "orders", Partition: int32(p), At: now, Commit: commit / 20, End: end / 20, Stable: end / 20, Readable: Unknown}
				}
				e := tr.Observe(now, readings, Members{Pods: Pods{Ready: -1}})
				if e.Unknown == "" {
					pods = max(1, e.Replicas)
				}
				if known := 12 + max(2*every, 5); i >= known && (pods < need-1 || pods > most) || i > 40 && pods > need+every+1 {
					t.Errorf("poll %d: %d pods, want %d to %d: %s", i, pods, need-1, most, e.Why)
				}
			}
		})
	}
}
