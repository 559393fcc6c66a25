package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/metrics/lag"
	"swell/metrics/store"
)

type bench struct {
	t       *testing.T
	kafka   *kfake.Cluster
	client  *kgo.Client
	admin   *kadm.Client
	poller  *Poller
	store   *store.Store
	wants   []Want
	cluster config.KafkaCluster
	now     time.Time
}

const brokers = 3

func newBench(t *testing.T, opts ...kfake.Opt) *bench {
	t.Helper()
	k, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(brokers)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(k.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	b := &bench{t: t, kafka: k, client: client, admin: kadm.NewClient(client), store: store.New(), now: time.Now()}
	b.cluster = config.KafkaCluster{Name: "main", Brokers: k.ListenAddrs(), PollEvery: metav1.Duration{Duration: 5 * time.Second},
		StaleAfter: metav1.Duration{Duration: time.Minute}, MetadataEvery: metav1.Duration{Duration: time.Hour}, RequestTimeout: metav1.Duration{Duration: 5 * time.Second}}
	b.start()
	return b
}

// start makes a poller of the bench's cluster, in place of the one before.
func (b *bench) start() {
	b.t.Helper()
	if b.poller != nil {
		b.poller.Close()
	}
	var err error
	b.poller, err = NewPoller(Options{Cluster: b.cluster, Wanted: func(string) []Want { return b.wants }, Sink: b.store,
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return b.now }, Random: func() float64 { return 0.999 }})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(b.poller.Close)
}

// pass lets model time pass.
func (b *bench) pass(d time.Duration) { b.now = b.now.Add(d) }

func (b *bench) produce(topic string, partition int32, n int) {
	b.t.Helper()
	for i := range n {
		r := &kgo.Record{Topic: topic, Partition: partition, Value: fmt.Append(nil, i)}
		if err := b.client.ProduceSync(b.t.Context(), r).FirstErr(); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) commit(group, topic string, partition int32, at int64) {
	b.t.Helper()
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, partition, at, -1)
	if err := b.admin.CommitAllOffsets(b.t.Context(), group, offsets); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) want(group string, topics ...string) {
	b.t.Helper()
	parsed, err := ParseTopics(topics)
	if err != nil {
		b.t.Fatal(err)
	}
	b.wants = append(b.wants, Want{Group: group, Topics: parsed})
}

func (b *bench) lag(group string, rules lag.Rules) lag.Sum {
	return lag.Add(b.view(group).Readings, rules)
}

func (b *bench) view(group string) store.View {
	return b.store.View(store.Key{Cluster: "main", Group: group}, b.now, time.Minute, store.Selection{})
}

// poll polls once, when the time has come.
func (b *bench) poll() {
	b.t.Helper()
	b.pass(b.cluster.PollEvery.Duration)
	if err := b.poller.Poll(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

var latestRules = lag.Rules{Isolation: v1alpha1.ReadCommitted, Uncommitted: v1alpha1.UncommittedLatest}

func TestLagOfGroups(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(4, "orders", "mail", "mailbox"))
	b.produce("orders", 0, 10)
	b.produce("orders", 1, 5)
	b.produce("mail", 2, 7)
	b.commit("orders", "orders", 0, 4)
	b.commit("orders", "orders", 1, 5)
	b.commit("every", "mail", 2, 1)
	b.want("orders", "orders")
	b.want("every")
	b.want("expr", "/mail.*/")
	b.poll()
	for _, tc := range []struct {
		group        string
		policy       v1alpha1.Uncommitted
		messages     int64
		known, total int
	}{
		{"orders", v1alpha1.UncommittedLatest, 6, 4, 4},
		{"orders", v1alpha1.UncommittedEarliest, 6, 4, 4},
		{"orders", v1alpha1.UncommittedError, 6, 2, 4},
		{"every", v1alpha1.UncommittedLatest, 6, 4, 4},
		{"expr", v1alpha1.UncommittedEarliest, 7, 8, 8},
		{"expr", v1alpha1.UncommittedLatest, 0, 8, 8},
	} {
		got := b.lag(tc.group, lag.Rules{Isolation: v1alpha1.ReadCommitted, Uncommitted: tc.policy})
		if got.Lag != tc.messages || got.Known != tc.known || got.Total != tc.total {
			t.Errorf("%s, uncommitted %s: lag %d, %d of %d known (%v), want %d, %d of %d", tc.group, tc.policy,
				got.Lag, got.Known, got.Total, got.Problems, tc.messages, tc.known, tc.total)
		}
	}
}

func TestRequestsPerPoll(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(30, "a", "b", "c"))
	for i := range 40 {
		group := fmt.Sprintf("g%02d", i)
		b.commit(group, "a", int32(i%30), 0)
		b.want(group, "a", "b", "c")
	}
	b.poll()
	var (
		mu    sync.Mutex
		count = map[int16]int{}
	)
	b.kafka.Control(func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		count[r.Key()]++
		return nil, nil, false
	})
	const polls = 5
	for range polls {
		b.poll()
	}
	mu.Lock()
	defer mu.Unlock()
	total := 0
	for _, n := range count {
		total += n
	}
	// One isolation is asked for, and log starts and metadata are not due: k = 1.
	if most := polls * brokers * 2; total > most {
		t.Errorf("%d requests in %d polls of 40 groups at %d brokers (by key: %v), want at most %d", total, polls, brokers, count, most)
	}
}

