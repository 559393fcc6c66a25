package scaler

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"swell/bench/testbed/controlplane"
	"swell/scaler/history"
)

// What happens once in weeks goes by the chart's rights too: an Event that comes again is counted, and the history of a Balloon that
// is gone is deleted.
func TestWhatIsRareGoesByTheChartsRights(t *testing.T) {
	cluster, err := controlplane.Start(t.Context(), controlplane.Options{Binary: controlplane.BinaryForTest(t), Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.ApplyFile(t.Context(), filepath.Join(root, "charts", "rendered", "swell-scaler-rbac.yaml")); err != nil {
		t.Fatal(err)
	}
	config, err := cluster.ServiceAccountConfig("swell-system", "swell-scaler")
	if err != nil {
		t.Fatal(err)
	}
	self, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := kubernetes.NewForConfig(cluster.AdminConfig())
	if err != nil {
		t.Fatal(err)
	}
	anEventIsCounted(t, self, admin)
	aHistoryIsSwept(t, self)
}

func anEventIsCounted(t *testing.T, self, admin kubernetes.Interface) {
	t.Helper()
	l := &Loop{kube: self}
	stop, err := l.startEvents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "u"}}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		l.events.Eventf(pod, nil, corev1.EventTypeWarning, noGroupFits, "Planning", "no room")
		list, err := admin.EventsV1().Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: "reason=" + noGroupFits})
		if err == nil && (len(list.Items) != 1 || list.Items[0].Series == nil) {
			err = errors.New("it is not counted: " + fmt.Sprint(len(list.Items)) + " Events")
		}
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func aHistoryIsSwept(t *testing.T, self kubernetes.Interface) {
	t.Helper()
	c := history.Checkpoints{Kube: self, Namespace: "swell-system"}
	if _, err := c.Update(t.Context(), "shop", "gone", func(*history.Checkpoint) {}); err != nil {
		t.Fatal(err)
	}
	nobody := func(string, string) bool { return false }
	now := time.Now()
	if deleted, err := c.Sweep(t.Context(), now, nobody); err != nil || len(deleted) != 0 {
		t.Fatalf("at once %v is deleted, %v", deleted, err)
	}
	if deleted, err := c.Sweep(t.Context(), now.Add(history.KeepGone+time.Hour), nobody); err != nil || len(deleted) != 1 || deleted[0] != "shop/gone" {
		t.Errorf("after its time %v is deleted, %v", deleted, err)
	}
}
