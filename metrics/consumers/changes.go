package consumers

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// maxNamed is how many QueueConsumers one line of the log names.
const maxNamed = 10

// logChanges writes one line for the QueueConsumers that became unknown for the same reason, and one for those that are known again,
// however many they are. The caller judges.
func (c *Consumers) logChanges(before, next map[types.NamespacedName]Result) {
	lost, found := c.lost.follow(before, next)
	byReason := map[string][]types.NamespacedName{}
	for _, name := range lost {
		byReason[next[name].Reason] = append(byReason[next[name].Reason], name)
	}
	for _, reason := range slices.Sorted(maps.Keys(byReason)) {
		all := byReason[reason]
		c.opts.Log.Warn("QueueConsumers became unknown", "count", len(all), "queueConsumers", some(all), "reason", reason, "firstProblem", next[all[0]].Problem)
	}
	if len(found) > 0 {
		c.opts.Log.Info("QueueConsumers are known again", "count", len(found), "queueConsumers", some(found))
	}
}

// lostOnes are the QueueConsumers that the log has said to be unknown.
type lostOnes map[types.NamespacedName]bool

// follow gives those that became unknown and those that are known again, sorted. One that is new is neither until it was sampled and had
// time for its rates.
func (l lostOnes) follow(before, next map[types.NamespacedName]Result) (lost, found []types.NamespacedName) {
	for name, r := range next {
		was, there := before[name]
		begins := r.Reason == reasonNotSampled || r.Reason == reasonRatesUnknown && !(there && was.Problem == "")
		switch {
		case r.Problem == "" && l[name]:
			found = append(found, name)
		case r.Problem != "" && !l[name] && !begins:
			lost = append(lost, name)
			l[name] = true
		}
	}
	for name := range l {
		if r, there := next[name]; !there || r.Problem == "" {
			delete(l, name)
		}
	}
	byName := func(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) }
	slices.SortFunc(lost, byName)
	slices.SortFunc(found, byName)
	return lost, found
}

func some(names []types.NamespacedName) []string {
	all := make([]string, 0, maxNamed)
	for _, n := range names[:min(len(names), maxNamed)] {
		all = append(all, n.String())
	}
	return all
}
