package learned_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/nodegroups"
	"swell/scaler/learned"
	"swell/scaler/plan"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// oneInstance is a snapshot of a group with one instance, i-1, that was launched ten minutes before noon. Its Node has been Ready, or
// not, since so long after the launch; zero is no Node.
func oneInstance(ready bool, after time.Duration) *plan.Snapshot {
	at := noon.Add(-10 * time.Minute)
	in := nodegroups.Instance{ID: "i-1", ProviderID: nodegroups.ProviderID("1a", "i-1"), Type: "m6i.xlarge", Image: "ami-1", Zone: "1a", Lifecycle: nodegroups.InService, LaunchedAt: at}
	s := &plan.Snapshot{Groups: []nodegroups.Group{{Name: "spot", Zone: "1a", Market: nodegroups.Spot, Image: "ami-1", InstanceTypes: []string{"m6i.xlarge"}, Instances: []nodegroups.Instance{in}}}}
	if after == 0 {
		return s
	}
	condition := corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionFalse, LastTransitionTime: metav1.NewTime(at.Add(after))}
	if ready {
		condition.Status = corev1.ConditionTrue
	}
	s.Nodes = []*corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "node-1", CreationTimestamp: metav1.NewTime(at.Add(time.Second))}, Spec: corev1.NodeSpec{ProviderID: in.ProviderID},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{condition}}}}
	return s
}

// A boot is news once, and a lead time that was asked for before follows it; so it does what a predecessor has kept.
func TestALeadTimeFollowsWhatIsLearned(t *testing.T) {
	first, next := knownNothing(t), knownNothing(t)
	s := oneInstance(true, 9*time.Minute)
	key := learned.Key(s.Groups[0], "m6i.xlarge")
	for _, l := range []*learned.Instances{first, next} {
		if got := l.Ready(key, 0.95); got.Round(time.Second) != 2*time.Minute {
			t.Fatalf("nothing is known, and 95 of 100 boots take %s: want the prior's 2m", got)
		}
	}
	if !first.Observe(noon, s) || first.Observe(noon, s) {
		t.Error("a boot is not news once")
	}
	boots, capacity, err := first.JSON()
	if err != nil {
		t.Fatal(err)
	}
	data, err := learned.Add(nil, noon, boots, capacity, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Take(noon, data); err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]*learned.Instances{"who saw it": first, "a successor": next} {
		if got := l.Ready(key, 0.95); got < 5*time.Minute {
			t.Errorf("%s: after a boot of 9m, 95 of 100 take %s", name, got)
		}
	}
}

// An instance whose Node was not Ready by the time it is waited for is told to the plan until it is; one that was Ready and is no
// more has joined.
func TestANodeThatWasNeverReadyIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		s    []*plan.Snapshot
		want int
	}{
		"no Node":                  {[]*plan.Snapshot{oneInstance(false, 0)}, 0},
		"not Ready from the first": {[]*plan.Snapshot{oneInstance(false, time.Minute)}, 1},
		"Ready, and then no more":  {[]*plan.Snapshot{oneInstance(true, time.Minute), oneInstance(false, 2*time.Minute)}, 0},
		"not Ready of late, what was before is not known": {[]*plan.Snapshot{oneInstance(false, 9*time.Minute)}, 0},
	} {
		l := knownNothing(t)
		for _, s := range c.s {
			l.Observe(noon, s)
		}
		if got := c.s[len(c.s)-1].NeverReady; len(got) != c.want {
			t.Errorf("%s: %v, want %d", name, got, c.want)
		}
	}
}

// A notice that is in every reading is one interruption; one that comes after it was gone is another. Maintenance is none of the
// offer's.
func TestAnInterruptionIsCountedOnce(t *testing.T) {
	l := knownNothing(t)
	for i, c := range []struct {
		kinds []nodegroups.InterruptionKind
		want  int
	}{
		{nil, 0}, {[]nodegroups.InterruptionKind{nodegroups.Maintenance}, 0}, {[]nodegroups.InterruptionKind{nodegroups.RebalanceNotice}, 1},
		{[]nodegroups.InterruptionKind{nodegroups.SpotInterruption}, 1}, {nil, 1}, {[]nodegroups.InterruptionKind{nodegroups.SpotInterruption}, 2},
	} {
		s := oneInstance(true, time.Minute)
		for _, k := range c.kinds {
			s.Interrupted = append(s.Interrupted, nodegroups.Interruption{InstanceID: "i-1", Kind: k, At: noon})
		}
		if l.Observe(noon, s); s.Groups[0].RecentInterruptions != c.want {
			t.Errorf("reading %d with %v: %d interruptions, want %d", i, c.kinds, s.Groups[0].RecentInterruptions, c.want)
		}
	}
}
