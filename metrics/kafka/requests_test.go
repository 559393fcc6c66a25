package kafka

import (
	"fmt"
	"sync"
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
