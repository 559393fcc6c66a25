package learned_test

import (
	"testing"
	"time"

	"swell/nodegroups"
	"swell/scaler/plan"
)

// What a group fails of by itself is told in every reading and counts once; a later failure counts again.
func TestALaunchThatAGroupFailedOfByItselfMakesItUnavailableOnce(t *testing.T) {
	now := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	g := nodegroups.Group{Name: "spot", Zone: "1a", Market: nodegroups.Spot, InstanceTypes: []string{"m6i.xlarge"},
		Failed: []nodegroups.LaunchFailure{{Code: "InsufficientInstanceCapacity", Message: "none", Class: nodegroups.NoCapacity, At: now.Add(-time.Minute)}}}
	l := knownNothing(t)
	l.Observe(now, &plan.Snapshot{Groups: []nodegroups.Group{g}})
	got := l.Capacity.Unavailable(now, []nodegroups.Group{g})
	if len(got) != 1 || got[0].Class != nodegroups.NoCapacity || got[0].Reason != "InsufficientInstanceCapacity: none" {
		t.Fatalf("%+v", got)
	}
	over := got[0].Until
	l.Observe(over, &plan.Snapshot{Groups: []nodegroups.Group{g}})
	if got := l.Capacity.Unavailable(over, []nodegroups.Group{g}); len(got) != 0 {
		t.Errorf("the same failure counts twice: %+v", got)
	}
	g.Failed = append([]nodegroups.LaunchFailure{{Code: "InsufficientInstanceCapacity", Class: nodegroups.NoCapacity, At: over}}, g.Failed...)
	l.Observe(over, &plan.Snapshot{Groups: []nodegroups.Group{g}})
	if got := l.Capacity.Unavailable(over, []nodegroups.Group{g}); len(got) != 1 || got[0].Until.Sub(over) != 2*over.Sub(now) {
		t.Errorf("a later failure does not double the wait of %s: %+v", over.Sub(now), got)
	}
}

// A failure of one type in one zone is held against no other.
func TestALaunchThatAGroupFailedOfIsHeldAgainstWhatItNames(t *testing.T) {
	now := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	types := []string{"m6i.xlarge", "m7i.xlarge"}
	for name, c := range map[string]struct {
		kind, zone string
		in         map[string]bool // by zone, whether the first type alone is refused there
	}{
		"type":          {"m6i.xlarge", "", map[string]bool{"1a": true, "1c": false}},
		"type and zone": {"m6i.xlarge", "1c", map[string]bool{"1a": false, "1c": true}},
	} {
		g := nodegroups.Group{Name: "spot", Zone: "1a", Market: nodegroups.Spot, InstanceTypes: types,
			Failed: []nodegroups.LaunchFailure{{Class: nodegroups.NoCapacity, Type: c.kind, Zone: c.zone, At: now}}}
		l := knownNothing(t)
		l.Observe(now, &plan.Snapshot{Groups: []nodegroups.Group{g}})
		for zone, want := range c.in {
			for i, kind := range types {
				other := nodegroups.Group{Name: "other", Zone: zone, Market: nodegroups.Spot, InstanceTypes: []string{kind}}
				if got := len(l.Capacity.Unavailable(now, []nodegroups.Group{other})); got > 0 != (want && i == 0) {
					t.Errorf("%s: %d refusals of %s in %s", name, got, kind, zone)
				}
			}
		}
	}
}
