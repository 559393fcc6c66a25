package scaler_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"swell/scaler/handover"
	"swell/scaler/history"
	"swell/scaler/learned"
	"swell/scaler/plan"
	"swell/scaler/uninstall"
)

// A cluster that was given the history of another holds room for the share that is about to come, before a pod serves there;
// after swell is taken away, nothing of it is left and the groups keep their capacity.
func TestANewClusterIsWarmBeforeTrafficMovesAndSwellLeavesNothing(t *testing.T) {
	w := startWith(t, fleet(2), 0, 0, `{"share": "40%"}`)
	r := &history.Record{}
	r.Fill(fortnight(func(time.Time) float64 { return 60 }))
	raw, err := history.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	f := handover.File{At: time.Now(), Balloons: []handover.Balloon{{Namespace: "shop", Name: "web", Share: "100%", Demand: raw}}}
	if err := f.Seal(); err != nil {
		t.Fatal(err)
	}
	o := handover.Options{Namespace: "swell-system", KeptUntil: time.Now().Add(time.Hour), Now: time.Now()}
	for i, want := range []string{"made", "nothing new"} {
		moved, err := handover.Import(t.Context(), w.Kube, f, o)
		if err != nil || len(moved) != 1 || i == 1 && moved[0].Done != want || moved[0].Rows == 0 != (i == 1) {
			t.Fatalf("import %d: %+v, %v: want %s", i, moved, err, want)
		}
	}
	// the scaler runs, and has seen the Balloon without a past; 40 % of 60 pods at 2.5 a balloon
	w.until("the room of the share is held", func() (bool, string) {
		n := w.bound(balloonSelector)
		return n >= 9 && n <= 11, fmt.Sprintf("%d balloons are bound", n)
	})
	if n := w.bound("app=web"); n != 0 {
		t.Errorf("%d pods serve already", n)
	}
	w.takeAway()
}

// takeAway uninstalls and looks for what is left.
func (w world) takeAway() {
	t := w.t
	t.Helper()
	config, err := w.Cluster.Config("uninstall", "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	remove := uninstall.Remover{Kube: w.Kube, Dynamic: objects, Options: uninstall.Options{Namespace: "swell-system"}}
	if _, err := remove.Run(t.Context()); !errors.Is(err, uninstall.ErrRunning) {
		t.Errorf("%v: want a refusal while the scaler runs", err)
	}
	nodes, err := w.Kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(nodes.Items) == 0 {
		t.Fatal(len(nodes.Items), err)
	}
	w.Scaler.Kill()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:"true"}},"spec":{"unschedulable":true}}`, plan.DrainingAnnotation)
	if _, err := w.Kube.CoreV1().Nodes().Patch(t.Context(), nodes.Items[0].Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	before := w.alive()
	w.until("swell is taken away", func() (bool, string) {
		_, err := remove.Run(t.Context())
		return err == nil, fmt.Sprint(err)
	})
	w.until("no balloon is left", func() (bool, string) {
		n := len(w.pods(balloonSelector))
		return n == 0, fmt.Sprintf("%d are", n)
	})
	nodes, err = w.Kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes.Items {
		for key := range n.Annotations {
			if strings.HasPrefix(key, "capacity.swell/") {
				t.Errorf("node %s has annotation %s", n.Name, key)
			}
		}
		if n.Spec.Unschedulable {
			t.Errorf("node %s is cordoned", n.Name)
		}
	}
	maps, err := w.Kube.CoreV1().ConfigMaps("swell-system").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range maps.Items {
		// what was learned stays, as for a scaler that is installed again
		if strings.HasPrefix(m.Name, "swell") && m.Labels[history.HistoryLabel] == "" && m.Labels[learned.Label] == "" {
			t.Errorf("ConfigMap %s is left", m.Name)
		}
	}
	if w.alive() != before {
		t.Errorf("%d nodes are left of %d: capacity is not to be touched", w.alive(), before)
	}
}
