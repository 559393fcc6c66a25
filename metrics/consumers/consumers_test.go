package consumers

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/metrics/lag"
	"swell/metrics/store"
)

// objects are QueueConsumers that a test writes down.
type objects struct {
	items []v1alpha1.QueueConsumer
	fail  error
}

func (o *objects) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errors.New("not asked for here")
}

func (o *objects) List(_ context.Context, l client.ObjectList, _ ...client.ListOption) error {
	l.(*v1alpha1.QueueConsumerList).Items = o.items
	return o.fail
}

func consumer(name, cluster string) v1alpha1.QueueConsumer {
	return v1alpha1.QueueConsumer{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name)},
		Spec: v1alpha1.QueueConsumerSpec{Kafka: v1alpha1.KafkaGroup{Cluster: cluster, Group: name, Topics: []string{"orders"}},
			DrainTarget: metav1.Duration{Duration: time.Minute}, PerPodRate: v1alpha1.PerPodRate{Initial: "10"}},
	}
}

func newConfig() *config.Metrics {
	stale := metav1.Duration{Duration: 15 * time.Second}
	return &config.Metrics{RateWindow: metav1.Duration{Duration: 30 * time.Second},
		Clusters: []config.KafkaCluster{{Name: "main", StaleAfter: stale}, {Name: "second", StaleAfter: stale}}}
}

func newConsumers(items ...v1alpha1.QueueConsumer) (*Consumers, *store.Store) {
	st := store.New()
	return New(Options{Config: newConfig(), Store: st, Objects: &objects{items: items}, Log: slog.New(slog.DiscardHandler),
		Pods: func(context.Context, string, v1alpha1.ScaleTarget) (lag.Pods, error) {
			return lag.Pods{Ready: int(lag.Unknown)}, nil
		}}), st
}

func named(n string) types.NamespacedName { return types.NamespacedName{Namespace: "shop", Name: n} }

// polls records polls of a group whose one partition holds backlog messages more than were read.
func polls(c *Consumers, st *store.Store, group string, n int, backlog int64) {
	for i := range n {
		at := time.Now().Add(time.Duration(i-n) * time.Second)
		st.Record(store.Key{Cluster: "main", Group: group}, store.Poll{At: at, Readings: []lag.Reading{{Topic: "orders", At: at, Commit: 0, End: backlog, Stable: backlog}}})
		c.Evaluate("main")
	}
}

func TestEvaluate(t *testing.T) {
	c, st := newConsumers(consumer("orders", "main"), consumer("lost", "nowhere"), consumer("later", "main"))
	polls(c, st, "orders", 4, 600)
	if r, _ := c.Get(named("orders")); r.Problem != "" || r.Lag != 600 || r.Replicas != 1 {
		t.Errorf("orders: lag %d, %d replicas, %q; want 600 and 1, its partition count", r.Lag, r.Replicas, r.Problem)
	}
	if r, _ := c.Get(named("lost")); r.Reason != reasonCluster || !strings.Contains(r.Problem, `"nowhere"`) || !strings.Contains(r.Problem, "give one of main, second") {
		t.Errorf("a cluster that is not configured: %s: %s", r.Reason, r.Problem)
	}
	if r, _ := c.Get(named("later")); r.Reason != reasonNotSampled {
		t.Errorf("a group that was not polled: %s: %s", r.Reason, r.Problem)
	}
	st.Fail(store.Key{Cluster: "main", Group: "later"}, time.Now(), "broker 1 (a:9092): EOF")
	c.Evaluate("second")
	if r, ok := c.Get(named("later")); !ok || r.Reason != reasonNotSampled {
		t.Errorf("another cluster's poll changed it: %+v", r)
	}
	c.Evaluate("main")
	if r, _ := c.Get(named("later")); r.Reason != reasonUnknown || !strings.Contains(r.Problem, "a:9092") {
		t.Errorf("a group whose poll failed: %s: %s", r.Reason, r.Problem)
	}
	c.opts.Objects.(*objects).items = nil
	c.Evaluate("main")
	if all, err := c.All(""); err != nil || len(all) != 0 || len(*c.results.Load()) != 0 || len(c.trackers) != 0 {
		t.Errorf("deleted objects are still known: %v, %v", all, err)
	}
}

