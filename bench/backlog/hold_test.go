package backlog_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/bench/testbed/controlplane"
	"swell/bench/testbed/load"
)

// What must not change the replicas, or not raise them, although the backlog grows.
func TestReplicasAreHeld(t *testing.T) {
	topics := map[string]int{}
	for _, name := range []string{"brokers", "storm", "saturated", "hot"} {
		topics[name] = partitions
	}
	r := newRig(t, topics, nil)
	t.Run("a saturated downstream", r.saturatedDownstream)
	t.Run("one hot partition", r.hotPartition)
	t.Run("a rebalance storm", r.rebalanceStorm)
	t.Run("killed brokers", r.killedBrokers)
}

// saturatedDownstream gives the pods a database that takes what five of them write: swell learns it and asks for no more.
func (r *rig) saturatedDownstream(t *testing.T) {
	const ceiling, perPod = 50.0, 10.0
	r.apply(t, workload{Name: "saturated", Replicas: 4, PerPod: perPod})
	r.play(t, "saturated", load.PlayerOptions{Rate: steady(80)}, load.ConsumerOptions{PerPodRate: perPod, Ceiling: ceiling})
	r.eventually(t, "more pods stopped helping", func() error {
		if c := r.condition(t, "saturated", "Saturated"); c.Status != metav1.ConditionTrue {
			return fmt.Errorf("%d replicas, condition %+v: %s", r.replicas(t, "saturated"), c, r.consumer(t, "saturated").Status.Why)
		}
		return nil
	})
	held := r.replicas(t, "saturated")
	lag := *r.consumer(t, "saturated").Status.Lag
	r.hold(t, "saturated", 5*time.Minute, held)
	after := r.consumer(t, "saturated").Status
	if after.Lag == nil || *after.Lag <= lag {
		t.Errorf("the backlog did not grow from %d: %+v; nothing was held against it", lag, after)
	}
	if held >= partitions {
		t.Errorf("%d replicas: held where nothing is left to rise to", held)
	}
}

// hotPartition sends nearly everything to one partition, which one pod can read alone.
func (r *rig) hotPartition(t *testing.T) {
	const perPod = 10.0
	r.apply(t, workload{Name: "hot", Replicas: 2, PerPod: perPod})
	r.play(t, "hot", load.PlayerOptions{Rate: steady(40), Hot: 0.9}, load.ConsumerOptions{PerPodRate: perPod})
	r.eventually(t, "the hot partition is named", func() error {
		q := r.consumer(t, "hot")
		if !strings.Contains(q.Status.Why, "hot/0") {
			return fmt.Errorf("why says %q", q.Status.Why)
		}
		if c := r.condition(t, "hot", "HotPartition"); c.Status != metav1.ConditionTrue || !strings.Contains(c.Message, "hot/0") {
			return fmt.Errorf("condition %+v", c)
		}
		if *q.Status.Lag < 3000 {
			return fmt.Errorf("the lag is only %d yet", *q.Status.Lag)
		}
		return nil
	})
	// 3,000 messages in 60 s at 10/s a pod would be five pods and more, on one partition
	if got := r.replicas(t, "hot"); got > 4 {
		t.Errorf("%d replicas for one hot partition: %s", got, r.consumer(t, "hot").Status.Why)
	}
	text := r.why(t, "hot")
	t.Logf("swell why says:\n%s", text)
	if !strings.Contains(text, "hot/0") {
		t.Error("swell why does not name the partition")
	}
}

