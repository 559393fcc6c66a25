package consumers

import (
	"maps"
	"slices"
	"strings"
	"time"

	"swell/metrics/store"
)

// logGroups writes one line for the groups that are asked about without a QueueConsumer and whose lag became unknown, and one for those
// that are known again. What was forgotten meanwhile is neither.
func (c *Consumers) logGroups(s *settings, now time.Time, cluster string) {
	var lost, found []string
	problem, seen := "", map[selection]bool{}
	for _, sel := range c.asked.selections(cluster) {
		topics, err := sel.parse()
		if _, twice := seen[sel]; twice || err != nil {
			continue
		}
		sum, view := c.opts.Store.Sum(store.Key{Cluster: cluster, Group: sel.group}, store.Ask{Now: now,
			StaleAfter: s.clusters[cluster].StaleAfter.Duration, Of: topics.Selection(), Rules: Question{}.rules()})
		if view.Polled.IsZero() {
			continue
		}
		why := lagProblem(view, sum, Question{}.rules())
		seen[sel] = why != ""
		name := strings.Join(append([]string{sel.group}, sel.names()...), "/")
		switch {
		case why != "" && !c.lostGroups[sel]:
			lost, problem = append(lost, name), why
		case why == "" && c.lostGroups[sel]:
			found = append(found, name)
		}
	}
	maps.DeleteFunc(c.lostGroups, func(sel selection, _ bool) bool { return sel.cluster == cluster })
	maps.Copy(c.lostGroups, seen)
	slices.Sort(lost)
	slices.Sort(found)
	if len(lost) > 0 {
		c.opts.Log.Warn("groups became unknown", "cluster", cluster, "count", len(lost), "groups", lost[:min(maxNamed, len(lost))], "problem", problem)
	}
	if len(found) > 0 {
		c.opts.Log.Info("groups are known again", "cluster", cluster, "count", len(found), "groups", found[:min(maxNamed, len(found))])
	}
}
