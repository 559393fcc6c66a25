package kafka

import (
	"math"
	"time"

	"swell/metrics/lag"
)

const (
	// oldestAsked is the age beyond which a message's time is not looked for.
	oldestAsked = 400 * 24 * time.Hour
	// maxSteps is how many looks one search takes at most.
	maxSteps = 14
)

// age is what is known of when the messages of a partition were appended.
type age struct {
	line lag.Timeline
	// begin is when the line's first sample was taken, of the end offset at that time: the line reaches from there on.
	begin       time.Time
	beginOffset int64
	search      search
}

// search narrows down when the message at an offset was appended: before young, when the first offset was
// youngOffset, and, once found, not before old.
type search struct {
	old, young             time.Time
	oldOffset, youngOffset int64
	begun, found           bool
	steps                  int
}

// followAges adds this poll's ends, read at a time, to the courses of the partitions where the age of some unread
// message is asked for.
func (p *Poller) followAges(at time.Time) {
	for _, topic := range p.asked {
		tv := p.view.topic(topic)
		if tv.problem() != "" {
			continue
		}
		for n := range tv.parts {
			tv.parts[n].follow(at)
		}
	}
}

func (pt *part) follow(at time.Time) {
	end := pt.ended()
	if pt.failed != "" || pt.problem != "" || end < 0 {
		return
	}
	if !pt.beforeAt.IsZero() && end < pt.before {
		// Truncated, or another kind of end: what was seen before says nothing of it.
		pt.age, pt.beforeAt = nil, time.Time{}
	}
	if pt.oldest == never {
		pt.age = nil
	} else {
		if pt.age == nil {
			pt.age = &age{begin: at, beginOffset: end}
			if !pt.beforeAt.IsZero() {
				pt.age.begin, pt.age.beginOffset = pt.beforeAt, pt.before
				pt.age.line.Observe(pt.beforeAt, pt.before)
			}
		}
		pt.age.line.Observe(at, end)
		pt.age.line.Trim(pt.oldest)
	}
	pt.before, pt.beforeAt = end, at
}

// ageJobs look for the times that the courses do not reach, one step for each partition in a poll.
func (p *Poller) ageJobs(at time.Time) []job {
	return p.listJobs(p.asked, listing{kind: looking,
		stamp: func(pt *part) (int64, bool) {
			if pt.age == nil || pt.oldest == never {
				return 0, false
			}
			t, ok := pt.age.probe(pt.oldest, at, p.opts.Cluster.PollEvery.Duration)
			return p.stampAt(t), ok
		},
		take: func(pt *part, offset int64) {
			if offset < 0 {
				offset = pt.ended()
			}
			t, _ := pt.age.probe(pt.oldest, at, p.opts.Cluster.PollEvery.Duration)
			pt.age.answered(pt.oldest, t, offset, at)
		},
		fail: func(*part, string) {}})
}

// probe is the next time to look at for an offset; ok is false where nothing is left to look for.
func (a *age) probe(target int64, now time.Time, every time.Duration) (t time.Time, ok bool) {
	if target >= a.beginOffset {
		return t, false
	}
	s := &a.search
	switch {
	case !s.begun:
		*s = search{begun: true, young: a.begin, youngOffset: a.beginOffset}
	case target >= s.youngOffset:
		*s = search{begun: true, young: a.begin, youngOffset: a.beginOffset, old: s.young, oldOffset: s.youngOffset, found: true}
	case s.found && target < s.oldOffset:
		*s = search{begun: true, young: s.old, youngOffset: s.oldOffset}
	}
	young, old := max(now.Sub(s.young), time.Second), oldestAsked
	if s.found {
		old = now.Sub(s.old)
	}
	if s.steps >= maxSteps || old-young <= max(every, young/10) {
		return t, false
	}
	middle := math.Sqrt(young.Seconds() * old.Seconds())
	return now.Add(-time.Duration(middle * float64(time.Second))), true
}

// answered takes in the first offset that was stamped at a time or later.
func (a *age) answered(target int64, t time.Time, offset int64, now time.Time) {
	s := &a.search
	s.steps++
	if offset <= target {
		s.old, s.oldOffset, s.found = t, offset, true
	} else {
		s.young, s.youngOffset = t, offset
	}
	// Two samples that are far apart would give a time that is far off.
	if s.found && now.Sub(s.old) <= 2*max(now.Sub(s.young), time.Second) {
		a.line.Learn(s.old, s.oldOffset)
		a.line.Learn(s.young, s.youngOffset)
	}
}

// oldestAt is when the first message that a group has not read was appended; zero where that is not known.
func (g *groupPoll) oldestAt(c commit, pt *part) time.Time {
	from, lagging := g.unread(c, pt)
	if !g.ages || !lagging || pt.age == nil {
		return time.Time{}
	}
	at, _ := pt.age.line.At(from)
	return at
}
