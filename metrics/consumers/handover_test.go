package consumers

import (
	"errors"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/metrics/lag"
	"swell/metrics/store"
)

// big is a backlog for all eight pods of its partitions, small one for a single pod.
const big, small = 80_000, 160

// drainer is a replica that leads, and has written that a big backlog needs eight pods.
func drainer(t *testing.T) (*api, *replica) {
	t.Helper()
	q := consumer("orders", "main")
	q.Spec.Kafka.Topics = nil
	a := newAPI(t, q)
	r := newReplica(t, a)
	r.leading.Store(true)
	for i := range 4 {
		r.backlog(day.Add(time.Duration(i-3)*5*time.Second), big, 0)
	}
	r.write()
	if s := a.consumer(t).Status; s.Hold == nil || s.Hold.Replicas != 8 || !a.clock.At(s.Hold.At.Time).Round(2*time.Second).Equal(day) || s.Cluster != "main" || s.Group != "orders" || s.Saturation != nil {
		t.Fatalf("written: %+v, hold %+v", s, s.Hold)
	}
	return a, r
}

func (r *replica) write() {
	r.t.Helper()
	r.writeStatuses(r.t.Context(), r.api, told{}, map[types.UID]bool{})
}

// after is a replica that leads from a time on, at which nothing was read yet.
func after(t *testing.T, a *api, at time.Time) *replica {
	t.Helper()
	r := newReplica(t, a)
	r.leading.Store(true)
	r.clock(at)
	r.Evaluate("main")
	r.write()
	return r
}

// polled is what four polls of a small backlog from a time on make of it.
func (r *replica) polled(at time.Time) (got Result) {
	r.t.Helper()
	for i := range 4 {
		got = r.backlog(at.Add(time.Duration(i)*5*time.Second), small, 0)
	}
	return got
}

// outage is a minute in which Kafka does not answer, up to a time.
func (r *replica) outage(to time.Time) {
	r.t.Helper()
	for at := to.Add(-time.Minute); !at.After(to); at = at.Add(10 * time.Second) {
		r.clock(at)
		r.st.Fail(store.Key{Cluster: "main", Group: "orders"}, at, "broker 1 (a:9092): EOF")
		r.Evaluate("main")
		r.write()
	}
}

func TestARestartInAnOutageKeepsTheReplicas(t *testing.T) {
	a, r := drainer(t)
	r.outage(day.Add(time.Minute))
	if s := a.consumer(t).Status; s.DesiredReplicas != nil || s.Hold == nil || s.Hold.Replicas != 8 || !a.clock.At(s.Hold.At.Time).Round(2*time.Second).Equal(day) {
		t.Fatalf("while unknown: desired %v, hold %+v", s.DesiredReplicas, s.Hold)
	}
	r = after(t, a, day.Add(2*time.Hour))
	r.outage(day.Add(4 * time.Hour))
	r = after(t, a, day.Add(5*time.Hour))
	if got := r.polled(day.Add(5*time.Hour + time.Minute)); got.Replicas != 8 || !got.Draining {
		t.Errorf("%d replicas, draining %t, %q after an outage with restarts in it; want the 8 of before", got.Replicas, got.Draining, got.Problem)
	}
}

// What held before nobody looked for long is not what an outage after it began with.
func TestReplicasOfLongAgoAreNotHeld(t *testing.T) {
	a, _ := drainer(t)
	r := after(t, a, day.Add(2*time.Hour))
	r.outage(day.Add(2*time.Hour + 10*time.Minute))
	r = after(t, a, day.Add(2*time.Hour+11*time.Minute))
	if got := r.polled(day.Add(2*time.Hour + 12*time.Minute)); got.Replicas != 1 {
		t.Errorf("%d replicas; want the 1 of its own count: %s", got.Replicas, got.Why)
	}
}

func TestHeldReplicasDoNotCauseWrites(t *testing.T) {
	a, r := drainer(t)
	q := a.consumer(t)
	got := r.backlog(day.Add(5*time.Second), big, 0)
	next := r.status(&q, got)
	next.Why = q.Status.Why
	if !r.same(&q.Status, &next) {
		t.Errorf("another poll of the same would be written:\n%+v\n%+v", q.Status, next)
	}
	next.Hold.Replicas = 7
	if r.same(&q.Status, &next) {
		t.Error("another number of replicas to hold is not written")
	}
}

