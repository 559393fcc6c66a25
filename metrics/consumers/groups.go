package consumers

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"swell/api/v1alpha1"
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
	if err := s.gate.refuse(name.Namespace, r.Cluster, r.Group, r.Topics); err != nil {
		return nil, lag.Rules{}, fmt.Errorf("partitions of QueueConsumer %s: %w", name, err)
	}
	k, ok := s.clusters[r.Cluster]
	if !ok || r.reads == nil {
		return nil, lag.Rules{}, fmt.Errorf("partitions of QueueConsumer %s: %s", name, cmp.Or(r.LagProblem, notSampled))
	}
	view := c.opts.Store.View(store.Key{Cluster: r.Cluster, Group: r.Group}, s.Clock.Now(), k.StaleAfter.Duration, r.reads.topics.Selection())
	if len(view.Readings) == 0 {
		return nil, lag.Rules{}, fmt.Errorf("partitions of QueueConsumer %s: %s", name, lagProblem(view, lag.Sum{}, r.reads.rules))
	}
	return view.Readings, r.reads.rules, nil
}

// GroupView is one consumer group, whoever asks about it.
type GroupView struct {
	Cluster, Group string
	// Readings are shared: read only.
	Readings []lag.Reading
	// Sum is of the topics that the group has committed in, or of all where there are none: a wrong name in somebody's selector is
	// not the group's. It counts a partition that was never committed as read to its end, and no late messages.
	Sum lag.Sum
	// Problem says why the lag is not known.
	Problem string
}

// Groups are all that somebody asks about and may, sorted by cluster and group; of each the topics that anyone asks about.
func (c *Consumers) Groups() []GroupView {
	s := c.settings.Load()
	// True says that last stable offsets are read, as any but ReadUncommitted consumers alone want them.
	all := map[store.Key]bool{}
	want := func(cluster, group string, isolation v1alpha1.Isolation) {
		key := store.Key{Cluster: cluster, Group: group}
		all[key] = all[key] || isolation != v1alpha1.ReadUncommitted
	}
	for _, r := range *c.results.Load() {
		if r.reads != nil {
			want(r.Cluster, r.Group, r.reads.rules.Isolation)
		}
	}
	for _, q := range c.asked.selections("") {
		want(q.cluster, q.group, v1alpha1.ReadCommitted)
	}
	now := s.Clock.Now()
	views := make([]GroupView, 0, len(all))
	for key, committed := range all {
		rules := lag.Rules{Isolation: v1alpha1.ReadCommitted, Uncommitted: v1alpha1.UncommittedLatest}
		if !committed {
			rules.Isolation = v1alpha1.ReadUncommitted
		}
		view := c.opts.Store.View(key, now, s.clusters[key.Cluster].StaleAfter.Duration, store.Selection{})
		g := GroupView{Cluster: key.Cluster, Group: key.Group, Readings: view.Readings, Sum: lag.Add(ofTheGroup(view.Readings), rules)}
		g.Problem = lagProblem(view, g.Sum, rules)
		views = append(views, g)
	}
	slices.SortFunc(views, func(a, b GroupView) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Group, b.Group))
	})
	return views
}

// ofTheGroup are the readings of topics that the group has committed in; all where there are none.
func ofTheGroup(all []lag.Reading) []lag.Reading {
	strange := func(r lag.Reading) bool { return r.NotCommitted }
	if !slices.ContainsFunc(all, strange) {
		return all
	}
	if own := slices.DeleteFunc(slices.Clone(all), strange); len(own) > 0 {
		return own
	}
	return all
}
