package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"swell/metrics/lag"
)

// needs are the topics that a poll must know: by name, and all that expressions match, by their text.
type needs struct {
	names map[string]bool
	exprs map[string]*regexp.Regexp
	// asked are the selections that name topics.
	asked []naming
	// matched says which topics an expression matches, where they were seen.
	matched func(topic string) (matches, seen bool)
}

// naming are the topics that one selection names.
type naming struct {
	asker
	names []string
}

// all says that all topics must be looked at.
func (n needs) all() bool { return len(n.exprs) > 0 }

func (n needs) match(topic string) bool {
	if n.names[topic] {
		return true
	}
	if n.matched != nil {
		if matches, seen := n.matched(topic); seen {
			return matches
		}
	}
	for _, e := range n.exprs {
		if e.MatchString(topic) {
			return true
		}
	}
	return false
}

func neededTopics(groups []*groupPoll) needs {
	n := needs{names: map[string]bool{}, exprs: map[string]*regexp.Regexp{}}
	for _, g := range groups {
		for _, t := range g.want.topics {
			if len(t.names) > 0 {
				n.asked = append(n.asked, naming{asker{g.name, t.Key()}, t.names})
			}
			for _, e := range t.exprs {
				n.exprs[e.String()] = e
			}
		}
		for topic := range g.commits {
			n.names[topic] = true
		}
		for _, topic := range g.remembered() {
			n.names[topic] = true
		}
	}
	return n
}

// nameAsked adds the names that are only asked for, as far as they may find room, and says which those are.
func (p *Poller) nameAsked(n needs) (only map[string]bool) {
	c, room := &p.choices, p.room
	slices.SortFunc(n.asked, func(a, b naming) int {
		stays := func(n naming) int {
			if c.admitted[n.asker] {
				return 0
			}
			return 1
		}
		return cmp.Or(stays(a)-stays(b), cmp.Compare(len(a.names), len(b.names)), strings.Compare(a.group, b.group), strings.Compare(a.key, b.key))
	})
	only = map[string]bool{}
	for _, one := range n.asked {
		if _, refused := c.refused[one.asker]; refused {
			continue
		}
		news := slices.DeleteFunc(slices.Clone(one.names), func(name string) bool { return n.names[name] })
		if len(news) > room {
			continue
		}
		room -= len(news)
		for _, name := range news {
			n.names[name], only[name] = true, true
		}
	}
	return only
}

// newsGap is how many polls lie at least between two reads of the metadata for the sake of what is asked for the first time.
const newsGap = 3

// dueView says whether metadata must be read: when it is old or was found wrong, and in few polls because something is new.
func (p *Poller) dueView(now time.Time, n needs) bool {
	v, c := &p.view, &p.choices
	if v.at.IsZero() || now.Sub(v.at) >= p.opts.Cluster.MetadataEvery.Duration {
		return true
	}
	news := false
	for expr := range n.exprs {
		news = news || !v.exprs[expr]
	}
	for name := range n.names {
		_, known := v.topics[name]
		news = news || !known
	}
	if !news || c.news > 0 && p.turn-c.news < newsGap {
		return false
	}
	c.news = p.turn
	return true
}

// refreshView reads the metadata of the needed topics when it is due.
func (p *Poller) refreshView(ctx context.Context, now time.Time, n needs) error {
	v := &p.view
	only := p.nameAsked(n)
	if !p.dueView(now, n) {
		return nil
	}
	but := v.doubted()
	names := slices.Sorted(maps.Keys(n.names))
	all, by, err := p.readMetadata(ctx, names, n.all(), but)
	if err != nil {
		return err
	}
	// All topics are those that may be described: of the others only one that is named is told why it is not among them.
	if missing := without(names, all); n.all() && len(missing) > 0 {
		named, who, err := p.readMetadata(ctx, missing, false, but)
		if err != nil {
			return err
		}
		all.Topics, by = append(all.Topics, named.Topics...), who
	}
	p.forgetProofs()
	n.matched = p.seeTopics(all, n)
	if v.take(all, now, n, by) {
		p.client.ForceMetadataRefresh()
	}
	p.choices.matches.look(v)
	p.choices.looked = true
	if v.at.IsZero() && v.sound(only) {
		// Names that are only asked for, and that nobody knows, have time until the next read.
		v.at = now
	}
	return nil
}

// seeTopics has the expressions matched with the topics of an answer, and says which match.
func (p *Poller) seeTopics(all *kmsg.MetadataResponse, n needs) func(topic string) (matches, seen bool) {
	m, there := &p.choices.matches, maps.Clone(n.names)
	for _, t := range all.Topics {
		if t.Topic != nil {
			there[*t.Topic] = true
		}
	}
	m.see(there, n.exprs)
	matched := m.any()
	return func(topic string) (matches, seen bool) {
		place, seen := m.places[topic]
		return seen && matched.has(place), seen
	}
}

