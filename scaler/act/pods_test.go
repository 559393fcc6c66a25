package act

import (
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"swell/scaler/ledger"
	"swell/scaler/plan"
)

// A cache that lags shows a balloon to the next plan that the one before took away: it is taken away, and recorded, once.
func TestABalloonThatACacheStillShowsIsTakenAwayOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kube := fake.NewClientset(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-a-1"}}, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-a-2"}})
		dir := t.TempDir()
		book, err := ledger.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer book.Close()
		a := actorOf(t, kube, &slowRaises{})
		a.ledger = book
		pops := plan.Plan{Pops: []plan.Pop{{Namespace: "shop", Name: "web-a-1"}}}
		a.Carry(t.Context(), 1, pops)
		a.Carry(t.Context(), 2, plan.Plan{Pops: pops.Pops, Deletes: pops.Pops})
		a.Carry(t.Context(), 3, plan.Plan{Deletes: []plan.Pop{{Namespace: "shop", Name: "web-a-2"}}})
		if got := deletions(t, dir); got != 2 {
			t.Errorf("%d deletions are recorded, want one of each", got)
		}
		time.Sleep(lagging + time.Second)
		a.Carry(t.Context(), 4, pops) // made anew under the same name
		if got := deletions(t, dir); got != 3 {
			t.Errorf("%d deletions are recorded, want one more", got)
		}
	})
}

func deletions(t *testing.T, dir string) (n int) {
	t.Helper()
	entries, _, err := ledger.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Phase == ledger.Done {
			n++
		}
	}
	return n
}
