package kafka

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"swell/metrics/lag"
)

// lateJobs ask, for every age that is asked about where somebody lags, for the first offset stamped since then.
func (p *Poller) lateJobs(at time.Time) []job {
	passes := 0
	for _, topic := range p.asked {
		tv := p.view.topic(topic)
		if tv == nil {
			continue
		}
		for n := range tv.parts {
			passes = max(passes, len(tv.parts[n].late))
		}
	}
	var jobs []job
	for i := range min(passes, maxLate) {
		jobs = append(jobs, p.listJobs(p.asked, listing{kind: lateFirst << i,
			stamp: func(pt *part) (int64, bool) {
				if i >= len(pt.late) {
					return 0, false
				}
				return p.stampAt(at.Add(-pt.late[i].Age)), true
			},
			take: func(pt *part, offset int64) {
				pt.late[i].Offset = offset
				if offset < 0 {
					pt.late[i].Offset = lag.NoneSince
				}
			},
			fail: func(pt *part, problem string) { pt.lateFailed = "not read in this poll: " + problem },
		})...)
	}
	return jobs
}

// stampAt is the first time stamp that is not before a time.
func (p *Poller) stampAt(t time.Time) int64 {
	return p.opts.Clock.RealTime(t).Add(time.Millisecond - time.Nanosecond).UnixMilli()
}

// findLate finds an age among those that are asked about, which are in order.
func (pt *part) findLate(age time.Duration) (i int, there bool) {
	return slices.BinarySearchFunc(pt.late, age, func(l lag.LateFrom, age time.Duration) int { return cmp.Compare(l.Age, age) })
}

// lateFor is what is known of the ages that a group asks about, in their order, and why something is not; nothing where it has
// nothing left to read, since nothing is late there.
func (g *groupPoll) lateFor(c commit, pt *part) (all []lag.LateFrom, problem string) {
	if _, lagging := g.unread(c, pt); !lagging || len(g.lateAfter) == 0 {
		return nil, ""
	}
	all = make([]lag.LateFrom, 0, len(g.lateAfter))
	for _, age := range g.lateAfter {
		switch i, there := pt.findLate(age); {
		case i >= maxLate:
			problem = fmt.Sprintf("of the values of lateAfter that are asked about where somebody lags, only the %d shortest are looked up, and %s is not among them: use fewer for one topic", maxLate, age)
		case there && pt.late[i].Offset >= 0:
			all = append(all, pt.late[i])
		}
	}
	return all, cmp.Or(pt.lateFailed, problem)
}
