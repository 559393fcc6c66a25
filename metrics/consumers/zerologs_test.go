package consumers

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"swell/api/v1alpha1"
	"swell/metrics/lag"
	"swell/metrics/store"
)

func logs(all ...logEnd) sight {
	s := sight{logs: all}
	for _, l := range all {
		s.appended += l.end
	}
	return s
}

func TestWhatWasProducedSince(t *testing.T) {
	anew := [16]byte{7}
	orders := func(end int64) logEnd { return logEnd{topic: "orders", end: end} }
	mail := func(end int64) logEnd { return logEnd{topic: "mail", end: end} }
	base := baselineOf(logs(mail(5), orders(100)))
	written := baseline{appended: base.appended, name: base.name}
	unknown := func(s sight) sight { s.unknown = "broker 1: EOF"; return s }
	for name, tc := range map[string]struct {
		now                 sight
		seen, fromTheStatus bool
	}{
		"nothing":                            {logs(mail(5), orders(100)), false, false},
		"a message":                          {logs(mail(5), orders(101)), true, true},
		"a message, while another is gone":   {logs(orders(101)), true, true},
		"one log is unknown":                 {unknown(logs(orders(100))), false, false},
		"one log is unknown, one has grown":  {unknown(logs(orders(106))), true, true},
		"made anew, and nothing in it yet":   {logs(mail(5), logEnd{"orders", 0, anew, 0}), false, true},
		"made anew, with a message":          {logs(mail(5), logEnd{"orders", 0, anew, 1}), true, true},
		"made anew, as long as before":       {logs(mail(5), logEnd{"orders", 0, anew, 100}), true, true},
		"made anew, and unknown":             {unknown(logs(logEnd{"orders", 0, anew, 1})), true, false},
		"made anew, without an id":           {logs(mail(5), orders(3)), true, false},
		"an empty partition more":            {logs(mail(5), orders(100), logEnd{"orders", 1, [16]byte{}, 0}), false, true},
		"a partition more, with a message":   {logs(mail(5), orders(100), logEnd{"orders", 1, [16]byte{}, 1}), true, true},
		"a topic less":                       {logs(orders(100)), false, true},
		"all made anew, and nothing in them": {logs(mail(0), logEnd{"orders", 0, anew, 0}), false, false},
	} {
		if got := base.produced(tc.now); got != tc.seen {
			t.Errorf("%s: produced %t", name, got)
		}
		if got := written.produced(tc.now); got != tc.fromTheStatus {
			t.Errorf("%s, after a restart: produced %t", name, got)
		}
		if noBaseline.produced(tc.now) {
			t.Errorf("%s: produced since nothing", name)
		}
		if next := base.follow(tc.now); !tc.seen && tc.now.unknown == "" && next.produced(tc.now) || tc.seen && !next.produced(tc.now) {
			t.Errorf("%s: the baseline follows to %+v", name, next)
		}
	}
}

// A topic that is made anew while there are no replicas has a shorter log than the one before.
func TestATopicMadeAnewWakes(t *testing.T) {
	for name, commit := range map[string]int64{"its commits went with it": lag.Unknown, "its commits stayed": 100} {
		for _, restarted := range []bool{false, true} {
			a, s, r := idler(t, 1)
			r.idleUntil(day, day.Add(5*time.Minute), 100)
			r.pods.Ready = 0
			r.idleUntil(day.Add(5*time.Minute+10*time.Second), day.Add(6*time.Minute), 100)
			if a.replicas(s) != 0 {
				t.Fatal("not at none")
			}
			if restarted {
				r = newReplica(t, a)
				r.leading.Store(true)
				r.pods.Ready = 0
			}
			poll := func(at time.Time, end int64) int32 {
				r.clock(at)
				r.st.Record(store.Key{Cluster: "main", Group: "orders"}, store.Poll{At: at, Readings: []lag.Reading{
					{Topic: "orders", TopicID: [16]byte{7}, At: at, Commit: commit, End: end, Stable: end, Readable: lag.Unknown, ShareLag: lag.Unknown}}})
				r.Evaluate("main")
				r.act()
				return a.replicas(s)
			}
			for i := range 3 {
				if n := poll(day.Add(6*time.Minute+time.Duration(10*i)*time.Second), 0); n != 0 {
					t.Errorf("%s, restarted %t: %d replicas for an empty topic", name, restarted, n)
				}
			}
			n := poll(day.Add(7*time.Minute), 1)
			// After a restart in which the topic became another, and its commits cannot be judged, there is nothing to compare.
			if blind := restarted && commit >= 0; n != 1 && !blind {
				t.Errorf("%s, restarted %t: %d replicas after the first message; %+v", name, restarted, n, r.idleCondition())
			}
		}
	}
}

func TestAnotherConsumerAgreesInItsOwnTime(t *testing.T) {
	mine, other := consumer("a", "main"), consumer("b", "main")
	mine.Spec.ScaleTargetRef, other.Spec.ScaleTargetRef = ordersTarget, ordersTarget
	other.Spec.Zero = &v1alpha1.ScaleToZero{After: metav1.Duration{Duration: time.Hour}}
	c, _ := newConsumers(mine, other)
	now := time.Now()
	for name, tc := range map[string]struct {
		idle idleness
		want string
	}{
		"for long enough":     {idleness{since: now.Add(-time.Hour), seen: now}, ""},
		"not for long enough": {idleness{since: now.Add(-time.Minute), seen: now}, "b"},
		"not looked at":       {idleness{since: now.Add(-2 * time.Hour), seen: now.Add(-time.Minute)}, "b"},
		"not idle":            {idleness{}, "b"},
	} {
		results := map[types.NamespacedName]Result{named("b"): {UID: "b", Cluster: "main", idle: tc.idle}}
		if got := c.settings.Load().sharers(&mine, []v1alpha1.QueueConsumer{mine, other}, results); got.unsure != tc.want {
			t.Errorf("%s: unsure %q, want %q", name, got.unsure, tc.want)
		}
	}
}
