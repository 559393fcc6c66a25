package kafka

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"swell/metrics/lag"
)

// never stands for no offset at all where the least of several is looked for.
const never = int64(math.MaxInt64)

// Special timestamps of ListOffsets.
const (
	stampLatest   = -1
	stampEarliest = -2
)

// survey finds out which topics and partitions this poll needs, and what of them.
func (p *Poller) survey(groups []*groupPoll) {
	for _, tv := range p.view.topics {
		for n := range tv.parts {
			tv.parts[n].begin()
		}
	}
	p.chooseTopics(groups, p.room)
	asked := map[string]bool{}
	for _, g := range groups {
		if g.problem != "" {
			continue
		}
		for _, topic := range g.topics {
			asked[topic] = true
			tv := p.view.topic(topic)
			if tv.problem() != "" {
				continue
			}
			for n := range tv.parts {
				tv.parts[n].needs |= g.ends()
			}
		}
	}
	p.asked = slices.Sorted(maps.Keys(asked))
}

// begin forgets what belongs to one poll.
func (pt *part) begin() {
	pt.asking, pt.known, pt.needs, pt.failed, pt.lateFailed = 0, 0, 0, "", ""
	pt.end, pt.stable = lag.Unknown, lag.Unknown
	pt.late = pt.late[:0]
}

// fetchEnds reads end offsets, and log starts at the pace of the metadata where retention may have overtaken a
// group that stands still, or where one is missing.
func (p *Poller) fetchEnds(ctx context.Context, now time.Time) {
	due := now.Sub(p.view.startsAt) >= p.opts.Cluster.MetadataEvery.Duration
	if due {
		p.view.startsAt = now
	}
	fail := func(pt *part, problem string) { pt.failed = "read its offsets from " + problem }
	end := func(kind bits, isolation int8, into func(*part) *int64) []job {
		return p.listJobs(p.asked, listing{kind: kind, isolation: isolation, fail: fail,
			stamp: func(pt *part) (int64, bool) { return stampLatest, pt.needs&kind != 0 },
			take: func(pt *part, offset int64) {
				if offset < 0 {
					fail(pt, "its leader: it gave no offset")
					return
				}
				*into(pt), pt.known = offset, pt.known|kind
			}})
	}
	jobs := end(latest, 0, func(pt *part) *int64 { return &pt.end })
	jobs = append(jobs, end(stable, 1, func(pt *part) *int64 { return &pt.stable })...)
	starts := p.listJobs(p.asked, listing{kind: starting,
		stamp: func(pt *part) (int64, bool) { return stampEarliest, pt.needsStart(due) },
		take: func(pt *part, offset int64) {
			pt.startDue = offset < 0
			if offset >= 0 {
				pt.start = offset
			}
		},
		fail: func(pt *part, problem string) {
			pt.startDue = true
			if pt.start < 0 {
				fail(pt, problem)
			}
		}})
	p.budget.spend(len(starts))
	p.ask(ctx, append(jobs, starts...), false)
}

// needsStart says whether the log start must be read. Where nobody lags it does not matter; a commit that moves proves nothing,
// as consumers commit what they had fetched before retention took it.
func (pt *part) needsStart(due bool) bool {
	if pt.needs == 0 {
		return false
	}
	if pt.start < 0 || pt.startDue {
		return true
	}
	if !due {
		return false
	}
	return pt.least != never
}

// atEnd is the end offset of a partition as far as one was read, else lag.Unknown.
func (pt *part) atEnd() int64 { return max(pt.end, pt.stable) }

// ended is the end of a partition whose course in time is followed: the high watermark, if anyone asks for it.
func (pt *part) ended() int64 {
	if pt.end >= 0 {
		return pt.end
	}
	return pt.stable
}

// judge finds out who lags where, once the ends are known, and what else must be asked therefore.
func (p *Poller) judge(groups []*groupPoll) {
	for _, topic := range p.asked {
		tv := p.view.topic(topic)
		if tv == nil {
			continue
		}
		for n := range tv.parts {
			tv.parts[n].least, tv.parts[n].oldest = never, never
		}
	}
	for _, g := range groups {
		for _, topic := range g.topics {
			tv := p.view.topic(topic)
			if tv.problem() != "" {
				continue
			}
			for n := range tv.parts {
				g.judge(topic, int32(n), &tv.parts[n])
			}
		}
	}
}

// judge notes a group's lag in one partition.
func (g *groupPoll) judge(topic string, n int32, pt *part) {
	c := g.commits.of(topic, n)
	from, lagging := g.unread(c, pt)
	if !lagging {
		return
	}
	g.left += max(pt.atEnd()-from, 0)
	pt.least = min(pt.least, c.offset)
	if g.ages && g.counts(c) {
		pt.oldest = min(pt.oldest, from)
	}
}

// unread is the first offset that a group has not read in a partition, and whether there are messages from there on.
func (g *groupPoll) unread(c commit, pt *part) (from int64, lagging bool) {
	if c.problem != "" || pt.problem != "" || pt.failed != "" {
		return 0, false
	}
	from = max(c.offset, pt.start)
	end := lag.Unknown
	if g.latest {
		end = pt.end
	}
	if g.stable {
		end = max(end, pt.stable)
	}
	return from, from >= 0 && from < end
}