func TestAskedGroupBecomesWanted(t *testing.T) {
	c, st := newConsumers()
	q := Question{Cluster: "main", Group: "orders", Topics: "orders"}
	if _, err := c.Ask(q); err == nil || !strings.Contains(err.Error(), "not sampled yet") {
		t.Fatalf("the first answer: %v", err)
	}
	wants := c.Wanted("main")
	if len(wants) != 1 || wants[0].Group != "orders" || !wants[0].Topics.Match("orders") || wants[0].Topics.Match("other") {
		t.Fatalf("wanted %+v", wants)
	}
	if len(c.Wanted("second")) != 0 {
		t.Error("wanted in another cluster")
	}
	polls(c, st, "orders", 1, 9)
	if sum, err := c.Ask(q); err != nil || sum.Lag != 9 {
		t.Errorf("after a poll: %+v, %v", sum, err)
	}
	c.asked.questions[question{q.selection(), "", 0}].asked = time.Now().Add(-AskedFor - time.Second)
	if wants := c.Wanted("main"); len(wants) != 0 {
		t.Errorf("still wanted long after: %+v", wants)
	}
	if _, err := c.Ask(Question{Cluster: "typo", Group: "orders"}); err == nil || !strings.Contains(err.Error(), "give one of main, second") {
		t.Errorf("a cluster that is not configured: %v", err)
	}
}

func TestStatusLeavesTheUnknownOut(t *testing.T) {
	c, st := newConsumers(consumer("orders", "main"))
	q := consumer("orders", "main")
	polls(c, st, "orders", 4, 600)
	r, _ := c.Get(named("orders"))
	known := c.status(&q, r)
	if known.Lag == nil || *known.Lag != 600 || known.DesiredReplicas == nil || known.Why == "" || known.SampledAt == nil || known.Conditions[0].Status != metav1.ConditionTrue {
		t.Errorf("known: %+v", known)
	}
	if !c.same(&known, &known) {
		t.Error("the same status would be written again")
	}
	later := *known.DeepCopy()
	later.SampledAt = &metav1.Time{Time: known.SampledAt.Add(2 * refreshEvery)}
	if c.same(&known, &later) {
		t.Error("an old sampledAt is never refreshed")
	}
	r.LagProblem, r.Problem, r.Reason = "EOF", "EOF", reasonUnknown
	unknown := c.status(&q, r)
	if unknown.Lag != nil || unknown.DesiredReplicas != nil || unknown.ProduceRate != nil || unknown.Conditions[0].Status != metav1.ConditionFalse || unknown.Conditions[0].Message != "EOF" {
		t.Errorf("unknown: %+v", unknown)
	}
	if c.same(&known, &unknown) {
		t.Error("a change for the worse is not written")
	}
}

func TestRestartResumesFromTheStatus(t *testing.T) {
	q := consumer("orders", "main")
	q.Spec.Kafka.Topics = nil
	replicas := int32(3)
	perPod := v1alpha1.Decimal("20.00")
	at := metav1.Time{Time: time.Now()}
	q.Status = v1alpha1.QueueConsumerStatus{Cluster: "main", Group: "orders", DesiredReplicas: &replicas, PerPodRate: &perPod, SampledAt: &at,
		Hold: &v1alpha1.ReplicaHold{Replicas: replicas, At: at}}
	c, st := newConsumers(q)
	for i := range 3 {
		at := time.Now().Add(time.Duration(i-3) * time.Second)
		readings := make([]lag.Reading, 4)
		for p := range readings {
			readings[p] = lag.Reading{Topic: "orders", Partition: int32(p), At: at, Commit: 0, End: 100, Stable: 100}
		}
		st.Record(store.Key{Cluster: "main", Group: "orders"}, store.Poll{At: at, Readings: readings})
		c.Evaluate("main")
	}
	r, _ := c.Get(named("orders"))
	if r.Replicas != 3 || r.PerPod <= 10 || r.PerPod > 20 {
		t.Errorf("after a restart: %d replicas at %g a pod, want the 3 of before while its backlog drains, μ above the declared 10", r.Replicas, r.PerPod)
	}
}

