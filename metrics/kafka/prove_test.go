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
	u := &unpacker{kgo.DefaultDecompressor(), unpackedBytes}
	key := proofKey{commit: 0, end: 4, committed: true}
	if got := readable(&whole, key, u); got != 4 {
		t.Fatalf("the whole: %d, want 4", got)
	}
	for cut := range whole.RecordBatches {
		part := whole
		part.RecordBatches = whole.RecordBatches[:cut]
		if got := readable(&part, key, u); got != lag.Unknown {
			t.Errorf("of %d bytes the first %d prove %d", len(whole.RecordBatches), cut, got)
		}
	}
	beyond := key
	beyond.end = 5
	if got := readable(&whole, beyond, u); got != lag.Unknown {
		t.Errorf("an end that was not reached: %d", got)
	}
}

// TestManyMarkersAreProvenSoon is a roll-out of swell-metrics: what was proven before is to be proven again.
func TestManyMarkersAreProvenSoon(t *testing.T) {
	const partitions = 300
	b := newProvingBench(t, kfake.SeedTopics(partitions, "orders"))
	tx := b.begin("tx")
	offsets := kadm.Offsets{}
	for n := range int32(partitions) {
		b.inTransaction(tx, "orders", n, 1)
		offsets.AddOffset("orders", n, 1, -1)
	}
	b.end(tx, kgo.TryCommit)
	if err := b.admin.CommitAllOffsets(t.Context(), "g", offsets); err != nil {
		t.Fatal(err)
	}
	b.want("g", "orders")
	total := b.count()
	for range provableAfter + 1 {
		b.poll()
	}
	b.poll()
	if got := b.lag("g", latestRules); got.Lag != 0 || !got.Complete() {
		t.Errorf("lag %d (%v), want none", got.Lag, got.Problems)
	}
	if _, byKey := total(); byKey["Fetch"] > brokers {
		t.Errorf("%d fetches at %d brokers", byKey["Fetch"], brokers)
	}
}

func TestFetchesOfAPollAreBounded(t *testing.T) {
	p := unconnected(t, time.Now())
	var due stretches
	parts := make([]part, 3*proofsPerRequest)
	for i := range parts {
		parts[i].leader = int32(i % 2)
		due.add(stretch{topic: "orders", key: proofKey{n: int32(i), commit: 1, end: 2, committed: true}, pt: &parts[i]})
		due.add(stretch{topic: "orders", key: proofKey{n: int32(i), commit: 0, end: 2, committed: true}, pt: &parts[i]})
	}
	jobs := p.fetchJobs(due)
	if len(jobs) != 2 {
		t.Fatalf("%d fetches of 2 brokers", len(jobs))
	}
	var bytes int32
	for _, j := range jobs {
		req := j.req.(*kmsg.FetchRequest)
		named := map[int32]bool{}
		for _, topic := range req.Topics {
			for _, one := range topic.Partitions {
				if named[one.Partition] {
					t.Errorf("partition %d stands in a request twice", one.Partition)
				}
				named[one.Partition] = true
			}
		}
		if len(named) != proofsPerRequest {
			t.Errorf("%d partitions in a request", len(named))
		}
		bytes += req.MaxBytes
	}
	if bytes > proofsBytes {
		t.Errorf("%d bytes are fetched in one poll", bytes)
	}
}

func TestPartitionForWhichAFetchHadNoRoomIsFetchedAgain(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(2, "orders"))
	b.produce("orders", 0, 1)
	b.want("g", "orders")
	b.poll()
	with, without := b.fetched("orders", 0), kmsg.NewFetchResponseTopicPartition()
	without.Partition, without.HighWatermark = 1, 1
	id := b.poller.view.topic("orders").id
	asked := []stretch{{topic: "orders", key: proofKey{topicID: id, n: 0, end: 1}}, {topic: "orders", key: proofKey{topicID: id, n: 1, end: 1}}}
	answer := func(partitions ...kmsg.FetchResponseTopicPartition) (tried []bool) {
		b.poller.proofs = map[proofKey]*proof{asked[0].key: {readable: lag.Unknown}, asked[1].key: {readable: lag.Unknown}}
		resp := kmsg.NewPtrFetchResponse()
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic, topic.TopicID, topic.Partitions = "orders", id, partitions
		resp.Topics = append(resp.Topics, topic)
		if err := b.poller.takeFetch(resp, asked); err != nil {
			t.Fatal(err)
		}
		return []bool{b.poller.proofs[asked[0].key].tried, b.poller.proofs[asked[1].key].tried}
	}
	if got := answer(with, without); !got[0] || got[1] {
		t.Errorf("the second came after what filled the answer: tried %v", got)
	}
	empty := without
	empty.Partition = 0
	if got := answer(empty, without); !got[0] || !got[1] {
		t.Errorf("nothing came at all: tried %v", got)
	}
	refused := without
	refused.ErrorCode = kerr.TopicAuthorizationFailed.Code
	if got := answer(with, refused); !got[0] || !got[1] {
		t.Errorf("the second was refused: tried %v", got)
	}
}
