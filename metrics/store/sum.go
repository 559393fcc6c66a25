package store

import (
	"time"

	"swell/metrics/lag"
)

// maxSums is how many sums of one poll of a group are kept; a group that is asked about in more ways has them added again.
const maxSums = 64

// Ask is a question for a group's lag.
type Ask struct {
	Now time.Time
	// StaleAfter is the age from which a reading is a problem.
	StaleAfter time.Duration
	// Match chooses the topics; Topics is its name: two with the same name must choose the same.
	Topics string
	Match  func(topic string) bool
	Rules  lag.Rules
}

type sumKey struct {
	topics     string
	rules      lag.Rules
	staleAfter time.Duration
}

// cachedSum is a sum of readings that were all usable, and until when they are.
type cachedSum struct {
	sum   lag.Sum
	until time.Time
}

// Sum is the lag of the partitions that View would give, and the View without its readings. While nothing is unknown or too
// old, a poll's readings are added once for each question. The sum may be shared: read only.
func (s *Store) Sum(key Key, a Ask) (lag.Sum, View) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	g := s.groups[key]
	if g == nil {
		return lag.Add(nil, a.Rules), View{}
	}
	k := sumKey{a.Topics, a.Rules, a.StaleAfter}
	g.summing.Lock()
	defer g.summing.Unlock()
	if c, ok := g.sums[k]; ok && !a.Now.After(c.until) {
		return c.sum, g.about()
	}
	sum := lag.Add(g.readings(a.Now, a.StaleAfter, a.Match), a.Rules)
	if !g.parts.usable(a.Now, a.StaleAfter) {
		return sum, g.about()
	}
	if len(g.sums) >= maxSums || g.sums == nil {
		g.sums = map[sumKey]cachedSum{}
	}
	g.sums[k] = cachedSum{sum, g.parts.oldest.Add(a.StaleAfter)}
	return sum, g.about()
}
