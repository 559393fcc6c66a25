package lag

import (
	"strings"
	"testing"
	"time"
)

// steady is a group that reads what it gets, so many messages a partition and poll, with pods pods, for a minute.
func steady(t *testing.T, o Options, pods int, messages int64) (*Tracker, *group, Estimate) {
	t.Helper()
	tr, g := tracker(t, o), &group{at: start, end: 1000, commit: 1000}
	var e Estimate
	for range 12 {
		g.step(messages, messages)
		e = tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: pods}})
	}
	if e.Unknown != "" || e.Draining {
		t.Fatalf("not steady: %s %s", e.Unknown, e.Why)
	}
	return tr, g, e
}

func pauseOptions() Options {
	o := options()
	o.Learn = false
	return o
}

func TestRebalanceStormDoesNotScaleUp(t *testing.T) {
	tr, g, e := steady(t, pauseOptions(), 8, 10)
	before := e.Replicas
	since := g.at.Add(5 * time.Second)
	for i := range 60 { // five minutes in which nothing is read, and every third poll falls between two rebalances
		g.step(10, 0)
		e = tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: 8}, Rebalancing: i%3 != 2})
		if e.Replicas != before {
			t.Fatalf("after %d polls of a storm %d replicas, before %d: %s", i, e.Replicas, before, e.Why)
		}
	}
	if !e.Rebalancing || !strings.Contains(e.Why, "rebalancing since "+clock(since)) || !strings.Contains(e.Why, "held at") {
		t.Errorf("rebalancing %t: %s", e.Rebalancing, e.Why)
	}
	if strings.Contains(e.Why, "while the backlog drains") {
		t.Errorf("two reasons: %s", e.Why)
	}
	// When it ends, what it left, 14400 messages, is a backlog like any other.
	for range 8 {
		g.step(10, 10)
		e = tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: 8}})
	}
	if e.Rebalancing || e.Replicas != 24 {
		t.Errorf("after the storm %d replicas for a lag of %d, want 24: %s", e.Replicas, e.Lag, e.Why)
	}
}

// TestOneRebalanceDoesNotScaleUp stops a group for a poll that is on the edge of what 8 pods can do: 57.6/s are 7.7 pods, and
// the 288 messages that wait then would make them more than 8.
func TestOneRebalanceDoesNotScaleUp(t *testing.T) {
	for name, m := range map[string]Members{"reported": {Pods: Pods{Ready: 8}, Rebalancing: true}, "a pod more": {Pods: Pods{Ready: 9}},
		"a pod replaced": {Pods: Pods{Ready: 8, LastReady: start.Add(62 * time.Second)}}} {
		tr, g, e := steady(t, pauseOptions(), 8, 12)
		before, held := e.Replicas, false
		for i := range 24 {
			read := int64(12)
			if i < 1 {
				read = 0
			}
			g.step(12, read)
			e = tr.Observe(g.at, g.readings(), m)
			held = held || strings.Contains(e.Why, "held at")
			if m.Rebalancing = false; e.Replicas > before {
				t.Errorf("%s: %d replicas, before %d: %s", name, e.Replicas, before, e.Why)
				break
			}
			if i >= 1 && g.commit < g.end-1 {
				g.commit++ // the pods catch up slowly
			}
		}
		if !held {
			t.Errorf("%s: nothing was held: the test tells nothing", name)
		}
	}
}

func TestBacklogDuringARebalanceScalesFromNothing(t *testing.T) {
	tr, g := tracker(t, pauseOptions()), &group{at: start, end: 1000}
	var e Estimate
	for range 4 {
		g.step(0, 0)
		e = tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: 2}, Rebalancing: true})
	}
	if e.Replicas != 24 || e.Rebalancing {
		t.Errorf("a first backlog of %d: %d replicas: %s", e.Lag, e.Replicas, e.Why)
	}
	tr, g, e = steady(t, pauseOptions(), 8, 10)
	for range 60 {
		g.step(10, 0)
		e = tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: 0}, Rebalancing: true})
	}
	if e.Replicas != 24 || e.Rebalancing {
		t.Errorf("nobody reads a lag of %d: %d replicas: %s", e.Lag, e.Replicas, e.Why)
	}
}

func TestRolloutHoldsNoLongerThanT(t *testing.T) {
	tr, g, e := steady(t, pauseOptions(), 8, 10)
	before, held := e.Replicas, 0
	g.end += 2000 // a backlog of 48000
	for i := range 40 {
		g.step(10, 5)
		// Every poll, one pod goes or comes.
		e = tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: 9 - i%2}})
		if e.Replicas == before {
			held++
		}
	}
	if e.Replicas != 24 || held == 0 || held > 13 {
		t.Errorf("held for %d polls, then %d replicas; want at most T: %s", held, e.Replicas, e.Why)
	}
}

func TestNothingIsLearnedFromARebalance(t *testing.T) {
	tr, g := tracker(t, options()), &group{at: start, end: 100000}
	var e Estimate
	for i := range 120 {
		read := int64(20)
		if i%4 == 0 {
			read = 0
		}
		g.step(0, read)
		e = tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: 4}, Rebalancing: i%4 == 0})
	}
	if e.PerPod != 10 {
		t.Errorf("μ went from 10 to %g", e.PerPod)
	}
}
