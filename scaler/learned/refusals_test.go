package learned_test

import (
	"testing"
	"time"

	"swell/api/config"
	"swell/nodegroups"
	"swell/nodegroups/learn"
	"swell/scaler/learned"
)

// A reply with two m5 launched and no capacity of m6i.
func TestATypeThatWasJustLaunchedIsNotUnavailable(t *testing.T) {
	for name, types := range map[string][]string{"the type is told": {"m6i.4xlarge"}, "it is not": nil, "it is no type of the group's": {"(null)"}} {
		l, groups := knownNothing(t), mixedAndItsTypes()
		now := time.Now()
		l.Launched(now, groups,
			map[string][]nodegroups.Instance{"mixed": {{ID: "i-1", Zone: "a", Type: "m5.4xlarge"}, {ID: "i-2", Zone: "a", Type: "m5.4xlarge"}}},
			[]nodegroups.Unavailable{{Group: "mixed", Zone: "a", Types: types, Class: nodegroups.NoCapacity, Reason: "InsufficientInstanceCapacity"}})
		got := l.Capacity.Unavailable(now, groups)
		if len(got) != 1 || got[0].Group != "m6i" {
			t.Errorf("%s: unavailable are %+v, want only the group of the type that was refused", name, got)
		}
	}
}

func TestAllTypesThatWereRefusedAreUnavailable(t *testing.T) {
	l, groups := knownNothing(t), mixedAndItsTypes()
	now := time.Now()
	l.Launched(now, groups, nil, []nodegroups.Unavailable{{Group: "mixed", Zone: "a", Class: nodegroups.NoCapacity, Reason: "UnfulfillableCapacity"}})
	if got := l.Capacity.Unavailable(now, groups); len(got) != 3 {
		t.Errorf("unavailable are %+v, want all", got)
	}
}

// One of two was had, and then no more: the type is out.
func TestATypeThatRanOutIsUnavailableThoughSomeWereLaunched(t *testing.T) {
	l, groups := knownNothing(t), mixedAndItsTypes()
	now := time.Now()
	l.Launched(now, groups,
		map[string][]nodegroups.Instance{"m5": {{ID: "i-1", Zone: "a", Type: "m5.4xlarge"}}},
		[]nodegroups.Unavailable{{Group: "m5", Zone: "a", Class: nodegroups.NoCapacity, Reason: "InsufficientInstanceCapacity"}})
	if got := l.Capacity.Unavailable(now, groups); len(got) != 1 || got[0].Group != "m5" {
		t.Errorf("unavailable are %+v, want m5", got)
	}
}

// A successor must not read that an offer is out which has been had since.
func TestWhatALaunchMadeAvailableAgainIsNews(t *testing.T) {
	l, groups := knownNothing(t), mixedAndItsTypes()
	now := time.Now()
	launched := map[string][]nodegroups.Instance{"m5": {{ID: "i-1", Zone: "a", Type: "m5.4xlarge"}}}
	if l.Launched(now, groups, launched, nil) {
		t.Error("a launch of what was available is kept for a successor")
	}
	l.Launched(now, groups, nil, []nodegroups.Unavailable{{Group: "m5", Zone: "a", Class: nodegroups.NoCapacity, Reason: "InsufficientInstanceCapacity"}})
	if !l.Launched(now, groups, launched, nil) {
		t.Error("that the offer is to be had again is not kept for a successor")
	}
}

// mixedAndItsTypes are a group of two types and one of each of them.
func mixedAndItsTypes() []nodegroups.Group {
	return []nodegroups.Group{
		{Name: "m5", Pool: "general", Zone: "a", Market: nodegroups.Spot, InstanceTypes: []string{"m5.4xlarge"}},
		{Name: "m6i", Pool: "general", Zone: "a", Market: nodegroups.Spot, InstanceTypes: []string{"m6i.4xlarge"}},
		{Name: "mixed", Pool: "general", Zone: "a", Market: nodegroups.Spot, InstanceTypes: []string{"m6i.4xlarge", "m5.4xlarge"}},
	}
}

func knownNothing(t *testing.T) *learned.Instances {
	t.Helper()
	l, err := learned.New(learn.Prior{}, config.Clock{}.At)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
