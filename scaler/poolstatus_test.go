package scaler

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
	"swell/nodegroups"
	"swell/scaler/plan"
)

// A pool with nodes is not ready where no group of it can be bought in.
func TestAPoolIsReadyWhileAnyGroupCanBeBoughtIn(t *testing.T) {
	for name, c := range map[string]struct {
		unusable []string
		want     string
	}{"all": {[]string{"", ""}, "Planned"}, "one": {[]string{"its tag is wrong", ""}, "Planned"}, "none": {[]string{"its tag is wrong", "it has a warm pool"}, "Unusable"}} {
		n := newNoticed(t, v1alpha1.Enforce)
		w := n.world()
		w.Snapshot.Groups = nil
		for i, why := range c.unusable {
			w.Snapshot.Groups = append(w.Snapshot.Groups, nodegroups.Group{Name: "g" + string(rune('a'+i)), Pool: "general", Zone: "a", Unusable: why, Instances: []nodegroups.Instance{{ID: "i", Lifecycle: nodegroups.InService}}})
		}
		got := n.poolStatus(&n.pool, w, plan.Plan{}, plan.Policy{}, n.now)
		var ready metav1.Condition
		for _, x := range got.Conditions {
			if x.Type == "Ready" {
				ready = x
			}
		}
		if ready.Reason != c.want || (ready.Status == metav1.ConditionTrue) != (c.want == "Planned") || len(got.Zones) != 1 {
			t.Errorf("%s: %+v", name, ready)
		}
	}
}
