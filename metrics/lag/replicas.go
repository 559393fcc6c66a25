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
	// Share says that pods share partitions, so that neither P nor even shares of it matter.
	Share bool
	// Excess is how many pods' work hot partitions hold beyond one pod each, and HotLag how many messages they hold: a
	// partition keeps one pod busy at most.
	Excess float64
	HotLag int64
}

// Need is N before rounding, (L/T + λ·t_rebalance/T + λ/u) / μ, without what more pods cannot help.
func Need(l Load, p Policy) float64 {
	return max(0, needOf(float64(l.Lag), l.Produce, l.PerPod, p)-l.Excess)
}

func needOf(messages, produce, perPod float64, p Policy) float64 {
	t := p.DrainTarget.Seconds()
	return (messages/t + produce*p.RebalanceTime.Seconds()/t + produce/p.Utilization) / perPod
}

// level is the replica count for a need: with snap, one at which the pod with the most partitions keeps up.
func (l Load) level(need float64, p Policy) int {
	if l.Share {
		return Level(need, math.MaxInt32, false)
	}
	n := Level(need, l.Partitions, p.Snap)
	for p.Snap && l.Excess == 0 && n > 0 && n < l.Partitions && l.fullest(n) > l.PerPod {
		n = Level(float64(n)+1, l.Partitions, true)
	}
	return n
}

// fullest is what is produced into the partitions of the pod that has the most of them, in messages a second.
func (l Load) fullest(pods int) float64 {
	return l.Produce * float64((l.Partitions+pods-1)/pods) / float64(l.Partitions)
}

// backlog says whether more messages wait than what is between two commits.
func (l Load) backlog(messages int64, p Policy) bool {
	return float64(messages) > max(l.Produce, l.PerPod)*p.settled().Seconds()
}

// Level is the least useful replica count for a need: whole, at most the partition count, and with
// snap the least ceil(P/k) that is enough.
func Level(need float64, partitions int, snap bool) int {
	// A hair above a whole number is rounding, not a need for one more pod.
	n := math.Ceil(need - 1e-9)
	if n >= float64(partitions) {
		return partitions
	}
	if !(n > 0) {
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

func formula(need float64, level int, l Load, p Policy) string {
	less := ""
	if l.Excess > 0 {
		less = fmt.Sprintf(" - %.3g", l.Excess)
	}
	s := fmt.Sprintf("(%d/%gs + %.4g/s×%gs/%gs + %.4g/s/%g) / %.4g/s a pod%s = %.3g → %d", l.Lag, p.DrainTarget.Seconds(), l.Produce,
		p.RebalanceTime.Seconds(), p.DrainTarget.Seconds(), l.Produce, p.Utilization, l.PerPod, less, need, level)
	if l.Share {
		return s
	}
	switch whole, even := math.Ceil(need-1e-9), Level(need, l.Partitions, p.Snap); {
	case level > even:
		s += fmt.Sprintf(", as one of %d pods would get %.4g/s", even, l.fullest(even))
	case whole > float64(l.Partitions):
		s += fmt.Sprintf(", as many as there are partitions (%d)", l.Partitions)
	case float64(level) > whole:
		s += fmt.Sprintf(", the next even share of %d partitions", l.Partitions)
	}
	return s
}
