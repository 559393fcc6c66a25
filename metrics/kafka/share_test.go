package kafka

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// share runs a share consumer until it has accepted so many messages.
func (b *bench) share(group, topic string, n int) {
	b.t.Helper()
	b.kafka.SetGroupConfigs(group, map[string]string{"share.auto.offset.reset": "earliest"})
	c, err := kgo.NewClient(kgo.SeedBrokers(b.cluster.Brokers...), kgo.ConsumeTopics(topic), kgo.ShareGroup(group), kgo.FetchMaxWait(200*time.Millisecond))
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	for got := 0; got < n; {
		for _, r := range c.PollFetches(ctx).Records() {
			how := kgo.AckRelease
			if got < n {
				how, got = kgo.AckAccept, got+1
			}
			r.Ack(how)
		}
		if err := c.FlushAcks(ctx); err != nil {
			b.t.Fatal(err)
		}
	}
}

func TestShareGroupsLagIsTheBrokers(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders"))
	b.produce("orders", 0, 10)
	b.share("s", "orders", 4)
	b.commit("g", "orders", 0, 3)
	b.want("s", "orders")
	b.want("g", "orders")
	b.poll()
	for range 2 {
		if got := b.lag("s", latestRules); !got.Share || got.Lag != 6 || !got.Complete() {
			t.Errorf("share group: %+v, want 6", got)
		}
		if got := b.lag("g", latestRules); got.Share || got.Lag != 7 {
			t.Errorf("consumer group: %+v", got)
		}
		b.poll()
	}
	total := b.count()
	b.poll()
	if n, byKey := total(); byKey["ListGroups"] != 0 || n > 2*brokers+1 {
		t.Errorf("%d requests in a poll that is nothing special: %v", n, byKey)
	}
}

func TestShareGroupOfBrokersThatDoNotCountIsUnknown(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders"))
	b.produce("orders", 0, 10)
	b.share("s", "orders", 4)
	b.want("s", "orders")
	b.kafka.ControlKey(int16(kmsg.DescribeShareGroupOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		resp := r.ResponseKind().(*kmsg.DescribeShareGroupOffsetsResponse)
		g, topic, p := kmsg.NewDescribeShareGroupOffsetsResponseGroup(), kmsg.NewDescribeShareGroupOffsetsResponseGroupTopic(), kmsg.NewDescribeShareGroupOffsetsResponseGroupTopicPartition()
		g.GroupID, topic.Topic, p.StartOffset = "s", "orders", 4
		topic.Partitions = append(topic.Partitions, p)
		g.Topics = append(g.Topics, topic)
		resp.Groups = append(resp.Groups, g)
		return resp, nil, true
	})
	b.poll()
	if got := b.lag("s", latestRules); got.Complete() || !got.Share {
		t.Errorf("%+v", got)
	}
}

func TestShareGroupOfBrokersThatCannotDescribeItFailsAlone(t *testing.T) {
	old := kversion.Stable()
	old.SetMaxKeyVersion(int16(kmsg.DescribeShareGroupOffsets), -1)
	b := newBench(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"), kfake.MaxVersions(old))
	b.produce("orders", 0, 10)
	b.share("s", "orders", 4)
	b.commit("g", "orders", 0, 3)
	b.want("s", "orders")
	b.want("g", "orders")
	for range 3 {
		b.poll()
	}
	if got := b.lag("g", latestRules); got.Lag != 7 || !got.Complete() || len(b.fresh("g")) != 1 {
		t.Errorf("the consumer group beside it: %+v", got)
	}
	if v := b.view("s"); !strings.Contains(v.Problem, "does not know the request") || len(v.Readings) != 0 {
		t.Errorf("the share group: %+v", v)
	}
	if n := len(b.poller.Stats().Failing); n != 0 {
		t.Errorf("the broker counts as failing: %v", b.poller.Stats().Failing)
	}
}

func TestGroupOfUnknownTypeIsNotOneThatNeverCommitted(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders"))
	b.produce("orders", 0, 10)
	b.share("s", "orders", 4)
	b.want("s", "orders")
	var refuse atomic.Bool
	refuse.Store(true)
	b.kafka.ControlKey(int16(kmsg.ListGroups), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		return nil, context.Canceled, refuse.Load()
	})
	b.poll()
	if got := b.lag("s", latestRules); got.Complete() {
		t.Errorf("the lag of a share group is told before its type is known: %+v", got)
	}
	refuse.Store(false)
	b.poll()
	b.poll()
	if got := b.lag("s", latestRules); got.Lag != 6 || !got.Complete() {
		t.Errorf("%+v", got)
	}
}