// A wrong name and consumers that have not begun look the same: neither is an empty backlog, by which an HPA would scale in.
func TestGroupThatNeverCommittedIsUnknown(t *testing.T) {
	latest, earliest := consumer("orders", "main"), consumer("orders", "main")
	earliest.Name, earliest.UID, earliest.Spec.Uncommitted = "earliest", "earliest", v1alpha1.UncommittedEarliest
	c, st := newConsumers(latest, earliest)
	poll := func(commits ...int64) {
		for i := range 4 {
			at := time.Now().Add(time.Duration(i-4) * time.Second)
			var readings []lag.Reading
			for n, commit := range commits {
				readings = append(readings, lag.Reading{Topic: "orders", Partition: int32(n), At: at, Commit: commit, End: 600, Stable: 600})
			}
			st.Record(store.Key{Cluster: "main", Group: "orders"}, store.Poll{At: at, Readings: readings})
			c.Evaluate("main")
		}
	}
	selector := Question{Cluster: "main", Group: "orders", Topics: "orders", Namespace: "shop"}
	poll(lag.Unknown, lag.Unknown)
	r, _ := c.Get(named("orders"))
	got := c.status(&latest, r).Conditions[0]
	if got.Status != metav1.ConditionFalse || got.Reason != reasonNeverCommitted || !strings.Contains(got.Message, "no commit in any of 2 partitions: correct its name") || r.LagProblem == "" || r.Problem == "" {
		t.Errorf("lag problem %q, %+v", r.LagProblem, got)
	}
	if _, err := c.Ask(selector); err == nil || !strings.Contains(err.Error(), "no commit in any of 2 partitions") {
		t.Errorf("by selector: %v", err)
	}
	if g := c.Groups(); len(g) != 1 || g[0].Problem == "" {
		t.Errorf("on /metrics: %+v", g)
	}
	r, _ = c.Get(named("earliest"))
	if got := c.status(&earliest, r).Conditions[0]; r.LagProblem != "" || r.Lag != 1200 || got.Reason != reasonNeverCommitted {
		t.Errorf("where all of it counts: %d, %q, %+v", r.Lag, r.LagProblem, got)
	}
	poll(590, lag.Unknown)
	if r, _ := c.Get(named("orders")); r.Problem != "" || r.Lag != 10 {
		t.Errorf("with one commit: %d, %q", r.Lag, r.Problem)
	}
	if sum, err := c.Ask(selector); err != nil || sum.Lag != 10 {
		t.Errorf("with one commit, by selector: %d, %v", sum.Lag, err)
	}
}

func TestConsumerWithoutAResultIsListedAsUnknown(t *testing.T) {
	c, st := newConsumers(consumer("orders", "main"), consumer("other", "second"))
	for _, cluster := range []string{"", "main"} {
		if cluster != "" {
			polls(c, st, "orders", 4, 600)
		}
		all, err := c.All("shop")
		if err != nil {
			t.Fatal(err)
		}
		if r, ok := all[named("other")]; !ok || r.LagProblem == "" || r.Problem == "" || r.Reason != reasonNotSampled {
			t.Errorf("after polls of %q: %+v, want it unknown", cluster, r)
		}
	}
	if all, _ := c.All("elsewhere"); len(all) != 0 {
		t.Errorf("another namespace's: %v", all)
	}
	c.opts.Objects.(*objects).fail = errors.New("the cache is stopped")
	c.Evaluate("main")
	if _, err := c.All("shop"); err == nil {
		t.Error("a list that may be partial is no error")
	}
	if r, ok := c.Get(named("orders")); !ok || r.Lag != 600 {
		t.Errorf("a failed list forgot what was known: %+v", r)
	}
}

