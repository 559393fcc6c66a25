package scaler

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"

	"swell/scaler/plan"
)

// TestOneEventForTheManyPodsOfOneController: 500 pods that nothing takes are one Event until the reasons change.
func TestOneEventForTheManyPodsOfOneController(t *testing.T) {
	recorder := events.NewFakeRecorder(1000)
	l := &Loop{events: recorder, told: map[string]told{}}
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	yes := true
	var pods []*corev1.Pod
	unplaced := func(reason string) []plan.Unplaced {
		var out []plan.Unplaced
		for _, p := range pods {
			out = append(out, plan.Unplaced{Pod: p.Namespace + "/" + p.Name, Reasons: []plan.Alternative{{Group: "a", Reason: reason}}})
		}
		return out
	}
	for i := range 500 {
		pods = append(pods, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprintf("web-%03d", i), UID: types.UID(fmt.Sprint(i)),
			OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "web", UID: "rs", Controller: &yes}}}})
	}
	expect := func(n int, what string) (last string) {
		t.Helper()
		if len(recorder.Events) != n {
			t.Errorf("%d Events, want %d: %s", len(recorder.Events), n, what)
		}
		for len(recorder.Events) > 0 {
			last = <-recorder.Events
		}
		return last
	}
	l.tell(now, pods, unplaced("pool x costs 4.1 an hour"))
	if said := expect(1, "500 pods"); !strings.Contains(said, noGroupFits) || !strings.Contains(said, "499 more") || !strings.Contains(said, "a: pool x costs 4.1") {
		t.Errorf("the Event says %q", said)
	}
	l.tell(now.Add(time.Hour), pods, unplaced("pool x costs 4.2 an hour"))
	expect(0, "only a number has changed")
	l.tell(now.Add(2*time.Hour), pods, unplaced("at the group's maximum of 3"))
	expect(1, "another reason")
	l.tell(now.Add(2*time.Hour+time.Second), pods, unplaced("pool x costs 4.2 an hour"))
	expect(0, "reasons that change by the second are not repeated by the second")
	l.tell(now.Add(3*time.Hour), pods, nil)
	l.tell(now.Add(4*time.Hour), pods, unplaced("at the group's maximum of 3"))
	expect(1, "they had a place meanwhile")
	l.tell(now.Add(5*time.Hour), pods, unplaced(strings.Repeat("ä", longestNote)))
	if said := expect(1, "a long reason"); len(said) > longestNote+100 {
		t.Errorf("the note has %d bytes, more than the API server takes", len(said))
	}
}
