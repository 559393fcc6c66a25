// Package store keeps the last good reading of every partition that a consumer group reads, with its
// age and what keeps it from being read afresh.
package store

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"swell/metrics/lag"
)

// Key names a consumer group in a Kafka cluster.
type Key struct{ Cluster, Group string }

// Store holds snapshots. It is safe for concurrent use.
type Store struct {
	mu     sync.RWMutex
	groups map[Key]*group
}

// Poll is what one poll read of a group.
type Poll struct {
	// At is the time before the first request of the poll.
	At time.Time
	// Readings are of all the partitions that the group's topics have.
	Readings []lag.Reading
	// Rebalancing says that the group was changing its members' partitions when it was last looked at.
	Rebalancing bool
	// Answers are the keys of the selections that the readings are whole for, each with why it was refused, or empty. Nil: all.
	Answers map[string]string
}

type group struct {
	polled time.Time
	// rebalancing is what the last poll that read the group saw.
	rebalancing bool
	problem     string
	since       time.Time
	answers     map[string]string
	parts       parts
	commits     map[partition]mark

	summing sync.Mutex
	// sums are of parts: each new poll begins an empty map.
	sums map[sumKey]cachedSum
}

// mark is the last commit that was seen in one making of a topic.
type mark struct {
	topicID [16]byte
	commit  int64
}

type partition struct {
	topic string
	n     int32
}

// New makes an empty store.
func New() *Store { return &Store{groups: map[Key]*group{}} }

// Record takes in one poll's readings of a group: all the partitions that its topics have. A good reading
// replaces the last one; a bad one leaves it and says since when; a topic made anew forgets it. One without
// the commit that was there before is bad: offsets that expired are not a group that never committed.
func (s *Store) Record(key Key, poll Poll) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.group(key)
	marks := make(map[partition]mark, len(poll.Readings))
	readings := slices.Clone(poll.Readings)
	for i := range readings {
		readings[i] = g.missCommit(readings[i], marks)
	}
	g.parts, g.commits, g.sums = g.parts.follow(readings), marks, nil
	g.polled, g.problem, g.since, g.rebalancing, g.answers = poll.At, "", time.Time{}, poll.Rebalancing, poll.Answers
}

// missCommit marks the commit of a reading, or makes one that lost its commit a problem.
func (g *group) missCommit(r lag.Reading, marks map[partition]mark) lag.Reading {
	if r.Partition == lag.NoPartition {
		for p, m := range g.commits {
			if p.topic == r.Topic {
				marks[p] = m
			}
		}
		return r
	}
	p := partition{r.Topic, r.Partition}
	before, ok := g.commits[p]
	switch {
	case r.Commit >= 0 && r.Problem == "":
		marks[p] = mark{r.TopicID, r.Commit}
	case ok && before.topicID == r.TopicID:
		marks[p] = before
		if r.Problem == "" {
			r.Problem = fmt.Sprintf("its commit %d is gone: did the group's offsets expire? Start the consumers, commit for the group by hand, or, if it no longer reads this topic, name in spec.kafka.topics those that it reads", before.commit)
		}
	}
	return r
}

// Fail notes that nothing of a group could be read.
func (s *Store) Fail(key Key, at time.Time, problem string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.group(key)
	if g.problem == "" {
		g.since = at
	}
	g.problem, g.polled = problem, at
}

func (s *Store) group(key Key) *group {
	g := s.groups[key]
	if g == nil {
		g = &group{}
		s.groups[key] = g
	}
	return g
}

// Keep forgets every group of a cluster that is not wanted.
func (s *Store) Keep(cluster string, wanted func(group string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.groups, func(k Key, _ *group) bool { return k.Cluster == cluster && !wanted(k.Group) })
}

// View is what is known of a group at one time.
type View struct {
	// Readings are those young enough to be used, and in place of the others their problem; sorted. They may be
	// shared with other views: read only.
	Readings []lag.Reading
	// Polled is when the group was last looked at; zero: never.
	Polled time.Time
	// Problem is why the last poll read nothing of it; Since when.
	Problem string
	Since   time.Time
	// Rebalancing says that the group was changing its members' partitions when it was last looked at.
	Rebalancing bool
}

// Selection is a choice of a group's topics; the zero one is all that were read for anyone.
type Selection struct {
	// Key is what polls know it by: two with the same key choose the same.
	Key string
	// Counts says whether a topic is chosen that the group has committed in, or has not.
	Counts func(topic string, committed bool) bool
}

// View gives the partitions of the selected topics, with every reading older than staleAfter turned into a problem. A selection that
// polls have not asked for yet has none, as has one that was refused.
func (s *Store) View(key Key, now time.Time, staleAfter time.Duration, of Selection) View {
	s.mu.RLock()
	defer s.mu.RUnlock()
	g := s.groups[key]
	if g == nil {
		return View{}
	}
	v, whole := g.about(of)
	if whole {
		v.Readings = g.readings(now, staleAfter, of)
	}
	return v
}

// about is a view without its readings, and whether there may be some.
func (g *group) about(of Selection) (v View, whole bool) {
	v = View{Polled: g.polled, Problem: g.problem, Since: g.since, Rebalancing: g.rebalancing}
	if g.answers == nil || of.Counts == nil {
		return v, true
	}
	refused, asked := g.answers[of.Key]
	switch {
	case g.problem != "":
	case !asked:
		v.Polled = time.Time{}
	case refused != "":
		v.Problem, v.Since = refused, time.Time{}
	}
	return v, asked && refused == ""
}

// readings copies only what cannot be shared: more than one topic of several, or something that is no longer young.
func (g *group) readings(now time.Time, staleAfter time.Duration, of Selection) []lag.Reading {
	runs := g.parts.runs(of.Counts)
	if len(runs) == 1 && g.parts.usable(now, staleAfter) {
		return runs[0].of(g.parts.last)
	}
	var out []lag.Reading
	for _, r := range runs {
		for i := r.from; i < r.to; i++ {
			out = append(out, g.judge(i, now, staleAfter))
		}
	}
	return out
}

// judge serves a good reading while it is young, whatever the last poll saw, and turns it into a problem after that.
func (g *group) judge(i int, now time.Time, staleAfter time.Duration) lag.Reading {
	r, e := g.parts.last[i], g.parts.states[i]
	age := now.Sub(r.At)
	if e.good && age <= staleAfter {
		return r
	}
	switch {
	case g.problem != "":
		r.Problem, r.Since = g.problem, g.since
	case e.problem != "":
		r.Problem, r.Since = e.problem, e.since
		// They show that something was produced, though the lag is unknown.
		r.End, r.Stable = max(r.End, e.end), max(r.Stable, e.stable)
	default:
		r.Problem, r.Since = fmt.Sprintf("last read %s ago, older than %s: is the poller of its cluster running", age.Round(time.Second), staleAfter), r.At
	}
	return r
}

func byPartition(a, b lag.Reading) int {
	return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}
