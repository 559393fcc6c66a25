package consumers

import (
	"math"
	"strconv"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"swell/metrics/lag"
	"swell/metrics/store"
)

// backlog polls eight partitions: per second, produced messages come and read are read.
func (r *replica) backlog(at time.Time, end, commit int64) Result {
	r.t.Helper()
	r.clock(at)
	readings := make([]lag.Reading, 8)
	for p := range readings {
		readings[p] = lag.Reading{Topic: "orders", Partition: int32(p), At: at, Commit: commit / 8, End: end / 8, Stable: end / 8, Readable: lag.Unknown, ShareLag: lag.Unknown}
	}
	r.st.Record(store.Key{Cluster: "main", Group: "orders"}, store.Poll{At: at, Readings: readings})
	r.Evaluate("main")
	got, _ := r.Get(named("orders"))
	return got
}

// TestOneLearnsAllServeTheSame plays a drain to two replicas that see the same Kafka and one API server. Both have four ready pods that
// read more than was declared.
func TestOneLearnsAllServeTheSame(t *testing.T) {
	q := consumer("orders", "main")
	q.Spec.Kafka.Topics = nil
	a := newAPI(t, q)
	leader, follower := newReplica(t, a), newReplica(t, a)
	leader.leading.Store(true)
	write := func(r *replica) { r.writeStatuses(t.Context(), a, told{}, map[types.UID]bool{}) }
	ready := lag.Pods{Ready: 4, LastReady: day.Add(-time.Hour)}
	leader.pods, follower.pods = ready, ready

	var first, second Result
	end, commit := int64(80_000), int64(0)
	at := day
	step := func() {
		at = at.Add(5 * time.Second)
		end, commit = end+5*40, commit+5*160 // 40 a second come, four pods read 160
		first, second = leader.backlog(at, end, commit), follower.backlog(at, end, commit)
		write(leader)
	}
	for range 36 {
		step()
	}
	// The follower has read the leader's status of a poll ago.
	second = follower.backlog(at.Add(time.Second), end, commit)
	if first.PerPod < 15 {
		t.Fatalf("the leader learned %g/s a pod, want well above the declared 10: 40 are read", first.PerPod)
	}
	if written, _ := strconv.ParseFloat(string(*a.consumer(t).Status.PerPodRate), 64); math.Abs(second.PerPod-written) > 0.001 {
		t.Errorf("the follower uses %g/s a pod, the leader wrote %g", second.PerPod, written)
	}
	if first.Replicas != second.Replicas || first.Replicas == 0 {
		t.Errorf("the leader serves %d replicas, the follower %d", first.Replicas, second.Replicas)
	}

	// The leader dies while the backlog drains: the other one goes on from what it followed.
	held := second.Replicas
	leader = follower
	leader.leading.Store(true)
	second = leader.backlog(at.Add(2*time.Second), end, commit)
	if second.Replicas != held || second.PerPod < 15 {
		t.Errorf("after the change %d replicas at %g/s a pod, want the %d of before, at about what was learned", second.Replicas, second.PerPod, held)
	}
}

func TestFollowerDoesNotFollowAnOldStatus(t *testing.T) {
	q := consumer("orders", "main")
	q.Spec.Kafka.Topics = nil
	a := newAPI(t, q)
	leader, follower := newReplica(t, a), newReplica(t, a)
	leader.leading.Store(true)
	for i := range 4 {
		leader.backlog(day.Add(time.Duration(i)*5*time.Second), 80_000, 0)
	}
	leader.writeStatuses(t.Context(), a, told{}, map[types.UID]bool{})
	if n := *a.consumer(t).Status.DesiredReplicas; n != 8 {
		t.Fatalf("%d replicas written, want 8", n)
	}
	// Nobody wrote for ten minutes; the backlog is a small one now.
	var r Result
	for i := range 4 {
		r = follower.backlog(day.Add(10*time.Minute+time.Duration(i)*5*time.Second), 160, 0)
	}
	if r.Replicas != 1 || !r.Draining {
		t.Errorf("%d replicas, draining %t: %s; want the 1 of its own count", r.Replicas, r.Draining, r.Why)
	}
}

func TestWhatSomebodyWaitsForIsWrittenFirst(t *testing.T) {
	fresh, old, changed := consumer("fresh", "main"), consumer("old", "main"), consumer("changed", "main")
	c, st := newConsumers(fresh, old, changed)
	for _, group := range []string{"fresh", "old", "changed"} {
		polls(c, st, group, 4, 600)
	}
	items := c.opts.Objects.(*objects).items
	for i := range items {
		r, _ := c.Get(named(items[i].Name))
		items[i].Status = c.status(&items[i], r)
		other := int64(7)
		items[i].Status.Lag = &other
	}
	sampled := items[1].Status.SampledAt.Add(-time.Second)
	items[1].Status.SampledAt = &metav1.Time{Time: sampled}
	items[2].Status.Conditions[0].Reason = reasonUnknown
	due, alive, err := c.due()
	if err != nil || len(alive) != 3 || len(due) != 3 || due[0].of.Name != "changed" || !due[0].urgent || due[1].of.Name != "old" || due[1].urgent || due[2].of.Name != "fresh" {
		t.Errorf("%v: %+v", err, due)
	}
}
