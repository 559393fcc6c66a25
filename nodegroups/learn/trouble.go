package learn

import (
	"slices"
	"time"

	"swell/nodegroups"
)

// troubleLasts is how long a failure or an interruption counts.
const troubleLasts = time.Hour

// mostTrouble bounds what is kept of one offer: more makes no difference to where is bought.
const mostTrouble = 100

// Trouble counts the launches that found no capacity and the interruptions of the last hour, by zone, type and market. Unlike a
// mark of Capacity it forbids nothing. The zero value has seen none; it is not safe for concurrent use.
type Trouble struct {
	failures, interruptions map[scope][]time.Time
}

// Failed notes a launch that was refused at now; other refusals than for capacity are no matter of the offer.
func (t *Trouble) Failed(now time.Time, u nodegroups.Unavailable) {
	if u.Class != nodegroups.NoCapacity {
		return
	}
	for _, s := range scopes(u) {
		add(&t.failures, s, now)
	}
}

// Interrupted notes an instance that was taken back, or is about to be.
func (t *Trouble) Interrupted(now time.Time, zone, instanceType string, market nodegroups.Market) {
	add(&t.interruptions, scope{Zone: zone, Type: instanceType, Market: market}, now)
}

// Fill sets RecentFailures and RecentInterruptions of groups: the mean over a group's types, rounded up.
func (t *Trouble) Fill(now time.Time, groups []nodegroups.Group) {
	for _, seen := range []map[scope][]time.Time{t.failures, t.interruptions} {
		for s, at := range seen {
			seen[s] = slices.DeleteFunc(at, func(a time.Time) bool { return now.Sub(a) > troubleLasts })
			if len(seen[s]) == 0 {
				delete(seen, s)
			}
		}
	}
	for i := range groups {
		g := &groups[i]
		g.RecentFailures, g.RecentInterruptions = mean(t.failures, *g), mean(t.interruptions, *g)
	}
}

func add(seen *map[scope][]time.Time, s scope, now time.Time) {
	if *seen == nil {
		*seen = map[scope][]time.Time{}
	}
	list := append((*seen)[s], now)
	(*seen)[s] = list[max(0, len(list)-mostTrouble):]
}

func mean(seen map[scope][]time.Time, g nodegroups.Group) int {
	if len(g.InstanceTypes) == 0 {
		return 0
	}
	n := 0
	for _, t := range g.InstanceTypes {
		n += len(seen[scope{Zone: g.Zone, Type: t, Market: g.Market}])
	}
	return (n + len(g.InstanceTypes) - 1) / len(g.InstanceTypes)
}
