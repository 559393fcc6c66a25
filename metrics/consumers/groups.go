package consumers

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"swell/api/v1alpha1"
	"swell/metrics/kafka"
	"swell/metrics/lag"
	"swell/metrics/store"
)

// Partitions are the partitions that a QueueConsumer reads, and by which rules. One that is not known is there with its problem and must
// not be left out of a sum. The readings are shared: read only. Where namespace rules refuse, the error wraps ErrForbidden.
func (c *Consumers) Partitions(name types.NamespacedName) ([]lag.Reading, lag.Rules, error) {
	r, ok := c.Get(name)
	if !ok {
		return nil, lag.Rules{}, fmt.Errorf("partitions of QueueConsumer %s: it is not there or not sampled yet: create it, or wait for the next poll", name)
	}
	s := c.settings.Load()
	if err := s.gate.refuse(name.Namespace, r.Cluster, r.Group); err != nil {
		return nil, lag.Rules{}, fmt.Errorf("partitions of QueueConsumer %s: %w", name, err)
	}
	k, ok := s.clusters[r.Cluster]
	if !ok || r.reads == nil {
		return nil, lag.Rules{}, fmt.Errorf("partitions of QueueConsumer %s: %s", name, cmp.Or(r.LagProblem, notSampled))
	}
	view := c.opts.Store.View(store.Key{Cluster: r.Cluster, Group: r.Group}, s.Clock.Now(), k.StaleAfter.Duration, r.reads.topics.Match)
	if len(view.Readings) == 0 {
		return nil, lag.Rules{}, fmt.Errorf("partitions of QueueConsumer %s: %s", name, lagProblem(view, lag.Sum{}))
	}
	return view.Readings, r.reads.rules, nil
}

// GroupView is one consumer group, whoever asks about it.
type GroupView struct {
	Cluster, Group string
	// Readings are shared: read only.
	Readings []lag.Reading
	// Sum counts a partition that was never committed as read to its end, and no late messages.
	Sum lag.Sum
	// Problem says why the lag is not known.
	Problem string
}

// Groups are all that somebody asks about and may, sorted by cluster and group; of each the topics that anyone asks about.
func (c *Consumers) Groups() []GroupView {
	s := c.settings.Load()
	type wanted struct {
		topics []kafka.Topics
		// committed says that last stable offsets are read, as any but ReadUncommitted consumers alone want them.
		committed bool
	}
	all := map[store.Key]*wanted{}
	want := func(cluster, group string, topics kafka.Topics, isolation v1alpha1.Isolation) {
		key := store.Key{Cluster: cluster, Group: group}
		if all[key] == nil {
			all[key] = &wanted{}
		}
		all[key].topics = append(all[key].topics, topics)
		all[key].committed = all[key].committed || isolation != v1alpha1.ReadUncommitted
	}
	for _, r := range *c.results.Load() {
		if r.reads != nil {
			want(r.Cluster, r.Group, r.reads.topics, r.reads.rules.Isolation)
		}
	}
	for _, q := range c.asked.selections("") {
		if topics, err := q.parse(); err == nil {
			want(q.cluster, q.group, topics, v1alpha1.ReadCommitted)
		}
	}
	now := s.Clock.Now()
	views := make([]GroupView, 0, len(all))
	for key, w := range all {
		match := func(topic string) bool {
			return slices.ContainsFunc(w.topics, func(t kafka.Topics) bool { return t.Match(topic) })
		}
		rules := lag.Rules{Isolation: v1alpha1.ReadCommitted, Uncommitted: v1alpha1.UncommittedLatest}
		if !w.committed {
			rules.Isolation = v1alpha1.ReadUncommitted
		}
		view := c.opts.Store.View(key, now, s.clusters[key.Cluster].StaleAfter.Duration, match)
		g := GroupView{Cluster: key.Cluster, Group: key.Group, Readings: view.Readings, Sum: lag.Add(view.Readings, rules)}
		g.Problem = lagProblem(view, g.Sum)
		views = append(views, g)
	}
	slices.SortFunc(views, func(a, b GroupView) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Group, b.Group))
	})
	return views
}