// sound says that nothing must be read again before long, but for some names.
func (v *clusterView) sound(but map[string]bool) bool {
	if v.behind != anyBroker {
		return false
	}
	for name, t := range v.topics {
		if t.err != nil && !t.gone && !(but[name] && errors.Is(t.err, kerr.UnknownTopicOrPartition)) {
			return false
		}
		for i := range t.parts {
			if t.parts[i].problem != "" {
				return false
			}
		}
	}
	return true
}

// readMetadata asks for topics by name, or for all, and says who has answered.
func (p *Poller) readMetadata(ctx context.Context, names []string, all bool, but map[int32]bool) (*kmsg.MetadataResponse, int32, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	if all {
		req.Topics = nil
	}
	p.budget.spend(1)
	resp, by, err := p.askBut(ctx, req, but)
	if err != nil {
		return nil, by, fmt.Errorf("read its metadata: %w", err)
	}
	r, ok := resp.(*kmsg.MetadataResponse)
	if !ok {
		return nil, by, errors.New("read its metadata: the answer is of another kind")
	}
	return r, by, nil
}

// without are the names that are not in an answer.
func without(names []string, resp *kmsg.MetadataResponse) []string {
	there := make(map[string]bool, len(resp.Topics))
	for _, t := range resp.Topics {
		if t.Topic != nil {
			there[*t.Topic] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return there[name] })
}

// errLeftOut is no proof that a topic is not there.
var errLeftOut = errors.New("the broker left the topic out of its answer")

// take believes a broker's metadata, as far as it was asked for. It says whether brokers have changed.
func (v *clusterView) take(resp *kmsg.MetadataResponse, now time.Time, n needs, by int32) (moved bool) {
	before := v.topics
	v.behind = anyBroker
	v.at, v.topics, v.exprs = now, map[string]*topicView{}, map[string]bool{}
	for expr := range n.exprs {
		v.exprs[expr] = true
	}
	moved = v.takeBrokers(resp.Brokers)
	for _, t := range resp.Topics {
		if t.Topic == nil || v.topics[*t.Topic] != nil || !n.match(*t.Topic) {
			continue
		}
		v.topics[*t.Topic] = v.takeTopic(t, before[*t.Topic], by)
	}
	for name := range n.names {
		if _, ok := v.topics[name]; !ok {
			v.topics[name] = failedTopic(errLeftOut, before[name])
		}
	}
	v.countUnknown(before, by)
	return moved
}

// takeBrokers believes a list of all brokers, and says whether one has moved.
func (v *clusterView) takeBrokers(all []kmsg.MetadataResponseBroker) (moved bool) {
	if len(all) == 0 {
		return false
	}
	before := v.brokers
	v.brokers = make(map[int32]string, len(all))
	for _, b := range all {
		v.addBroker(b.NodeID, b.Host, b.Port)
		was, known := before[b.NodeID]
		moved = moved || known && v.brokers[b.NodeID] != was
	}
	return moved
}

// takeTopic reads one topic's metadata, and keeps what is known of its partitions if it is the one from before. A topic never loses
// partitions: a broker that tells of fewer lags behind.
func (v *clusterView) takeTopic(t kmsg.MetadataResponseTopic, before *topicView, by int32) *topicView {
	if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
		return failedTopic(err, before)
	}
	tv := &topicView{id: t.TopicID}
	n := len(t.Partitions)
	if before != nil && before.id == tv.id && tv.id != [16]byte{} && n < len(before.parts) {
		n, v.behind = len(before.parts), by
	}
	tv.parts = make([]part, n)
	for i := range tv.parts {
		tv.parts[i] = newPart("the metadata leaves it out")
	}
	if before != nil && before.id == tv.id {
		copy(tv.parts, before.parts)
		tv.stamped, tv.stampsKnown = before.stamped, before.stampsKnown
	}
	for i := range tv.parts {
		tv.parts[i].problem = "the metadata leaves it out"
	}
	for _, one := range t.Partitions {
		// Kafka numbers partitions from 0 without gaps; what is beyond is not believed.
		if one.Partition < 0 || int(one.Partition) >= len(tv.parts) {
			continue
		}
		p := &tv.parts[one.Partition]
		p.leader, p.problem = one.Leader, ""
		if one.Leader < 0 {
			p.problem = "it has no leader"
			if err := kerr.ErrorForCode(one.ErrorCode); err != nil {
				p.problem = fmt.Sprintf("it has no leader: %v", err)
			}
		}
	}
	for i := range tv.parts {
		if tv.parts[i].problem != "" {
			v.stale()
		}
	}
	return tv
}

// failedTopic keeps what is known of a topic for when the error has passed.
func failedTopic(err error, before *topicView) *topicView {
	if before == nil {
		return &topicView{err: err}
	}
	return &topicView{err: err, id: before.id, parts: before.parts, stamped: before.stamped, stampsKnown: before.stampsKnown}
}

func newPart(problem string) part {
	return part{leader: lag.NoPartition, problem: problem, start: lag.Unknown, least: never, oldest: never}
}
