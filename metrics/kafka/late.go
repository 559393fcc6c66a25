package kafka

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"swell/metrics/lag"
)

// CommonAge is the age that most ask about: it is always looked up first.
const CommonAge = 30 * time.Second

// turns is how many of the ages that a topic can be asked about in a poll are left for those that have to take turns.
const turns = 2

// lateJobs ask, for the ages that are asked about where somebody lags, for the first offset stamped since then.
func (p *Poller) lateJobs(at time.Time) []job {
	passes := p.chooseAges()
	var jobs []job
	for i := range passes {
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

// chooseAges finds the ages that each topic's partitions are asked about in this poll, and says how many passes that takes.
func (p *Poller) chooseAges() (passes int) {
	askers := map[string]map[time.Duration]int{}
	for _, topic := range p.asked {
		if tv := p.view.topic(topic); tv != nil {
			for n := range tv.parts {
				tv.parts[n].late = tv.parts[n].late[:0]
			}
		}
	}
	p.lagging(func(g *groupPoll, topic string, parts []*part) {
		if askers[topic] == nil {
			askers[topic] = map[time.Duration]int{}
		}
		for _, age := range g.lateAfter {
			askers[topic][age]++
		}
	})
	chosen := make(map[string][]time.Duration, len(askers))
	for topic, ages := range askers {
		chosen[topic] = agesOf(ages, p.turn)
	}
	p.lagging(func(g *groupPoll, topic string, parts []*part) {
		for _, age := range g.lateAfter {
			if !slices.Contains(chosen[topic], age) {
				continue
			}
			for _, pt := range parts {
				if i, there := pt.findLate(age); !there {
					pt.late = slices.Insert(pt.late, i, lag.LateFrom{Age: age, Offset: lag.Unknown})
					passes = max(passes, len(pt.late))
				}
			}
		}
	})
	return passes
}

// lagging calls with every topic in which a group that asks for lateness has something to read, and the partitions where.
func (p *Poller) lagging(with func(g *groupPoll, topic string, parts []*part)) {
	var parts []*part
	for _, g := range p.choices.groups {
		if g.problem != "" || len(g.lateAfter) == 0 {
			continue
		}
		for _, topic := range g.topics {
			tv := p.view.topic(topic)
			if tv.problem() != "" {
				continue
			}
			parts = parts[:0]
			for n := range tv.parts {
				c := g.commits.of(topic, int32(n))
				if _, lagging := g.unread(c, &tv.parts[n]); lagging && g.counts(c) {
					parts = append(parts, &tv.parts[n])
				}
			}
			if len(parts) > 0 {
				with(g, topic, parts)
			}
		}
	}
}

// agesOf are the ages, of those that so many groups ask about, that a poll looks up: as many as there is room for, first the common one and
// those with the most askers; those that are left over, or ask no more than they, take turns.
func agesOf(askers map[time.Duration]int, turn int) []time.Duration {
	ages := slices.SortedFunc(maps.Keys(askers), func(a, b time.Duration) int {
		common := func(age time.Duration) int {
			if age == CommonAge {
				return 0
			}
			return 1
		}
		return cmp.Or(common(a)-common(b), cmp.Compare(askers[b], askers[a]), cmp.Compare(a, b))
	})
	if len(ages) <= maxLate {
		return ages
	}
	first, least := 0, askers[ages[maxLate]]
	for first < maxLate-turns && (ages[first] == CommonAge || askers[ages[first]] > least) {
		first++
	}
	rest, room := ages[first:], maxLate-first
	chosen := slices.Clone(ages[:first])
	for i := range room {
		chosen = append(chosen, rest[(turn*room+i)%len(rest)])
	}
	return chosen
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
	if _, lagging := g.unread(c, pt); !lagging || len(g.lateAfter) == 0 || !g.counts(c) {
		return nil, ""
	}
	all = make([]lag.LateFrom, 0, len(g.lateAfter))
	for _, age := range g.lateAfter {
		switch i, there := pt.findLate(age); {
		case !there:
			problem = fmt.Sprintf("more than %d values of lateAfter are asked about where somebody lags in the topic, and %s has its turn in another poll: use fewer for one topic", maxLate, age)
		case pt.late[i].Offset >= 0:
			all = append(all, pt.late[i])
		}
	}
	return all, cmp.Or(pt.lateFailed, problem)
}
