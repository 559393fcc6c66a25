package schedule

import (
	"slices"
	"time"
)

// Stretch is a time of unchanging headroom.
type Stretch struct {
	From, To time.Time
	Headroom
}

// Stretches are what several schedules ask for together from from to to, in order and without gaps; those with nothing are
// there too. An event's growth changes every five minutes.
func Stretches(of []*Schedule, from, to time.Time, demand Demand) ([]Stretch, []Problem) {
	edges := []time.Time{from, to}
	for _, s := range of {
		edges = s.edges(edges, from, to)
	}
	slices.SortFunc(edges, time.Time.Compare)
	edges = slices.CompactFunc(edges, time.Time.Equal)
	var out []Stretch
	var ps []Problem
	for i := 0; i+1 < len(edges); i++ {
		var h Headroom
		for _, s := range of {
			asked, bad := s.At(edges[i], demand)
			h = h.Max(asked)
			for _, p := range bad {
				if !slices.Contains(ps, p) {
					ps = append(ps, p)
				}
			}
		}
		if n := len(out); n > 0 && out[n-1].same(h) {
			out[n-1].To = edges[i+1]
			continue
		}
		out = append(out, Stretch{edges[i], edges[i+1], h})
	}
	return out, ps
}

// edges adds the times between from and to at which what is asked for may change.
func (s *Schedule) edges(edges []time.Time, from, to time.Time) []time.Time {
	edge := func(t time.Time) {
		if t.After(from) && t.Before(to) {
			edges = append(edges, t)
		}
	}
	s.eachWindow(from, to, func(_ *window, begin, end time.Time) { edge(begin); edge(end) })
	for _, e := range s.events {
		edge(e.from)
		edge(e.to)
		for _, c := range e.curve {
			edge(c.at)
		}
		if e.growth == nil {
			continue
		}
		for t := e.from; t.Before(e.to); t = t.Add(bucket) {
			edge(t)
		}
	}
	return edges
}

func (h Headroom) same(o Headroom) bool {
	return h.Pods == o.Pods && h.Share == o.Share && h.Level == o.Level && slices.Equal(h.Why, o.Why)
}
