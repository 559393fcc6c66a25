package consumers

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// maxNamed is how many QueueConsumers one line of the log names.
const maxNamed = 10

// logChanges writes one line for those that became unknown and one for those that are known again, however many they are.
func (c *Consumers) logChanges(before, next map[types.NamespacedName]Result) {
	lost, found := changed(before, next)
	if len(lost) > 0 {
		first := next[lost[0]]
		c.opts.Log.Warn("QueueConsumers became unknown", "count", len(lost), "queueConsumers", some(lost), "reason", first.Reason, "problem", first.Problem)
	}
	if len(found) > 0 {
		c.opts.Log.Info("QueueConsumers are known again", "count", len(found), "queueConsumers", some(found))
	}
}

// changed are those that were known and are not, and those that were not and are; sorted. One that nobody has sampled yet is neither.
func changed(before, next map[types.NamespacedName]Result) (lost, found []types.NamespacedName) {
	known := func(r Result) bool { return r.Problem == "" }
	for name, r := range next {
		was, there := before[name]
		switch {
		case known(r) && there && !known(was) && was.Reason != reasonNotSampled:
			found = append(found, name)
		case !known(r) && r.Reason != reasonNotSampled && (!there || known(was) || was.Reason == reasonNotSampled):
			lost = append(lost, name)
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