func TestOneBadGroupOrPartitionFailsAlone(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(2, "orders"))
	b.produce("orders", 0, 3)
	b.commit("good", "orders", 0, 1)
	b.want("good", "orders")
	b.want("bad", "orders")
	b.want("lost", "no-such-topic")
	b.kafka.ControlKey(int16(kmsg.OffsetFetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		req := r.(*kmsg.OffsetFetchRequest)
		var others []kmsg.OffsetFetchRequestGroup
		for _, g := range req.Groups {
			if g.Group != "bad" {
				others = append(others, g)
			}
		}
		if len(others) == len(req.Groups) {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
		bad := kmsg.NewOffsetFetchResponseGroup()
		bad.Group, bad.ErrorCode = "bad", kerr.GroupAuthorizationFailed.Code
		resp.Groups = append(resp.Groups, bad)
		for _, g := range others {
			ok := kmsg.NewOffsetFetchResponseGroup()
			ok.Group = g.Group
			resp.Groups = append(resp.Groups, ok)
		}
		return resp, nil, true
	})
	b.poll()
	if got := b.lag("good", latestRules); !got.Complete() {
		t.Errorf("the good group is not known: %v", got.Problems)
	}
	v := b.view("bad")
	if !strings.Contains(v.Problem, "GROUP_AUTHORIZATION_FAILED") || !strings.Contains(v.Problem, "Describe the group") {
		t.Errorf("the bad group's problem is %q, want the broker's error and the mend", v.Problem)
	}
	if got := b.lag("lost", latestRules); got.Complete() || len(got.Problems) != 1 || !strings.Contains(got.Problems[0].Text, "create the topic") {
		t.Errorf("a topic that does not exist: %+v", got)
	}
}

func TestPartitionWithoutAnswerIsUnknown(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(3, "orders"))
	b.want("orders", "orders")
	b.kafka.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		req := r.(*kmsg.ListOffsetsRequest)
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, topic := range req.Topics {
			one := kmsg.NewListOffsetsResponseTopic()
			one.Topic = topic.Topic
			for _, p := range topic.Partitions {
				answer := kmsg.NewListOffsetsResponseTopicPartition()
				answer.Partition, answer.Offset = p.Partition, 0
				if p.Partition == 1 {
					answer.ErrorCode = kerr.OffsetNotAvailable.Code
				}
				one.Partitions = append(one.Partitions, answer)
			}
			resp.Topics = append(resp.Topics, one)
		}
		return resp, nil, true
	})
	b.poll()
	got := b.lag("orders", latestRules)
	if got.Known != 2 || got.Total != 3 || got.Problems[0].Partition != 1 || !strings.Contains(got.Problems[0].String(), "broker") {
		t.Errorf("one partition without an offset: %+v", got)
	}
}

