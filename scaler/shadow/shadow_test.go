package shadow

import (
	"testing"
	"time"

	"swell/nodegroups"
	"swell/scaler/plan"
)

var t0 = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func group(name string, ids ...string) nodegroups.Group {
	g := nodegroups.Group{Name: name, Pool: "general", Zone: "a", Market: nodegroups.Spot, HourlyPrice: 0.35}
	for _, id := range ids {
		g.Instances = append(g.Instances, nodegroups.Instance{ID: id, Lifecycle: nodegroups.InService, LaunchedAt: t0.Add(time.Minute)})
	}
	return g
}

func launch(group string, n int) plan.Suppressed {
	return plan.Suppressed{Launch: &plan.Launch{Group: group, Pool: "general", Zone: "a", Count: n}}
}

func all(string) bool { return true }

func kinds(events []Event) map[EventKind]int {
	n := map[EventKind]int{}
	for _, e := range events {
		n[e.Kind] += e.Count
	}
	return n
}

// What is imagined never comes, so that every plan asks for it again, in another group maybe.
func TestAnImaginedLaunchIsCountedOnceWhileItsNeedLasts(t *testing.T) {
	var b Books
	groups := []nodegroups.Group{group("x"), group("y")}
	for i, step := range []struct {
		after time.Duration
		plan  []plan.Suppressed
		want  int
	}{
		{0, []plan.Suppressed{launch("x", 3)}, 3},
		{10 * time.Second, []plan.Suppressed{launch("x", 3)}, 0},
		{20 * time.Second, []plan.Suppressed{launch("x", 1), launch("y", 2)}, 0}, // other groups of the zone
		{30 * time.Second, nil, 0},
		{40 * time.Second, []plan.Suppressed{launch("y", 3)}, 0},
		{50 * time.Second, []plan.Suppressed{launch("y", 5)}, 2},
		{4 * time.Minute, []plan.Suppressed{launch("y", 2)}, 2}, // a new need
	} {
		events, _ := b.Take(t0.Add(step.after), groups, step.plan, all)
		if got := kinds(events)[WouldLaunch]; got != step.want {
			t.Errorf("step %d: %d imagined launches, want %d", i, got, step.want)
		}
	}
}

// Nodes that come take a part of a need away; what is left of it is no new one.
func TestWhatIsLeftOfANeedIsNotCountedAgain(t *testing.T) {
	var b Books
	n := 0
	for i := range 60 {
		wanted := 4
		if i >= 12 {
			wanted = 2
		}
		if i >= 40 {
			wanted = 3 // one more
		}
		events, _ := b.Take(t0.Add(time.Duration(i)*10*time.Second), []nodegroups.Group{group("x")}, []plan.Suppressed{launch("x", wanted)}, all)
		n += kinds(events)[WouldLaunch]
	}
	if n != 5 {
		t.Errorf("%d launches were noted, want four and one", n)
	}
}

func TestNodesOfAnotherScalerAreNotedOnce(t *testing.T) {
	var b Books
	n := 0
	for i, ids := range [][]string{{"i-1"}, {"i-1", "i-2"}, {"i-1", "i-2"}} {
		events, counts := b.Take(t0.Add(time.Duration(i+1)*time.Minute), []nodegroups.Group{group("x", ids...)}, nil, all)
		n += kinds(events)[NodeCame]
		if counts[0].Real != len(ids) {
			t.Errorf("%+v", counts)
		}
	}
	if n != 1 {
		t.Errorf("%d nodes came, want the one that was not there at first", n)
	}
}

func TestAnUnneededNodeIsNotedOnce(t *testing.T) {
	var b Books
	n := 0
	for i := range 20 {
		events, _ := b.Take(t0.Add(time.Duration(i)*10*time.Second), []nodegroups.Group{group("x", "i-1")},
			[]plan.Suppressed{{Termination: &plan.Termination{Group: "x", Pool: "general", InstanceID: "i-1", Node: "node-1"}}}, all)
		n += kinds(events)[WouldReturn]
		if i == 0 && (len(events) != 1 || events[0].Node != "node-1" || events[0].Object != "i-1") {
			t.Errorf("%+v: want the node beside the instance", events)
		}
	}
	if n != 1 {
		t.Errorf("noted %d times", n)
	}
}
