package lag

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// hot finds the partitions that need more than one pod, and takes what they need beyond one each out of the load: no pod can
// help another with its partition.
func (r *rates) hot(readings []Reading, rules Rules, l Load, p Policy) (Load, []HotPartition) {
	if l.Share || Need(l, p) <= 1 {
		return l, nil
	}
	var hot []HotPartition
	shares := r.shares(readings)
	for i, reading := range readings {
		messages, problem := Of(reading, rules)
		if problem != "" {
			continue
		}
		var produce float64
		if shares != nil {
			produce = l.Produce * shares[i]
		}
		if need := needOf(float64(messages), produce, l.PerPod, p); need > 1+1e-9 {
			hot = append(hot, HotPartition{Topic: reading.Topic, Partition: reading.Partition, Lag: messages, Need: need})
			l.Excess += need - 1
			l.HotLag = plus(l.HotLag, messages)
		}
	}
	slices.SortFunc(hot, func(a, b HotPartition) int {
		return cmp.Or(cmp.Compare(b.Need, a.Need), strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return l, hot
}

// sayHot names the worst hot partition; empty where all partitions are hot, as then the group is short of them.
func sayHot(hot []HotPartition, l Load, p Policy) string {
	if len(hot) == 0 || len(hot) == l.Partitions && l.Partitions > 1 {
		return ""
	}
	h := hot[0]
	s := fmt.Sprintf("partition %s/%d holds %d of %d messages", h.Topic, h.Partition, h.Lag, l.Lag)
	// What is produced into it follows from its need.
	t := p.DrainTarget.Seconds()
	produce := (h.Need*l.PerPod - float64(h.Lag)/t) / (p.RebalanceTime.Seconds()/t + 1/p.Utilization)
	if produce > 1e-6 {
		s += fmt.Sprintf(" and gets %.4g/s", produce)
	}
	if left := l.PerPod - max(0, produce); left > 0 {
		s += fmt.Sprintf("; one pod drains it in %.0fs", math.Ceil(float64(h.Lag)/left-1e-6))
	} else {
		s += "; one pod does not keep up with it"
	}
	if n := len(hot) - 1; n > 0 {
		s += fmt.Sprintf(" (and %d more such partitions)", n)
	}
	return s
}