// why is what the command prints about a QueueConsumer.
func (r *rig) why(t *testing.T, name string) string {
	t.Helper()
	kubeconfig, err := r.Cluster.Kubeconfig("why", "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	text, err := exec.CommandContext(t.Context(), filepath.Join(root, "bin", "swell"), "why", namespace+"/"+name, "--kubeconfig", kubeconfig).CombinedOutput()
	if err != nil {
		t.Errorf("swell why: %v", err)
	}
	return string(text)
}

// rebalanceStorm has a member come and go, so that the group hardly reads.
func (r *rig) rebalanceStorm(t *testing.T) {
	r.apply(t, workload{Name: "storm", Replicas: 3, PerPod: 20})
	member := func(more ...kgo.Opt) *kgo.Client {
		c, err := kgo.NewClient(append(more, kgo.SeedBrokers(r.Kafka.Bootstrap), kgo.ConsumerGroup("storm"), kgo.ConsumeTopics("storm"),
			kgo.Balancers(kgo.RangeBalancer()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.AutoCommitInterval(200*time.Millisecond),
			kgo.HeartbeatInterval(200*time.Millisecond), kgo.RebalanceTimeout(2*time.Second))...)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer func() { stop(); running.Wait() }()
	read := func(c *kgo.Client) {
		defer c.Close()
		for ctx.Err() == nil {
			c.PollRecords(ctx, 4)
			time.Sleep(25 * time.Millisecond)
		}
	}
	// it takes them a second to end what they work at, for which the whole group waits
	slow := kgo.OnPartitionsRevoked(func(context.Context, *kgo.Client, map[string][]int32) { time.Sleep(time.Second) })
	for range 2 {
		c := member(slow)
		running.Go(func() { read(c) })
	}
	// what is read is read by real members: both together 30 a model second while the group is left in peace
	r.produceSteadily(t, ctx, &running, "storm", 26)
	r.eventually(t, "the group is known", func() error {
		if q := r.consumer(t, "storm"); q.Status.DesiredReplicas == nil {
			return fmt.Errorf("%+v", q.Status.Conditions)
		}
		return nil
	})
	for range 2 {
		running.Go(func() {
			for ctx.Err() == nil {
				c := member()
				c.PollRecords(ctx, 1)
				c.Close()
			}
		})
	}
	r.eventually(t, "the storm is seen", func() error {
		if c := r.condition(t, "storm", "Rebalancing"); c.Status != metav1.ConditionTrue {
			return fmt.Errorf("condition %+v: %s", c, r.consumer(t, "storm").Status.Why)
		}
		return nil
	})
	held := r.replicas(t, "storm")
	// more than both members read in the time that is looked at, however well they do in the storm
	r.produceAtOnce(t, "storm", 10000)
	r.hold(t, "storm", 3*time.Minute, held)
	after := r.consumer(t, "storm").Status
	t.Logf("%d replicas: %s", held, after.Why)
	if !strings.Contains(after.Why, "held at") {
		t.Errorf("what waits asks for no more pods, so that nothing was held: %s", after.Why)
	}
}

// produceSteadily produces so many messages a model second, without an account of them.
func (r *rig) produceSteadily(t *testing.T, ctx context.Context, running *sync.WaitGroup, topic string, rate float64) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(r.Kafka.Bootstrap), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	running.Go(func() {
		defer c.Close()
		for ctx.Err() == nil {
			for range int(rate * speed / 10) {
				c.Produce(ctx, &kgo.Record{Value: []byte("x")}, nil)
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
}

// produceAtOnce produces so many messages, spread over all partitions, without an account of them.
func (r *rig) produceAtOnce(t *testing.T, topic string, messages int) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(r.Kafka.Bootstrap), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	records := make([]*kgo.Record, messages)
	for i := range records {
		records[i] = &kgo.Record{Value: []byte("x")}
	}
	if err := c.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// hold looks on for a time of the model: the replicas must not rise above what they were, nor fall to nothing.
func (r *rig) hold(t *testing.T, name string, length time.Duration, most int) {
	t.Helper()
	for end := r.Clock.Now().Add(length); r.Clock.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if got := r.replicas(t, name); got > most || got == 0 {
			t.Fatalf("%d replicas, want at most %d: %s", got, most, r.consumer(t, name).Status.Why)
		}
	}
}

// killedBrokers takes Kafka away while a backlog is being worked off.
func (r *rig) killedBrokers(t *testing.T) {
	r.apply(t, workload{Name: "brokers", Replicas: 2, PerPod: 10})
	r.play(t, "brokers", load.PlayerOptions{Rate: burst(10, 10000, r.Clock.Now().Add(40*time.Second))}, load.ConsumerOptions{PerPodRate: 1})
	r.eventually(t, "the replicas rise", func() error {
		if got := r.replicas(t, "brokers"); got < 10 {
			return fmt.Errorf("%d replicas: %s", got, r.consumer(t, "brokers").Status.Why)
		}
		return nil
	})
	held := r.replicas(t, "brokers")
	r.Kafka.Kill()
	r.eventually(t, "the object says so", func() error {
		if c := r.condition(t, "brokers", "Ready"); c.Status != metav1.ConditionFalse {
			return fmt.Errorf("condition %+v", c)
		}
		return nil
	})
	for end := r.Clock.Now().Add(2 * time.Minute); r.Clock.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if got := r.replicas(t, "brokers"); got < held {
			t.Fatalf("%d replicas while Kafka is down, want %d held", got, held)
		}
	}
	if err := r.Kafka.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, "the lag is known again", func() error {
		if c := r.condition(t, "brokers", "Ready"); c.Status != metav1.ConditionTrue {
			return fmt.Errorf("condition %+v", c)
		}
		return nil
	})
	if got := r.replicas(t, "brokers"); got < held {
		t.Errorf("%d replicas once Kafka is back with the backlog there, want %d held", got, held)
	}
}

// produce puts messages into the first partition of a topic.
func (r *rig) produce(t *testing.T, topic string, n int) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(r.Kafka.Bootstrap), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range n {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// commitEnds commits every partition of a topic at its end, as consumers do that have read everything.
func (r *rig) commitEnds(t *testing.T, topic string) {
	t.Helper()
	commitEndsAt(t, topic, kgo.SeedBrokers(r.Kafka.Bootstrap))
}

// commitEndsAt does so in another cluster.
func commitEndsAt(t *testing.T, topic string, cluster ...kgo.Opt) {
	t.Helper()
	c, err := kgo.NewClient(cluster...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	admin := kadm.NewClient(c)
	ends, err := admin.ListEndOffsets(t.Context(), topic)
	if err := errors.Join(err, ends.Error()); err != nil {
		t.Fatal(err)
	}
	if err := admin.CommitAllOffsets(t.Context(), topic, ends.Offsets()); err != nil {
		t.Fatal(err)
	}
}
