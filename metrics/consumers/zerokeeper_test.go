package consumers

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"swell/api/v1alpha1"
	"swell/metrics/lag"
	"swell/metrics/store"
)

// replica is one swell-metrics beside others over one API server. Its clock stands where a test puts it.
type replica struct {
	*Consumers
	t    *testing.T
	api  *api
	st   *store.Store
	pods lag.Pods
}

func newReplica(t *testing.T, a *api) *replica {
	r := &replica{t: t, api: a, st: store.New(), pods: lag.Pods{Ready: -1}}
	r.Consumers = New(Options{Config: newConfig(), Store: r.st, Objects: a, Log: slog.New(slog.DiscardHandler),
		Pods: func(context.Context, string, v1alpha1.ScaleTarget) (lag.Pods, error) { return r.pods, nil }})
	return r
}

// poll takes in one poll at a time at which one partition is committed and ends so.
func (r *replica) poll(at time.Time, commit, end int64) {
	r.clock(at)
	r.st.Record(store.Key{Cluster: "main", Group: "orders"}, store.Poll{At: at, Readings: []lag.Reading{
		{Topic: "orders", At: at, Commit: commit, End: end, Stable: end, Readable: lag.Unknown, ShareLag: lag.Unknown}}})
	r.Evaluate("main")
}

// clock makes it that time.
func (r *replica) clock(at time.Time) {
	m := newConfig()
	m.Clock = r.api.jump(at)
	r.settings.Store(newSettings(m))
}

// act lets it do what a leader does after a poll.
func (r *replica) act() {
	r.t.Helper()
	r.leading.Store(true)
	r.actOnZero(r.t.Context(), r.api, told{})
	r.writeStatuses(r.t.Context(), r.api, told{}, map[types.UID]bool{})
}

func (r *replica) idleCondition() metav1.Condition {
	r.t.Helper()
	q := r.api.consumer(r.t)
	c := meta.FindStatusCondition(q.Status.Conditions, conditionIdle)
	if c == nil {
		r.t.Fatalf("no Idle condition: %+v", q.Status.Conditions)
	}
	return *c
}

var ordersTarget = v1alpha1.ScaleTarget{APIVersion: "apps/v1", Kind: "Deployment", Name: "orders"}

// idler is a QueueConsumer that goes to none after five minutes, its scale target and a replica that leads.
func idler(t *testing.T, replicas int32) (*api, *autoscalingv1.Scale, *replica) {
	q := consumer("orders", "main")
	q.Spec.ScaleTargetRef = ordersTarget
	q.Spec.Zero = &v1alpha1.ScaleToZero{After: metav1.Duration{Duration: 5 * time.Minute}}
	a := newAPI(t, q)
	r := newReplica(t, a)
	r.pods = lag.Pods{Ready: int(replicas)}
	return a, a.scale(ordersTarget, replicas), r
}

// idleUntil polls every ten seconds, with nothing to read, and acts each time.
func (r *replica) idleUntil(from, to time.Time, end int64) {
	for at := from; !at.After(to); at = at.Add(10 * time.Second) {
		r.poll(at, end, end)
		r.act()
	}
}

func TestToZeroAndBack(t *testing.T) {
	a, s, r := idler(t, 1)
	r.idleUntil(day, day.Add(5*time.Minute-10*time.Second), 100)
	if n := a.replicas(s); n != 1 {
		t.Fatalf("%d replicas before the time is over", n)
	}
	if c := r.idleCondition(); c.Status != metav1.ConditionTrue || c.Reason != reasonEmpty {
		t.Errorf("condition %+v", c)
	}
	if n := a.asked(http.MethodGet, "/scale"); n > 1 {
		t.Errorf("%d scales were read while nothing hung on them", n)
	}
	r.idleUntil(day.Add(5*time.Minute), day.Add(5*time.Minute), 100)
	if n := a.replicas(s); n != 0 {
		t.Fatalf("%d replicas after it, want none: %+v", n, r.idleCondition())
	}
	r.pods.Ready = 0
	r.idleUntil(day.Add(5*time.Minute+10*time.Second), day.Add(8*time.Minute), 100)
	if c := r.idleCondition(); c.Reason != reasonScaledToZero || c.Status != metav1.ConditionTrue {
		t.Errorf("condition %+v", c)
	}
	if n := a.asked(http.MethodGet, "/scale"); n > 4 {
		t.Errorf("%d scales were read at none", n)
	}
	r.poll(day.Add(8*time.Minute+10*time.Second), 100, 101)
	r.act()
	if n := a.replicas(s); n != 1 {
		t.Fatalf("%d replicas one poll after the first message, want 1", n)
	}
	if c := r.idleCondition(); c.Status != metav1.ConditionFalse || c.Reason != reasonScaledFromZero {
		t.Errorf("condition %+v", c)
	}
}

