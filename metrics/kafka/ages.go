package kafka

import (
	"math"
	"slices"
	"time"

	"swell/metrics/lag"
)

const (
	// oldestAsked is the age beyond which a message's time is not looked for.
	oldestAsked = 400 * 24 * time.Hour
	// maxSteps is how many looks one search takes at most.
	maxSteps = 14
	// foundKept is how many finds of one partition are kept, and fruitlessKept how many offsets that were looked for in vain.
	foundKept, fruitlessKept = 32, 8
	// A time is told between two samples that are apart by a fourth of its age at most, and looked for where that is more than an eighth.
	toldWithin, soughtBeyond = 4, 8
)

// age is what is known of when the messages of a partition were appended.
type age struct {
	line lag.Timeline
	// found are pairs of samples that searches have found: the line, which thins itself out, does not keep them.
	found []find
	// fruitless are offsets that were looked for in vain.
	fruitless []int64
	search    search
	sought    sought
	// every is the time between two polls: nobody knows better than that.
	every time.Duration
}

// find is a pair of samples close to each other, and when it was last of use.
type find struct {
	pair lag.Timeline
	used time.Time
}

// search narrows down when the message at an offset was appended; an empty pair: none is under way.
type search struct {
	offset int64
	// pair are the samples next to the offset; one alone while none is known that is older.
	pair  lag.Timeline
	steps int
	// at is the time that was asked for last.
	at time.Time
}

func (s *search) runs() bool {
	end, _ := s.pair.Newest()
	return end >= 0
}

// sought are the offsets that the last poll's readings found no time for, as far as the next poll needs them: one is looked for at a time.
type sought struct {
	any bool
	// from is where the turn is; least is the least of all offsets, next the least from there on, or never.
	from, least, next int64
	// same says that the search under way is still for one of them; within is the least that it is about to find as well, or never.
	same   bool
	within int64
}

func (s *sought) begin(from int64) {
	*s = sought{from: from, least: never, next: never, within: never}
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
			pt.age = &age{}
			if !pt.beforeAt.IsZero() {
				pt.age.line.Observe(pt.beforeAt, pt.before)
			}
		}
		pt.age.line.Observe(at, end)
		pt.age.line.Trim(pt.oldest)
	}
	pt.before, pt.beforeAt = end, at
}

// ageJobs look for the times that the courses do not tell, one step for each partition in a poll.
func (p *Poller) ageJobs(at time.Time) []job {
	every := p.opts.Cluster.PollEvery.Duration
	return p.listJobs(p.asked, listing{kind: looking,
		stamp: func(pt *part) (int64, bool) {
			if pt.age == nil {
				return 0, false
			}
			pt.age.every = every
			t, ok := pt.age.probe(at)
			return p.stampAt(t), ok
		},
		take: func(pt *part, offset int64) {
			if offset < 0 {
				offset = pt.ended()
			}
			pt.age.answered(offset, at)
		},
		fail: func(*part, string) {}})
}

// tell is when the message at an offset was appended, if that is known well enough. What should be known better is sought from the
// next poll on.
func (a *age) tell(offset int64, now time.Time) (at time.Time, ok bool) {
	pair := a.pair(offset, now)
	if !a.within(pair, offset, now, soughtBeyond) {
		a.seek(offset)
	}
	if !a.within(pair, offset, now, toldWithin) {
		return at, false
	}
	return pair.At(offset)
}

// pair is what tells of an offset.
func (a *age) pair(offset int64, now time.Time) *lag.Timeline {
	for i := range a.found {
		if _, _, ok := a.found[i].pair.Between(offset); ok {
			a.found[i].used = now
			return &a.found[i].pair
		}
	}
	return &a.line
}

// within says whether the samples around an offset are apart by a part of its age at most, or by what lies between two polls.
func (a *age) within(line *lag.Timeline, offset int64, now time.Time, part time.Duration) bool {
	after, before, ok := line.Between(offset)
	return ok && before.Sub(after) <= max(2*a.every, now.Sub(after)/part)
}

func (a *age) seek(offset int64) {
	if slices.Contains(a.fruitless, offset) {
		return
	}
	s := &a.sought
	if !s.any {
		s.begin(s.from)
		s.any = true
	}
	s.least = min(s.least, offset)
	if offset >= s.from {
		s.next = min(s.next, offset)
	}
	if end, _ := a.search.pair.Newest(); a.search.runs() {
		_, _, inside := a.search.pair.Between(offset)
		_, _, reached := a.search.pair.Between(a.search.offset)
		s.same = s.same || offset == a.search.offset
		if inside || !reached && offset < end {
			s.within = min(s.within, offset)
		}
	}
}

// target turns to what the next step is for: the search under way, as long as somebody asks for what it is about to find, else the next
// offset in turn.
func (a *age) target() bool {
	s := a.sought
	a.sought.begin(s.from)
	switch {
	case !s.any:
		a.search = search{}
	case s.same:
	case s.within != never:
		a.search.offset = s.within
	default:
		offset := s.next
		if offset == never {
			offset = s.least
		}
		a.search = search{offset: offset, pair: a.line.Near(offset)}
	}
	return a.search.runs()
}

// probe is the next time to look at; ok is false where nothing is looked for.
func (a *age) probe(now time.Time) (t time.Time, ok bool) {
	if !a.target() {
		return t, false
	}
	young, old, narrow := a.search.bounds(now, a.every)
	if narrow || a.search.steps >= maxSteps {
		a.finish(now)
		return t, false
	}
	middle := math.Sqrt(young.Seconds() * old.Seconds())
	a.search.at = now.Add(-time.Duration(middle * float64(time.Second)))
	return a.search.at, true
}

// bounds are the ages that the message's is between; narrow says that there is no use in looking further.
func (s *search) bounds(now time.Time, every time.Duration) (young, old time.Duration, narrow bool) {
	old = oldestAsked
	after, before, reached := s.pair.Between(s.offset)
	if reached {
		old = now.Sub(after)
	} else {
		_, before = s.pair.Newest()
	}
	young = max(now.Sub(before), time.Second)
	return young, old, old-young <= max(every, young/10)
}

// answered takes in the first offset that was stamped at the time asked for, or later.
func (a *age) answered(offset int64, now time.Time) {
	s := &a.search
	s.steps++
	a.line.Learn(s.at, offset)
	end, _ := s.pair.Newest()
	s.pair.Learn(s.at, min(offset, end))
	s.pair = s.pair.Near(s.offset)
	if _, _, narrow := s.bounds(now, a.every); narrow || s.steps >= maxSteps {
		a.finish(now)
	}
}

// finish keeps what a search has found, and lets the next offset have its turn.
func (a *age) finish(now time.Time) {
	s := a.search
	if a.within(&s.pair, s.offset, now, soughtBeyond) {
		if len(a.found) >= foundKept {
			a.found = slices.DeleteFunc(a.found, func(f find) bool { return f.used.Before(now) })
		}
		a.found = append(a.found[max(0, len(a.found)-foundKept+1):], find{s.pair, now})
	} else {
		a.fruitless = append(a.fruitless[max(0, len(a.fruitless)-fruitlessKept+1):], s.offset)
	}
	a.search = search{}
	a.sought.from = s.offset + 1
}

// oldestAt is when the first message that a group has not read was appended; zero where that is not known.
func (g *groupPoll) oldestAt(c commit, pt *part) time.Time {
	from, lagging := g.unread(c, pt)
	if !g.ages || !lagging || pt.age == nil || !g.counts(c) {
		return time.Time{}
	}
	at, _ := pt.age.tell(from, pt.beforeAt)
	return at
}
