package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"swell/metrics/lag"
)

// needs are the topics that a poll must know: by name, and all that expressions match, by their text.
type needs struct {
	names map[string]bool
	exprs map[string]*regexp.Regexp
}

// all says that all topics must be looked at.
func (n needs) all() bool { return len(n.exprs) > 0 }

func (n needs) match(topic string) bool {
	if n.names[topic] {
		return true
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
			for _, name := range t.names {
				n.names[name] = true
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

// refreshView reads the metadata of the needed topics when it is old, was found wrong, or a topic is new.
func (p *Poller) refreshView(ctx context.Context, now time.Time, n needs) error {
	v := &p.view
	fresh := !v.at.IsZero() && now.Sub(v.at) < p.opts.Cluster.MetadataEvery.Duration
	for expr := range n.exprs {
		fresh = fresh && v.exprs[expr]
	}
	for name := range n.names {
		_, known := v.topics[name]
		fresh = fresh && known
	}
	if fresh {
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
	if v.take(all, now, n, by) {
		p.client.ForceMetadataRefresh()
	}
	return nil
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
	v.at, v.topics, v.exprs = now, map[string]*topicView{}, map[string]bool{}
	for expr := range n.exprs {
		v.exprs[expr] = true
	}
	moved = v.takeBrokers(resp.Brokers)
	for _, t := range resp.Topics {
		if t.Topic == nil || v.topics[*t.Topic] != nil || !n.match(*t.Topic) {
			continue
		}
		v.topics[*t.Topic] = v.takeTopic(t, before[*t.Topic])
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

// takeTopic reads one topic's metadata, and keeps what is known of its partitions if it is the one from before.
func (v *clusterView) takeTopic(t kmsg.MetadataResponseTopic, before *topicView) *topicView {
	if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
		return failedTopic(err, before)
	}
	tv := &topicView{id: t.TopicID}
	tv.parts = make([]part, len(t.Partitions))
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
