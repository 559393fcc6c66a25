package scaler_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
	"swell/scaler/byhand"
)

// poolOf is a CapacityPool as the API server has it.
func (w world) poolOf(name string) v1alpha1.CapacityPool {
	w.t.Helper()
	raw, err := w.Kube.Discovery().RESTClient().Get().AbsPath("/apis/capacity.swell/v1alpha1/capacitypools/" + name).DoRaw(w.t.Context())
	var got v1alpha1.CapacityPool
	if err == nil {
		err = json.Unmarshal(raw, &got)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

// condition of a pool, as status, reason and message.
func (w world) poolIs(pool, kind string) string {
	w.t.Helper()
	for _, c := range w.poolOf(pool).Status.Conditions {
		if c.Type == kind {
			return fmt.Sprintf("%s %s %s", c.Status, c.Reason, c.Message)
		}
	}
	return "absent"
}

// A cluster-autoscaler that runs on the pool's groups keeps swell from launching, as does a freeze of everything; both end
// by themselves once their cause does.
func TestEnforceRefusesBesideAnotherScalerAndWhileFrozen(t *testing.T) {
	w := start(t, fleet(1), 15, 0, 0)
	w.settled(0)
	status := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "cluster-autoscaler-status",
			Annotations: map[string]string{"cluster-autoscaler.kubernetes.io/last-updated": time.Now().Format("2006-01-02 15:04:05.999999999 -0700 MST")}},
		Data: map[string]string{"status": "autoscalerStatus: Running\nnodeGroups:\n- name: spot-a\n"},
	}
	if _, err := w.Kube.CoreV1().ConfigMaps("kube-system").Create(t.Context(), status, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("the pool is not enforced", func() (bool, string) {
		c := w.poolIs("general", "Enforcing")
		return strings.HasPrefix(c, "False OtherScaler") && strings.Contains(c, "spot-a") && strings.Contains(c, "otherScalers"), c
	})
	w.apply(fmt.Sprintf(pool, "general") + "  mode: Observe\n")
	w.until("a pool that observes has nothing against the other", func() (bool, string) {
		c, problems := w.poolIs("general", "Enforcing"), w.poolOf("general").Status.Problems
		return strings.HasPrefix(c, "False Observes") && len(problems) == 0, fmt.Sprint(c, problems)
	})
	w.apply(fmt.Sprintf(pool, "general"))
	w.until("the pool is not enforced again", func() (bool, string) {
		c := w.poolIs("general", "Enforcing")
		return strings.HasPrefix(c, "False OtherScaler"), c
	})
	w.scale(90)
	w.until("the pods wait", func() (bool, string) {
		n := len(w.pods("app=web"))
		return n == 90, fmt.Sprintf("%d of 90 pods are there", n)
	})
	w.settled(0)
	if n := w.launched(); n != 0 {
		t.Fatalf("%d instances were launched beside cluster-autoscaler", n)
	}
	store := byhand.Store{Kube: w.Kube, Namespace: "swell-system"}
	if err := store.Put(t.Context(), byhand.Entry{What: byhand.All, Until: time.Now().Add(time.Hour), Reason: "a test", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	w.until("the freeze is seen", func() (bool, string) {
		c := w.poolIs("general", "Frozen")
		return strings.HasPrefix(c, "True All") && strings.Contains(c, "a test"), c
	})
	if err := w.Kube.CoreV1().ConfigMaps("kube-system").Delete(t.Context(), status.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("the pool is enforced", func() (bool, string) {
		c := w.poolIs("general", "Enforcing")
		return strings.HasPrefix(c, "True"), c
	})
	w.settled(0)
	if n := w.launched(); n != 0 {
		t.Fatalf("%d instances were launched while everything is frozen", n)
	}
	if _, err := store.Remove(t.Context(), "freeze"); err != nil {
		t.Fatal(err)
	}
	w.until("all pods run", func() (bool, string) {
		n := w.bound("app=web")
		return n == 90, fmt.Sprintf("%d of 90 pods are bound", n)
	})
}