// stateOf makes a coordinator list a group in a state.
func (b *bench) stateOf(group, state string) (set func(string)) {
	var now atomic.Value
	now.Store(state)
	b.kafka.ControlKey(int16(kmsg.ListGroups), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		resp := r.ResponseKind().(*kmsg.ListGroupsResponse)
		for _, wanted := range r.(*kmsg.ListGroupsRequest).StatesFilter {
			if wanted == now.Load() {
				g := kmsg.NewListGroupsResponseGroup()
				g.Group, g.GroupState = group, wanted
				resp.Groups = append(resp.Groups, g)
			}
		}
		return resp, nil, true
	})
	return func(s string) { now.Store(s) }
}

func TestRebalancingGroup(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders"))
	b.produce("orders", 0, 40)
	set := b.stateOf("g", "Stable")
	b.want("g", "orders")
	b.want("other", "orders")
	offset := int64(0)
	step := func(moves bool) {
		if moves {
			offset++
		}
		b.commit("g", "orders", 0, offset)
		b.commit("other", "orders", 0, 3)
		b.poll()
	}
	for range 4 {
		step(true)
	}
	for _, state := range rebalancingStates {
		set(state)
		step(true)
		if b.view("g").Rebalancing {
			t.Errorf("%s: a group that commits counts as rebalancing", state)
		}
		step(false)
		if !b.view("g").Rebalancing || b.view("other").Rebalancing {
			t.Errorf("%s: rebalancing %v, the other group %v", state, b.view("g").Rebalancing, b.view("other").Rebalancing)
		}
		set("Stable")
		step(false)
		if b.view("g").Rebalancing {
			t.Errorf("%s has ended", state)
		}
		for range 3 {
			step(true)
		}
	}
	set("PreparingRebalance")
	step(false)
	if !b.view("g").Rebalancing {
		t.Error("it is not seen again")
	}
	step(true)
	if b.view("g").Rebalancing {
		t.Error("a commit shows that it has ended")
	}
}

// In a storm a group commits a little between two rebalances and falls behind all the same.
func TestRebalancingGroupThatStillCommits(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders"))
	set := b.stateOf("g", "Stable")
	b.want("g", "orders")
	step := func(offset int64, produced int) {
		b.produce("orders", 0, produced)
		b.commit("g", "orders", 0, offset)
		b.poll()
	}
	for offset := range int64(4) {
		step(offset, 1)
	}
	set("PreparingRebalance")
	step(4, 3)
	if b.view("g").Rebalancing {
		t.Error("one poll with more left than before is looked at")
	}
	step(5, 3)
	step(6, 3)
	if !b.view("g").Rebalancing {
		t.Error("a group that commits and falls behind is not seen rebalancing")
	}
	step(15, 0)
	if b.view("g").Rebalancing {
		t.Error("a group that catches up counts as rebalancing")
	}
}

func TestStatesThatMayNotBeListedChangeNothing(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders"))
	b.produce("orders", 0, 20)
	b.want("g", "orders")
	b.kafka.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListGroups}, TopLevel: true, Err: kerr.ClusterAuthorizationFailed, Count: -1})
	for offset := range int64(5) {
		b.commit("g", "orders", 0, offset)
		b.poll()
	}
	b.poll()
	b.poll()
	if got := b.lag("g", latestRules); got.Lag != 16 || !got.Complete() || b.view("g").Rebalancing {
		t.Errorf("%+v", got)
	}
}
