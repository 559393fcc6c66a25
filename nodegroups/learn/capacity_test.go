package learn_test

import (
	"encoding/json"
	"testing"
	"time"

	"swell/nodegroups"
	"swell/nodegroups/learn"
)

func spotGroup(name, zone string, types ...string) nodegroups.Group {
	return nodegroups.Group{Name: name, Zone: zone, Market: nodegroups.Spot, InstanceTypes: types, Image: "ami-1"}
}

func failure(g nodegroups.Group, class nodegroups.FailureClass) nodegroups.Unavailable {
	return nodegroups.Unavailable{Group: g.Name, Zone: g.Zone, Types: g.InstanceTypes, Market: g.Market, Class: class, Reason: "in words"}
}

func names(list []nodegroups.Unavailable) (out string) {
	for _, u := range list {
		out += u.Group + " "
	}
	return out
}

// Back-off is by (zone, type, market): a second group of the same offer is not asked either, one with another type is.
// ka#4438
func TestTheSameGroupIsNotRetriedEndlessly(t *testing.T) {
	a, same, wider, elsewhere := spotGroup("a", "z1", "m7g.large"), spotGroup("b", "z1", "m7g.large"), spotGroup("c", "z1", "m7g.large", "c7g.large"), spotGroup("d", "z2", "m7g.large")
	groups := []nodegroups.Group{a, same, wider, elsewhere}
	c := learn.NewCapacity()
	now, last := noon, time.Duration(0)
	for try := range 8 {
		c.Failed(now, failure(a, nodegroups.NoCapacity))
		c.Failed(now, failure(a, nodegroups.NoCapacity)) // the same plan's second call
		got := c.Unavailable(now, groups)
		if names(got) != "a b " {
			t.Fatalf("unavailable are %s: want a and b alone", names(got))
		}
		wait := got[0].Until.Sub(now)
		if try > 0 && wait != min(2*last, time.Hour) {
			t.Fatalf("try %d waits %v after %v: want twice as long, at most an hour", try, wait, last)
		}
		now, last = got[0].Until, wait
		if len(c.Unavailable(now, groups)) > 0 {
			t.Fatal("it is unavailable after its time")
		}
	}
	c.Succeeded("a", "z1", "m7g.large", nodegroups.Spot)
	c.Failed(now, failure(a, nodegroups.NoCapacity))
	if wait := c.Unavailable(now, groups)[0].Until.Sub(now); wait != 3*time.Minute {
		t.Errorf("waits %v after a success: want the first wait", wait)
	}
}

// any failed activity read as insufficient capacity: only capacity codes mark capacity.
func TestOtherFailuresMarkNoCapacity(t *testing.T) {
	a, same := spotGroup("a", "z1", "m7g.large"), spotGroup("b", "z1", "m7g.large")
	for _, class := range []nodegroups.FailureClass{nodegroups.LimitReached, nodegroups.NotAllowed, nodegroups.BadTemplate, nodegroups.NoAddresses, nodegroups.Unclassified} {
		c := learn.NewCapacity()
		c.Failed(noon, failure(a, class))
		if got := c.Unavailable(noon, []nodegroups.Group{a, same}); names(got) != "a " || got[0].Class != class {
			t.Errorf("%s: unavailable are %+v: want a alone", class, got)
		}
	}
}

// throttling treated as group back-off: it slows, and marks nothing.
func TestThrottlingMarksNoGroup(t *testing.T) {
	c, a := learn.NewCapacity(), spotGroup("a", "z1", "m7g.large")
	c.Failed(noon, failure(a, nodegroups.Throttled))
	if got := c.Unavailable(noon, []nodegroups.Group{a}); len(got) != 0 {
		t.Errorf("unavailable are %v", got)
	}
}

func TestCapacityMemoryMovesToAnotherProcess(t *testing.T) {
	a, broken := spotGroup("a", "z1", "m7g.large"), spotGroup("x", "z1", "r7g.large")
	groups := []nodegroups.Group{a, broken}
	c, next := learn.NewCapacity(), learn.NewCapacity()
	c.Failed(noon, failure(a, nodegroups.NoCapacity))
	for range 3 {
		c.NeverJoined(noon, noon, "x", "ami-1")
	}
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Merge(noon, raw); err != nil {
		t.Fatal(err)
	}
	was, is := c.Unavailable(noon, groups), next.Unavailable(noon, groups)
	if names(is) != "a x " || !is[0].Until.Equal(was[0].Until) || is[1].Reason != was[1].Reason {
		t.Errorf("the next has %+v: want %+v", is, was)
	}
	long := learn.NewCapacity()
	if err := long.Merge(noon.Add(48*time.Hour), raw); err != nil || len(long.Unavailable(noon, groups)) != 1 {
		t.Errorf("%v, %v: marks of two days ago are out of date", err, long.Unavailable(noon, groups))
	}
	if next.Merge(noon, []byte("{")) == nil {
		t.Error("half a record was taken")
	}
}

// A group that one reading does not show may come back with the next.
func TestWhatDidNotJoinIsKnownWhileItsGroupCannotBeRead(t *testing.T) {
	c, g := learn.NewCapacity(), spotGroup("x", "z1", "r7g.large")
	for range 3 {
		c.NeverJoined(noon, noon, "x", "ami-1")
	}
	c.Forget(noon.Add(time.Minute), nil)
	if got := c.Unavailable(noon.Add(time.Minute), []nodegroups.Group{g}); len(got) != 1 {
		t.Errorf("%+v: want it frozen still", got)
	}
	c.Forget(noon.Add(24*time.Hour), nil)
	if got := c.Unavailable(noon.Add(time.Minute), []nodegroups.Group{g}); len(got) != 0 {
		t.Errorf("%+v a day after it was last seen", got)
	}
}

// A broken launch template made healthy capacity shrink: a group whose new instances do not join is not bought from.
// ka#6795
func TestAGroupWhoseInstancesDoNotJoinIsFrozen(t *testing.T) {
	c, g := learn.NewCapacity(), spotGroup("x", "z1", "r7g.large")
	groups := []nodegroups.Group{g}
	fail := func(at time.Time, n int) {
		for range n {
			c.NeverJoined(at, at, "x", "ami-1")
		}
	}
	fail(noon, 2)
	c.Joined(noon.Add(time.Second), "x", "ami-1")
	fail(noon, 2)
	c.Joined(noon.Add(time.Second), "x", "ami-0") // of another image
	c.Joined(noon.Add(-time.Hour), "x", "ami-1")  // before those that did not
	if got := c.Unavailable(noon, groups); len(got) != 0 {
		t.Fatalf("%v after two in a row", got)
	}
	fail(noon, 1)
	got := c.Unavailable(noon, groups)
	if len(got) != 1 || got[0].Class != nodegroups.BadTemplate || got[0].Until.Sub(noon) != 30*time.Minute {
		t.Fatalf("%+v: want it frozen for 30m", got)
	}
	later := got[0].Until
	fail(later, 1)
	if got := c.Unavailable(later, groups); len(got) != 1 || got[0].Until.Sub(later) != time.Hour {
		t.Errorf("%+v: want twice as long after the next", got)
	}
	g.Image = "ami-2"
	if got := c.Unavailable(later, []nodegroups.Group{g}); len(got) != 0 {
		t.Errorf("%v: another image is to be tried", got)
	}
}
