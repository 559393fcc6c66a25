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

type group struct {
	polled  time.Time
	problem string
	since   time.Time
	parts   map[partition]entry
	commits map[partition]mark
}

// mark is the last commit that was seen in one making of a topic.
type mark struct {
	topicID [16]byte
	commit  int64
}

// entry is a partition's last good reading, or the last bad one while there never was a good one.
type entry struct {
	last lag.Reading
	good bool
	// problem is why the last poll could not read it, since when; empty if it could.
	problem string
	since   time.Time
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
func (s *Store) Record(key Key, at time.Time, readings []lag.Reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.group(key)
	next := make(map[partition]entry, len(readings))
	marks := make(map[partition]mark, len(readings))
	for _, r := range readings {
		r = g.missCommit(r, marks)
		p := partition{r.Topic, r.Partition}
		before := g.parts[p]
		if before.last.TopicID != r.TopicID {
			before = entry{}
		}
		next[p] = before.follow(r)
	}
	g.commits = marks
	g.parts, g.polled, g.problem, g.since = next, at, "", time.Time{}
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
			r.Problem = fmt.Sprintf("its commit %d is gone: did the group's offsets expire? Start the consumers, or commit for the group by hand", before.commit)
		}
	}
	return r
}

func (e entry) follow(r lag.Reading) entry {
	if r.Problem == "" {
		return entry{last: r, good: true}
	}
	since := e.since
	if e.problem == "" {
		since = r.At
	}
	if !e.good {
		e.last = r
	}
	e.problem, e.since = r.Problem, since
	return e
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
		g = &group{parts: map[partition]entry{}}
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
	// Readings are those young enough to be used, and in place of the others their problem; sorted.
	Readings []lag.Reading
	// Polled is when the group was last looked at; zero: never.
	Polled time.Time
	// Problem is why the last poll read nothing of it; Since when.
	Problem string
	Since   time.Time
}

// View gives the partitions of the topics that match, with every reading older than staleAfter turned into a problem.
func (s *Store) View(key Key, now time.Time, staleAfter time.Duration, match func(topic string) bool) View {
	s.mu.RLock()
	defer s.mu.RUnlock()
	g := s.groups[key]
	if g == nil {
		return View{}
	}
	v := View{Polled: g.polled, Problem: g.problem, Since: g.since}
	for _, e := range g.parts {
		if match(e.last.Topic) {
			v.Readings = append(v.Readings, g.judge(e, now, staleAfter))
		}
	}
	slices.SortFunc(v.Readings, func(a, b lag.Reading) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return v
}

// judge serves a good reading while it is young, whatever the last poll saw, and turns it into a problem after that.
func (g *group) judge(e entry, now time.Time, staleAfter time.Duration) lag.Reading {
	r := e.last
	age := now.Sub(r.At)
	if e.good && age <= staleAfter {
		return r
	}
	switch {
	case g.problem != "":
		r.Problem, r.Since = g.problem, g.since
	case e.problem != "":
		r.Problem, r.Since = e.problem, e.since
	default:
		r.Problem, r.Since = fmt.Sprintf("last read %s ago, older than %s: is the poller of its cluster running", age.Round(time.Second), staleAfter), r.At
	}
	return r
}
