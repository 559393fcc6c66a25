package kafka

import "maps"

// Inherit takes over what another poller, of the same cluster under another configuration, knows of groups and topics: without it a topic
// whose right was taken away could not be told from one that the group has never committed in. The other one must not run any more,
// and this one not yet.
func (p *Poller) Inherit(from *Poller) {
	p.groups = make(map[string]*groupMemory, len(from.groups))
	for name, m := range from.groups {
		p.groups[name] = &groupMemory{share: m.share, typed: m.typed, typedAt: m.typedAt, topics: m.topics, committed: m.committed, had: maps.Clone(m.had)}
	}
	p.view.topics, p.view.gaps, p.view.portions = from.view.topics, from.view.gaps, from.view.portions
	for _, q := range p.view.portions {
		q.at = 0
	}
}
