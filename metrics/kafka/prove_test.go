package kafka

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"swell/api/v1alpha1"
	"swell/metrics/lag"
)

func newProvingBench(t *testing.T, opts ...kfake.Opt) *bench {
	b := newBench(t, opts...)
	b.cluster.ProveEmpty = true
	b.start()
	return b
}

func TestMarkersAreProvenToBeNoMessages(t *testing.T) {
	b := newProvingBench(t, kfake.SeedTopics(3, "orders"))
	// Partition 0 ends with a commit marker, 1 with an aborted transaction, 2 with one message after a marker.
	tx := b.begin("tx")
	b.inTransaction(tx, "orders", 0, 2)
	b.end(tx, kgo.TryCommit)
	if err := tx.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	b.inTransaction(tx, "orders", 1, 4)
	b.end(tx, kgo.TryAbort)
	if err := tx.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	b.inTransaction(tx, "orders", 2, 1)
	b.end(tx, kgo.TryCommit)
	b.produce("orders", 2, 1)
	b.commit("g", "orders", 0, 2)
	b.commit("g", "orders", 1, 0)
	b.commit("g", "orders", 2, 1)
	b.want("g", "orders")
	for n, want := range []int64{1 + 5 + 2, 8, 1, 1, 1} {
		b.poll()
		if got := b.lag("g", latestRules); got.Lag != want || !got.Complete() {
			t.Errorf("poll %d: lag %d (%v), want %d", n+1, got.Lag, got.Problems, want)
		}
		if n == 2 {
			total := b.count()
			defer func() {
				if _, byKey := total(); byKey["Fetch"] != 0 {
					t.Errorf("what was fetched is fetched again: %v", byKey)
				}
			}()
		}
	}
}

func TestAbortedMessagesAreThereForReadUncommitted(t *testing.T) {
	b := newProvingBench(t, kfake.SeedTopics(1, "orders"))
	tx := b.begin("tx")
	b.inTransaction(tx, "orders", 0, 3)
	b.end(tx, kgo.TryAbort)
	b.commit("g", "orders", 0, 2)
	b.want("g", "orders")
	b.wants[0].Isolation = v1alpha1.ReadUncommitted
	rules := latestRules
	rules.Isolation = v1alpha1.ReadUncommitted
	for range 5 {
		b.poll()
	}
	if got := b.lag("g", rules); got.Lag != 2 {
		t.Errorf("lag %d, want the aborted message and the marker behind it", got.Lag)
	}
	b.commit("g", "orders", 0, 3)
	for range 4 {
		b.poll()
	}
	if got := b.lag("g", rules); got.Lag != 0 || !got.Complete() {
		t.Errorf("lag %d, want none: only the marker is left", got.Lag)
	}
}

func TestCompactedTail(t *testing.T) {
	b := newProvingBench(t)
	compact := map[string]*string{"cleanup.policy": kadm.StringPtr("compact"), "min.cleanable.dirty.ratio": kadm.StringPtr("0"), "segment.ms": kadm.StringPtr("1")}
	if _, err := b.admin.CreateTopic(t.Context(), 1, 1, compact, "state"); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		r := &kgo.Record{Topic: "state", Key: []byte("k"), Value: []byte("v"), Timestamp: b.now.Add(-time.Hour)}
		if err := b.client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	b.kafka.Compact()
	b.commit("g", "state", 0, 2)
	b.want("g", "state")
	for range 5 {
		b.poll()
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(b.cluster.Brokers...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"state": {0: kgo.NewOffset().At(2)}}))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	first := reader.PollRecords(t.Context(), 1).Records()[0].Offset
	if got := b.lag("g", latestRules); first == 2 || got.Lag != 10-first || !got.Complete() {
		t.Errorf("lag %d, want what is left from %d on", got.Lag, first)
	}
}

func TestFetchThatIsRefusedLeavesTheLag(t *testing.T) {
	b := newProvingBench(t, kfake.SeedTopics(1, "orders"))
	b.produce("orders", 0, 3)
	b.commit("g", "orders", 0, 1)
	b.want("g", "orders")
	refused := b.kafka.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	for range 6 {
		b.poll()
	}
	if got := b.lag("g", latestRules); got.Lag != 2 || !got.Complete() {
		t.Errorf("%+v", got)
	}
	if refused.Hits() != 1 {
		t.Errorf("%d fetches of what may not be read", refused.Hits())
	}
}

// fetched is an answer to a Fetch of a partition of a topic, from an offset on.
func (b *bench) fetched(topic string, from int64) kmsg.FetchResponseTopicPartition {
	b.t.Helper()
	id := b.poller.view.topic(topic).id
	pt := b.poller.view.part(topic, 0)
	req := fetchRequest([]stretch{{topic: topic, key: proofKey{topicID: id, commit: from}}}, true)
	resp, err := b.poller.client.Broker(int(pt.leader)).Request(b.t.Context(), req)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.(*kmsg.FetchResponse).Topics[0].Partitions[0]
}

func TestFetchThatWasCutShortProvesNothing(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders"))
	tx := b.begin("tx")
	b.inTransaction(tx, "orders", 0, 3)
	b.end(tx, kgo.TryAbort)
	b.want("g", "orders")
	b.poll()
	whole := b.fetched("orders", 0)
	decompressor := kgo.DefaultDecompressor()
	key := proofKey{commit: 0, end: 4, committed: true}
	if got := readable(&whole, key, decompressor); got != 4 {
		t.Fatalf("the whole: %d, want 4", got)
	}
	for cut := range whole.RecordBatches {
		part := whole
		part.RecordBatches = whole.RecordBatches[:cut]
		if got := readable(&part, key, decompressor); got != lag.Unknown {
			t.Errorf("of %d bytes the first %d prove %d", len(whole.RecordBatches), cut, got)
		}
	}
	beyond := key
	beyond.end = 5
	if got := readable(&whole, beyond, decompressor); got != lag.Unknown {
		t.Errorf("an end that was not reached: %d", got)
	}
}