func TestTopicMadeAnewIsUnknownUntilCommitted(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders"))
	b.produce("orders", 0, 10)
	b.commit("orders", "orders", 0, 8)
	b.want("orders", "orders")
	b.poll()
	if got := b.lag("orders", latestRules); got.Lag != 2 || !got.Complete() {
		t.Fatalf("before: %+v", got)
	}
	if _, err := b.admin.DeleteTopics(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.admin.CreateTopic(t.Context(), 1, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	b.client.PurgeTopicsFromClient("orders")
	b.produce("orders", 0, 3)
	b.commit("orders", "orders", 0, 8)
	// The first poll meets the new topic with old metadata, the second knows it.
	b.poll()
	b.poll()
	if got := b.lag("orders", latestRules); got.Complete() || got.Lag != 0 {
		t.Errorf("a commit beyond the new topic's end must be unknown: %+v", got)
	}
	b.commit("orders", "orders", 0, 1)
	b.poll()
	if got := b.lag("orders", latestRules); got.Lag != 2 || !got.Complete() {
		t.Errorf("after a commit to the new topic: %+v", got)
	}
}

func TestRetentionOvertakesTheCommit(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders"))
	b.produce("orders", 0, 10)
	b.commit("orders", "orders", 0, 2)
	offsets := kadm.Offsets{}
	offsets.AddOffset("orders", 0, 7, -1)
	if _, err := b.admin.DeleteRecords(t.Context(), offsets); err != nil {
		t.Fatal(err)
	}
	b.want("orders", "orders")
	b.poll()
	if got := b.lag("orders", latestRules); got.Lag != 3 {
		t.Errorf("lag %d, want the 3 messages that are still held", got.Lag)
	}
}

func TestDeadClusterNamesItselfAndRecovers(t *testing.T) {
	data := t.TempDir()
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"), kfake.DataDir(data))
	if err != nil {
		t.Fatal(err)
	}
	address := k.ListenAddrs()
	st := store.New()
	cluster := config.KafkaCluster{Name: "main", Brokers: address, PollEvery: metav1.Duration{Duration: time.Second},
		StaleAfter: metav1.Duration{Duration: 3 * time.Second}, MetadataEvery: metav1.Duration{Duration: time.Hour}, RequestTimeout: metav1.Duration{Duration: 2 * time.Second}}
	topics, _ := ParseTopics([]string{"orders"})
	p, err := NewPoller(Options{Cluster: cluster, Sink: st, Log: slog.New(slog.DiscardHandler),
		Wanted: func(string) []Want { return []Want{{Group: "orders", Topics: topics}} }})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Poll(context.Background()); err != nil {
		t.Fatal(err)
	}
	k.Close()
	err = p.Poll(context.Background())
	if err == nil {
		t.Fatal("a dead cluster is no error")
	}
	for _, want := range []string{`"main"`, address[0], "clusters[name=main].brokers"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	key := store.Key{Cluster: "main", Group: "orders"}
	later := st.View(key, time.Now().Add(time.Minute), time.Second, store.Selection{})
	if sum := lag.Add(later.Readings, latestRules); sum.Complete() || !strings.Contains(sum.Problems[0].Text, "main") {
		t.Errorf("a stale reading must be a problem that names the cluster: %+v", sum)
	}
	if wait := p.pause(); wait > cluster.StaleAfter.Duration {
		t.Errorf("after a failure the next poll waits %s, longer than staleAfter", wait)
	}
	again, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(portOf(t, address[0])), kfake.DataDir(data))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for attempt := 0; ; attempt++ {
		if err = p.Poll(context.Background()); err == nil {
			break
		}
		if attempt == 20 {
			t.Fatalf("it does not recover: %v", err)
		}
	}
	view := st.View(key, time.Now(), time.Second, store.Selection{})
	if sum := lag.Add(view.Readings, latestRules); !sum.Complete() {
		t.Errorf("after recovery: %+v", sum)
	}
}

func portOf(t *testing.T, address string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}