func TestPodsOnTheirWayOutAreNoReplicas(t *testing.T) {
	a, s, r := idler(t, 1)
	r.idleUntil(day, day.Add(5*time.Minute), 100)
	// Its pod is still counted at the next polls.
	r.idleUntil(day.Add(5*time.Minute+10*time.Second), day.Add(6*time.Minute), 100)
	r.pods.Ready = 0
	r.idleUntil(day.Add(6*time.Minute+10*time.Second), day.Add(7*time.Minute), 100)
	if c := r.idleCondition(); c.Reason != reasonScaledToZero || a.replicas(s) != 0 {
		t.Errorf("%d replicas, %+v; want none, and swell's own doing", a.replicas(s), c)
	}
}

func TestUnknownGoesNowhere(t *testing.T) {
	a, s, r := idler(t, 1)
	r.idleUntil(day, day.Add(4*time.Minute), 100)
	r.clock(day.Add(4*time.Minute + 30*time.Second))
	r.st.Fail(store.Key{Cluster: "main", Group: "orders"}, day.Add(4*time.Minute+30*time.Second), "broker 1 (a:9092): EOF")
	r.Evaluate("main")
	r.act()
	if c := r.idleCondition(); c.Status != metav1.ConditionUnknown || !strings.Contains(c.Message, "a:9092") {
		t.Errorf("condition %+v", c)
	}
	r.idleUntil(day.Add(5*time.Minute), day.Add(9*time.Minute), 100)
	if n := a.replicas(s); n != 1 {
		t.Fatalf("%d replicas: the time before the gap was counted", n)
	}
	r.idleUntil(day.Add(9*time.Minute+10*time.Second), day.Add(10*time.Minute), 100)
	if n := a.replicas(s); n != 0 {
		t.Fatalf("%d replicas five minutes after the gap, want none", n)
	}
}

func TestZeroByHandStaysUntilAMessage(t *testing.T) {
	a, s, r := idler(t, 3)
	r.poll(day, 50, 100)
	r.act()
	a.byHand(s, 0)
	r.pods.Ready = 0
	for i := range 5 {
		r.poll(day.Add(time.Duration(i+1)*10*time.Second), 50, 100)
		r.act()
	}
	if c := r.idleCondition(); a.replicas(s) != 0 || c.Reason != reasonZeroByHand || !strings.Contains(c.Message, "somebody else") {
		t.Fatalf("%d replicas, %+v; want none, and who did it", a.replicas(s), c)
	}
	r.poll(day.Add(time.Minute), 50, 101)
	r.act()
	if n := a.replicas(s); n != 1 {
		t.Errorf("%d replicas after a new message, want 1", n)
	}
}

func TestRaisedByHandIsLeftForAWhile(t *testing.T) {
	a, s, r := idler(t, 1)
	r.idleUntil(day, day.Add(5*time.Minute), 100)
	r.pods.Ready = 0
	r.idleUntil(day.Add(5*time.Minute+10*time.Second), day.Add(20*time.Minute), 100)
	a.byHand(s, 1)
	r.pods.Ready = 1
	r.idleUntil(day.Add(20*time.Minute+10*time.Second), day.Add(25*time.Minute), 100)
	if n := a.replicas(s); n != 1 {
		t.Fatalf("%d replicas: what somebody raised was taken down at once", n)
	}
	r.idleUntil(day.Add(25*time.Minute+10*time.Second), day.Add(26*time.Minute), 100)
	if n := a.replicas(s); n != 0 {
		t.Errorf("%d replicas after the time again, want none", n)
	}
}

func TestConflictIsLeftToTheNextPoll(t *testing.T) {
	a, s, r := idler(t, 1)
	r.idleUntil(day, day.Add(5*time.Minute-10*time.Second), 100)
	a.failWith(func(method, path string) int {
		if method == http.MethodPut {
			s.ResourceVersion += "1" // somebody was faster
		}
		return 0
	})
	r.idleUntil(day.Add(5*time.Minute), day.Add(5*time.Minute), 100)
	if n := a.replicas(s); n != 1 {
		t.Fatalf("%d replicas, want the 1 that somebody set meanwhile", n)
	}
	if c := r.idleCondition(); c.Reason != reasonEmpty {
		t.Errorf("a conflict is told as %+v", c)
	}
	a.failWith(func(method, path string) int {
		if method == http.MethodPut {
			return http.StatusForbidden
		}
		return 0
	})
	r.idleUntil(day.Add(5*time.Minute+10*time.Second), day.Add(5*time.Minute+10*time.Second), 100)
	if c := r.idleCondition(); c.Reason != reasonScaleFailed || !strings.Contains(c.Message, "let swell-metrics update its scale") {
		t.Errorf("condition %+v", c)
	}
}

