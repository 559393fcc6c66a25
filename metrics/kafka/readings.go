package kafka

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"swell/metrics/lag"
	"swell/metrics/store"
)

// record gives the sink what the poll has read, or why it has not.
func (p *Poller) record(at time.Time, groups []*groupPoll, err error) {
	for _, g := range groups {
		key := store.Key{Cluster: p.Cluster(), Group: g.name}
		switch {
		case err != nil:
			p.opts.Sink.Fail(key, at, err.Error())
		case g.problem != "":
			p.opts.Sink.Fail(key, at, g.problem)
		default:
			p.opts.Sink.Record(key, store.Poll{At: at, Readings: p.readings(at, g), Rebalancing: g.memory.rebalancing, Answers: g.answers})
		}
	}
}

// readings puts one group's commits and offsets together, a reading for every partition that its topics have.
func (p *Poller) readings(at time.Time, g *groupPoll) []lag.Reading {
	n := 0
	for _, topic := range g.topics {
		n++
		if tv := p.view.topic(topic); tv.problem() == "" {
			n += len(tv.parts) - 1
		}
	}
	out := make([]lag.Reading, 0, n)
	for _, topic := range g.topics {
		tv := p.view.topic(topic)
		if problem := tv.problem(); problem != "" {
			var id [16]byte
			if tv != nil {
				id = tv.id
			}
			r := failed(at, topic, lag.NoPartition, id, problem)
			r.NotCommitted = !g.memory.had[topic]
			out = append(out, r)
			continue
		}
		for n := range tv.parts {
			r := p.reading(at, g, topic, tv, int32(n))
			r.NotCommitted = !g.memory.had[topic]
			out = append(out, r)
		}
		if r, ok := p.beyond(at, g, topic, tv); ok {
			out = append(out, r)
		}
	}
	return out
}

// beyond stands for all partitions in which the group has committed and that the topic does not have, by the first of them.
func (p *Poller) beyond(at time.Time, g *groupPoll, topic string, tv *topicView) (r lag.Reading, ok bool) {
	all := g.commits[topic]
	i, _ := slices.BinarySearchFunc(all, len(tv.parts), func(c commit, n int) int { return cmp.Compare(int(c.n), n) })
	if i == len(all) {
		return r, false
	}
	p.view.stale()
	r = failed(at, topic, all[i].n, tv.id, fmt.Sprintf("the group has committed in it, as in %d more, and the metadata does not show it yet: where that stays so, "+
		"delete the group's commits there, which are of an earlier topic of this name", len(all)-i-1))
	r.NotCommitted = !g.memory.had[topic]
	return r, true
}

func (p *Poller) reading(at time.Time, g *groupPoll, topic string, tv *topicView, n int32) lag.Reading {
	pt, c := &tv.parts[n], g.commits.of(topic, n)
	problem := cmp.Or(pt.problem, c.problem, pt.failed)
	if problem == "" && !p.view.askedFor(g.name, topic, n) {
		problem = "the group's commit in it was not asked for yet"
	}
	if problem == "" && (g.ends()&^pt.known != 0 || pt.start < 0) {
		problem = fmt.Sprintf("broker %s left the partition out of its answer", p.view.broker(pt.leader))
	}
	if problem != "" {
		return failed(at, topic, n, tv.id, problem)
	}
	late, lateProblem := g.lateFor(c, pt)
	r := lag.Reading{Topic: topic, Partition: n, TopicID: tv.id, At: at, Commit: c.offset, End: pt.end, Stable: pt.stable, Start: pt.start,
		Share: g.memory.share, ShareLag: c.lag, BrokerStamped: tv.stamped,
		Late: late, LateProblem: lateProblem, OldestAt: g.oldestAt(c, pt), Readable: p.readableOf(g, tv, c, pt)}
	if end := pt.atEnd(); r.Start > end || r.Commit > end {
		// The topic may have been made anew, or truncated: look again before the next poll.
		pt.startDue = true
		p.view.stale()
	}
	return r
}

func failed(at time.Time, topic string, n int32, id [16]byte, problem string) lag.Reading {
	return lag.Reading{Topic: topic, Partition: n, TopicID: id, At: at, Problem: problem,
		Commit: lag.Unknown, End: lag.Unknown, Stable: lag.Unknown, Start: lag.Unknown, ShareLag: lag.Unknown, Readable: lag.Unknown}
}
