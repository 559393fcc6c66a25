package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// clusterView is what is remembered of the cluster from poll to poll: which broker to ask what.
type clusterView struct {
	topics       map[string]topicView
	at           time.Time
	all          bool
	coordinators map[string]int32
	brokers      map[int32]string
	// starts are the log starts as last read, at startsAt.
	starts   map[partition]startOffset
	startsAt time.Time
}

type topicView struct {
	id      [16]byte
	err     error
	leaders map[int32]leader
	// missing is how many reads of the metadata in a row did not know the topic.
	missing int
}

// goneAfter is how many reads of the metadata must not know a topic before it counts as deleted: one broker
// that has not heard of a topic is no proof.
const goneAfter = 2

func (t topicView) gone() bool { return t.missing >= goneAfter }

// problem is why nothing is known of the topic's partitions; empty if they are known.
func (t topicView) problem() string {
	switch {
	case t.err != nil:
		return fmt.Sprintf("read the topic's metadata: %v%s", t.err, mendFor(t.err))
	case len(t.leaders) == 0:
		return "the topic's partitions are not known"
	}
	return ""
}

// leader is the broker that leads a partition, or why there is none.
type leader struct {
	broker  int32
	problem string
}

type startOffset struct {
	topicID [16]byte
	offset  int64
}

func (v *clusterView) reset() {
	brokers := v.brokers
	if brokers == nil {
		brokers = map[int32]string{}
	}
	*v = clusterView{topics: map[string]topicView{}, coordinators: map[string]int32{}, brokers: brokers, starts: map[partition]startOffset{}}
}

// stale makes the next poll look at topics and leaders afresh.
func (v *clusterView) stale() { v.at = time.Time{} }

func (v *clusterView) addBroker(id int32, host string, port int32) {
	v.brokers[id] = net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// broker is how a message names a broker.
func (v *clusterView) broker(id int32) string { return fmt.Sprintf("%d (%s)", id, v.brokers[id]) }

// eachBroker does the work of every broker at the same time.
func (v *clusterView) eachBroker(work map[int32][]string, do func(broker int32, items []string)) {
	var wg sync.WaitGroup
	for broker, items := range work {
		wg.Go(func() { do(broker, items) })
	}
	wg.Wait()
}

// needs are the topics that a poll must know: names, or all.
type needs struct {
	names map[string]bool
	all   bool
}

func neededTopics(wants map[string]*want, commits map[string]groupCommits) needs {
	n := needs{names: map[string]bool{}}
	for group, w := range wants {
		for _, t := range w.topics {
			for _, name := range t.names {
				n.names[name] = true
			}
			n.all = n.all || len(t.exprs) > 0
		}
		for p := range commits[group] {
			if w.match(p.topic) {
				n.names[p.topic] = true
			}
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
	ctx, cancel := context.WithTimeout(ctx, p.opts.Cluster.RequestTimeout.Duration)
	defer cancel()
	resp, err := req.RequestWith(ctx, p.client)
	if err != nil {
		return fmt.Errorf("read its metadata: %w", err)
	}
	v.take(resp, now, n)
	return nil
}

func (v *clusterView) take(resp *kmsg.MetadataResponse, now time.Time, n needs) {
	before := v.topics
	v.at, v.all, v.topics = now, n.all, map[string]topicView{}
	for _, b := range resp.Brokers {
		v.addBroker(b.NodeID, b.Host, b.Port)
	}
	for _, t := range resp.Topics {
		if t.Topic == nil {
			continue
		}
		tv := topicView{id: t.TopicID, leaders: map[int32]leader{}}
		tv.err = kerr.ErrorForCode(t.ErrorCode)
		for _, one := range t.Partitions {
			l := leader{broker: one.Leader}
			if one.Leader < 0 {
				l.problem = "it has no leader"
				if err := kerr.ErrorForCode(one.ErrorCode); err != nil {
					l.problem = fmt.Sprintf("it has no leader: %v", err)
				}
				v.stale()
			}
			tv.leaders[one.Partition] = l
		}
		v.topics[*t.Topic] = tv
	}
	for name := range n.names {
		if _, ok := v.topics[name]; !ok {
			v.topics[name] = topicView{err: kerr.UnknownTopicOrPartition}
		}
	}
	v.countMissing(before)
	maps.DeleteFunc(v.starts, func(p partition, _ startOffset) bool {
		_, ok := v.topics[p.topic]
		return !ok
	})
}

// countMissing counts on from the last read, and has the metadata read again soon where an error may pass.
func (v *clusterView) countMissing(before map[string]topicView) {
	for name, t := range v.topics {
		if errors.Is(t.err, kerr.UnknownTopicOrPartition) {
			t.missing = before[name].missing + 1
			v.topics[name] = t
		}
		if kerr.IsRetriable(t.err) && !t.gone() {
			v.stale()
		}
	}
}
