package scaler

import (
	"context"
	"testing"
	"time"

	"swell/nodegroups"
	"swell/nodegroups/learn"
	"swell/scaler/act"
	"swell/scaler/observe"
)

// A reply with two m5 launched and no capacity of m6i.
func TestATypeThatWasJustLaunchedIsNotUnavailable(t *testing.T) {
	for name, types := range map[string][]string{"the type is told": {"m6i.4xlarge"}, "it is not": nil, "it is no type of the group's": {"(null)"}} {
		l, groups := mixedAndItsTypes(t)
		now := time.Now()
		l.noteCapacity(now, act.Outcome{
			Launched:    map[string][]nodegroups.Instance{"mixed": {{ID: "i-1", Zone: "a", Type: "m5.4xlarge"}, {ID: "i-2", Zone: "a", Type: "m5.4xlarge"}}},
			Unavailable: []nodegroups.Unavailable{{Group: "mixed", Zone: "a", Types: types, Class: nodegroups.NoCapacity, Reason: "InsufficientInstanceCapacity"}},
		})
		got := l.capacity.Unavailable(now, groups)
		if len(got) != 1 || got[0].Group != "m6i" {
			t.Errorf("%s: unavailable are %+v, want only the group of the type that was refused", name, got)
		}
	}
}

func TestAllTypesThatWereRefusedAreUnavailable(t *testing.T) {
	l, groups := mixedAndItsTypes(t)
	now := time.Now()
	l.noteCapacity(now, act.Outcome{Unavailable: []nodegroups.Unavailable{{Group: "mixed", Zone: "a", Class: nodegroups.NoCapacity, Reason: "UnfulfillableCapacity"}}})
	if got := l.capacity.Unavailable(now, groups); len(got) != 3 {
		t.Errorf("unavailable are %+v, want all", got)
	}
}

// One of two was had, and then no more: the type is out.
func TestATypeThatRanOutIsUnavailableThoughSomeWereLaunched(t *testing.T) {
	l, groups := mixedAndItsTypes(t)
	now := time.Now()
	l.noteCapacity(now, act.Outcome{
		Launched:    map[string][]nodegroups.Instance{"m5": {{ID: "i-1", Zone: "a", Type: "m5.4xlarge"}}},
		Unavailable: []nodegroups.Unavailable{{Group: "m5", Zone: "a", Class: nodegroups.NoCapacity, Reason: "InsufficientInstanceCapacity"}},
	})
	if got := l.capacity.Unavailable(now, groups); len(got) != 1 || got[0].Group != "m5" {
		t.Errorf("unavailable are %+v, want m5", got)
	}
}

// mixedAndItsTypes is a loop that knows a group of two types and one of each of them.
func mixedAndItsTypes(t *testing.T) (*Loop, []nodegroups.Group) {
	t.Helper()
	groups := []nodegroups.Group{
		{Name: "m5", Pool: "general", Zone: "a", Market: nodegroups.Spot, InstanceTypes: []string{"m5.4xlarge"}},
		{Name: "m6i", Pool: "general", Zone: "a", Market: nodegroups.Spot, InstanceTypes: []string{"m6i.4xlarge"}},
		{Name: "mixed", Pool: "general", Zone: "a", Market: nodegroups.Spot, InstanceTypes: []string{"m6i.4xlarge", "m5.4xlarge"}},
	}
	l := &Loop{capacity: learn.NewCapacity(), groups: observe.NewGroups(someGroups{groups: groups})}
	if err := l.groups.Read(t.Context(), time.Now(), map[string]nodegroups.Selection{"general": {}}); err != nil {
		t.Fatal(err)
	}
	return l, groups
}

type someGroups struct {
	Cloud
	groups []nodegroups.Group
}

func (c someGroups) Groups(context.Context, nodegroups.Selection) ([]nodegroups.Group, []string, error) {
	return c.groups, nil, nil
}
