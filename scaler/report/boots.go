package report

import (
	"cmp"
	"slices"
	"time"
)

// Boots are the times from launch to a Ready node of instances that were launched in the period.
type Boots struct {
	Day   string  `json:"day,omitempty"`
	Zone  string  `json:"zone,omitempty"`
	Type  string  `json:"type,omitempty"`
	Count int     `json:"count"`
	P50   float64 `json:"p50Seconds"`
	P95   float64 `json:"p95Seconds"`
	// NeverJoined were launched and ended without a Ready node.
	NeverJoined int `json:"neverJoined,omitempty"`
}

type bootKey struct{ day, zone, instanceType string }

// boots by a key; keys without any launch are left out.
func (p *period) boots(key func(*instance) bootKey) []Boots {
	type group struct {
		seconds []float64
		never   int
	}
	by := map[bootKey]*group{}
	for _, i := range p.books.instances {
		if i.Seen || i.launched.Before(p.from) || !i.launched.Before(p.to) {
			continue
		}
		never := i.End == "never-joined"
		if i.ReadyAt == nil && !never {
			continue
		}
		k := key(i)
		if by[k] == nil {
			by[k] = &group{}
		}
		if never {
			by[k].never++
			continue
		}
		by[k].seconds = append(by[k].seconds, i.ReadyAt.Sub(i.launched).Seconds())
	}
	out := []Boots{}
	for k, g := range by {
		slices.Sort(g.seconds)
		out = append(out, Boots{Day: k.day, Zone: k.zone, Type: k.instanceType, Count: len(g.seconds), P50: quantileOf(g.seconds, 0.5), P95: quantileOf(g.seconds, 0.95), NeverJoined: g.never})
	}
	slices.SortFunc(out, func(a, b Boots) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.Type, b.Type))
	})
	return out
}

// quantileOf sorted values: the smallest that at least a share q is not above; 0 of none.
func quantileOf(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	n := int(q * float64(len(sorted)))
	if float64(n) == q*float64(len(sorted)) {
		n--
	}
	return sorted[max(0, min(n, len(sorted)-1))]
}

func (p *period) day(i *instance) string { return i.launched.In(p.loc).Format(time.DateOnly) }

// Count of something that AWS did, by what tells it apart.
type Count struct {
	Day    string `json:"day,omitempty"`
	Zone   string `json:"zone,omitempty"`
	Market string `json:"market,omitempty"`
	What   string `json:"what"`
	Count  int    `json:"count"`
}

// counts of shortfalls by AWS's code, and of notices by their kind.
func (p *period) counts() (shortfalls, notices []Count) {
	short, told := map[Count]int{}, map[Count]int{}
	for _, s := range p.books.shortfalls {
		if !s.at.Before(p.from) && s.at.Before(p.to) {
			short[Count{Day: s.at.In(p.loc).Format(time.DateOnly), Zone: s.is.Zone, Market: s.is.Market, What: s.is.Code}]++
		}
	}
	for _, n := range p.books.notices {
		if !n.at.Before(p.from) && n.at.Before(p.to) {
			told[Count{Day: n.at.In(p.loc).Format(time.DateOnly), Zone: n.is.Zone, Market: n.is.Market, What: n.is.Kind}]++
		}
	}
	return counted(short), counted(told)
}

func counted(m map[Count]int) []Count {
	out := []Count{}
	for c, n := range m {
		c.Count = n
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Count) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.Market, b.Market), cmp.Compare(a.What, b.What))
	})
	return out
}
