package lag

import (
	"fmt"
	"time"
)

// pause follows what makes a group stand still for a while: its pods change, or it is rebalancing for another reason. What it
// does not read meanwhile is no want of pods, and more of them would make it rebalance again.
type pause struct {
	// ready is the last number of ready pods that was known, and none says that it is known to be zero now.
	ready int
	none  bool
	// steady is since when nothing is known to have changed.
	steady time.Time
	// changed is when the ready pods last changed, and chain when the changes began that followed each other within t_rebalance.
	changed, chain time.Time
	// from is the first, last the last time at which the group was seen rebalancing, and until how long that counts.
	from, last, until time.Time
	// stood is how long the group stood still in the pauses up to the last one, none of which came T after the one before.
	stood time.Duration
}

// observe takes in who reads for the group at a time.
func (s *pause) observe(now time.Time, m Members, p Policy, window time.Duration) {
	s.none = m.Ready == 0
	switch {
	case m.Ready < 0 || s.ready < 0:
		s.steady = now
	case m.Ready != s.ready || m.LastReady.After(s.steady):
		if s.changed.IsZero() || now.Sub(s.changed) > p.RebalanceTime {
			s.chain = now
		}
		s.stand(now, p.RebalanceTime, p)
		s.steady, s.changed = now, now
	}
	if m.Ready >= 0 {
		s.ready = m.Ready
	}
	if !m.Rebalancing {
		return
	}
	if s.last.IsZero() || now.After(s.until) {
		s.from = now
		s.stand(now, p.RebalanceTime, p)
	} else {
		s.stand(now, now.Sub(s.last), p)
	}
	s.steady, s.last = now, now
	// The longer it goes on, the longer it must be quiet before it counts as over: some polls fall between two rebalances.
	quiet := min(max(window/3, now.Sub(s.from)), window)
	s.until = now.Add(max(quiet, p.RebalanceTime))
}

// holds says why the level stays as it was held although the load wants another; empty if it may change; and
// whether the group is rebalancing now. A group that nobody reads for is never held, and one whose pods keep changing, as in a
// rollout, for no longer than T.
func (s *pause) holds(now time.Time, l Load, p Policy, held, want int) (why string, rebalancing bool) {
	switch {
	case held == 0 || s.none || want == held:
		return "", false
	case !s.last.IsZero() && !now.After(s.until):
		return fmt.Sprintf("the group has been rebalancing since %s: what it does not read meanwhile is no want of pods", clock(s.from)), true
	case want < held:
		return "", false
	case !s.changed.IsZero() && now.Sub(s.changed) < p.RebalanceTime && now.Sub(s.chain) < p.DrainTarget:
		return fmt.Sprintf("its pods changed at %s: what is not read while the group rebalances is no want of pods", clock(s.changed)), true
	case s.left(now, l, p, held):
		return "what waits since the last rebalance is drained by the pods that are there", false
	}
	return "", false
}

// still is when the group was last known to stand still.
func (s *pause) still() time.Time {
	if s.last.After(s.changed) {
		return s.last
	}
	return s.changed
}

// stand adds to the time for which the group stood still.
func (s *pause) stand(now time.Time, d time.Duration, p Policy) {
	since := now.Sub(s.still())
	if since >= p.RebalanceTime+p.DrainTarget {
		s.stood, since = 0, d
	}
	s.stood += min(d, since)
}

// left says whether the held level is enough but for what was produced while the group stood still: a rebalance has its own
// term in the formula, so that the pods that are there drain what it left. More than half of T is a backlog like any other.
func (s *pause) left(now time.Time, l Load, p Policy, held int) bool {
	if still := s.still(); still.IsZero() || now.Sub(still) >= p.RebalanceTime+p.DrainTarget {
		return false
	}
	messages := max(0, float64(l.Lag)-l.Produce*min(s.stood, p.DrainTarget/2).Seconds())
	return l.level(max(0, needOf(messages, l.Produce, l.PerPod, p)-l.Excess), p) <= held
}
