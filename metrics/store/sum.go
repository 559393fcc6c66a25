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
	Of         Selection
	Rules      lag.Rules
}

type sumKey struct {
	selection  string
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
	v, whole := g.about(a.Of)
	if !whole {
		return lag.Add(nil, a.Rules), v
	}
	k := sumKey{a.Of.Key, a.Rules, a.StaleAfter}
	g.summing.Lock()
	defer g.summing.Unlock()
	if c, ok := g.sums[k]; ok && !a.Now.After(c.until) {
		return c.sum, v
	}
	sum := lag.Add(g.readings(a.Now, a.StaleAfter, a.Of), a.Rules)
	if !g.parts.usable(a.Now, a.StaleAfter) {
		return sum, v
	}
	if len(g.sums) >= maxSums || g.sums == nil {
		g.sums = map[sumKey]cachedSum{}
	}
	g.sums[k] = cachedSum{sum, g.parts.oldest.Add(a.StaleAfter)}
	return sum, v
}
