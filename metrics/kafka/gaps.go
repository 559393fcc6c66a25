package kafka

import (
	"maps"
	"slices"
	"time"
)

// movedFor is for how long a group must go on elsewhere, in model time, before a topic in which its commits are gone is no longer its
// own. Kafka keeps the commits of a topic that a member is subscribed to, and drops others after a week: where they are gone nobody
// reads the topic, unless somebody deleted them by hand, whose consumers commit again within this time.
const movedFor = 24 * time.Hour

type gapKey struct{ group, topic string }

// gap is a topic without commits of a group that had some.
type gap struct {
	// id is the topic's, in which they were.
	id [16]byte
	// sum stands for the group's commits in other topics as last read.
	sum int64
	// began is when they first changed; zero: not yet.
	began time.Time
}

// followGaps forgets topics which a group that names none no longer reads: they may be described, its commits there are gone, and those
// elsewhere have changed for long.
func (p *Poller) followGaps(g *groupPoll) {
	for topic := range g.memory.had {
		key, tv := gapKey{g.name, topic}, p.view.topic(topic)
		if len(g.commits[topic]) > 0 || tv.problem() != "" || !g.asksForAny() {
			delete(p.view.gaps, key)
			continue
		}
		sum, ok := g.commits.sum()
		if !ok {
			continue
		}
		before, known := p.view.gaps[key]
		if !known || before.id != tv.id {
			before = gap{id: tv.id, sum: sum}
		}
		if now := p.now(); before.sum != sum && before.began.IsZero() {
			before.began = now
		} else if before.sum != sum && now.Sub(before.began) >= movedFor {
			p.opts.Log.Info("a consumer group no longer reads a topic", "cluster", p.Cluster(), "group", g.name, "topic", topic)
			delete(g.memory.had, topic)
			delete(p.view.gaps, key)
			continue
		}
		before.sum = sum
		if p.view.gaps == nil {
			p.view.gaps = map[gapKey]gap{}
		}
		p.view.gaps[key] = before
	}
}

// forgetGaps drops those of groups that nobody wants, and of topics that are gone.
func (p *Poller) forgetGaps() {
	maps.DeleteFunc(p.view.gaps, func(k gapKey, _ gap) bool { m := p.groups[k.group]; return m == nil || !m.had[k.topic] })
}

// asksForAny says that somebody asks for all topics that the group has committed in.
func (g *groupPoll) asksForAny() bool { return slices.ContainsFunc(g.want.topics, Topics.Any) }

// sum changes when a commit does; not ok where some are not known.
func (c commits) sum() (sum int64, ok bool) {
	for _, all := range c {
		for _, one := range all {
			if one.problem != "" {
				return 0, false
			}
			sum += one.offset
		}
	}
	return sum, true
}
