package lag

import (
	"math"
	"strings"
	"testing"
	"time"

	"swell/api/v1alpha1"
)

var start = time.Date(2026, 11, 20, 8, 40, 0, 0, time.UTC)

func options() Options {
	return Options{Rules: Rules{Isolation: v1alpha1.ReadCommitted, Uncommitted: v1alpha1.UncommittedLatest}, Window: 30 * time.Second, PerPod: 10, Learn: true,
		Policy: Policy{DrainTarget: time.Minute, RebalanceTime: 5 * time.Second, Utilization: 0.8, Snap: true}}
}

func tracker(t *testing.T, o Options) *Tracker {
	t.Helper()
	tr, err := NewTracker(o)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// group is 24 partitions that share what is produced and consumed evenly.
type group struct {
	at          time.Time
	end, commit int64
	id          byte
}

func (g group) readings() []Reading {
	out := make([]Reading, 24)
	for i := range out {
		out[i] = Reading{Topic: "orders", Partition: int32(i), TopicID: [16]byte{g.id}, At: g.at, Commit: g.commit, End: g.end, Stable: g.end}
	}
	return out
}

func (g *group) step(produced, consumed int64) {
	g.at = g.at.Add(5 * time.Second)
	g.end += produced
	g.commit += consumed
}

func near(got, want float64) bool { return math.Abs(got-want) < 1e-6*math.Max(1, want) }

func TestRates(t *testing.T) {
	tr, g := tracker(t, options()), group{at: start, end: 100, commit: 50}
	if e := tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: 2}}); e.RatesKnown || !strings.Contains(e.Unknown, "three polls") {
		t.Errorf("after one poll: %+v", e)
	}
	var e Estimate
	for range 6 {
		g.step(10, 5)
		e = tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: 2}})
	}
	if !near(e.Produce, 24*10/5) || !near(e.Consume, 24*5/5) {
		t.Errorf("rates %g and %g, want 48 and 24", e.Produce, e.Consume)
	}
	g.id, g.end, g.commit = 1, 3, 0
	g.step(0, 0)
	e = tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: 2}})
	if e.Produce <= 0 || e.Produce > 48 || e.Consume > 24 {
		t.Errorf("a topic made anew moved the rates to %g and %g", e.Produce, e.Consume)
	}
}

func TestBurstIsBacklogNotRate(t *testing.T) {
	tr, g := tracker(t, options()), group{at: start}
	var e Estimate
	for i := range 6 {
		produced := int64(0)
		if i == 5 {
			produced = 125
		}
		g.step(produced, 0)
		e = tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: 1}})
	}
	if e.Produce != 0 || e.Replicas != 5 {
		t.Errorf("a burst of 3000 gave λ %g and %d replicas, want 0 and 5 (3000 / 60 s / 10 a pod): %s", e.Produce, e.Replicas, e.Why)
	}
	g.step(125, 0)
	if e = tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: 1}}); e.Produce <= 0 {
		t.Error("what lasts for two polls is a rate")
	}
}

// TestOnlyWhatIsSustainedIsCountedTwice produces more for some polls, or for good: as backlog it counts at once, as λ once
// more than half of the window has it.
func TestOnlyWhatIsSustainedIsCountedTwice(t *testing.T) {
	for polls, want := range map[int]float64{1: 48, 2: 48, 3: 48, 4: 480, 6: 480} {
		o := options()
		o.Learn = false
		tr, g := tracker(t, o), group{at: start}
		for range 40 {
			g.step(10, 10)
			tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: 24}})
		}
		var e Estimate
		for range polls {
			g.step(100, 100)
			e = tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: 24}})
		}
		if got := tr.rates.sustained(e.Produce); got > want+1e-6 || polls > 4 && !near(got, want) || polls == 4 && got <= 48 {
			t.Errorf("after %d polls of 480/s for 48/s: %g/s are sustained", polls, got)
		}
	}
	// A producer that flushes every 20 s is not a burst each time.
	tr, g := tracker(t, options()), group{at: start}
	var e Estimate
	for i := range 100 {
		produced := int64(0)
		if i%4 == 0 {
			produced = 40
		}
		g.step(produced, 10)
		e = tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: 24}})
	}
	if got := tr.rates.sustained(e.Produce); got < 24 || got > 96 {
		t.Errorf("48/s on average in a flush every 20 s: %g/s are sustained", got)
	}
}

func TestGapIsNoStandstill(t *testing.T) {
	tr, g := tracker(t, options()), group{at: start}
	for range 6 {
		g.step(10, 10)
		tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: 1}})
	}
	old := g.readings()
	for range 2 {
		g.step(10, 10)
		if e := tr.Observe(g.at, old, Members{Pods: Pods{Ready: 1}}); !near(e.Produce, 48) {
			t.Errorf("during the gap λ is %g, want the last known 48", e.Produce)
		}
	}
	g.step(10, 10)
	if e := tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: 1}}); !near(e.Produce, 48) {
		t.Errorf("after the gap λ is %g, want 48", e.Produce)
	}
}