func TestAnotherGroupTakesNothingOver(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.KafkaGroup){"group": func(k *v1alpha1.KafkaGroup) { k.Group = "mail" }, "cluster": func(k *v1alpha1.KafkaGroup) { k.Cluster = "second" }} {
		for _, leads := range []bool{true, false} {
			a, _ := drainer(t)
			rate := v1alpha1.Decimal("500.00")
			a.consumers[0].Status.PerPodRate = &rate
			a.consumers[0].Status.Saturation = &v1alpha1.SaturationSeen{Pods: 4, ConsumeRate: "40.00"}
			idle := metav1.Condition{Type: conditionIdle, Status: metav1.ConditionTrue, Reason: reasonEmpty, LastTransitionTime: metav1.NewTime(time.Now().Add(-time.Hour))}
			a.consumers[0].Status.Conditions = append(a.consumers[0].Status.Conditions, idle)
			a.consumers[0].Spec.Zero = &v1alpha1.ScaleToZero{After: metav1.Duration{Duration: time.Hour}}
			change(&a.consumers[0].Spec.Kafka)
			r := newReplica(t, a)
			r.leading.Store(leads)
			k := a.consumers[0].Spec.Kafka
			r.clock(day.Add(5 * time.Second))
			r.Evaluate(k.Cluster)
			tr := r.trackers["orders"]
			if tr.idle != (idleness{}) || tr.held != (held{}) {
				t.Errorf("%s, leading %t: resumed %+v, %+v", name, leads, tr.idle, tr.held)
			}
			got, _ := r.Get(named("orders"))
			if got.PerPod != 10 {
				t.Errorf("%s, leading %t: μ is %g, want the declared 10", name, leads, got.PerPod)
			}
			q := a.consumer(t)
			next := r.status(&q, got)
			if next.Cluster != k.Cluster || next.Group != k.Group || next.Hold != nil || next.Saturation != nil {
				t.Errorf("%s, leading %t: to be written: %+v", name, leads, next)
			}
			// Nor by the next run, from what this one writes of the other group.
			if c := meta.FindStatusCondition(next.Conditions, conditionIdle); c == nil || c.Status != metav1.ConditionUnknown {
				t.Errorf("%s, leading %t: another group's idleness is written again: %+v", name, leads, c)
			}
		}
	}
}

func TestABadReloadLosesNothing(t *testing.T) {
	a, r := drainer(t)
	rate := v1alpha1.Decimal("12.00")
	a.consumers[0].Status.PerPodRate = &rate
	m := newConfig()
	m.Clock = a.jump(day.Add(10 * time.Second))
	m.Clusters = m.Clusters[1:]
	r.SetConfig(m)
	r.write()
	s := a.consumer(t).Status
	if s.PerPodRate == nil || *s.PerPodRate != rate || s.Hold == nil || s.Hold.Replicas != 8 || s.DesiredReplicas != nil || s.Conditions[0].Reason != reasonCluster {
		t.Fatalf("while the cluster is not configured: %+v", s)
	}
	m = newConfig()
	m.Clock = a.jump(day.Add(time.Hour))
	r.SetConfig(m)
	if got := r.polled(day.Add(time.Hour)); got.Replicas != 8 || got.PerPod != 12 {
		t.Errorf("after the reload is mended: %d replicas at μ %g, want the 8 of before at 12: %s", got.Replicas, got.PerPod, got.Why)
	}
	m = newConfig()
	m.Clock = a.jump(day.Add(time.Hour))
	m.NamespaceRules = config.NamespaceRules{{Namespaces: []string{"bank"}, Groups: []string{"orders"}}}
	r.SetConfig(m)
	r.write()
	if s := a.consumer(t).Status; s.PerPodRate == nil || s.Hold == nil || s.Hold.Replicas != 8 || s.Lag != nil || s.Conditions[0].Reason != ReasonForbidden {
		t.Errorf("while the group is forbidden: %+v", s)
	}
	m = newConfig()
	m.Clock = a.jump(day.Add(2 * time.Hour))
	r.SetConfig(m)
	if got := r.polled(day.Add(2 * time.Hour)); got.Replicas != 8 || got.PerPod != 12 {
		t.Errorf("after the rules are mended: %d replicas at μ %g, want the 8 of before at 12: %s", got.Replicas, got.PerPod, got.Why)
	}
}

