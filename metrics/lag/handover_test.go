package lag

import (
	"strings"
	"testing"
	"time"
)

// saturated is a group whose 8 pods read no more from their backlog than 4 did, what its leader knows of it, and its options.
func saturated(t *testing.T) (*group, *database, *Tracker, Known, Options) {
	t.Helper()
	o := options()
	o.PerPod, o.DrainTarget = 48, 5*time.Minute
	tr, g, db := tracker(t, o), &group{at: start, end: 4000}, &database{perPod: 48, takes: 192}
	e := db.drain(tr, g, minuteOf(4), 30)
	if e.Replicas != 8 || e.Saturated == "" || e.SaturatedFrom.Pods != 4 || !near(e.SaturatedFrom.Consume, 192) {
		t.Fatalf("8 pods that read no more than 4: asked for %d, saturated %q from %+v", e.Replicas, e.Saturated, e.SaturatedFrom)
	}
	g.end += 10000 // a flood that alone would ask for every partition's pod
	return g, db, tr, Known{Replicas: e.Replicas, PerPod: e.PerPod, Saturated: e.SaturatedFrom}, o
}

func TestARestartStaysSaturated(t *testing.T) {
	g, db, _, known, o := saturated(t)
	tr := tracker(t, o)
	tr.Resume(known)
	ready := minuteOf(8)
	for i := range 40 {
		e := db.drain(tr, g, ready, 1)
		if e.Unknown == "" && (e.Replicas != 8 || e.Saturated == "" || !strings.Contains(e.Why, "held at 8: more pods stopped helping")) {
			t.Fatalf("%d polls after a restart %d pods, want the 8 of before: %s", i+1, e.Replicas, e.Why)
		}
		if e.PerPod != known.PerPod {
			t.Fatalf("μ was learned from a saturated database: %g, before %g", e.PerPod, known.PerPod)
		}
	}
	db.takes = 1000
	if e := db.drain(tr, g, ready, 30); e.Replicas != 24 || e.Saturated != "" {
		t.Errorf("when the database is well again: %d pods, saturated %q; want 24", e.Replicas, e.Saturated)
	}
	tr = tracker(t, o)
	tr.Resume(known)
	g.commit = g.end
	for range 4 {
		g.step(0, 0)
		if e := tr.Observe(g.at, g.readings(), Members{Pods: Pods{Ready: 8}}); e.Unknown == "" && e.Saturated != "" {
			t.Errorf("without a backlog after a restart: %q", e.Saturated)
		}
	}
}

// A follower that sees it otherwise, as its polls fall elsewhere or it did not see the drain's beginning, serves what the leader asks for.
func TestFollowersStayWithASaturatedLeader(t *testing.T) {
	g, db, leader, known, o := saturated(t)
	fresh, high := tracker(t, o), tracker(t, o)
	high.Resume(Known{Replicas: 24})
	pods := Members{Pods: Pods{Ready: 8}}
	var last Estimate
	for i := range 40 {
		g.step(10, int64(db.takes*5/24))
		e := leader.Observe(g.at, g.readings(), pods)
		for name, f := range map[string]*Tracker{"fresh": fresh, "one at 24": high} {
			f.Follow(known)
			if last = f.Observe(g.at, g.readings(), pods); last.Unknown == "" && (last.Replicas != e.Replicas || last.Saturated == "") {
				t.Fatalf("%s, poll %d: %d replicas, the leader's are %d: %s", name, i, last.Replicas, e.Replicas, last.Why)
			}
		}
		// What the follower makes of noise is not what the leader makes of it.
		known.Saturated.Consume = []float64{100, 192}[i/20]
	}
	// No word from the leader for a while, then the lease.
	fresh.Follow(Known{})
	g.step(10, int64(db.takes*5/24))
	if e := fresh.Observe(g.at, g.readings(), pods); e.Replicas != 8 {
		t.Errorf("%d replicas when the leader's word is old: %s", e.Replicas, e.Why)
	}
	high.Lead()
	g.step(10, int64(db.takes*5/24))
	if e := high.Observe(g.at, g.readings(), pods); e.Replicas != 8 || e.Saturated == "" {
		t.Errorf("%d replicas as the leader, %q: %s", e.Replicas, e.Saturated, e.Why)
	}
}

func TestFollowersLetGoWithTheLeader(t *testing.T) {
	g, db, _, known, o := saturated(t)
	tr := tracker(t, o)
	pods := Members{Pods: Pods{Ready: 8}}
	for range 5 {
		g.step(10, int64(db.takes*5/24))
		tr.Follow(known)
		tr.Observe(g.at, g.readings(), pods)
	}
	g.step(10, int64(db.takes*5/24))
	tr.Follow(Known{Replicas: 8, PerPod: known.PerPod}) // its next poll will ask for more
	if e := tr.Observe(g.at, g.readings(), pods); e.Replicas != 24 || e.Saturated != "" {
		t.Errorf("%d replicas, saturated %q, after the leader's condition is gone; want the 24 of its own count", e.Replicas, e.Saturated)
	}
}
