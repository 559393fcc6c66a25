package kafka

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"swell/api/v1alpha1"
)

// crowd is 200 groups of 20 partitions each at 6 brokers, all with lag.
func crowd(t *testing.T) *bench {
	t.Helper()
	const topics, partitions, groups = 20, 20, 200
	names := make([]string, topics)
	for i := range names {
		names[i] = fmt.Sprintf("t%02d", i)
	}
	b := newBench(t, kfake.NumBrokers(6), kfake.SeedTopics(partitions, names...))
	var records []*kgo.Record
	for _, topic := range names {
		for n := range int32(partitions) {
			for range 5 {
				records = append(records, &kgo.Record{Topic: topic, Partition: n, Timestamp: b.now.Add(-time.Hour), Value: []byte("m")})
			}
		}
	}
	if err := b.client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for g := range groups {
		offsets := kadm.Offsets{}
		for n := range int32(partitions) {
			offsets.AddOffset(names[g%topics], n, 1, -1)
		}
		group := fmt.Sprintf("g%03d", g)
		if err := b.admin.CommitAllOffsets(t.Context(), group, offsets); err != nil {
			t.Fatal(err)
		}
		b.want(group, names[g%topics])
	}
	b.cluster.MetadataEvery.Duration = 15 * b.cluster.PollEvery.Duration
	b.start()
	return b
}

// count counts the requests by their key from now on.
func (b *bench) count() func() (total int, byKey map[string]int) {
	var mu sync.Mutex
	count := map[string]int{}
	b.kafka.Control(func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		count[kmsg.NameForKey(r.Key())]++
		return nil, nil, false
	})
	return func() (int, map[string]int) {
		mu.Lock()
		defer mu.Unlock()
		total := 0
		for _, n := range count {
			total += n
		}
		return total, count
	}
}

func TestRequestsOfACrowd(t *testing.T) {
	const polls, brokers = 30, 6
	for name, tc := range map[string]struct {
		want func(*Want)
		most int
	}{
		"lag alone":                             {func(*Want) {}, polls * (2*brokers + 1)},
		"with lateness and last stable offsets": {func(w *Want) { w.LateAfter = 30 * time.Second }, polls * (4*brokers + 1)},
	} {
		t.Run(name, func(t *testing.T) {
			b := crowd(t)
			for i := range b.wants {
				tc.want(&b.wants[i])
			}
			if name != "lag alone" {
				for _, w := range b.wants {
					w.Isolation = v1alpha1.ReadUncommitted
					b.wants = append(b.wants, w)
				}
			}
			b.poll()
			total := b.count()
			for range polls {
				b.poll()
			}
			if n, byKey := total(); n > tc.most || n < polls*2*brokers {
				t.Errorf("%d requests in %d polls (%v), want at most %d", n, polls, byKey, tc.most)
			} else {
				t.Logf("%.2f requests a poll: %v", float64(n)/polls, byKey)
			}
			if got := b.lag("g000", latestRules); got.Lag != 80 || !got.Complete() {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestRequestsOfGroupsThatNeverCommitted(t *testing.T) {
	const polls, brokers = 30, 6
	b := crowd(t)
	for i := range b.wants {
		b.wants[i].Group += "-new"
	}
	b.poll()
	total := b.count()
	for range polls {
		b.poll()
	}
	if n, byKey := total(); n > polls*(2*brokers+1) {
		t.Errorf("%d requests in %d polls (%v)", n, polls, byKey)
	}
}

// inState makes coordinators list all groups in a state, and counts how often they are asked.
func (b *bench) inState(state string) *atomic.Int64 {
	asked := new(atomic.Int64)
	b.kafka.ControlKey(int16(kmsg.ListGroups), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		asked.Add(1)
		resp := r.ResponseKind().(*kmsg.ListGroupsResponse)
		for _, w := range b.wants {
			g := kmsg.NewListGroupsResponseGroup()
			g.Group, g.GroupState = w.Group, state
			resp.Groups = append(resp.Groups, g)
		}
		return resp, nil, true
	})
	return asked
}

// committed makes coordinators answer that every group has committed one offset in its topic.
func (b *bench) committed() *atomic.Int64 {
	offset, topics := new(atomic.Int64), map[string]string{}
	for _, w := range b.wants {
		topics[w.Group] = w.Topics.names[0]
	}
	b.kafka.ControlKey(int16(kmsg.OffsetFetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		resp := r.ResponseKind().(*kmsg.OffsetFetchResponse)
		for _, asked := range r.(*kmsg.OffsetFetchRequest).Groups {
			g, t, one := kmsg.NewOffsetFetchResponseGroup(), kmsg.NewOffsetFetchResponseGroupTopic(), kmsg.NewOffsetFetchResponseGroupTopicPartition()
			g.Group, t.Topic, one.Offset = asked.Group, topics[asked.Group], offset.Load()
			t.Partitions = append(t.Partitions, one)
			g.Topics = append(g.Topics, t)
			resp.Groups = append(resp.Groups, g)
		}
		return resp, nil, true
	})
	return offset
}

// TestRequestsOfACrowdThatCommitsRarely is of consumers of which every one stands still in every second poll, and of a
// storm of rebalances. What is asked about states is in the bound while nothing rebalances.
func TestRequestsOfACrowdThatCommitsRarely(t *testing.T) {
	const polls, brokers = 120, 6
	const round = brokers + 2 // what may be spared or owed at the ends
	for state, most := range map[string]int64{"Stable": polls*(2*brokers+1) + round, "PreparingRebalance": polls*(2*brokers+1+brokers/2) + round} {
		t.Run(state, func(t *testing.T) {
			b := crowd(t)
			asked, offset := b.inState(state), b.committed()
			var before, looks int64
			for n := range int64(polls + 60) {
				if n == 60 {
					before, looks = b.poller.Stats().Requests, asked.Load()
				}
				offset.Store(n / 2 % 4)
				b.poll()
			}
			n := b.poller.Stats().Requests - before
			looks = asked.Load() - looks
			t.Logf("%.2f requests a poll, %d about states", float64(n)/polls, looks)
			if n > most || looks < polls/4 {
				t.Errorf("%d requests in %d polls, of them %d about states, want at most %d", n, polls, looks, most)
			}
		})
	}
}