func TestOtherTopicsOfTheGroupKeepTheReplicas(t *testing.T) {
	a, r := drainer(t)
	a.mu.Lock()
	a.consumers[0].Spec.Kafka.Topics = []string{"orders"}
	a.mu.Unlock()
	if got := r.polled(day.Add(5 * time.Second)); got.Replicas != 8 || !got.Draining {
		t.Errorf("%d replicas, draining %t; want the 8 that drain the backlog", got.Replicas, got.Draining)
	}
	a.mu.Lock()
	a.consumers[0].Spec.Kafka.Group = "mail"
	a.mu.Unlock()
	r.clock(day.Add(time.Minute))
	r.Evaluate("main")
	if tr := r.trackers["orders"]; tr.held != (held{}) {
		t.Errorf("of another group: %+v", tr.held)
	}
}

func TestSaturationIsHandedOn(t *testing.T) {
	a, r := drainer(t)
	q := a.consumer(t)
	got, _ := r.Get(named("orders"))
	// Of eight pods that read no more than four: three were asked for when it was seen.
	got.Saturated, got.held = "more pods stopped helping", held{at: day, replicas: 3, saturated: lag.Stretch{Pods: 2, Consume: 40}}
	got.Replicas = 3
	a.consumers[0].Status = r.status(&q, got)
	if s := a.consumer(t).Status.Saturation; s == nil || s.Pods != 2 || s.ConsumeRate != "40.00" {
		t.Fatalf("written: %+v", s)
	}
	for name, leads := range map[string]bool{"a restarted leader": true, "a fresh follower": false} {
		next := newReplica(t, a)
		next.leading.Store(leads)
		next.pods = lag.Pods{Ready: 3, LastReady: day.Add(-time.Hour)}
		for i := range 12 {
			got := next.backlog(day.Add(time.Duration(i+1)*5*time.Second), big, int64(i)*200)
			if got.Problem == "" && (got.Replicas != 3 || got.Saturated == "") {
				t.Fatalf("%s: %d replicas, saturated %q; want the 3 that were held: %s", name, got.Replicas, got.Saturated, got.Why)
			}
		}
	}
	// A word that is old binds no follower.
	late := newReplica(t, a)
	var last Result
	for i := range 4 {
		last = late.backlog(day.Add(time.Hour+time.Duration(i)*5*time.Second), big, 0)
	}
	if last.Replicas != 8 || last.Saturated != "" {
		t.Errorf("an hour later: %d replicas, %q", last.Replicas, last.Saturated)
	}
}

func TestRulesHoldWhereTheObjectsCannotBeListed(t *testing.T) {
	c, st := newConsumers(consumer("orders", "main"), consumer("mail", "main"), consumer("other", "second"))
	polls(c, st, "orders", 4, 600)
	polls(c, st, "mail", 4, 600)
	c.Evaluate("second")
	c.opts.Objects.(*objects).fail = errors.New("the cache is stopped")
	m := newConfig()
	m.Clusters = m.Clusters[:1]
	m.NamespaceRules = config.NamespaceRules{{Namespaces: []string{"shop"}, Groups: []string{"mail"}}}
	c.SetConfig(m)
	for name, want := range map[string]string{"orders": ReasonForbidden, "other": ReasonForbidden, "mail": ""} {
		if r, ok := c.Get(named(name)); !ok || r.Reason != want || want != "" && (r.Lag != 0 || r.reads != nil || r.UID != types.UID(name) || r.Group != name) {
			t.Errorf("%s: %+v, want the reason %q", name, r, want)
		}
	}
	if len(c.trackers) != 1 {
		t.Errorf("%d trackers, want that of the group that is still allowed", len(c.trackers))
	}
	m.NamespaceRules, m.Clusters = nil, newConfig().Clusters[1:]
	c.SetConfig(m)
	if r, _ := c.Get(named("mail")); r.Reason != reasonCluster || r.Lag != 0 {
		t.Errorf("of a cluster that is gone: %+v", r)
	}
}
