package lag

import (
	"fmt"
	"math"
	"time"
)

// Policy is how a backlog is to be drained.
type Policy struct {
	// DrainTarget is T: a backlog is to be gone within it; above zero.
	DrainTarget time.Duration
	// RebalanceTime is how long the group stands still when its members change.
	RebalanceTime time.Duration
	// Utilization is u, the share of a pod's rate that is planned for; above 0, at most 1.
	Utilization float64
	// Snap raises the count to the next level ceil(P/k), where every pod has an equal share of partitions at most.
	Snap bool
	// Settled is the time whose arrivals, or whose work of one pod, may be waiting when the backlog counts as
	// gone: what is between two commits is no backlog. Default: 10s.
	Settled time.Duration
}

// Validate reports a policy that cannot be used.
func (p Policy) Validate() error {
	switch {
	case p.DrainTarget <= 0:
		return fmt.Errorf("drainTarget is %s: give a duration above zero", p.DrainTarget)
	case p.RebalanceTime < 0:
		return fmt.Errorf("rebalanceTime is %s: give zero or more", p.RebalanceTime)
	case !(p.Utilization > 0 && p.Utilization <= 1):
		return fmt.Errorf("utilization is %g: give a share above 0 and at most 1", p.Utilization)
	}
	return nil
}

func (p Policy) settled() time.Duration {
	if p.Settled <= 0 {
		return 10 * time.Second
	}
	return p.Settled
}

// Load is what the replicas are counted for.
type Load struct {
	// Lag is L in messages, Produce is λ and PerPod is μ in messages a second, Partitions is P.
	Lag        int64
	Produce    float64
	PerPod     float64
	Partitions int
}

// Need is N before rounding: (L/T + λ·t_rebalance/T + λ/u) / μ.
func Need(l Load, p Policy) float64 {
	t := p.DrainTarget.Seconds()
	return (float64(l.Lag)/t + l.Produce*p.RebalanceTime.Seconds()/t + l.Produce/p.Utilization) / l.PerPod
}

// Level is the least useful replica count for a need: whole, at most the partition count, and with
// snap the least ceil(P/k) that is enough.
func Level(need float64, partitions int, snap bool) int {
	// A hair above a whole number is rounding, not a need for one more pod.
	n := math.Ceil(need - 1e-9)
	if n >= float64(partitions) {
		return partitions
	}
	if n <= 0 {
		return 0
	}
	if !snap {
		return int(n)
	}
	if n == 1 {
		return 1
	}
	// The most partitions a pod for which n pods or more are still needed: ceil(P/k) >= n.
	k := (partitions - 1) / (int(n) - 1)
	return (partitions + k - 1) / k
}

// fallMargin is how far above the need the next lower level must stay, so that a rate on the edge of two levels does not flap.
const fallMargin = 1.1

// latch holds the replicas while a backlog drains: counting them anew from the falling lag would
// stretch T to nearly 4 T.
type latch struct {
	level int
	since time.Time
}

// decide is the replica count at a time, with the words for it. While more pods do not help, saturated says
// why, and the count does not rise either.
func (h *latch) decide(now time.Time, l Load, p Policy, saturated string) (replicas int, draining bool, why string) {
	need := Need(l, p)
	level := Level(need, l.Partitions, p.Snap)
	why = formula(need, level, l, p)
	draining = float64(l.Lag) > max(l.Produce, l.PerPod)*p.settled().Seconds()
	h.level = min(h.level, l.Partitions)
	if !draining {
		h.since = time.Time{}
		if level < h.level {
			level = min(h.level, max(level, Level(need*fallMargin, l.Partitions, p.Snap)))
		}
		h.level = level
		return level, false, why
	}
	if h.since.IsZero() {
		h.since = now
	}
	if h.level > level {
		why += fmt.Sprintf("; held at %d while the backlog drains, since %s", h.level, h.since.UTC().Format("15:04:05"))
	}
	if saturated != "" && h.level > 0 && level > h.level {
		return h.level, true, why + fmt.Sprintf("; held at %d: %s", h.level, saturated)
	}
	h.level = max(h.level, level)
	return h.level, true, why
}

func formula(need float64, level int, l Load, p Policy) string {
	s := fmt.Sprintf("(%d/%gs + %.4g/s×%gs/%gs + %.4g/s/%g) / %.4g/s a pod = %.3g → %d", l.Lag, p.DrainTarget.Seconds(), l.Produce,
		p.RebalanceTime.Seconds(), p.DrainTarget.Seconds(), l.Produce, p.Utilization, l.PerPod, need, level)
	switch whole := math.Ceil(need - 1e-9); {
	case whole > float64(l.Partitions):
		s += fmt.Sprintf(", as many as there are partitions (%d)", l.Partitions)
	case float64(level) > whole:
		s += fmt.Sprintf(", the next even share of %d partitions", l.Partitions)
	}
	return s
}
