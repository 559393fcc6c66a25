package kafka

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"swell/api/v1alpha1"
	"swell/metrics/lag"
)

// begin opens a transaction.
func (b *bench) begin(id string) *kgo.Client {
	b.t.Helper()
	tx, err := kgo.NewClient(kgo.SeedBrokers(b.cluster.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID(id))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(tx.Close)
	if err := tx.BeginTransaction(); err != nil {
		b.t.Fatal(err)
	}
	return tx
}

func (b *bench) inTransaction(tx *kgo.Client, topic string, partition int32, n int) {
	b.t.Helper()
	for i := range n {
		if err := tx.ProduceSync(b.t.Context(), &kgo.Record{Topic: topic, Partition: partition, Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) end(tx *kgo.Client, how kgo.TransactionEndTry) {
	b.t.Helper()
	if err := tx.EndTransaction(b.t.Context(), how); err != nil {
		b.t.Fatal(err)
	}
}

func TestOpenTransactionIsNotLagOfReadCommitted(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders"))
	b.produce("orders", 0, 2)
	b.commit("g", "orders", 0, 0)
	tx := b.begin("tx")
	b.inTransaction(tx, "orders", 0, 3)
	b.want("g", "orders")
	b.wants = append(b.wants, Want{Group: "g", Topics: b.wants[0].Topics, Isolation: v1alpha1.ReadUncommitted})
	uncommitted := latestRules
	uncommitted.Isolation = v1alpha1.ReadUncommitted
	check := func(when string, committed, all int64) {
		t.Helper()
		b.poll()
		if a, c := b.lag("g", latestRules), b.lag("g", uncommitted); a.Lag != committed || c.Lag != all || !a.Complete() || !c.Complete() {
			t.Errorf("%s: %d and %d, want %d and %d", when, a.Lag, c.Lag, committed, all)
		}
	}
	check("open", 2, 5)
	b.end(tx, kgo.TryCommit)
	// The marker counts until something proves that it is none.
	check("committed", 6, 6)
}

// consume runs a group's member until it has read so many messages, commits and leaves.
func (b *bench) consume(n int, opts ...kgo.Opt) {
	b.t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.cluster.Brokers...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}, opts...)...)
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	for got := 0; got < n; {
		fetches := c.PollRecords(ctx, n-got)
		if ctx.Err() != nil {
			b.t.Fatalf("read %d of %d messages", got, n)
		}
		got += fetches.NumRecords()
		if err := c.CommitRecords(ctx, fetches.Records()...); err != nil {
			b.t.Fatal(err)
		}
	}
}

func TestEveryProtocolOfConsumerGroups(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(2, "orders"))
	b.produce("orders", 0, 6)
	b.produce("orders", 1, 6)
	b.consume(4, kgo.ConsumerGroup("classic"), kgo.ConsumeTopics("orders"), kgo.DisableAutoCommit())
	b.consume(5, kgo.ConsumerGroup("kip848"), kgo.ConsumeTopics("orders"), kgo.DisableAutoCommit(),
		kgo.ServerSideBalancer())
	b.commit("standalone", "orders", 0, 6)
	b.commit("standalone", "orders", 1, 3)
	for _, g := range []string{"classic", "kip848", "standalone"} {
		b.want(g, "orders")
	}
	b.poll()
	rules := lag.Rules{Isolation: v1alpha1.ReadCommitted, Uncommitted: v1alpha1.UncommittedEarliest}
	for g, want := range map[string]int64{"classic": 8, "kip848": 7, "standalone": 3} {
		if got := b.lag(g, rules); got.Lag != want || !got.Complete() {
			t.Errorf("%s: lag %d (%v), want %d", g, got.Lag, got.Problems, want)
		}
	}
}

func TestTopicsThatAppearGrowAndVanish(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders-a"))
	b.cluster.MetadataEvery.Duration = 2 * b.cluster.PollEvery.Duration
	b.start()
	b.produce("orders-a", 0, 2)
	b.want("g", "/orders-.*/")
	earliest := lag.Rules{Isolation: v1alpha1.ReadCommitted, Uncommitted: v1alpha1.UncommittedEarliest}
	check := func(when string, messages int64, partitions int) {
		t.Helper()
		for range 3 {
			b.poll()
		}
		if got := b.lag("g", earliest); got.Lag != messages || got.Total != partitions || !got.Complete() {
			t.Errorf("%s: lag %d in %d partitions (%v), want %d in %d", when, got.Lag, got.Total, got.Problems, messages, partitions)
		}
	}
	check("one topic", 2, 1)
	if _, err := b.admin.CreateTopic(t.Context(), 1, 1, nil, "orders-b"); err != nil {
		t.Fatal(err)
	}
	b.produce("orders-b", 0, 5)
	check("a topic more", 7, 2)
	if _, err := b.admin.CreatePartitions(t.Context(), 2, "orders-b"); err != nil {
		t.Fatal(err)
	}
	b.client.PurgeTopicsFromClient("orders-b")
	b.produce("orders-b", 2, 4)
	check("partitions added", 11, 4)
	if _, err := b.admin.DeleteTopics(t.Context(), "orders-a"); err != nil {
		t.Fatal(err)
	}
	check("a topic less", 9, 3)
}

func TestGroupThatAppears(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders"))
	b.produce("orders", 0, 5)
	b.want("g")
	b.poll()
	if got := b.lag("g", latestRules); got.Complete() {
		t.Errorf("a group that never committed and names no topic: %+v", got)
	}
	b.commit("g", "orders", 0, 2)
	b.poll()
	if got := b.lag("g", latestRules); got.Lag != 3 || !got.Complete() {
		t.Errorf("%+v", got)
	}
}

func TestRetentionThatGoesOnOvertakesAStandingGroup(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders"))
	b.cluster.MetadataEvery.Duration = 3 * b.cluster.PollEvery.Duration
	b.start()
	b.produce("orders", 0, 20)
	b.commit("g", "orders", 0, 2)
	b.want("g", "orders")
	b.poll()
	for _, start := range []int64{5, 9, 15} {
		offsets := kadm.Offsets{}
		offsets.AddOffset("orders", 0, start, -1)
		if _, err := b.admin.DeleteRecords(t.Context(), offsets); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			b.poll()
		}
		if got := b.lag("g", latestRules); got.Lag != 20-start {
			t.Errorf("start %d: lag %d, want %d", start, got.Lag, 20-start)
		}
	}
}

// An expression that is whole only inside the brackets put around it would match more than it says.
func TestAnExpressionIsWholeByItself(t *testing.T) {
	if topics, err := ParseTopics([]string{"/orders)|(?:.*/"}); err == nil {
		t.Errorf("it was taken, and matches secrets: %t", topics.Match("secrets"))
	}
}
