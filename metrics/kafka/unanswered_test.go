package kafka

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// topicError makes the cluster's metadata tell an error of one topic, and its other topics as they are, until
// it is called off with no error.
func (b *bench) topicError(topic string) (set func(*kerr.Error)) {
	b.t.Helper()
	details, err := b.admin.Metadata(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	var now atomic.Pointer[kerr.Error]
	b.kafka.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		failing := now.Load()
		if failing == nil {
			return nil, nil, false
		}
		resp := r.ResponseKind().(*kmsg.MetadataResponse)
		for _, d := range details.Brokers {
			one := kmsg.NewMetadataResponseBroker()
			one.NodeID, one.Host, one.Port = d.NodeID, d.Host, d.Port
			resp.Brokers = append(resp.Brokers, one)
		}
		for _, d := range details.Topics.Sorted() {
			t := kmsg.NewMetadataResponseTopic()
			t.Topic, t.TopicID = kmsg.StringPtr(d.Topic), d.ID
			if d.Topic == topic {
				t.ErrorCode = failing.Code
			} else {
				for _, p := range d.Partitions.Sorted() {
					one := kmsg.NewMetadataResponseTopicPartition()
					one.Partition, one.Leader = p.Partition, p.Leader
					t.Partitions = append(t.Partitions, one)
				}
			}
			resp.Topics = append(resp.Topics, t)
		}
		return resp, nil, true
	})
	return func(e *kerr.Error) { now.Store(e) }
}

func TestTopicErrorNeverLeavesTheSum(t *testing.T) {
	for name, topics := range map[string][]string{"no topic named": nil, "an expression": {"/orders|mail/"}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, kfake.SeedTopics(2, "orders", "mail"))
			b.produce("orders", 0, 4)
			b.produce("mail", 1, 3)
			b.commit("g", "orders", 0, 0)
			b.commit("g", "mail", 1, 0)
			b.want("g", topics...)
			set := b.topicError("mail")
			b.poll()
			if got := b.lag("g", latestRules); got.Lag != 7 || !got.Complete() {
				t.Fatalf("before: %+v", got)
			}
			for _, e := range []*kerr.Error{kerr.TopicAuthorizationFailed, kerr.LeaderNotAvailable, kerr.UnknownTopicOrPartition} {
				b.poller.view.stale()
				set(e)
				b.poll()
				if got := b.lag("g", latestRules); got.Complete() || !strings.Contains(got.Problems[0].Text, e.Message) {
					t.Errorf("%s: %+v, want an incomplete sum that says so", e.Message, got)
				}
			}
			b.poll()
			if got := b.lag("g", latestRules); got.Lag != 4 || !got.Complete() {
				t.Errorf("a topic that two reads of the metadata do not know is gone: %+v", got)
			}
			set(nil)
			b.poller.view.stale()
			b.poll()
			if got := b.lag("g", latestRules); got.Lag != 7 || !got.Complete() {
				t.Errorf("when it is back: %+v", got)
			}
		})
	}
}

func TestTopicErrorThatPassesIsLookedAtInTheNextPoll(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(2, "orders"))
	b.want("g", "orders")
	set := b.topicError("orders")
	set(kerr.LeaderNotAvailable)
	b.poll()
	set(nil)
	b.poll()
	if got := b.lag("g", latestRules); !got.Complete() {
		t.Errorf("the metadata was not read again: %+v", got)
	}
}

func TestTopicWithAProblemIsNotItsPartitionZero(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(4, "orders"))
	b.produce("orders", 3, 9)
	for n := range int32(4) {
		b.commit("g", "orders", n, 0)
	}
	b.want("g", "orders")
	set := b.topicError("orders")
	b.poll()
	b.poller.view.stale()
	set(kerr.LeaderNotAvailable)
	b.poll()
	if got := b.lag("g", latestRules); got.Complete() {
		t.Errorf("the good reading of partition 0 stands for the topic: %+v", got)
	}
}

func TestGroupLeftOutOfTheCoordinatorsIsAProblem(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(2, "orders"))
	b.produce("orders", 0, 4)
	b.commit("g", "orders", 0, 0)
	b.want("g", "orders")
	b.want("other", "orders")
	b.kafka.ControlKey(int16(kmsg.FindCoordinator), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		resp := r.ResponseKind().(*kmsg.FindCoordinatorResponse)
		other := kmsg.NewFindCoordinatorResponseCoordinator()
		other.Key, other.ErrorCode = "other", kerr.CoordinatorNotAvailable.Code
		resp.Coordinators = append(resp.Coordinators, other)
		return resp, nil, true
	})
	b.poll()
	if got := b.lag("g", latestRules); got.Complete() {
		t.Errorf("a group that nobody could ask about has lag %d", got.Lag)
	}
	v := b.view("g")
	if !strings.Contains(v.Problem, "find the group's coordinator: left out of the answer") {
		t.Errorf("problem %q", v.Problem)
	}
}

func TestLogStartThatWasNotAnsweredIsAskedForAgain(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders"))
	b.produce("orders", 0, 10)
	b.commit("g", "orders", 0, 2)
	b.want("g", "orders")
	b.poll()
	offsets := kadm.Offsets{}
	offsets.AddOffset("orders", 0, 7, -1)
	if _, err := b.admin.DeleteRecords(t.Context(), offsets); err != nil {
		t.Fatal(err)
	}
	var refuse atomic.Bool
	refuse.Store(true)
	b.kafka.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		if refuse.Load() && r.(*kmsg.ListOffsetsRequest).Topics[0].Partitions[0].Timestamp == stampEarliest {
			return nil, errors.New("closed"), true
		}
		return nil, nil, false
	})
	b.pass(b.cluster.MetadataEvery.Duration)
	b.poll()
	refuse.Store(false)
	b.poll()
	if got := b.lag("g", latestRules); got.Lag != 3 || !got.Complete() {
		t.Errorf("lag %d (%v), want the 3 messages still held: the old log start is kept", got.Lag, got.Problems)
	}
}

func TestBrokerThatRefusesEveryGroupHasAnswered(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders"))
	b.want("g")
	b.kafka.ControlKey(int16(kmsg.OffsetFetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		resp := r.ResponseKind().(*kmsg.OffsetFetchResponse)
		g := kmsg.NewOffsetFetchResponseGroup()
		g.Group, g.ErrorCode = "g", kerr.GroupAuthorizationFailed.Code
		resp.Groups = append(resp.Groups, g)
		return resp, nil, true
	})
	b.pass(b.cluster.PollEvery.Duration)
	if err := b.poller.Poll(t.Context()); err != nil {
		t.Errorf("the poll failed although the broker answered: %v", err)
	}
	v := b.view("g")
	if !strings.HasPrefix(v.Problem, "read the group's commits") || !strings.Contains(v.Problem, "Describe the group") {
		t.Errorf("problem %q, want the group's own", v.Problem)
	}
}

func TestViewForgetsWhatNobodyWants(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(3, "orders", "mail"))
	b.want("old", "orders")
	b.poll()
	b.wants = nil
	b.want("new", "mail")
	b.poll()
	v := b.poller.view
	if len(v.coordinators) != 1 || len(v.topics) != 1 || len(b.poller.groups) != 1 {
		t.Errorf("%d coordinators, %d topics and %d groups are kept for one group", len(v.coordinators), len(v.topics), len(b.poller.groups))
	}
}
