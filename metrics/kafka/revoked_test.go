package kafka

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"swell/metrics/lag"
	"swell/metrics/store"
)

// hiding makes a cluster answer as Kafka does to one who may not describe a topic: it is left out wherever it is not named.
type hiding struct {
	mu sync.Mutex
	// topic is left out of all commits, and of the metadata of all topics unless listed.
	topic  string
	listed bool
	// named is the error of the topic where it is asked for by name; nil: none.
	named *kerr.Error
	// mute leaves the topic out even where it is named, as no honest broker does.
	mute bool
	// only is the broker that hides the topic's metadata, or -1 for every one.
	only int32
	off  bool
	// committed are the groups' commits that are told.
	committed kadm.FetchOffsetsResponses
	// asked are the brokers that were asked for the topic by name since it is hidden.
	asked []int32
}

func (h *hiding) set(change func(*hiding)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(h)
}

// hide begins with everything to be seen.
func (b *bench) hide(topic string, groups ...string) *hiding {
	b.t.Helper()
	h := &hiding{topic: topic, off: true, only: -1}
	details, err := b.admin.Metadata(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	h.committed = b.admin.FetchManyOffsets(b.t.Context(), groups...)
	b.kafka.ControlKey(int16(kmsg.OffsetFetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.off {
			return nil, nil, false
		}
		return h.commits(r.(*kmsg.OffsetFetchRequest)), nil, true
	})
	b.kafka.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		h.mu.Lock()
		defer h.mu.Unlock()
		node := b.kafka.CurrentNode()
		if h.off || h.only >= 0 && node != h.only {
			return nil, nil, false
		}
		return h.metadata(r.(*kmsg.MetadataRequest), details, node), nil, true
	})
	return h
}

func (h *hiding) commits(req *kmsg.OffsetFetchRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
	for _, asked := range req.Groups {
		g := kmsg.NewOffsetFetchResponseGroup()
		g.Group = asked.Group
		for topic, partitions := range h.committed[asked.Group].Fetched {
			if topic == h.topic {
				continue
			}
			t := kmsg.NewOffsetFetchResponseGroupTopic()
			t.Topic = topic
			for n, c := range partitions {
				one := kmsg.NewOffsetFetchResponseGroupTopicPartition()
				one.Partition, one.Offset = n, c.At
				t.Partitions = append(t.Partitions, one)
			}
			g.Topics = append(g.Topics, t)
		}
		resp.Groups = append(resp.Groups, g)
	}
	return resp
}

