package consumers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
	"swell/metrics/lag"
	"swell/metrics/store"
)

func statusOf(ready string, partitions int32, more ...string) *v1alpha1.QueueConsumerStatus {
	s := &v1alpha1.QueueConsumerStatus{Partitions: &v1alpha1.PartitionsKnown{Known: partitions, Total: partitions},
		Conditions: []metav1.Condition{{Type: conditionReady, Status: metav1.ConditionFalse, Reason: ready, Message: "because"}}}
	if ready == reasonSampled {
		s.Conditions[0].Status = metav1.ConditionTrue
	}
	for _, kind := range more {
		s.Conditions = append(s.Conditions, metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: "Because" + kind, Message: "because"})
	}
	return s
}

func TestNews(t *testing.T) {
	fine := statusOf(reasonSampled, 4)
	for name, tc := range map[string]struct {
		old, next *v1alpha1.QueueConsumerStatus
		ailing    bool
		want      []string
		still     bool
	}{
		"nothing":                        {fine, fine, false, nil, false},
		"a new object":                   {&v1alpha1.QueueConsumerStatus{}, statusOf(reasonNotSampled, 0), false, nil, false},
		"a new object with a typo":       {&v1alpha1.QueueConsumerStatus{}, statusOf(reasonCluster, 0), false, []string{reasonCluster}, true},
		"lag unknown":                    {fine, statusOf(reasonUnknown, 4), false, []string{reasonUnknown}, true},
		"still unknown":                  {statusOf(reasonUnknown, 4), statusOf(reasonUnknown, 4), true, nil, true},
		"unknown for another reason":     {statusOf(reasonUnknown, 4), statusOf(ReasonForbidden, 4), true, []string{ReasonForbidden}, true},
		"rates unknown after it":         {statusOf(reasonUnknown, 4), statusOf(reasonRatesUnknown, 4), true, nil, true},
		"recovered":                      {statusOf(reasonRatesUnknown, 4), fine, true, []string{reasonRecovered}, false},
		"a start is no recovery":         {statusOf(reasonRatesUnknown, 4), fine, false, nil, false},
		"saturated":                      {fine, statusOf(reasonSampled, 4, conditionSaturated), false, []string{"BecauseSaturated"}, true},
		"hot and rebalancing":            {fine, statusOf(reasonSampled, 4, conditionHot, conditionRebalancing), false, []string{"BecauseRebalancing", "BecauseHotPartition"}, true},
		"one of two is better":           {statusOf(reasonSampled, 4, conditionHot, conditionSaturated), statusOf(reasonSampled, 4, conditionHot), true, nil, true},
		"both are better":                {statusOf(reasonSampled, 4, conditionHot), fine, true, []string{reasonRecovered}, false},
		"fewer partitions":               {fine, statusOf(reasonSampled, 3), false, []string{reasonPartitionsLost}, false},
		"idle is neither worse nor told": {fine, statusOf(reasonSampled, 4, conditionIdle), false, nil, false},
	} {
		notes, still := news(tc.old, tc.next, tc.ailing)
		var got []string
		for _, n := range notes {
			got = append(got, n.reason)
		}
		if !slices.Equal(got, tc.want) || still != tc.still {
			t.Errorf("%s: %v, ailing %t; want %v, %t", name, got, still, tc.want, tc.still)
		}
	}
}

// until waits for what other goroutines do; the limit only turns a hang into a failure.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

