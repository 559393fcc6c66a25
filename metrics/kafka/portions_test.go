package kafka

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
)

var errHungUp = errors.New("hung up")

// wordy makes a group commit 36 MB of metadata in the 9,000 partitions of topic big.
func (b *bench) wordy(group string) {
	b.t.Helper()
	o := kadm.Offsets{}
	for n := range int32(9000) {
		o.Add(kadm.Offset{Topic: "big", Partition: n, At: 0, LeaderEpoch: -1, Metadata: strings.Repeat("x", 4000)})
	}
	if err := b.admin.CommitAllOffsets(b.t.Context(), group, o); err != nil {
		b.t.Fatal(err)
	}
}

// wordyBench is 40 groups with a lag of 6 at one coordinator, and one whose commits are larger than is read.
func wordyBench(t *testing.T, topics ...string) *bench {
	b := newBench(t, kfake.SeedTopics(9000, "big"), kfake.SeedTopics(1, "orders"), kfake.NumBrokers(1))
	b.produce("orders", 0, 10)
	for i := range 40 {
		group := fmt.Sprintf("good%02d", i)
		b.commit(group, "orders", 0, 4)
		b.want(group)
	}
	b.poll()
	b.wordy("bad")
	b.commit("bad", "orders", 0, 3)
	b.want("bad", topics...)
	return b
}

// good says how many of the good groups the last poll has read.
func (b *bench) good() (n int) {
	for i := range 40 {
		if group := fmt.Sprintf("good%02d", i); len(b.fresh(group)) == 1 {
			if _, got := b.selected(group); got.Lag == 6 {
				n++
			}
		}
	}
	return n
}

func TestAGroupWithTooMuchMetadataFailsAlone(t *testing.T) {
	for name, topics := range map[string][]string{"no topic named": nil, "an expression": {"/nothing-of-it/"}} {
		t.Run(name, func(t *testing.T) {
			b := wordyBench(t, topics...)
			for range 3 {
				b.poll()
			}
			const polls = 4 * refusedRest
			total := b.count()
			for i := range polls {
				b.poll()
				if n := b.good(); n != 40 {
					t.Fatalf("poll %d: %d of 40 groups are read", i+4, n)
				}
			}
			if v := b.view("bad"); !strings.Contains(v.Problem, "larger than is read") || !strings.Contains(v.Problem, "name its topics in spec.kafka.topics") {
				t.Errorf("problem %q", v.Problem)
			}
			n, byKey := total()
			t.Logf("%.2f requests a poll: %v", float64(n)/polls, byKey)
			if n > polls*(2+1) || byKey["OffsetFetch"] <= polls {
				t.Errorf("%d requests in %d polls of one broker (%v)", n, polls, byKey)
			}
			if failing := b.poller.Stats().Failing; len(failing) != 0 {
				t.Errorf("the broker is blamed: %v", failing)
			}
		})
	}
}

func TestAGroupWithTooMuchMetadataIsAskedByTheNamesOfItsTopics(t *testing.T) {
	b := wordyBench(t, "orders")
	for range 5 {
		b.poll()
	}
	total := b.count()
	const polls = 40
	for range polls {
		b.poll()
		if _, got := b.selected("bad", "orders"); got.Lag != 7 || !got.Complete() || b.good() != 40 || len(b.fresh("bad")) != 1 {
			t.Fatalf("%+v, and %d of 40 others", got, b.good())
		}
	}
	if n, byKey := total(); n > polls*(2+1) || byKey["OffsetFetch"] != polls {
		t.Errorf("%d requests in %d polls (%v)", n, polls, byKey)
	}
	// Somebody wants all its topics.
	b.want("bad")
	for range 4 {
		b.poll()
	}
	if v := b.view("bad"); !strings.Contains(v.Problem, "larger than is read") || b.good() != 40 {
		t.Errorf("problem %q, and %d of 40 others", v.Problem, b.good())
	}
	b.wants = slices.Delete(b.wants, len(b.wants)-1, len(b.wants))
	b.poll()
	if _, got := b.selected("bad", "orders"); got.Lag != 7 || !got.Complete() {
		t.Errorf("when that is over: %+v", got)
	}
}

// Partitions that are found after the commits were asked for by name have no commit that is known.
func TestAPartitionThatWasNotAskedForIsNotUncommitted(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders"))
	b.produce("orders", 0, 10)
	b.commit("g", "orders", 0, 4)
	b.want("g", "orders")
	b.poll()
	b.poller.view.portions = map[string]*portion{"g": {named: true, most: 1}}
	b.poll()
	if got := b.lag("g", latestRules); got.Lag != 6 || !got.Complete() {
		t.Fatalf("by name: %+v", got)
	}
	if _, err := b.admin.CreatePartitions(t.Context(), 1, "orders"); err != nil {
		t.Fatal(err)
	}
	b.poller.view.stale()
	b.poll()
	if got := b.lag("g", latestRules); got.Complete() || got.Total != 2 || !strings.Contains(got.Problems[0].Text, "not asked for yet") {
		t.Errorf("%+v, want a partition that is not known", got)
	}
	b.poll()
	if got := b.lag("g", latestRules); got.Total != 2 || !got.Complete() {
		t.Errorf("in the next poll: %+v", got)
	}
}

// Commits that find room by themselves, but not together, stay in portions, and are all read.
func TestGroupsThatAreTooLargeTogetherAreAskedAboutApart(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1000, "big"), kfake.NumBrokers(1))
	o := kadm.Offsets{}
	for n := range int32(1000) {
		o.Add(kadm.Offset{Topic: "big", Partition: n, At: 0, LeaderEpoch: -1, Metadata: strings.Repeat("x", 4000)})
	}
	for i := range 8 {
		group := fmt.Sprintf("g%d", i)
		if err := b.admin.CommitAllOffsets(t.Context(), group, o); err != nil {
			t.Fatal(err)
		}
		b.want(group)
	}
	for range 3 {
		b.poll()
	}
	total := b.count()
	const polls = 5
	for range polls {
		b.poll()
		for i := range 8 {
			if n := len(b.fresh(fmt.Sprintf("g%d", i))); n != 1000 {
				t.Fatalf("group %d: %d partitions are read", i, n)
			}
		}
	}
	// 4 MB each, so that two or three find room in an answer.
	if _, byKey := total(); byKey["OffsetFetch"] > 4*polls {
		t.Errorf("%v in %d polls", byKey, polls)
	}
}