func TestIdleTimeOutlivesAFailOver(t *testing.T) {
	a, s, first := idler(t, 1)
	first.idleUntil(day, day.Add(4*time.Minute), 100)
	second := newReplica(t, a)
	second.pods = first.pods
	second.idleUntil(day.Add(4*time.Minute+20*time.Second), day.Add(5*time.Minute), 100)
	if n := a.replicas(s); n != 0 {
		t.Fatalf("%d replicas: the new leader forgot since when it is idle: %+v", n, second.idleCondition())
	}
	third := newReplica(t, a)
	third.pods.Ready = 0
	third.poll(day.Add(5*time.Minute+20*time.Second), 100, 100)
	third.act()
	if c := third.idleCondition(); c.Reason != reasonScaledToZero {
		t.Errorf("the next leader took it for somebody else's doing: %+v", c)
	}
	third.poll(day.Add(5*time.Minute+30*time.Second), 100, 101)
	third.act()
	if n := a.replicas(s); n != 1 {
		t.Errorf("%d replicas after a message, want 1", n)
	}
}

func TestTimeThatNobodyLookedIsNotIdle(t *testing.T) {
	a, s, first := idler(t, 1)
	first.idleUntil(day, day.Add(4*time.Minute), 100)
	late := newReplica(t, a)
	late.pods.Ready = 1
	late.idleUntil(day.Add(30*time.Minute), day.Add(34*time.Minute), 100)
	if n := a.replicas(s); n != 1 {
		t.Errorf("%d replicas: half an hour that nobody looked was counted", n)
	}
}

func TestIdleSinceTheLastMessage(t *testing.T) {
	a, _, r := idler(t, 1)
	r.idleUntil(day, day.Add(time.Minute), 100)
	// A message comes and is read between two writes of the status.
	r.poll(day.Add(70*time.Second), 100, 101)
	r.poll(day.Add(80*time.Second), 101, 101)
	r.act()
	if c := r.idleCondition(); !a.clock.At(c.LastTransitionTime.Time).Round(10 * time.Second).Equal(day.Add(80 * time.Second)) {
		t.Errorf("idle since %s, want since the last message was read: %s", a.clock.At(c.LastTransitionTime.Time), day.Add(80*time.Second))
	}
}

func TestMessageAfterZeroByHandIsSeenInTheSamePoll(t *testing.T) {
	a, s, r := idler(t, 3)
	r.poll(day, 50, 100)
	r.act()
	a.byHand(s, 0)
	r.pods.Ready = 0
	r.poll(day.Add(10*time.Second), 50, 101)
	r.act()
	if n := a.replicas(s); n != 1 {
		t.Errorf("%d replicas: the message that came after the scaling waits for ever", n)
	}
}

func TestRaisedWhileThePodsGo(t *testing.T) {
	a, s, r := idler(t, 1)
	r.idleUntil(day, day.Add(5*time.Minute), 100)
	a.byHand(s, 1)
	r.idleUntil(day.Add(5*time.Minute+10*time.Second), day.Add(10*time.Minute), 100)
	if n := a.replicas(s); n != 1 {
		t.Fatalf("%d replicas: what somebody raised was taken down at once", n)
	}
	r.idleUntil(day.Add(10*time.Minute+10*time.Second), day.Add(11*time.Minute), 100)
	if n := a.replicas(s); n != 0 {
		t.Errorf("%d replicas after the time again, want none", n)
	}
}

func TestSpecZeroTakenOutBringsThePodBack(t *testing.T) {
	a, s, r := idler(t, 1)
	r.idleUntil(day, day.Add(5*time.Minute), 100)
	a.consumers[0].Spec.Zero = nil
	r.pods.Ready = 0
	r.idleUntil(day.Add(6*time.Minute), day.Add(6*time.Minute+20*time.Second), 100)
	if n := a.replicas(s); n != 1 {
		t.Errorf("%d replicas, want 1", n)
	}
	q := a.consumer(t)
	if c := meta.FindStatusCondition(q.Status.Conditions, conditionIdle); c != nil {
		t.Errorf("still there: %+v", c)
	}
}
