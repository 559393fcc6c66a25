// Package shadow keeps the books of pools that only observe: what would have been launched and returned, once each for as
// long as its need lasts, beside what really came.
package shadow

import (
	"cmp"
	"slices"
	"time"

	"swell/nodegroups"
	"swell/scaler/plan"
)

const (
	// lapse is how long a need may be gone and still be the same when it is back: an imagined launch never comes, so that
	// every plan asks for it again, and a plan in between may see pods placed that are not.
	lapse = time.Minute
	// newWithin is how old an instance may be that was launched while the books were kept, not before.
	newWithin = 5 * time.Minute
)

// EventKind says what happened.
type EventKind string

const (
	WouldLaunch EventKind = "would-launch"
	WouldReturn EventKind = "would-return"
	NodeCame    EventKind = "node-came"
)

// Event is one, for the ledger.
type Event struct {
	Kind   EventKind
	Group  nodegroups.Group
	Count  int
	Object string // of a return or a node that came: the instance
	Node   string // of a return
	At     time.Time
	Reason string
}

// Count is one group's at a time.
type Count struct {
	Group                  nodegroups.Group
	Real, Wanted, Unneeded int
}

// need is what a pool lacks in one zone: groups of a zone are each other's substitutes, and a plan may choose another each time.
type need struct{ pool, zone string }

// Books are the memory between two plans. The zero value has seen nothing.
type Books struct {
	// wanted by need is what was noted as launched, with when so many, and when any, were last wanted.
	wanted map[need]wanted
	// unneeded instances, with when each was last one.
	unneeded map[string]time.Time
	seen     map[string]bool // instances; nil before the first plan
}

type wanted struct {
	count   int
	at, any time.Time
}

// Take takes one plan in: its groups and what was suppressed in pools that observe. It gives what is new, and the counts of
// the groups of these pools, by name.
func (b *Books) Take(now time.Time, groups []nodegroups.Group, suppressed []plan.Suppressed, observes func(pool string) bool) ([]Event, []Count) {
	if b.wanted == nil {
		b.wanted, b.unneeded = map[need]wanted{}, map[string]time.Time{}
	}
	counts := map[string]*Count{}
	for _, g := range groups {
		if observes(g.Pool) {
			counts[g.Name] = &Count{Group: g, Real: g.Alive()}
		}
	}
	var events []Event
	launches := map[need][]plan.Launch{}
	for _, s := range suppressed {
		switch {
		case s.Launch != nil && counts[s.Launch.Group] != nil:
			l := *s.Launch
			counts[l.Group].Wanted += l.Count
			k := need{l.Pool, l.Zone}
			launches[k] = append(launches[k], l)
		case s.Termination != nil && counts[s.Termination.Group] != nil:
			t := *s.Termination
			counts[t.Group].Unneeded++
			if at, known := b.unneeded[t.InstanceID]; !known || now.Sub(at) > lapse {
				events = append(events, Event{Kind: WouldReturn, Group: counts[t.Group].Group, Count: 1, Object: t.InstanceID, Node: t.Node, At: now, Reason: t.Reason})
			}
			b.unneeded[t.InstanceID] = now
		}
	}
	events = append(events, b.launches(now, launches, counts)...)
	events = append(events, b.came(now, counts)...)
	slices.SortFunc(events, func(x, y Event) int {
		return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Group.Name, y.Group.Name), cmp.Compare(x.Object, y.Object))
	})
	var list []Count
	for _, c := range counts {
		list = append(list, *c)
	}
	slices.SortFunc(list, func(x, y Count) int { return cmp.Compare(x.Group.Name, y.Group.Name) })
	return events, list
}

// launches are what a need grew by since it was noted.
func (b *Books) launches(now time.Time, launches map[need][]plan.Launch, counts map[string]*Count) []Event {
	var events []Event
	for k, all := range launches {
		total := 0
		for _, l := range all {
			total += l.Count
		}
		was := b.wanted[k]
		switch {
		case now.Sub(was.any) > lapse:
			was.count = 0
		case now.Sub(was.at) > lapse:
			was.count = min(was.count, total) // a part of it was met
		}
		more := total - was.count
		slices.SortFunc(all, func(x, y plan.Launch) int { return cmp.Compare(x.Group, y.Group) })
		for _, l := range all {
			if n := min(more, l.Count); n > 0 {
				more -= n
				events = append(events, Event{Kind: WouldLaunch, Group: counts[l.Group].Group, Count: n, At: now, Reason: l.Reason})
			}
		}
		if was.any = now; total >= was.count {
			was.count, was.at = total, now
		}
		b.wanted[k] = was
	}
	for k, w := range b.wanted {
		if now.Sub(w.any) > lapse {
			delete(b.wanted, k)
		}
	}
	return events
}

// came are instances that were not there before.
func (b *Books) came(now time.Time, counts map[string]*Count) []Event {
	var events []Event
	first, seen := b.seen == nil, map[string]bool{}
	for _, c := range counts {
		for _, in := range c.Group.Instances {
			seen[in.ID] = true
			if !first && !b.seen[in.ID] && now.Sub(in.LaunchedAt) < newWithin {
				events = append(events, Event{Kind: NodeCame, Group: c.Group, Count: 1, Object: in.ID, At: in.LaunchedAt})
			}
		}
	}
	b.seen = seen
	for id := range b.unneeded {
		if !seen[id] {
			delete(b.unneeded, id)
		}
	}
	return events
}
