package learn

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"swell/nodegroups"
)

// firstWait is how long capacity is left alone after its first failed launch. Throttling slows and never marks.
var firstWait = map[nodegroups.FailureClass]time.Duration{
	nodegroups.NoCapacity:   3 * time.Minute,
	nodegroups.NoAddresses:  5 * time.Minute,
	nodegroups.LimitReached: 10 * time.Minute,
	nodegroups.NotAllowed:   10 * time.Minute,
	nodegroups.BadTemplate:  10 * time.Minute,
	nodegroups.Unclassified: time.Minute,
}

// mostWait bounds the back-off of every class.
const mostWait = time.Hour

// FirstWait is how long what failed of a class is left alone at first; false is that such a failure marks nothing.
func FirstWait(class nodegroups.FailureClass) (time.Duration, bool) {
	d, marks := firstWait[class]
	return d, marks
}

// Capacity remembers what could not be launched: insufficient capacity by (zone, type, market), all else by group. Each
// failed try after a wait doubles it, up to an hour; a success clears it. It is not safe for concurrent use.
type Capacity struct {
	marks map[scope]mark
	joins map[string]joins // by group
}

// scope is what a mark is on: a group, or an offer of the service.
type scope struct {
	Group      string            `json:"group,omitempty"`
	Zone, Type string            `json:",omitempty"`
	Market     nodegroups.Market `json:",omitempty"`
}

type mark struct {
	Class    nodegroups.FailureClass
	Failures int
	Until    time.Time
	Reason   string
}

// NewCapacity remembers nothing yet.
func NewCapacity() *Capacity {
	return &Capacity{marks: map[scope]mark{}, joins: map[string]joins{}}
}

// scopes that a failure marks: for insufficient capacity the types that were refused in a zone, else the group.
func scopes(u nodegroups.Unavailable) []scope {
	if u.Class != nodegroups.NoCapacity || u.Zone == "" || len(u.Types) == 0 {
		return []scope{{Group: u.Group}}
	}
	var out []scope
	for _, t := range u.Types {
		out = append(out, scope{Zone: u.Zone, Type: t, Market: u.Market})
	}
	return out
}

// Failed notes a launch that was refused at now.
func (c *Capacity) Failed(now time.Time, u nodegroups.Unavailable) {
	wait, marks := firstWait[u.Class]
	if !marks {
		return
	}
	for _, s := range scopes(u) {
		m := c.marks[s]
		switch {
		case m.Failures > 0 && now.Before(m.Until) && m.Class == u.Class:
			continue // several calls of one plan fail together: that is one failure
		case m.Class != u.Class || now.Sub(m.Until) > mostWait: // long ago, or another matter
			m.Failures = 0
		}
		m.Failures++
		m.Class, m.Reason = u.Class, u.Reason
		m.Until = now.Add(min(wait<<min(m.Failures-1, 10), max(mostWait, wait)))
		c.marks[s] = m
	}
}

// Succeeded forgets what was held against a group and against the offer that an instance came from, and says whether there was any.
func (c *Capacity) Succeeded(group, zone, instanceType string, market nodegroups.Market) bool {
	before := len(c.marks)
	delete(c.marks, scope{Group: group})
	delete(c.marks, scope{Zone: zone, Type: instanceType, Market: market})
	return len(c.marks) < before
}

// Unavailable are the groups that cannot launch at now, sorted: those marked themselves, those all of whose types are
// marked in their zone and market, and those that are frozen as their instances do not join.
func (c *Capacity) Unavailable(now time.Time, groups []nodegroups.Group) []nodegroups.Unavailable {
	var out []nodegroups.Unavailable
	for _, g := range groups {
		if m, ok := c.marks[scope{Group: g.Name}]; ok && now.Before(m.Until) {
			out = append(out, nodegroups.Unavailable{Group: g.Name, Zone: g.Zone, Types: g.InstanceTypes, Market: g.Market, Class: m.Class, Until: m.Until, Reason: m.Reason})
		}
		if u, all := c.noneOffered(now, g); all {
			out = append(out, u)
		}
		if u, frozen := c.frozen(now, g); frozen {
			out = append(out, u)
		}
	}
	slices.SortStableFunc(out, func(a, b nodegroups.Unavailable) int { return cmp.Compare(a.Group, b.Group) })
	return out
}

// noneOffered says that every type of a group is marked, until the first of the marks ends.
func (c *Capacity) noneOffered(now time.Time, g nodegroups.Group) (nodegroups.Unavailable, bool) {
	u := nodegroups.Unavailable{Group: g.Name, Zone: g.Zone, Types: g.InstanceTypes, Market: g.Market, Class: nodegroups.NoCapacity}
	for _, t := range g.InstanceTypes {
		m, ok := c.marks[scope{Zone: g.Zone, Type: t, Market: g.Market}]
		if !ok || !now.Before(m.Until) {
			return u, false
		}
		if u.Until.IsZero() || m.Until.Before(u.Until) {
			u.Until, u.Reason = m.Until, m.Reason
		}
	}
	return u, len(g.InstanceTypes) > 0
}

// capacityEntry is a mark as it is stored.
type capacityEntry struct {
	scope
	Class    nodegroups.FailureClass
	Failures int
	Until    time.Time
	Reason   string `json:",omitempty"`
}

type capacityRecord struct {
	Marks []capacityEntry  `json:"marks"`
	Joins map[string]joins `json:"joins,omitempty"`
}

// MarshalJSON is all that is remembered, sorted.
func (c *Capacity) MarshalJSON() ([]byte, error) {
	r := capacityRecord{Marks: []capacityEntry{}, Joins: c.joins}
	for s, m := range c.marks {
		r.Marks = append(r.Marks, capacityEntry{s, m.Class, m.Failures, m.Until, m.Reason})
	}
	slices.SortFunc(r.Marks, func(a, b capacityEntry) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Market, b.Market))
	})
	return json.Marshal(r)
}

// Merge adds what another process, or another cluster, has stored; the mark that ends later stays. What is long over at now
// is left out.
func (c *Capacity) Merge(now time.Time, raw []byte) error {
	var r capacityRecord
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("reading what capacity could not be had: %w; delete it to begin anew", err)
	}
	for _, e := range r.Marks {
		if now.Sub(e.Until) > mostWait || e.Until.Sub(now) > mostWait || e.Failures < 1 {
			continue
		}
		if have := c.marks[e.scope]; e.Until.After(have.Until) {
			c.marks[e.scope] = mark{e.Class, e.Failures, e.Until, e.Reason}
		}
	}
	for group, j := range r.Joins {
		if have := c.joins[group]; j.Failed > have.Failed && j.Until.Sub(now) <= mostFreeze {
			c.joins[group] = j
		}
	}
	return nil
}

// Forget drops marks that are long over, and what is long known of groups that are not there: one that could not be read is
// not gone.
func (c *Capacity) Forget(now time.Time, groups []nodegroups.Group) {
	for s, m := range c.marks {
		if now.Sub(m.Until) > mostWait {
			delete(c.marks, s)
		}
	}
	for name := range c.joins {
		last := c.joins[name].Launched
		if until := c.joins[name].Until; until.After(last) {
			last = until
		}
		if now.Sub(last) > mostFreeze && !slices.ContainsFunc(groups, func(g nodegroups.Group) bool { return g.Name == name }) {
			delete(c.joins, name)
		}
	}
}
