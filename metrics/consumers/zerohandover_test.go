package consumers

import (
	"net/http"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
	"swell/metrics/lag"
	"swell/metrics/store"
)

// successor is a replica that takes over, with no pod of the workload ready.
func successor(t *testing.T, a *api) *replica {
	r := newReplica(t, a)
	r.pods.Ready = 0
	return r
}

func TestAMessageIsNotLostWhenTheLeaderDiesAfterScaling(t *testing.T) {
	a, s, first := idler(t, 1)
	first.idleUntil(day, day.Add(5*time.Minute-10*time.Second), 100)
	first.poll(day.Add(5*time.Minute), 100, 100)
	first.leading.Store(true)
	first.actOnZero(t.Context(), a, told{}) // and no status is written any more
	if n := a.replicas(s); n != 0 {
		t.Fatalf("%d replicas, want none", n)
	}
	second := successor(t, a)
	second.poll(day.Add(5*time.Minute+20*time.Second), 100, 101)
	second.act()
	if n := a.replicas(s); n != 1 {
		t.Errorf("%d replicas, want 1 for the message that came while nobody led: %+v", n, second.idleCondition())
	}
	if q := a.consumer(t); q.Status.Zero != nil {
		t.Errorf("status.zero is still there: %+v", q.Status.Zero)
	}
}

func TestAFailedWakeIsTriedByTheNextLeader(t *testing.T) {
	a, s, first := idler(t, 1)
	first.idleUntil(day, day.Add(5*time.Minute), 100)
	first.pods.Ready = 0
	a.failWith(func(method, path string) int {
		if method == http.MethodPut {
			return http.StatusInternalServerError
		}
		return 0
	})
	first.poll(day.Add(6*time.Minute), 100, 101)
	first.act()
	a.failWith(nil)
	second := successor(t, a)
	second.poll(day.Add(6*time.Minute+20*time.Second), 100, 101)
	second.act()
	if n := a.replicas(s); n != 1 {
		t.Errorf("%d replicas with a message waiting: %+v", n, second.idleCondition())
	}
}

// A mark whose scaling was never done is taken back.
func TestAMarkWithoutScalingIsTakenBack(t *testing.T) {
	a, s, first := idler(t, 1)
	first.idleUntil(day, day.Add(5*time.Minute-10*time.Second), 100)
	a.failWith(func(method, path string) int {
		if method == http.MethodPut {
			return http.StatusInternalServerError
		}
		return 0
	})
	first.idleUntil(day.Add(5*time.Minute), day.Add(5*time.Minute), 100)
	if q := a.consumer(t); q.Status.Zero == nil {
		t.Fatal("the intent was not written before the scaling")
	}
	a.failWith(nil)
	second := newReplica(t, a)
	second.pods.Ready = 1
	second.poll(day.Add(5*time.Minute+20*time.Second), 90, 101)
	second.act()
	if q := a.consumer(t); q.Status.Zero != nil || a.replicas(s) != 1 {
		t.Errorf("%d replicas and the mark %+v, want 1 and none", a.replicas(s), q.Status.Zero)
	}
}

// Kafka forgets the offsets of a group without members; what is produced after that must still bring a pod.
func TestAMessageAfterTheOffsetsExpired(t *testing.T) {
	a, s, r := idler(t, 1)
	r.idleUntil(day, day.Add(5*time.Minute), 100)
	r.pods.Ready = 0
	r.idleUntil(day.Add(5*time.Minute+10*time.Second), day.Add(6*time.Minute), 100)
	for at := day.Add(6 * time.Minute); at.Before(day.Add(8 * time.Minute)); at = at.Add(10 * time.Second) {
		r.poll(at, lag.Unknown, 100)
		r.act()
	}
	if n := a.replicas(s); n != 0 || r.idleCondition().Status != "Unknown" {
		t.Fatalf("%d replicas, %+v; want none, and that the lag is unknown", n, r.idleCondition())
	}
	r.poll(day.Add(8*time.Minute), lag.Unknown, 101)
	r.act()
	if n := a.replicas(s); n != 1 {
		t.Errorf("%d replicas after a message, want 1: %+v", n, r.idleCondition())
	}
}

// Two consumers of one workload: the idle one must not take away what the other needs.
func TestAnotherConsumerOfTheWorkloadKeepsItUp(t *testing.T) {
	a, s, r := idler(t, 1)
	mails := consumer("mails", "main")
	mails.UID, mails.Spec.ScaleTargetRef = "mails", ordersTarget
	mails.Spec.Kafka.Group = "mails"
	mails.Spec.Zero = &v1alpha1.ScaleToZero{After: metav1.Duration{Duration: time.Minute}}
	a.consumers = append(a.consumers, mails)
	both := func(at time.Time, waiting int64) {
		r.st.Record(store.Key{Cluster: "main", Group: "mails"}, store.Poll{At: at, Readings: []lag.Reading{
			{Topic: "orders", At: at, Commit: 100 - waiting, End: 100, Stable: 100, Readable: lag.Unknown, ShareLag: lag.Unknown}}})
		r.poll(at, 100, 100)
		r.act()
	}
	at := day
	for ; at.Before(day.Add(10 * time.Minute)); at = at.Add(10 * time.Second) {
		both(at, 40)
	}
	if n := a.replicas(s); n != 1 {
		t.Fatalf("%d replicas while mails has messages waiting, want 1", n)
	}
	for end := at.Add(6 * time.Minute); at.Before(end); at = at.Add(10 * time.Second) {
		both(at, 0)
	}
	if n := a.replicas(s); n != 0 {
		t.Fatalf("%d replicas with both empty, want none: %+v", n, r.idleCondition())
	}
	r.pods.Ready = 0
	both(at, 40)
	if n := a.replicas(s); n != 1 {
		t.Errorf("%d replicas once mails has messages again, want 1", n)
	}
}
