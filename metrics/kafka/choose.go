package kafka

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// maxBeside is how many partitions a poll reads, over all groups, in topics that a group has committed nothing in: who may only ask
// could otherwise have every group read everything that the cluster holds.
const maxBeside = 20_000

// choices are what is kept of the choice of topics from poll to poll.
type choices struct {
	matches matches
	// looked says that matches have seen the view.
	looked bool
	// admitted are the selections that the last poll had room for, refused those that it had none for, with their partitions.
	admitted map[asker]bool
	refused  map[asker]int
	// news is the poll that last read metadata for the sake of what was asked for the first time.
	news int
	// groups are those of this poll.
	groups []*groupPoll
}

// asker is one selection of a group.
type asker struct{ group, key string }

// chooseTopics finds the topics of each group: those that it has committed in, and those that are named or matched by an expression.
// Of the latter those that had room in the last poll come first, as nobody may push them out, then the selections with the fewest
// partitions; those that find no room are refused.
func (p *Poller) chooseTopics(groups []*groupPoll, room int) {
	c := &p.choices
	c.groups = groups
	p.lookAtView(groups)
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
		return cmp.Or(b.stays()-a.stays(), cmp.Compare(a.partitions, b.partitions), strings.Compare(a.group.name, b.group.name), strings.Compare(a.of.Key(), b.of.Key()))
	})
	admitted, refused := map[asker]bool{}, map[asker]int{}
	for _, one := range all {
		taken, ok := p.admitBeside(one, room)
		if ok {
			room -= taken
			// What is not known yet may turn out to be larger, and must not push others out then.
			admitted[one.asker()] = one.what != nil
		} else {
			refused[one.asker()] = one.partitions
		}
	}
	for _, g := range groups {
		if g.problem == "" {
			g.topics = slices.Sorted(maps.Keys(g.chosen))
			g.memory.topics = g.topics
			continue
		}
		// What a group was asked about stands as it was.
		for _, t := range g.want.topics {
			a := asker{g.name, t.Key()}
			if c.admitted[a] {
				admitted[a] = true
			}
			if n, was := c.refused[a]; was {
				refused[a] = n
			}
		}
	}
	c.admitted, c.refused = admitted, refused
}

// lookAtView has the expressions matched with a view that was not read by this poller.
func (p *Poller) lookAtView(groups []*groupPoll) {
	if p.choices.looked {
		return
	}
	exprs, names := map[string]*regexp.Regexp{}, map[string]bool{}
	for text, e := range neededTopics(groups).exprs {
		if p.view.exprs[text] {
			exprs[text] = e
		}
	}
	for name := range p.view.topics {
		names[name] = true
	}
	p.choices.matches.see(names, exprs)
	p.choices.matches.look(&p.view)
	p.choices.looked = true
}

// beside are the topics that one selection adds to those that a group has committed in.
type beside struct {
	group *groupPoll
	of    Topics
	// what is nil where some of them are not known yet.
	what       *selected
	partitions int
	admitted   bool
}

func (b beside) asker() asker { return asker{b.group.name, b.of.Key()} }

func (b beside) stays() int {
	if b.admitted {
		return 1
	}
	return 0
}

// besides are what a selection adds; not ok where the topics that its expressions are looked for among were not read.
func (p *Poller) besides(g *groupPoll, of Topics) (one beside, ok bool) {
	one = beside{group: g, of: of}
	one.admitted = p.choices.admitted[one.asker()]
	for _, e := range of.exprs {
		if !p.view.exprs[e.String()] {
			return one, false
		}
	}
	m := &p.choices.matches
	if one.what = m.of(of, &p.view); one.what != nil {
		one.partitions = one.what.partitions - m.overlap(one.what, g.chosen)
		return one, true
	}
	// What is not known yet makes one reading at least, and what was refused as many as it had.
	for _, name := range of.names {
		if !g.chosen[name] {
			one.partitions += p.view.partitions(name)
		}
	}
	one.partitions = max(one.partitions, p.choices.refused[one.asker()])
	return one, true
}

// admitBeside adds the topics of a selection to its group if there is room for their partitions, and says how many are new. Those that
// are not known yet have no answer, and nothing is read of them.
func (p *Poller) admitBeside(one beside, room int) (taken int, ok bool) {
	g, m := one.group, &p.choices.matches
	taken = one.partitions
	if one.what != nil {
		taken = one.what.partitions - m.overlap(one.what, g.chosen)
	}
	if taken > room {
		g.answers[one.of.Key()] = fmt.Sprintf("its topics have %d partitions beside those that the group has committed in, more than there is room for (%d for all groups together): name fewer topics",
			one.partitions, p.room)
		return 0, false
	}
	if one.what == nil {
		return taken, true
	}
	for n := range one.what.topics.all {
		g.chosen[m.names[n]] = true
	}
	g.answers[one.of.Key()] = ""
	return taken, true
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
