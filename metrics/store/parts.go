package store

import (
	"slices"
	"time"

	"swell/metrics/lag"
)

// parts are a group's partitions after one poll, sorted by topic and partition. They are never changed: a poll
// makes new ones, so that views may share them.
type parts struct {
	// last has each partition's last good reading, or the last bad one while there never was a good one.
	last []lag.Reading
	// states say of each whether it is good, and what is wrong.
	states []state
	// topics are where each topic's partitions are.
	topics []run
	// allGood says that every last reading is good, oldest is the first of their times.
	allGood bool
	oldest  time.Time
}

type state struct {
	good bool
	// problem is why the last poll could not read it, since when; empty if it could.
	problem string
	since   time.Time
	// end and stable are the ends that the last poll saw beside the problem; lag.Unknown where it saw none.
	end, stable int64
}

// run is a topic's place among the partitions.
type run struct {
	topic     string
	committed bool
	from, to  int
}

func (r run) of(readings []lag.Reading) []lag.Reading { return readings[r.from:r.to:r.to] }

// follow is what is known after a poll of these readings, which it takes over.
func (before parts) follow(readings []lag.Reading) parts {
	if !slices.IsSortedFunc(readings, byPartition) {
		slices.SortStableFunc(readings, byPartition)
	}
	next := parts{last: readings, states: make([]state, len(readings)), allGood: true}
	for i, r := range readings {
		last, s := before.find(r)
		next.last[i], next.states[i] = s.follow(last, r)
		next.allGood = next.allGood && next.states[i].good
		if at := next.last[i].At; i == 0 || at.Before(next.oldest) {
			next.oldest = at
		}
		if n := len(next.topics); n > 0 && next.topics[n-1].topic == r.Topic {
			next.topics[n-1].to = i + 1
		} else {
			next.topics = append(next.topics, run{topic: r.Topic, committed: !r.NotCommitted, from: i, to: i + 1})
		}
	}
	return next
}

// find is what was known of a reading's partition, in the same making of its topic.
func (before parts) find(r lag.Reading) (lag.Reading, state) {
	i, ok := slices.BinarySearchFunc(before.last, r, byPartition)
	if !ok || before.last[i].TopicID != r.TopicID {
		return lag.Reading{}, state{}
	}
	return before.last[i], before.states[i]
}

// follow is a partition's last reading and its state after one more.
func (s state) follow(last, r lag.Reading) (lag.Reading, state) {
	if r.Problem == "" {
		return r, state{good: true}
	}
	since := s.since
	if s.problem == "" {
		since = r.At
	}
	if !s.good {
		last = r
	}
	return last, state{good: s.good, problem: r.Problem, since: since, end: r.End, stable: r.Stable}
}

// usable says that nothing is unknown or too old.
func (p parts) usable(now time.Time, staleAfter time.Duration) bool {
	return p.allGood && now.Sub(p.oldest) <= staleAfter
}

// runs are the topics that count; neighbours are one.
func (p parts) runs(counts func(topic string, committed bool) bool) []run {
	var runs []run
	for _, t := range p.topics {
		if counts != nil && !counts(t.topic, t.committed) {
			continue
		}
		if n := len(runs); n > 0 && runs[n-1].to == t.from {
			runs[n-1].to = t.to
			continue
		}
		runs = append(runs, t)
	}
	return runs
}
