package scaler_test

import (
	"fmt"
	"strings"
	"testing"

	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/scaler/explain"
	"swell/scaler/ledger"
	"time"
)

// What kubectl describe shows: pods that a launch is for, nodes with what they were bought for and why they go, and a Balloon whose
// size changed. The ledger tells the same at length: of a pod that waited, the launch, the node and the wait.
func TestObjectsAreToldWhatWasDecided(t *testing.T) {
	w := start(t, fleet(1), 15, 0, 0)
	w.settled(0)
	w.scale(70)
	w.until("all pods run", func() (bool, string) {
		n := w.bound("app=web")
		return n == 70, fmt.Sprintf("%d of 70 pods are bound", n)
	})
	events := func(kind, reason string) []eventsv1.Event {
		all, err := w.Kube.EventsV1().Events(metav1.NamespaceAll).List(t.Context(), metav1.ListOptions{FieldSelector: "reason=" + reason})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all.Items {
			if e.Regarding.Kind != kind || e.Regarding.UID == "" || e.Type != "Normal" {
				t.Errorf("an Event %s of %s %s, %s", reason, e.Regarding.Kind, e.Regarding.Name, e.Note)
			}
		}
		return all.Items
	}
	one := func(kind, reason, says string) eventsv1.Event {
		t.Helper()
		var found []eventsv1.Event
		w.until(fmt.Sprintf("a %s has an Event %s", kind, reason), func() (bool, string) {
			found = events(kind, reason)
			return len(found) > 0, "none"
		})
		if !strings.Contains(found[0].Note, says) {
			t.Errorf("the Event %s on %s %s says %q, want %q in it", reason, kind, found[0].Regarding.Name, found[0].Note, says)
		}
		t.Log(len(found), found[0].Regarding.Name, found[0].Note)
		return found[0]
	}
	pod := one("Pod", "WaitsForNode", "bought in group spot-")
	node := one("Node", "Bought", "have no place on nodes that are up or on their way")
	w.patch("web", `{"min": 6}`)
	w.settled(6)
	one("Balloon", "Sized", "→ 6 balloons (")
	w.scale(15)
	one("Node", "BeingReturned", "cordoned and drained, to be returned: unneeded for")
	w.until("what is returned is in the ledger", func() (bool, string) {
		entries, _, err := ledger.Read(w.LedgerDir())
		if err != nil {
			t.Fatal(err)
		}
		book := explain.NewBook(entries, time.Time{})
		story := book.Story(explain.Object{Kind: explain.Pod, Name: pod.Regarding.Namespace + "/" + pod.Regarding.Name}).Timeline()
		bought := book.Story(explain.Object{Kind: explain.Node, Name: node.Regarding.Name}).Timeline()
		ok := strings.Contains(story, "It waited ") && strings.Contains(story, "have no place on nodes")
		if ok {
			t.Log(story, bought)
		}
		return ok, story
	})
}
