package kafka

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/metrics/lag"
)

// produceAged appends messages that are stamped as if they were so old now, in the machine's time.
func (b *bench) produceAged(topic string, partition int32, ages ...time.Duration) {
	b.t.Helper()
	for i, age := range ages {
		r := &kgo.Record{Topic: topic, Partition: partition, Value: fmt.Append(nil, i), Timestamp: b.now.Add(-age)}
		if err := b.client.ProduceSync(b.t.Context(), r).FirstErr(); err != nil {
			b.t.Fatal(err)
		}
	}
}

// wantLate asks for the messages that are older than an age.
func (b *bench) wantLate(group string, age time.Duration, topics ...string) {
	b.want(group, topics...)
	b.wants[len(b.wants)-1].LateAfter = age
}

func (b *bench) brokerStampedTopic(topic string) {
	b.t.Helper()
	if _, err := b.admin.CreateTopic(b.t.Context(), 1, 1, map[string]*string{stampConfig: kadm.StringPtr(brokerStamped)}, topic); err != nil {
		b.t.Fatal(err)
	}
}

func lateRules(age time.Duration) lag.Rules {
	r := latestRules
	r.LateAfter = age
	return r
}

func TestLateMessages(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(3, "orders"))
	m := time.Minute
	b.produceAged("orders", 0, 9*m, 5*m, 3*m, m, 0)
	b.produceAged("orders", 1, 9*m, 8*m)
	b.produceAged("orders", 2, 9*m)
	b.commit("g", "orders", 0, 1)
	b.commit("g", "orders", 1, 0)
	b.commit("g", "orders", 2, 1)
	b.wantLate("g", 2*m, "orders")
	b.wantLate("g", 4*m, "orders")
	b.wantLate("other", 6*m, "orders")
	b.commit("other", "orders", 0, 0)
	b.commit("other", "orders", 1, 2)
	b.commit("other", "orders", 2, 0)
	b.poll()
	for _, tc := range []struct {
		group string
		age   time.Duration
		late  int64
	}{{"g", 2 * m, 2 + 2}, {"g", 4 * m, 1 + 2}, {"other", 6 * m, 1 + 1}} {
		got := b.lag(tc.group, lateRules(tc.age))
		if got.LateProblem != "" || got.Late != tc.late || got.LateExact {
			t.Errorf("%s older than %s: %d, exact %v (%s), want %d", tc.group, tc.age, got.Late, got.LateExact, got.LateProblem, tc.late)
		}
	}
	if got := b.lag("g", lateRules(time.Hour)); got.LateProblem == "" {
		t.Errorf("an age that nobody asked Kafka about: %+v", got)
	}
}

func TestLatenessAtABrokerStampedTopicIsExact(t *testing.T) {
	b := newBench(t)
	b.brokerStampedTopic("orders")
	b.produce("orders", 0, 3)
	b.commit("g", "orders", 0, 0)
	b.wantLate("g", time.Minute, "orders")
	b.poll()
	b.poll()
	if got := b.lag("g", lateRules(time.Minute)); !got.LateExact || got.Late != 0 || got.LateProblem != "" {
		t.Errorf("young messages: %+v", got)
	}
	b.pass(2 * time.Minute)
	b.poll()
	if got := b.lag("g", lateRules(time.Minute)); !got.LateExact || got.Late != 3 {
		t.Errorf("after two minutes: %+v", got)
	}
}

func TestStampsThatMayNotBeReadAreProducers(t *testing.T) {
	b := newBench(t)
	b.brokerStampedTopic("orders")
	refused := b.kafka.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	b.produce("orders", 0, 3)
	b.commit("g", "orders", 0, 0)
	b.wantLate("g", time.Minute, "orders")
	for range 4 {
		b.poll()
	}
	if got := b.lag("g", lateRules(time.Minute)); got.LateExact || got.LateProblem != "" {
		t.Errorf("%+v", got)
	}
	if refused.Hits() != 1 {
		t.Errorf("%d requests for what is not allowed in 4 polls, want 1", refused.Hits())
	}
}

func TestLatenessThatCannotBeReadLeavesTheLag(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders"))
	b.produceAged("orders", 0, time.Hour, time.Hour)
	b.commit("g", "orders", 0, 0)
	b.wantLate("g", time.Minute, "orders")
	b.kafka.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		req := r.(*kmsg.ListOffsetsRequest)
		if req.Topics[0].Partitions[0].Timestamp < 0 {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, topic := range req.Topics {
			one := kmsg.NewListOffsetsResponseTopic()
			one.Topic = topic.Topic
			for _, p := range topic.Partitions {
				answer := kmsg.NewListOffsetsResponseTopicPartition()
				answer.Partition, answer.ErrorCode = p.Partition, kerr.CorruptMessage.Code
				one.Partitions = append(one.Partitions, answer)
			}
			resp.Topics = append(resp.Topics, one)
		}
		return resp, nil, true
	})
	b.poll()
	got := b.lag("g", lateRules(time.Minute))
	if got.Lag != 2 || !got.Complete() || got.LateProblem == "" || got.Late != 0 {
		t.Errorf("%+v", got)
	}
	if why := b.poller.view.part("orders", 0).lateFailed; !strings.Contains(why, "not read in this poll") || !strings.Contains(why, "CORRUPT_MESSAGE") {
		t.Errorf("why: %q", why)
	}
}