func TestAnotherGroupStartsAfresh(t *testing.T) {
	q := consumer("orders", "main")
	q.Spec.Kafka.Topics = nil
	c, st := newConsumers(q)
	at := time.Now().Add(-10 * time.Second)
	record := func(group string, n int, backlog int64) Result {
		for range n {
			at = at.Add(time.Second)
			readings := make([]lag.Reading, 8)
			for p := range readings {
				readings[p] = lag.Reading{Topic: group, Partition: int32(p), At: at, End: backlog, Stable: backlog}
			}
			st.Record(store.Key{Cluster: "main", Group: group}, store.Poll{At: at, Readings: readings})
			c.Evaluate("main")
		}
		r, _ := c.Get(named("orders"))
		return r
	}
	if r := record("orders", 4, 600); r.Replicas != 8 {
		t.Fatalf("before: %+v", r)
	}
	c.opts.Objects.(*objects).items[0].Spec.Kafka.Group = "mail"
	if r := record("mail", 1, 50); r.RatesKnown {
		t.Errorf("after one poll of another group its rates are known: %+v", r.Estimate)
	}
	if r := record("mail", 4, 50); r.Replicas != 1 || !r.Draining {
		t.Errorf("another group: %d replicas, draining %t; want the 1 that its own backlog needs: %s", r.Replicas, r.Draining, r.Why)
	}
}

func TestSaturationIsACondition(t *testing.T) {
	c, st := newConsumers(consumer("orders", "main"))
	q := consumer("orders", "main")
	polls(c, st, "orders", 4, 600)
	r, _ := c.Get(named("orders"))
	r.Saturated = "more pods stopped helping: 4 pods read 200/s, 8 pods 200/s"
	q.Status = c.status(&q, r)
	if got := q.Status.Conditions; len(got) != 2 || got[0].Status != metav1.ConditionTrue || got[1].Type != "Saturated" || got[1].Status != metav1.ConditionTrue || !strings.Contains(got[1].Message, r.Saturated) {
		t.Errorf("%+v", got)
	}
	r.Saturated = ""
	if got := c.status(&q, r).Conditions; len(got) != 1 || got[0].Type != "Ready" {
		t.Errorf("after it: %+v", got)
	}
}

// A wrong name in somebody's selector is no problem of the group's.
func TestGroupsAreKnownBesideATopicThatSomebodyNames(t *testing.T) {
	c, st := newConsumers(consumer("orders", "main"))
	at := time.Now()
	own := lag.Reading{Topic: "orders", At: at, End: 9, Stable: 9}
	wrong := lag.Reading{Topic: "odrers", At: at, Partition: lag.NoPartition, NotCommitted: true, Problem: "UNKNOWN_TOPIC_OR_PARTITION"}
	for name, tc := range map[string]struct {
		readings []lag.Reading
		problem  string
		total    int
	}{
		"beside its own": {[]lag.Reading{wrong, own}, "", 1},
		"alone":          {[]lag.Reading{wrong}, "UNKNOWN_TOPIC_OR_PARTITION", 1},
	} {
		st.Record(store.Key{Cluster: "main", Group: "orders"}, store.Poll{At: at, Readings: tc.readings})
		c.Evaluate("main")
		g := c.Groups()
		if len(g) != 1 || (g[0].Problem == "") != (tc.problem == "") || !strings.Contains(g[0].Problem, tc.problem) || g[0].Sum.Total != tc.total || len(g[0].Readings) != len(tc.readings) {
			t.Errorf("%s: %+v", name, g)
		}
	}
}

// All groups of a cluster are asked about together: a name that brokers cannot read must not get that far.
func TestNamesThatKafkaCannotReadAreRefused(t *testing.T) {
	long, wrong, fine := consumer("long", "main"), consumer("wrong", "main"), consumer("fine", "main")
	long.Spec.Kafka.Group = strings.Repeat("x", 40_000)
	wrong.Spec.Kafka.Topics = []string{"orders", strings.Repeat("y", 40_000)}
	c, st := newConsumers(long, wrong, fine)
	polls(c, st, "fine", 4, 600)
	for _, name := range []string{"long", "wrong"} {
		if r, _ := c.Get(named(name)); r.Reason != reasonInvalid || len(r.Problem) > 300 {
			t.Errorf("%s: %s, %d letters of %.300q", name, r.Reason, len(r.Problem), r.Problem)
		}
	}
	for _, q := range []Question{{Cluster: "main", Group: long.Spec.Kafka.Group}, {Cluster: "main", Group: "g", Topics: wrong.Spec.Kafka.Topics[1]}} {
		if _, err := c.Ask(q); err == nil || !strings.Contains(err.Error(), "read selector label") {
			t.Errorf("by selector: %v", err)
		}
	}
	if w := c.Wanted("main"); len(w) != 1 || w[0].Group != "fine" {
		t.Errorf("wanted: %d groups", len(w))
	}
}
