package scaler

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

// A pod that waited for a node is recorded with its wait when it is bound; one that a node which was up took never waited for any, and
// balloons are not counted.
func TestPodsThatWaitedForANodeAreRecordedOnce(t *testing.T) {
	nine := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	pod := func(name, node string, balloon bool) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, CreationTimestamp: metav1.NewTime(nine)}, Spec: corev1.PodSpec{NodeName: node}}
		if node != "" {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(nine.Add(80 * time.Second))}}
		}
		if balloon {
			p.Labels = map[string]string{v1alpha1.BalloonLabel: "web"}
		}
		return p
	}
	world := func(pods ...*corev1.Pod) observe.World {
		return observe.World{Snapshot: plan.Snapshot{Pods: pods, Nodes: []*corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "up"}}, {ObjectMeta: metav1.ObjectMeta{Name: "new"}}}}}
	}
	same := func(at time.Time) time.Time { return at }
	p := plan.Plan{Placed: map[string]string{"shop/waits": plan.BootingName + "i-1", "shop/quick": "up"}}
	placed, w := waiting{}.take(world(pod("waits", "", false), pod("nowhere", "", false), pod("quick", "", false), pod("balloon", "", true)), p, same)
	if len(placed) != 0 || len(w) != 2 {
		t.Fatalf("%v wait and %v are placed: want waits and nowhere to wait", w, placed)
	}
	p.Placed["shop/waits"] = "new" // it is up, and the scheduler has not bound the pod yet
	placed, w = w.take(world(pod("waits", "", false), pod("quick", "up", false)), p, same)
	if len(placed) != 0 || len(w) != 1 || w["shop/waits"].on != "i-1" {
		t.Fatalf("%v wait and %v are placed: want waits alone; nowhere is gone", w, placed)
	}
	placed, w = w.take(world(pod("waits", "new", false)), p, same)
	if got := placed["new"]; len(w) != 0 || len(got) != 1 || got[0].Pod != "shop/waits" || got[0].At.Sub(got[0].Since) != 80*time.Second {
		t.Fatalf("%v wait and %v are placed: want waits on new after 80 s", w, placed)
	}
	if placed, _ = w.take(world(pod("waits", "new", false)), p, same); len(placed) != 0 {
		t.Errorf("%v is placed once more", placed)
	}
}

func TestASizeIsOfNote(t *testing.T) {
	for _, c := range []struct {
		a, b int
		want bool
	}{{0, 1, true}, {1, 0, true}, {10, 10, false}, {10, 11, false}, {10, 13, true}, {40, 45, false}, {40, 32, true}, {0, 0, false}} {
		if got := ofNote(c.a, c.b); got != c.want {
			t.Errorf("%d → %d is of note: %v", c.a, c.b, got)
		}
	}
}