func (h *hiding) metadata(req *kmsg.MetadataRequest, details kadm.Metadata, node int32) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.MetadataResponse)
	for _, d := range details.Brokers {
		one := kmsg.NewMetadataResponseBroker()
		one.NodeID, one.Host, one.Port = d.NodeID, d.Host, d.Port
		resp.Brokers = append(resp.Brokers, one)
	}
	for _, d := range details.Topics.Sorted() {
		named := slices.ContainsFunc(req.Topics, func(t kmsg.MetadataRequestTopic) bool { return t.Topic != nil && *t.Topic == d.Topic })
		hidden := d.Topic == h.topic
		if hidden && named {
			h.asked = append(h.asked, node)
		}
		if hidden && h.mute || !named && (req.Topics != nil || hidden && !h.listed) {
			continue
		}
		t := kmsg.NewMetadataResponseTopic()
		t.Topic, t.TopicID = kmsg.StringPtr(d.Topic), d.ID
		if hidden && h.named != nil {
			t.ErrorCode, t.TopicID = h.named.Code, [16]byte{}
		} else {
			for _, p := range d.Partitions.Sorted() {
				one := kmsg.NewMetadataResponseTopicPartition()
				one.Partition, one.Leader = p.Partition, p.Leader
				t.Partitions = append(t.Partitions, one)
			}
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// unnamed are the ways to ask for topics without their names.
var unnamed = map[string][]string{"no topic named": nil, "an expression": {"/orders|mail/"}}

// twoTopics is a group with 4 messages left in orders and 1000 in mail, which can be hidden.
func twoTopics(t *testing.T, topics []string, opts ...kfake.Opt) (*bench, *hiding) {
	b := newBench(t, append(opts, kfake.SeedTopics(2, "orders", "mail"))...)
	b.produce("orders", 0, 4)
	b.produce("mail", 1, 1000)
	b.commit("g", "orders", 0, 0)
	b.commit("g", "mail", 1, 0)
	b.want("g", topics...)
	h := b.hide("mail", "g")
	b.poll()
	if got := b.lag("g", latestRules); got.Lag != 1004 || !got.Complete() {
		t.Fatalf("before: %+v", got)
	}
	return b, h
}

// problem polls and wants the group's lag to be incomplete, with a problem that says text.
func (b *bench) problem(text string) {
	b.t.Helper()
	b.poll()
	// Nothing that was read earlier.
	v := b.store.View(store.Key{Cluster: "main", Group: "g"}, b.now, 0, store.Selection{})
	if got := lag.Add(v.Readings, latestRules); got.Complete() || len(got.Problems) == 0 || !strings.Contains(got.Problems[0].Text, text) {
		b.t.Fatalf("%+v, want it to be incomplete and to say %q", got, text)
	}
}

func TestTopicThatMayNoLongerBeDescribedStaysInTheSum(t *testing.T) {
	for name, topics := range unnamed {
		t.Run(name, func(t *testing.T) {
			b, h := twoTopics(t, topics)
			h.set(func(h *hiding) { h.off, h.named = false, kerr.TopicAuthorizationFailed })
			for range 3 {
				b.problem("Describe the topic")
			}
			total := b.count()
			const polls = 20
			for range polls {
				b.problem("Describe the topic")
			}
			if n, byKey := total(); n > polls*(2*brokers+1) {
				t.Errorf("%d requests in %d polls (%v)", n, polls, byKey)
			}
			b.pass(2 * b.cluster.MetadataEvery.Duration)
			b.problem("Describe the topic")
			h.set(func(h *hiding) { h.off = true })
			b.poll()
			if got := b.lag("g", latestRules); got.Lag != 1004 || !got.Complete() {
				t.Errorf("when the right is back: %+v", got)
			}
		})
	}
}

func TestTopicIsGoneWhenTwoBrokersDoNotKnowIt(t *testing.T) {
	for name, topics := range unnamed {
		t.Run(name, func(t *testing.T) {
			b, h := twoTopics(t, topics)
			h.set(func(h *hiding) { h.off, h.named = false, kerr.UnknownTopicOrPartition })
			b.problem("UNKNOWN_TOPIC_OR_PARTITION")
			b.poll()
			if got := b.lag("g", latestRules); got.Lag != 4 || !got.Complete() {
				t.Errorf("%+v, want the other topic's alone", got)
			}
			if len(h.asked) != 2 || h.asked[0] == h.asked[1] {
				t.Errorf("brokers %v were asked for the topic, want two different ones", h.asked)
			}
			b.poll()
			if len(h.asked) != 2 {
				t.Errorf("what is gone is asked for again: %v", h.asked)
			}
		})
	}
}

func TestTopicThatIsLeftOutThoughNamedIsAskedForAgain(t *testing.T) {
	for name, topics := range unnamed {
		t.Run(name, func(t *testing.T) {
			b, h := twoTopics(t, topics)
			h.set(func(h *hiding) { h.off, h.mute = false, true })
			const polls = 4
			for range polls {
				b.problem("left the topic out of its answer")
			}
			if len(h.asked) != polls {
				t.Errorf("it was asked for %d times in %d polls", len(h.asked), polls)
			}
		})
	}
}

func TestTopicOfOneBrokerIsGoneWhenItSaysSoTwice(t *testing.T) {
	b, h := twoTopics(t, nil, kfake.NumBrokers(1))
	h.set(func(h *hiding) { h.off, h.named = false, kerr.UnknownTopicOrPartition })
	b.problem("UNKNOWN_TOPIC_OR_PARTITION")
	b.poll()
	if got := b.lag("g", latestRules); got.Lag != 4 || !got.Complete() {
		t.Errorf("%+v", got)
	}
}

// A broker that lags behind does not know a topic for a while, however often it is asked.
func TestTopicThatOneBrokerDoesNotKnowIsThere(t *testing.T) {
	for only := range int32(brokers) {
		b, h := twoTopics(t, []string{"/orders|mail/"})
		h.set(func(h *hiding) { h.off, h.named, h.only = false, kerr.UnknownTopicOrPartition, only })
		for range 6 {
			b.poller.view.stale()
			b.poll()
			if got := b.lag("g", latestRules); got.Complete() && got.Lag != 1004 {
				t.Errorf("broker %d does not know the topic: %+v", only, got)
			}
		}
	}
}

func TestCommitThatIsGoneFromATopicThatIsThere(t *testing.T) {
	for name, topics := range unnamed {
		t.Run(name, func(t *testing.T) {
			b, h := twoTopics(t, topics)
			h.set(func(h *hiding) { h.off, h.listed = false, true })
			total := b.count()
			const polls = 20
			for range polls {
				b.problem("its commit 0 is gone")
			}
			if n, byKey := total(); n > polls*(2*brokers+1) {
				t.Errorf("%d requests in %d polls (%v)", n, polls, byKey)
			}
			h.set(func(h *hiding) { h.off = true })
			b.poll()
			if got := b.lag("g", latestRules); got.Lag != 1004 || !got.Complete() {
				t.Errorf("when it is committed again: %+v", got)
			}
		})
	}
}

func TestTopicThatIsNoLongerWantedIsForgotten(t *testing.T) {
	b, h := twoTopics(t, []string{"/orders|mail/"})
	h.set(func(h *hiding) { h.off, h.named = false, kerr.TopicAuthorizationFailed })
	b.problem("Describe the topic")
	b.wants = nil
	b.want("g", "orders")
	b.poll()
	if got := b.lag("g", latestRules); got.Lag != 4 || !got.Complete() {
		t.Errorf("%+v", got)
	}
}

func TestUnknownTopicNeedsTwoWitnesses(t *testing.T) {
	for name, tc := range map[string]struct {
		by      []int32
		brokers int
		want    bool
	}{
		"one broker, once":                  {[]int32{1}, 1, false},
		"one broker, twice":                 {[]int32{1, 1}, 1, true},
		"the same of three":                 {[]int32{1, 1, 1, 1}, 3, false},
		"two of three":                      {[]int32{1, 2}, 3, true},
		"two of three, one said it again":   {[]int32{1, 1, 2}, 3, true},
		"nobody knows which ones they were": {[]int32{anyBroker, anyBroker, anyBroker}, 3, false},
		"the first may be the second":       {[]int32{anyBroker, 1}, 3, false},
		"the second may be the first":       {[]int32{1, anyBroker}, 3, false},
		"two at last":                       {[]int32{anyBroker, 1, anyBroker, 2}, 3, true},
	} {
		var u unknownTo
		for _, by := range tc.by {
			u = u.and(by)
		}
		if got := u.enough(tc.brokers); got != tc.want {
			t.Errorf("%s: gone %t, want %t", name, got, tc.want)
		}
	}
}