func TestLatenessIsAskedInTheMachinesTime(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders"))
	// A day that runs ten times as fast: a model minute is six of the machine's seconds.
	real := b.now
	model := time.Date(2020, 1, 1, 9, 0, 0, 0, time.UTC)
	b.now = real
	b.produceAged("orders", 0, 9*time.Second, 7*time.Second, 5*time.Second)
	b.commit("g", "orders", 0, 0)
	b.wantLate("g", time.Minute, "orders")
	b.now = model
	var err error
	b.poller.Close()
	b.poller, err = NewPoller(Options{Cluster: b.cluster, Wanted: func(string) []Want { return b.wants }, Sink: b.store, Log: b.poller.opts.Log,
		Clock: config.Clock{Speed: 10, Real: real, Model: model}, Now: func() time.Time { return b.now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.poller.Close)
	if err := b.poller.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := b.lag("g", lateRules(time.Minute)); got.Late != 2 || got.LateProblem != "" {
		t.Errorf("%+v, want the 2 that are older than 6 s of the machine's", got)
	}
}

func TestLateOfBothIsolations(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders"))
	b.produceAged("orders", 0, time.Hour)
	b.commit("g", "orders", 0, 0)
	tx := b.begin("tx")
	b.inTransaction(tx, "orders", 0, 2)
	b.wantLate("g", time.Minute, "orders")
	b.wants = append(b.wants, Want{Group: "g", Topics: b.wants[0].Topics, Isolation: v1alpha1.ReadUncommitted, LateAfter: time.Minute})
	b.poll()
	committed := b.lag("g", lateRules(time.Minute))
	rules := lateRules(time.Minute)
	rules.Isolation = v1alpha1.ReadUncommitted
	uncommitted := b.lag("g", rules)
	if committed.Lag != 1 || committed.Late != 1 || uncommitted.Lag != 3 || uncommitted.Late != 1 {
		t.Errorf("read committed: %d, %d late; read uncommitted: %d, %d late; want 1, 1, 3 and 1", committed.Lag, committed.Late, uncommitted.Lag, uncommitted.Late)
	}
}

// Whoever asks for one age too many must not take lateness from those who asked for others: what does not find room takes turns, and what
// is told is of the poll that tells it.
func TestAgesTakeTurns(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(2, "orders"))
	b.produceAged("orders", 0, 24*time.Hour)
	b.produceAged("orders", 1, 24*time.Hour)
	const ages = maxLate + 3
	group := func(i int) string { return fmt.Sprintf("g%02d", ages-1-i) }
	age := func(i int) time.Duration { return time.Duration(i+1) * time.Minute }
	for i := range ages {
		b.commit(group(i), "orders", 0, 0)
		b.commit(group(i), "orders", 1, int64(i%2))
		b.wantLate(group(i), age(i), "orders")
	}
	for _, g := range []string{"many-1", "many-2"} {
		b.commit(g, "orders", 0, 0)
		b.wantLate(g, age(ages-1), "orders")
		b.wantLate(g, CommonAge, "orders")
	}
	b.wants = b.wants[:len(b.wants)-1] // one alone asks for the common age
	told := make([]int, ages)
	const polls = 12
	for range polls {
		b.poll()
		for i := range ages {
			got := b.lag(group(i), lateRules(age(i)))
			if got.Lag != int64(2-i%2) || !got.Complete() {
				t.Fatalf("%s: %+v", group(i), got)
			}
			switch {
			case got.LateProblem == "" && got.Late == int64(2-i%2):
				told[i]++
			case got.LateProblem == "" || !strings.Contains(got.LateProblem, "has its turn in another poll") || got.Late != 0:
				t.Fatalf("older than %s: %d (%s)", age(i), got.Late, got.LateProblem)
			}
		}
		if got := b.lag("many-1", lateRules(CommonAge)); got.Late != 1 || got.LateProblem != "" {
			t.Fatalf("the common age: %d (%s)", got.Late, got.LateProblem)
		}
	}
	for i, n := range told {
		if i == ages-1 && n != polls || n < polls/3 {
			t.Errorf("older than %s: known in %d of %d polls", age(i), n, polls)
		}
	}
}

// Groups that never committed count as read to the end where that is asked for: whoever makes some up takes nobody's lateness.
func TestAgesOfMadeUpGroupsAreNotLookedUp(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders"))
	b.produceAged("orders", 0, 10*time.Minute, 10*time.Minute)
	b.commit("orders", "orders", 0, 0)
	b.wantLate("orders", 5*time.Minute, "orders")
	for i := range 2 * maxLate {
		b.wantLate(fmt.Sprintf("nobody-%d", i), time.Duration(i+1)*time.Millisecond, "orders")
		b.wants[len(b.wants)-1].Uncommitted = v1alpha1.UncommittedLatest
	}
	b.wantLate("new", time.Minute, "orders")
	b.wants[len(b.wants)-1].Uncommitted = v1alpha1.UncommittedEarliest
	b.poll()
	total := b.count()
	for range 4 {
		b.poll()
		if got := b.lag("orders", lateRules(5*time.Minute)); got.Late != 2 || got.LateProblem != "" {
			t.Fatalf("%d (%s)", got.Late, got.LateProblem)
		}
		if got := b.lag("nobody-3", lateRules(4*time.Millisecond)); got.Late != 0 || got.LateProblem != "" {
			t.Fatalf("a group that does not exist: %d (%s)", got.Late, got.LateProblem)
		}
		rules := lateRules(time.Minute)
		rules.Uncommitted = v1alpha1.UncommittedEarliest
		if got := b.lag("new", rules); got.Late != 2 || got.LateProblem != "" {
			t.Fatalf("a new group that reads from the beginning: %d (%s)", got.Late, got.LateProblem)
		}
	}
	// Ends, and two ages.
	if _, byKey := total(); byKey["ListOffsets"] > 4*3 {
		t.Errorf("%v", byKey)
	}
}