func TestReplicasHoldWhileDrainingThenFall(t *testing.T) {
	o := options()
	o.Learn = false
	tr, g := tracker(t, o), group{at: start}
	var levels []int
	seen := func(e Estimate) {
		if e.Unknown == "" && (len(levels) == 0 || levels[len(levels)-1] != e.Replicas) {
			levels = append(levels, e.Replicas)
		}
	}
	for range 6 {
		g.step(5, 5)
		seen(tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: 4}}))
	}
	g.step(505, 5) // 12000 more in one poll
	seen(tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: 4}}))
	for g.commit < g.end {
		g.step(5, 50)
		g.commit = min(g.commit, g.end)
		seen(tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: 24}}))
	}
	want := []int{4, 24, 4}
	if len(levels) != len(want) || levels[0] != want[0] || levels[1] != want[1] || levels[2] != want[2] {
		t.Errorf("levels %v, want %v", levels, want)
	}
}

func TestResumeHoldsWhatWasAsked(t *testing.T) {
	tr, g := tracker(t, options()), group{at: start, end: 1000}
	tr.Resume(Known{Replicas: 12})
	var e Estimate
	for range 3 {
		g.step(0, 20)
		e = tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: 12}})
	}
	if !e.Draining || e.Replicas < 12 {
		t.Errorf("after a restart %d replicas, want at least the 12 of before: %s", e.Replicas, e.Why)
	}
}

func TestLearnsOnlyUnderBacklogAndRobustly(t *testing.T) {
	tr, g := tracker(t, options()), group{at: start, end: 100000}
	pods := Pods{Ready: 4}
	var e Estimate
	for i := range 60 {
		consumed := int64(20) // 24·20/5 s = 96/s: 24 a pod
		if i%10 == 9 {
			consumed = 0 // a rebalance
		}
		g.step(0, consumed)
		e = tr.Observe(g.at, g.readings(), Members{Pods: pods})
	}
	if e.PerPod < 18 || e.PerPod > 24 {
		t.Errorf("μ is %g, want near the 24 seen, drawn to the declared 10", e.PerPod)
	}
	idle, h := tracker(t, options()), group{at: start}
	for range 60 {
		h.step(1, 1)
		e = idle.Observe(h.at, h.readings(), Members{Pods: pods})
	}
	if e.PerPod != 10 {
		t.Errorf("without a backlog μ moved to %g", e.PerPod)
	}
}

func TestUnknownSaysWhy(t *testing.T) {
	tr, g := tracker(t, options()), group{at: start}
	readings := g.readings()
	readings[7].Problem, readings[7].Since = "its leader 2 (10.0.0.2:9092) does not answer", start
	e := tr.Observe(g.at, readings, Members{Pods: Pods{Ready: 1}})
	for _, want := range []string{"23 of 24", "orders/7", "10.0.0.2:9092", "2026-11-20T08:40:00Z"} {
		if !strings.Contains(e.Unknown, want) {
			t.Errorf("%q does not say %q", e.Unknown, want)
		}
	}
	if e = tr.Observe(g.at, nil, Members{Pods: Pods{Ready: 1}}); e.Unknown == "" || e.Complete() {
		t.Errorf("no partitions: %+v", e)
	}
}

func TestValidate(t *testing.T) {
	for field, spoil := range map[string]func(*Options){
		"perPodRate.initial": func(o *Options) { o.PerPod = 0 },
		"perPodRate":         func(o *Options) { o.PerPod = math.Inf(1) },
		"drainTarget":        func(o *Options) { o.DrainTarget = 0 },
		"utilization":        func(o *Options) { o.Utilization = math.NaN() },
		"rebalanceTime":      func(o *Options) { o.RebalanceTime = -1 },
	} {
		o := options()
		spoil(&o)
		if _, err := NewTracker(o); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestUncommittedPartitionsAreCounted(t *testing.T) {
	readings := []Reading{{Topic: "orders", Commit: Unknown, End: 9, Stable: 9}, {Topic: "orders", Partition: 1, Commit: 4, End: 9, Stable: 9}}
	for policy, want := range map[v1alpha1.Uncommitted]int64{v1alpha1.UncommittedLatest: 5, v1alpha1.UncommittedEarliest: 14} {
		if got := Add(readings, Rules{Isolation: v1alpha1.ReadCommitted, Uncommitted: policy}); got.Uncommitted != 1 || got.Lag != want {
			t.Errorf("%s: %d uncommitted, lag %d; want 1 and %d", policy, got.Uncommitted, got.Lag, want)
		}
	}
}
