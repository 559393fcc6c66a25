package kafka

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"swell/metrics/lag"
	"swell/metrics/store"
)

// lagBehind makes brokers tell of a topic's first partitions alone: one of them, or every one for anyBroker.
func (b *bench) lagBehind(topic string, partitions int32, who int32) (on *atomic.Bool) {
	b.t.Helper()
	details, err := b.admin.Metadata(b.t.Context(), topic)
	if err != nil {
		b.t.Fatal(err)
	}
	on = &atomic.Bool{}
	b.kafka.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		if !on.Load() || who != anyBroker && b.kafka.CurrentNode() != who {
			return nil, nil, false
		}
		resp := r.ResponseKind().(*kmsg.MetadataResponse)
		for _, d := range details.Brokers {
			one := kmsg.NewMetadataResponseBroker()
			one.NodeID, one.Host, one.Port = d.NodeID, d.Host, d.Port
			resp.Brokers = append(resp.Brokers, one)
		}
		t := kmsg.NewMetadataResponseTopic()
		t.Topic, t.TopicID = kmsg.StringPtr(topic), details.Topics[topic].ID
		for n := range partitions {
			one := kmsg.NewMetadataResponseTopicPartition()
			one.Partition, one.Leader = n, details.Topics[topic].Partitions[n].Leader
			t.Partitions = append(t.Partitions, one)
		}
		resp.Topics = append(resp.Topics, t)
		return resp, nil, true
	})
	return on
}

// read is what the last poll alone has read.
func (b *bench) read(group string) lag.Sum {
	return lag.Add(b.store.View(store.Key{Cluster: "main", Group: group}, b.now, 0, store.Selection{}).Readings, latestRules)
}

// eightPartitions are of a topic with a group that has 10 messages left in each.
func eightPartitions(t *testing.T, opts ...kfake.Opt) *bench {
	b := newBench(t, append(opts, kfake.SeedTopics(8, "orders"))...)
	for n := range int32(8) {
		b.produce("orders", n, 10)
		b.commit("g", "orders", n, 0)
	}
	b.want("g")
	b.poll()
	return b
}

func TestATopicDoesNotLosePartitions(t *testing.T) {
	b := eightPartitions(t)
	on := b.lagBehind("orders", 4, anyBroker)
	on.Store(true)
	b.poller.view.stale()
	for range 3 {
		b.poll()
		if got := b.read("g"); got.Total != 8 || got.Known != 4 || got.Complete() || !strings.Contains(got.Problems[0].Text, "the metadata leaves it out") {
			t.Errorf("%+v, want 4 of 8 partitions", got)
		}
	}
	on.Store(false)
	b.poll()
	if got := b.read("g"); got.Lag != 80 || !got.Complete() {
		t.Errorf("in the poll after that: %+v", got)
	}
}

func TestABrokerThatLagsBehindIsNotAskedTwice(t *testing.T) {
	for who := range int32(brokers) {
		b := eightPartitions(t)
		b.lagBehind("orders", 4, who).Store(true)
		for range 6 {
			b.poller.view.stale()
			b.poll()
			if b.read("g").Complete() {
				continue
			}
			b.poll()
			if got := b.read("g"); got.Lag != 80 || !got.Complete() {
				t.Fatalf("broker %d lags behind: %+v", who, got)
			}
		}
	}
}

func TestATopicThatIsMadeAnewMayBeSmaller(t *testing.T) {
	b := eightPartitions(t)
	if _, err := b.admin.DeleteTopics(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.admin.CreateTopic(t.Context(), 2, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	b.wants = nil
	b.want("g", "orders")
	b.poller.view.stale()
	b.poll()
	if tv := b.poller.view.topic("orders"); len(tv.parts) != 2 {
		t.Errorf("%d partitions, want those of the new topic", len(tv.parts))
	}
}

// another is a client that knows of no topic yet.
func (b *bench) another() *kgo.Client {
	b.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.kafka.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(client.Close)
	return client
}

func TestACommitInANewPartition(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(2, "orders"))
	b.produce("orders", 0, 10)
	b.commit("g", "orders", 0, 10)
	b.want("g")
	b.poll()
	if _, err := b.admin.CreatePartitions(t.Context(), 2, "orders"); err != nil {
		t.Fatal(err)
	}
	before := b.client
	b.client = b.another()
	b.produce("orders", 3, 500)
	b.client = before
	b.commit("g", "orders", 3, 1)
	b.poll()
	if got := b.read("g"); got.Lag != 499 || !got.Complete() || got.Total != 4 {
		t.Errorf("the metadata was not read again at once: %+v", got)
	}

	b = newBench(t, kfake.SeedTopics(4, "orders"))
	b.produce("orders", 3, 500)
	b.commit("g", "orders", 3, 1)
	b.want("g")
	on := b.lagBehind("orders", 2, anyBroker)
	on.Store(true)
	for range 3 {
		b.poll()
		if got := b.read("g"); got.Complete() || got.Total != 3 || !strings.Contains(got.Problems[0].Text, "does not show it yet") {
			t.Errorf("the brokers do not know the partition yet: %+v", got)
		}
	}
	on.Store(false)
	b.poll()
	if got := b.read("g"); got.Lag != 499 || !got.Complete() || got.Total != 4 {
		t.Errorf("when they know it: %+v", got)
	}
}
