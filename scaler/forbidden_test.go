package scaler_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/bench/testbed/stack"
)

// A scaler that was upgraded under its old ClusterRole says that it cannot read quotas, goes on with all else, and makes
// balloons once the role is the present one.
func TestAnOldClusterRoleStopsNothingElse(t *testing.T) {
	w := start(t, fleet(1), 15, 2, 0)
	w.settled(2)
	w.Scaler.Kill()
	roles := w.Kube.RbacV1().ClusterRoles()
	role, err := roles.Get(t.Context(), "swell-scaler", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	present := slices.Clone(role.Rules)
	role.Rules = slices.DeleteFunc(role.Rules, func(r rbacv1.PolicyRule) bool { return slices.Contains(r.Resources, "resourcequotas") })
	if len(role.Rules) != len(present)-1 {
		t.Fatalf("%d of %d rules are without quotas", len(role.Rules), len(present))
	}
	if role, err = roles.Update(t.Context(), role, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := w.Scaler.Restart(); err != nil {
		t.Fatal(err)
	}
	w.says("web", "Held", "False", "QuotaUnknown", "list and watch")
	w.scale(60)
	w.until("nodes are bought and all pods run", func() (bool, string) {
		n := w.bound("app=web")
		return n == 60, fmt.Sprintf("%d of 60 pods are bound", n)
	})
	role.Rules = present
	if _, err := roles.Update(t.Context(), role, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	// a watch that is refused is tried again after up to a minute
	err = stack.Poll(t.Context(), "balloons are held again", 2*time.Minute, func(context.Context) (bool, error) {
		i := slices.IndexFunc(w.balloon("web").Status.Conditions, func(c metav1.Condition) bool { return c.Type == "Held" && c.Reason == "Held" })
		return i >= 0, fmt.Errorf("%+v", w.balloon("web").Status.Conditions)
	})
	if err != nil {
		t.Fatal(err)
	}
	w.settled(2)
}