func TestLeaderTellsScalesAndStops(t *testing.T) {
	a, s, r := idler(t, 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan struct{})
	m := newConfig()
	m.StatusEvery = metav1.Duration{Duration: 5 * time.Millisecond}
	r.settings.Store(newSettings(m))
	go func() { r.WriteStatuses(ctx, a); close(done) }()
	key := store.Key{Cluster: "main", Group: "orders"}
	record := func(at time.Time, end int64) {
		r.st.Record(key, store.Poll{At: at, Readings: []lag.Reading{{Topic: "orders", At: at, Commit: 100, End: end, Stable: end, Readable: lag.Unknown, ShareLag: lag.Unknown}}})
		r.Evaluate("main")
	}
	told := func(what string) func() bool {
		return func() bool {
			return slices.ContainsFunc(a.told(), func(e string) bool { return strings.HasPrefix(e, what) })
		}
	}
	ready := func(status metav1.ConditionStatus) func() bool {
		return func() bool {
			c := a.consumer(t).Status.Conditions
			return len(c) > 0 && c[0].Type == conditionReady && c[0].Status == status
		}
	}
	for i := range 4 {
		record(time.Now().Add(time.Duration(i-8)*time.Second), 100)
	}
	until(t, "ready", ready(metav1.ConditionTrue))
	if len(a.told()) != 0 {
		t.Errorf("told at the start: %v", a.told())
	}
	old := time.Now().Add(-time.Minute)
	r.st.Record(key, store.Poll{At: old, Readings: []lag.Reading{{Topic: "orders", At: old, Problem: "broker 1 (a:9092): EOF"}}})
	r.Evaluate("second")
	until(t, "still ready: the last reading is young", ready(metav1.ConditionTrue))
	r.st.Keep("main", func(string) bool { return false })
	r.st.Fail(key, time.Now(), "broker 1 (a:9092): EOF")
	r.Evaluate("main")
	until(t, "the loss is told", told("Warning LagUnknown: broker 1 (a:9092): EOF"))
	for i := range 4 {
		record(time.Now().Add(time.Duration(i-4)*time.Second), 100)
	}
	until(t, "the recovery is told", told("Normal Recovered"))

	a.byHand(s, 0)
	r.pods.Ready = 0
	record(time.Now(), 100)
	until(t, "none by hand is seen", func() bool {
		return fmt.Sprint(a.consumer(t).Status.Conditions) != "" && r.said().Reason == reasonZeroByHand
	})
	record(time.Now(), 101)
	until(t, "one is brought back", func() bool { return a.replicas(s) == 1 })
	until(t, "that is told", told("Normal ScaledFromZero: a message was produced"))
	stop()
	<-done
	if r.leading.Load() {
		t.Error("it still learns after it stopped leading")
	}
}

// said is what the keeper last said of the one QueueConsumer.
func (r *replica) said() metav1.Condition {
	c, _ := r.zero.condition("orders")
	return c
}

func TestAWorkloadThatIsNotThereIsSaid(t *testing.T) {
	q := consumer("orders", "main")
	c, st := newConsumers(q)
	var missing error
	c.opts.Pods = func(context.Context, string, v1alpha1.ScaleTarget) (lag.Pods, error) {
		return lag.Pods{Ready: 1}, missing
	}
	polls(c, st, "orders", 4, 600)
	r, _ := c.Get(named("orders"))
	before := c.status(&q, r)
	missing = errors.New(`read the scale of Deployment shop/ordres: deployments "ordres" not found: check spec.scaleTargetRef`)
	polls(c, st, "orders", 4, 600)
	r, _ = c.Get(named("orders"))
	after := c.status(&q, r)
	is := meta.FindStatusCondition(after.Conditions, conditionTarget)
	if is == nil || !strings.Contains(is.Message, "check spec.scaleTargetRef") || meta.FindStatusCondition(before.Conditions, conditionTarget) != nil || after.DesiredReplicas == nil {
		t.Errorf("%+v, before %+v, replicas %v", is, before.Conditions, after.DesiredReplicas)
	}
	if notes, ailing := news(&before, &after, false); len(notes) != 1 || notes[0].reason != reasonTarget || !ailing {
		t.Errorf("told %+v", notes)
	}
}

func TestHotPartitionsHaveTheirAdvice(t *testing.T) {
	one := []lag.HotPartition{{Topic: "orders", Lag: 600, Need: 1.1}}
	if got := hot(one, 6); !strings.HasSuffix(got, "spread the keys, or add partitions") {
		t.Error(got)
	}
	if got := hot(one, 1); strings.Contains(got, "keys") || !strings.HasSuffix(got, "raise spec.drainTarget") {
		t.Error(got)
	}
}
