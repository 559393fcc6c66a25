package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"swell/metrics/lag"
)

// clusterView is what is remembered of the cluster from poll to poll: which broker to ask what.
type clusterView struct {
	topics       map[string]*topicView
	at           time.Time
	all          bool
	coordinators map[string]int32
	brokers      map[int32]string
	// startsAt and stampsAt are when log starts and the topics' stamps were last looked at as a whole.
	startsAt, stampsAt time.Time
}

type topicView struct {
	id    [16]byte
	err   error
	parts []part
	// missing is how many reads of the metadata in a row did not know the topic.
	missing int
	// stamped says that brokers stamp the topic's messages; stampsKnown that they were asked.
	stamped, stampsKnown bool
}

// part is what is known of one partition of a topic.
type part struct {
	leader int32
	// problem is why nobody leads it.
	problem string
	// asking has a bit for every answer that a request in flight owes, and known one for every answer that this poll has got.
	asking, known bits
	// needs are the answers that some group needs of this poll.
	needs bits
	// end and stable are the end offsets that this poll read.
	end, stable int64
	// failed is why this poll did not read what it needed.
	failed string
	// start is the log start as last read, or lag.Unknown; startDue says that it must be read again.
	start    int64
	startDue bool
	// least is the least commit of the groups that lag, or never.
	least int64
	// late are the ages that are asked about in this poll, with what was answered; lateFailed is why something was not.
	late       []lag.LateFrom
	lateFailed string
	// before and beforeAt are the end of an earlier poll and when it was read; zero: none.
	before   int64
	beforeAt time.Time
	// age is what is known of the ages of its messages while some group asks for them and lags.
	age *age
	// oldest is the least offset that is unread by a group which asks for ages, or never.
	oldest int64
}

// goneAfter is how many reads of the metadata must not know a topic before it counts as deleted: one broker
// that has not heard of a topic is no proof.
const goneAfter = 2

func (t *topicView) gone() bool { return t != nil && t.missing >= goneAfter }

// problem is why nothing is known of the topic's partitions; empty if they are known.
func (t *topicView) problem() string {
	switch {
	case t == nil:
		return "the topic's partitions are not known"
	case t.err != nil:
		return fmt.Sprintf("read the topic's metadata: %v%s", t.err, mendFor(t.err))
	case len(t.parts) == 0:
		return "the topic's partitions are not known"
	}
	return ""
}

// reset forgets where to ask what, and keeps what is known of topics for when they are found again.
func (v *clusterView) reset() {
	brokers := v.brokers
	if brokers == nil {
		brokers = map[int32]string{}
	}
	topics := v.topics
	if topics == nil {
		topics = map[string]*topicView{}
	}
	*v = clusterView{topics: topics, coordinators: map[string]int32{}, brokers: brokers}
}

// stale makes the next poll look at topics and leaders afresh.
func (v *clusterView) stale() { v.at = time.Time{} }

// topic finds a topic, nil where there is none.
func (v *clusterView) topic(name string) *topicView { return v.topics[name] }

// part finds a partition, nil where there is none.
func (v *clusterView) part(topic string, n int32) *part {
	t := v.topics[topic]
	if t == nil || n < 0 || int(n) >= len(t.parts) {
		return nil
	}
	return &t.parts[n]
}

func (v *clusterView) addBroker(id int32, host string, port int32) {
	v.brokers[id] = net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// broker is how a message names a broker.
func (v *clusterView) broker(id int32) string { return fmt.Sprintf("%d (%s)", id, v.brokers[id]) }

// needs are the topics that a poll must know: names, or all.
type needs struct {
	names map[string]bool
	all   bool
	// exprs are those that say which of all topics are meant.
	exprs []Topics
}

func (n needs) match(topic string) bool {
	return n.names[topic] || slices.ContainsFunc(n.exprs, func(t Topics) bool { return t.Match(topic) })
}

func neededTopics(groups []*groupPoll) needs {
	n := needs{names: map[string]bool{}}
	for _, g := range groups {
		for _, t := range g.want.topics {
			for _, name := range t.names {
				n.names[name] = true
			}
			if len(t.exprs) > 0 {
				n.all, n.exprs = true, append(n.exprs, t)
			}
		}
		for topic := range g.commits {
			n.names[topic] = true
		}
	}
	return n
}

// refreshView reads the metadata of the needed topics when it is old, was found wrong, or a topic is new.
func (p *Poller) refreshView(ctx context.Context, now time.Time, n needs) error {
	v := &p.view
	fresh := !v.at.IsZero() && now.Sub(v.at) < p.opts.Cluster.MetadataEvery.Duration && (v.all || !n.all)
	for name := range n.names {
		_, known := v.topics[name]
		fresh = fresh && known
	}
	if fresh {
		return nil
	}
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	for _, name := range slices.Sorted(maps.Keys(n.names)) {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	if n.all {
		req.Topics = nil
	}
	p.budget.spend(1)
	resp, err := p.askAny(ctx, req)
	if err != nil {
		return fmt.Errorf("read its metadata: %w", err)
	}
	r, ok := resp.(*kmsg.MetadataResponse)
	if !ok {
		return errors.New("read its metadata: the answer is of another kind")
	}
	p.forgetProofs()
	if v.take(r, now, n) {
		p.client.ForceMetadataRefresh()
	}
	return nil
}

// take believes a read of the metadata, as far as it was asked for. It says whether brokers have changed.
func (v *clusterView) take(resp *kmsg.MetadataResponse, now time.Time, n needs) (moved bool) {
	before := v.topics
	v.at, v.all, v.topics = now, n.all, map[string]*topicView{}
	moved = v.takeBrokers(resp.Brokers)
	for _, t := range resp.Topics {
		if t.Topic == nil || v.topics[*t.Topic] != nil || !n.match(*t.Topic) {
			continue
		}
		v.topics[*t.Topic] = v.takeTopic(t, before[*t.Topic])
	}
	for name := range n.names {
		if _, ok := v.topics[name]; !ok {
			v.topics[name] = &topicView{err: kerr.UnknownTopicOrPartition}
		}
	}
	v.countMissing(before)
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
	tv := &topicView{id: t.TopicID, err: kerr.ErrorForCode(t.ErrorCode)}
	if tv.err != nil {
		// What is known is kept for when the error has passed.
		if before != nil {
			tv.id, tv.parts, tv.stamped, tv.stampsKnown = before.id, before.parts, before.stamped, before.stampsKnown
		}
		return tv
	}
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

func newPart(problem string) part {
	return part{leader: lag.NoPartition, problem: problem, start: lag.Unknown, least: never, oldest: never}
}

// countMissing counts on from the last read, and has the metadata read again soon where an error may pass.
func (v *clusterView) countMissing(before map[string]*topicView) {
	for name, t := range v.topics {
		if errors.Is(t.err, kerr.UnknownTopicOrPartition) {
			t.missing = 1
			if b := before[name]; b != nil {
				t.missing += b.missing
			}
		}
		if kerr.IsRetriable(t.err) && !t.gone() {
			v.stale()
		}
	}
}
