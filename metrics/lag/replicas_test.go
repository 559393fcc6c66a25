package lag

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"swell/api/v1alpha1"
)

// TestLevelAgainstEveryLevel compares with a search through all the useful levels.
func TestLevelAgainstEveryLevel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.IntRange(1, 200).Draw(t, "partitions")
		need := rapid.Float64Range(0, 250).Draw(t, "need")
		want := 0
		if need > 1e-9 {
			want = p
			for k := 1; k <= p; k++ {
				if level := (p + k - 1) / k; float64(level) >= need-1e-9 && level < want {
					want = level
				}
			}
		}
		if got := Level(need, p, true); got != want {
			t.Fatalf("Level(%g, %d) = %d, want %d", need, p, got, want)
		}
		plain := min(p, int(math.Ceil(need-1e-9)))
		if got := Level(need, p, false); got != plain {
			t.Fatalf("Level(%g, %d) without snap = %d, want %d", need, p, got, plain)
		}
	})
}

// fluid is a topic whose partitions all have an equal share of what is produced and consumed.
func fluid(at time.Time, partitions int, end, commit float64) []Reading {
	out := make([]Reading, partitions)
	for n := range out {
		share := func(all float64) int64 { return (int64(all) + int64(n)) / int64(partitions) }
		out[n] = Reading{Topic: "orders", Partition: int32(n), At: at, Commit: share(commit), End: share(end), Stable: share(end)}
	}
	return out
}

// TestReplicasDrainInTime plays a backlog against pods that consume at μ: with the replicas that are asked for,
// it is gone within T, and they do not fall before.
func TestReplicasDrainInTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const partitions = 200
		mu := rapid.Float64Range(5, 50).Draw(t, "mu")
		produce := rapid.Float64Range(0, 40*mu).Draw(t, "produce")
		backlog := rapid.Float64Range(0, 4000*mu).Draw(t, "backlog")
		tr, err := NewTracker(Options{PerPod: mu, Policy: Policy{DrainTarget: time.Minute, Utilization: 0.8},
			Rules: Rules{Isolation: v1alpha1.ReadCommitted}, Window: 30 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Unix(1000, 0)
		end, commit := backlog, 0.0
		held, drained := 0, false
		var since time.Duration
		for i := range 60 {
			e := tr.Observe(now, fluid(now, partitions, end, commit), Members{Pods: Pods{Ready: held}})
			if e.Unknown == "" {
				if e.Draining && e.Replicas < held {
					t.Fatalf("at %d: fell from %d to %d while the backlog drains: %s", i, held, e.Replicas, e.Why)
				}
				if held > 0 && e.Draining {
					since += 5 * time.Second
				}
				held, drained = e.Replicas, drained || !e.Draining
			}
			if since > 65*time.Second && e.Draining && !drained {
				t.Fatalf("after %s %d messages are left: %s", since, e.Lag, e.Why)
			}
			now = now.Add(5 * time.Second)
			end += produce * 5
			commit = min(end, commit+float64(held)*mu*5)
		}
		if !drained {
			t.Fatal("never drained")
		}
	})
}

func TestLevelAtWhichEveryPodKeepsUp(t *testing.T) {
	p := Policy{DrainTarget: time.Minute, Utilization: 0.95, Snap: true}
	l := Load{Produce: 30.4, PerPod: 20, Partitions: 3}
	need := Need(l, p) // 1.6: with 2 pods, one has 2 of the 3 partitions, 20.3/s
	if got := l.level(need, p); got != 3 {
		t.Errorf("%d pods for a need of %g in 3 partitions, want 3", got, need)
	}
	if s := formula(need, 3, l, p); !strings.Contains(s, "one of 2 pods would get 20.27/s") {
		t.Error(s)
	}
	if l.Produce = 29; l.level(Need(l, p), p) != 2 {
		t.Error("2 pods can keep up with 29/s")
	}
}
