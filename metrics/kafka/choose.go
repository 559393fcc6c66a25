package kafka

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxBeside is how many partitions a poll reads, over all groups, in topics that a group has committed nothing in: who may only ask
// could otherwise have every group read everything that the cluster holds.
const maxBeside = 20_000

// chooseTopics finds the topics of each group: those that it has committed in, and those that are named or matched by an expression.
// Of the latter the selections with the fewest partitions come first, and those that find no room are refused.
func (p *Poller) chooseTopics(groups []*groupPoll, room int) {
	var all []beside
	for _, g := range groups {
		if g.problem != "" {
			continue
		}
		g.rememberCommitted(&p.view)
		g.chosen, g.answers = map[string]bool{}, map[string]string{}
		for topic := range g.memory.had {
			if g.asksFor(topic) {
				g.chosen[topic] = true
			}
		}
		for _, t := range g.want.topics {
			if one, ok := p.besides(g, t); ok {
				all = append(all, one)
			}
		}
	}
	slices.SortFunc(all, func(a, b beside) int {
		return cmp.Or(cmp.Compare(a.partitions, b.partitions), strings.Compare(a.group.name, b.group.name), strings.Compare(a.of.Key(), b.of.Key()))
	})
	for _, one := range all {
		room -= p.admitBeside(one, room)
	}
	for _, g := range groups {
		if g.problem == "" {
			g.topics = slices.Sorted(maps.Keys(g.chosen))
			g.memory.topics = g.topics
		}
	}
}

// beside are the topics that one selection adds to those that a group has committed in.
type beside struct {
	group      *groupPoll
	of         Topics
	topics     []string
	partitions int
}

// besides are what a selection adds; not ok where the topics that its expressions are looked for among were not read.
func (p *Poller) besides(g *groupPoll, of Topics) (one beside, ok bool) {
	one = beside{group: g, of: of}
	add := func(topic string) {
		if !g.chosen[topic] {
			one.topics = append(one.topics, topic)
			one.partitions += p.view.partitions(topic)
		}
	}
	for _, name := range of.names {
		add(name)
	}
	if len(of.exprs) == 0 {
		return one, true
	}
	for _, e := range of.exprs {
		if !p.view.exprs[e.String()] {
			return one, false
		}
	}
	for name, tv := range p.view.topics {
		if !tv.isGone() && of.matchesExpression(name) && !slices.Contains(of.names, name) {
			add(name)
		}
	}
	return one, true
}

// admitBeside adds the topics of a selection to its group if there is room for their partitions, and says how many are new.
func (p *Poller) admitBeside(one beside, room int) (taken int) {
	g := one.group
	for _, topic := range one.topics {
		if !g.chosen[topic] {
			taken += p.view.partitions(topic)
		}
	}
	if taken > room {
		g.answers[one.of.Key()] = fmt.Sprintf("its topics have %d partitions beside those that the group has committed in, more than there is room for (%d for all groups together): name fewer topics",
			one.partitions, p.room)
		return 0
	}
	for _, topic := range one.topics {
		g.chosen[topic] = true
	}
	g.answers[one.of.Key()] = ""
	return taken
}

// partitions is how many readings a topic makes.
func (v *clusterView) partitions(topic string) int {
	if tv := v.topics[topic]; tv.problem() == "" {
		return len(tv.parts)
	}
	return 1
}

// rememberCommitted remembers in which topics the group has committed. Where commits are gone it may be for want of a right, so that
// only the end of the topic ends it.
func (g *groupPoll) rememberCommitted(v *clusterView) {
	if g.memory.had == nil {
		g.memory.had = map[string]bool{}
	}
	for topic := range g.commits {
		g.memory.had[topic] = true
	}
	maps.DeleteFunc(g.memory.had, func(topic string, _ bool) bool { return v.topic(topic).isGone() })
}

// asksFor says whether a topic is asked for: by name or expression, or because the group has committed in it.
func (g *groupPoll) asksFor(topic string) bool {
	return slices.ContainsFunc(g.want.topics, func(t Topics) bool { return t.Counts(topic, g.memory.had[topic]) })
}
