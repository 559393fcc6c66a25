package lag

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"swell/api/v1alpha1"
)

// log is a partition kept message by message: the naive picture that the arithmetic is held against.
type log struct {
	held   []int64 // offsets that can still be read
	stable int64   // first offset of an open transaction, or the end
	end    int64
	read   map[int64]bool // what the group has read
	commit int64
}

func drawLog(t *rapid.T) log {
	l := log{read: map[int64]bool{}, commit: Unknown}
	for range rapid.IntRange(0, 30).Draw(t, "messages") {
		l.held = append(l.held, l.end)
		l.end++
	}
	expired := rapid.IntRange(0, len(l.held)).Draw(t, "expired")
	l.held = l.held[expired:]
	l.stable = l.end - int64(rapid.IntRange(0, len(l.held)).Draw(t, "open"))
	if rapid.Bool().Draw(t, "committed") {
		l.commit = int64(rapid.IntRange(0, int(l.stable)).Draw(t, "commit"))
		for o := range l.commit {
			l.read[o] = true
		}
	}
	return l
}

func (l log) reading() Reading {
	start := l.end
	if len(l.held) > 0 {
		start = l.held[0]
	}
	return Reading{Topic: "t", Commit: l.commit, End: l.end, Stable: l.stable, Start: start}
}

// unread counts the messages that the group could read and has not.
func (l log) unread(committed bool) int64 {
	var n int64
	for _, o := range l.held {
		if !l.read[o] && (!committed || o < l.stable) {
			n++
		}
	}
	return n
}

func TestLagIsTheMessagesThatAreUnread(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLog(t)
		isolation := rapid.SampledFrom([]v1alpha1.Isolation{v1alpha1.ReadCommitted, v1alpha1.ReadUncommitted}).Draw(t, "isolation")
		policy := rapid.SampledFrom([]v1alpha1.Uncommitted{v1alpha1.UncommittedLatest, v1alpha1.UncommittedEarliest, v1alpha1.UncommittedError}).Draw(t, "policy")
		got, problem := Of(l.reading(), Rules{Isolation: isolation, Uncommitted: policy})
		want := l.unread(isolation == v1alpha1.ReadCommitted)
		if l.commit == Unknown {
			switch policy {
			case v1alpha1.UncommittedLatest:
				want = 0
			case v1alpha1.UncommittedError:
				if problem == "" {
					t.Fatal("never committed with policy Error must be unknown")
				}
				return
			}
		}
		if problem != "" || got != want {
			t.Fatalf("lag %d (%q), want %d unread messages", got, problem, want)
		}
	})
}

func TestWhatCannotBeIsUnknownNeverNegative(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		offset := rapid.Int64Range(-1, 20)
		r := Reading{Commit: offset.Draw(t, "commit"), End: offset.Draw(t, "end"), Stable: offset.Draw(t, "stable"), Start: offset.Draw(t, "start")}
		for _, isolation := range []v1alpha1.Isolation{v1alpha1.ReadCommitted, v1alpha1.ReadUncommitted} {
			rules := Rules{Isolation: isolation, Uncommitted: v1alpha1.UncommittedEarliest}
			got, problem := Of(r, rules)
			if got < 0 {
				t.Fatalf("negative lag %d", got)
			}
			end := rules.end(r)
			impossible := end < 0 || r.Start < 0 || r.Start > end || r.Commit > end
			if impossible != (problem != "") {
				t.Fatalf("problem %q for %+v", problem, r)
			}
		}
	})
}

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

// TestReplicasDrainInTime plays a backlog against pods that consume at μ: with the replicas that are asked for,
// it is gone within T, and they do not fall before.
func TestReplicasDrainInTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const partitions = 1000
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
			readings := make([]Reading, partitions)
			for n := range readings {
				readings[n] = Reading{Partition: int32(n), At: now}
			}
			readings[0] = Reading{At: now, Commit: int64(commit), End: int64(end), Stable: int64(end)}
			e := tr.Observe(now, readings, Pods{Ready: held})
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
