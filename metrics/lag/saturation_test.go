package lag

import (
	"strings"
	"testing"
	"time"
)

// database is what a group's pods write to: they consume at perPod each, together at most what it takes.
type database struct{ perPod, takes float64 }

// drain plays polls of a backlog with as many pods ready as were asked for a minute before, and says what
// was asked for last.
func (d *database) drain(tr *Tracker, g *group, ready *[]int, polls int) (e Estimate) {
	for range polls {
		pods := (*ready)[0]
		consumed := min(float64(pods)*d.perPod, d.takes) * 5 / 24
		g.step(10, int64(consumed)) // 48/s are produced
		e = tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: pods}})
		next := pods
		if e.Unknown == "" {
			next = e.Replicas
		}
		*ready = append((*ready)[1:], next)
	}
	return e
}

func minuteOf(pods int) *[]int {
	r := make([]int, 12)
	for i := range r {
		r[i] = pods
	}
	return &r
}

func TestNoMorePodsWhileTheyStoppedHelping(t *testing.T) {
	o := options()
	o.PerPod, o.DrainTarget = 48, 5*time.Minute
	tr, g := tracker(t, o), group{at: start, end: 4000} // 96000 messages: (320 + 64) / 48 = 8 pods
	db := &database{perPod: 48, takes: 192}
	ready := minuteOf(4)
	e := db.drain(tr, &g, ready, 30)
	if e.Replicas != 8 || e.Saturated == "" {
		t.Fatalf("8 pods that read no more than 4: asked for %d, saturated %q", e.Replicas, e.Saturated)
	}
	perPod := e.PerPod
	g.end += 10000 // a flood that alone would ask for every partition's pod
	e = db.drain(tr, &g, ready, 30)
	if e.Replicas != 8 || !strings.Contains(e.Why, "held at 8") || !strings.Contains(e.Why, "stopped helping") {
		t.Errorf("asked for %d pods of a saturated database, want the 8 of before: %s", e.Replicas, e.Why)
	}
	if e.PerPod != perPod {
		t.Errorf("μ was learned from a saturated database: %g, before %g", e.PerPod, perPod)
	}
	for _, want := range []string{"4 pods", "8 pods", "192/s"} {
		if !strings.Contains(e.Saturated, want) {
			t.Errorf("%q does not say %q", e.Saturated, want)
		}
	}
	db.takes = 1000
	if e = db.drain(tr, &g, ready, 30); e.Replicas != 24 || e.Saturated != "" {
		t.Errorf("when the database is well again: %d pods, saturated %q; want 24", e.Replicas, e.Saturated)
	}
}

func TestPodsThatHelpAreAskedFor(t *testing.T) {
	o := options()
	o.PerPod, o.DrainTarget = 48, 5*time.Minute
	tr, g := tracker(t, o), group{at: start, end: 4000}
	db := &database{perPod: 48, takes: 1e9}
	ready := minuteOf(4)
	for i := range 30 {
		if i == 15 {
			g.end += 10000
		}
		if e := db.drain(tr, &g, ready, 1); e.Saturated != "" {
			t.Fatalf("after %d polls: %s", i, e.Saturated)
		}
	}
	if got := (*ready)[11]; got != 24 {
		t.Errorf("asked for %d, want 24", got)
	}
}

func TestPodsBeyondThePartitionsProveNothing(t *testing.T) {
	tr, g := tracker(t, options()), group{at: start, end: 40000}
	for i := range 40 {
		pods := 24
		if i >= 20 {
			pods = 48
		}
		g.step(0, 50)
		if e := tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: pods}}); e.Saturated != "" {
			t.Fatalf("%d pods at 24 partitions: %s", pods, e.Saturated)
		}
	}
}

func TestSaturationEndsWithTheBacklog(t *testing.T) {
	o := options()
	o.PerPod, o.DrainTarget = 48, 5*time.Minute
	tr, g := tracker(t, o), group{at: start, end: 4000}
	db := &database{perPod: 48, takes: 192}
	ready := minuteOf(4)
	if e := db.drain(tr, &g, ready, 30); e.Saturated == "" {
		t.Fatal("not saturated")
	}
	g.commit = g.end
	g.step(0, 0)
	if e := tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: 8}}); e.Draining || e.Saturated != "" {
		t.Errorf("without a backlog: draining %t, %q", e.Draining, e.Saturated)
	}
}

// What a group reads is seen by its commits, and a poll may have one more or less of them: a tenth more read by twice the pods
// is noise, not help.
func TestNoiseIsNoHelp(t *testing.T) {
	var s saturation
	s.observe(15, 50)
	s.observe(30, 50)
	if s.why == "" {
		t.Fatal("30 pods that read no more than 15 are not held")
	}
	s.observe(30, 55)
	if s.why == "" {
		t.Error("a tenth more read by twice the pods lets more be asked for")
	}
	s.observe(30, 80)
	if s.why != "" {
		t.Errorf("three fifths more by twice the pods: %s", s.why)
	}
}

// What 20 pods read of a database that takes 50/s is 43/s in one window and 49/s in another: no reason to ask for 30.
func TestTheNoiseOfAWindowDoesNotEndSaturation(t *testing.T) {
	var s saturation
	s.observe(15, 43)
	for _, c := range []struct {
		consume   float64
		saturated bool
	}{{43, true}, {49.3, true}, {57, false}} {
		if s.observe(20, c.consume); (s.why != "") != c.saturated {
			t.Errorf("20 pods read %g/s where 15 read 43/s: %q, want saturated %t", c.consume, s.why, c.saturated)
		}
	}
}
