package kafka

import (
	"errors"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
)

// unknownTo counts the answers in a row that a topic is not known, and by whom.
type unknownTo struct {
	times int
	// first is one who said so, or anyBroker; other that another one did as well.
	first int32
	other bool
}

func (u unknownTo) and(by int32) unknownTo {
	switch {
	case u.times == 0 || u.first == anyBroker:
		u.first = by
	case by != anyBroker && by != u.first:
		u.other = true
	}
	u.times++
	return u
}

// enough says that the topic is not there: a broker that has not heard of it yet is no proof, however often it is asked.
func (u unknownTo) enough(brokers int) bool { return u.times >= 2 && (u.other || brokers <= 1) }

// countUnknown counts on from the last read, and has the metadata read again soon where an error may pass.
func (v *clusterView) countUnknown(before map[string]*topicView, by int32) {
	for name, t := range v.topics {
		if errors.Is(t.err, kerr.UnknownTopicOrPartition) {
			if b := before[name]; b != nil {
				t.unknown, t.gone = b.unknown, b.gone
			}
			t.unknown = t.unknown.and(by)
			t.gone = t.gone || t.unknown.enough(len(v.brokers))
		}
		if !t.gone && (kerr.IsRetriable(t.err) || errors.Is(t.err, errLeftOut)) {
			v.stale()
		}
	}
}

// doubted are the broker that lags behind, and the one that does not know a topic of which another one must be asked; of several topics
// the first.
func (v *clusterView) doubted() map[int32]bool {
	least, by := "", map[int32]bool{v.behind: true}
	for name, t := range v.topics {
		if t.unknown.times > 0 && !t.gone && (least == "" || name < least) {
			least = name
		}
	}
	if least != "" {
		by[v.topics[least].unknown.first] = true
	}
	return by
}

// remembered are the topics that the group was asked about when it was last read, as far as they are still wanted. Kafka leaves a
// topic that may no longer be described out wherever it is not named: it must not leave the lag so.
func (g *groupPoll) remembered() []string {
	var topics []string
	for _, topic := range g.memory.topics {
		if g.asksFor(topic) {
			topics = append(topics, topic)
		}
	}
	return topics
}

// followCommitted has the metadata read again where a topic's commits are gone, which may be for want of a right, and where there
// are some although the topic might not be described, or in partitions that it does not have yet.
func (p *Poller) followCommitted(groups []*groupPoll) {
	unseen := map[string]bool{}
	for name, t := range p.view.topics {
		if errors.Is(t.err, kerr.TopicAuthorizationFailed) {
			unseen[name] = true
		}
	}
	for _, g := range groups {
		if g.problem != "" {
			continue
		}
		for name := range unseen {
			if g.commits[name] != nil {
				p.view.stale()
			}
		}
		for topic, all := range g.commits {
			if tv := p.view.topic(topic); tv.problem() == "" && all[len(all)-1].n >= int32(len(tv.parts)) {
				p.view.stale()
			}
		}
		p.followGaps(g)
		m := g.memory
		same := len(m.committed) == len(g.commits)
		for _, topic := range m.committed {
			if g.commits[topic] == nil {
				same = false
				p.view.stale()
			}
		}
		if !same {
			m.committed = slices.Sorted(maps.Keys(g.commits))
		}
	}
}
