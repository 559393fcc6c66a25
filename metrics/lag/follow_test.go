package lag

import (
	"testing"
	"time"
)

func TestFollowerStaysWithTheLeader(t *testing.T) {
	o := options()
	tr, g := tracker(t, o), &group{at: start, end: 10000}
	pods := Members{Pods: Pods{Ready: 12}}
	for i := range 40 { // 240000 messages, read at 24 a pod
		g.step(0, 60)
		tr.Follow(Known{Replicas: 12, PerPod: 20})
		e := tr.Observe(g.at, g.readings(), pods)
		if e.PerPod != 20 {
			t.Fatalf("after %d polls μ is %g, the leader's 20", i, e.PerPod)
		}
		if e.Unknown == "" && (!e.Draining || e.Replicas < 12) {
			t.Fatalf("%d replicas while the leader's are 12: %s", e.Replicas, e.Why)
		}
	}
	g.commit = g.end - 150 // 3600 messages alone would be 3 pods
	for range 3 {
		g.step(0, 0)
		tr.Follow(Known{Replicas: 12, PerPod: 20})
		if e := tr.Observe(g.at, g.readings(), pods); !e.Draining || e.Replicas < 12 {
			t.Fatalf("%d replicas while the leader's are 12: %s", e.Replicas, e.Why)
		}
	}
	late := tracker(t, o) // a replica that was started in the middle of it
	for range 4 {
		g.step(0, 0)
		late.Follow(Known{Replicas: 12, PerPod: 20})
		if e := late.Observe(g.at, g.readings(), pods); e.Unknown == "" && e.Replicas != 12 {
			t.Fatalf("%d replicas while the leader's are 12: %s", e.Replicas, e.Why)
		}
	}
	g.commit = g.end
	var e Estimate
	for range 8 {
		g.step(10, 10)
		tr.Follow(Known{Replicas: 4, PerPod: 20})
		e = tr.Observe(g.at, g.readings(), pods)
	}
	// 48/s are 3.2 pods of 20/s: 4, as the leader has it.
	if e.Draining || e.Replicas != 4 {
		t.Errorf("%d replicas, the leader's 4: %s", e.Replicas, e.Why)
	}
	tr.Follow(Known{Replicas: 3, PerPod: 20}) // 3.2 is on the edge
	if e = tr.Observe(g.at, g.readings(), pods); e.Replicas != 3 {
		t.Errorf("%d replicas, the leader's 3: %s", e.Replicas, e.Why)
	}
	tr.Follow(Known{Replicas: 2, PerPod: 20})
	if e = tr.Observe(g.at, g.readings(), pods); e.Replicas != 4 {
		t.Errorf("%d replicas for what clearly needs 4, the leader asked for 2 a while ago: %s", e.Replicas, e.Why)
	}
}

func TestNewLeaderLearnsFromWhereTheOldOneWas(t *testing.T) {
	tr, g := tracker(t, options()), &group{at: start, end: 1000000}
	pods := Members{Pods: Pods{Ready: 12}}
	tr.Follow(Known{Replicas: 12, PerPod: 20})
	tr.Observe(g.at, g.readings(), pods)
	tr.Lead()
	tr.Lead()
	g.step(0, 75)
	e := tr.Observe(g.at, g.readings(), pods)
	if e.PerPod <= 10 || e.PerPod > 20 {
		t.Errorf("μ is %g, want between the declared 10 and the old leader's 20", e.PerPod)
	}
	for range 100 {
		g.step(0, 75) // 30 a pod
		e = tr.Observe(g.at, g.readings(), pods)
	}
	if e.PerPod < 27 {
		t.Errorf("after %s of 30/s a pod μ is %g", 500*time.Second, e.PerPod)
	}
}

func TestFollowerLearnsNothingItself(t *testing.T) {
	tr, g := tracker(t, options()), &group{at: start, end: 1000000}
	pods := Members{Pods: Pods{Ready: 12}}
	for range 40 {
		tr.Follow(Known{Replicas: 12}) // a leader whose μ is not known
		g.step(0, 75)
		tr.Observe(g.at, g.readings(), pods)
	}
	tr.Lead()
	if got := tr.perPod(); got != 10 {
		t.Errorf("μ is %g, declared 10", got)
	}
}

func TestFollowerOfADeclaredRateUsesItsOwn(t *testing.T) {
	o := options()
	o.Learn = false
	tr, g := tracker(t, o), &group{at: start}
	tr.Follow(Known{Replicas: 3, PerPod: 77})
	if e := tr.Observe(g.at, g.readings(), Members{}); e.PerPod != 10 {
		t.Errorf("μ is %g, declared 10", e.PerPod)
	}
}

// What was learned is handed on as it is: drawn towards the declared μ a second time, it would lose half of what was learned.
func TestLearnedRateSurvivesAHandOver(t *testing.T) {
	o := options()
	resumed, led := tracker(t, o), tracker(t, o)
	resumed.Resume(Known{PerPod: 3 * o.PerPod})
	led.Follow(Known{Replicas: 4, PerPod: 3 * o.PerPod})
	led.Lead()
	g := &group{at: start}
	for name, tr := range map[string]*Tracker{"resumed": resumed, "led": led} {
		if e := tr.Observe(g.at, g.readings(), Members{}); e.PerPod != 3*o.PerPod {
			t.Errorf("%s: μ is %g, %g was learned", name, e.PerPod, 3*o.PerPod)
		}
	}
	o.PerPod *= 2
	if err := resumed.SetOptions(o); err != nil {
		t.Fatal(err)
	}
	g.step(0, 0)
	if e := resumed.Observe(g.at, g.readings(), Members{}); e.PerPod != o.PerPod {
		t.Errorf("μ is %g after another was declared, want %g", e.PerPod, o.PerPod)
	}
}
