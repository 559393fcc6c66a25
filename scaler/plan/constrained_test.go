package plan

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/nodegroups"
)

// Pods that fit in one zone alone come before those that fit anywhere, which would fill that zone's new nodes first.
func TestPodsOfOneZoneAreNotCrowdedOutOfTheNodesBoughtForThem(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 1).group("1c", nodegroups.Spot, 1).group("1d", nodegroups.Spot, 1)
	for app := range 8 { // one pod a node of each, so that nodes are shared by many kinds
		c.pods(fmt.Sprintf("any%d", app), 5, fmt.Sprintf("%dm", 3000+100*app), "")
	}
	for _, zone := range []string{"1a", "1c", "1d"} {
		c.pods("of"+zone, 4, "2900m", "", func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{corev1.LabelTopologyZone: zone} })
	}
	p := c.plan()
	nodes := 0
	for _, n := range launched(p) {
		nodes += n
	}
	// 168.8 cores on nodes of 15.5: at least 11
	expect(t, p, len(p.Unplaced) == 0 && nodes <= 12, fmt.Sprintf("%d nodes, want at most 12 and all placed", nodes))
	c.carry(p)
	again := c.plan()
	expect(t, again, len(again.Launches) == 0, "with the nodes on their way nothing more is bought")
}

// How many groups take a pod does not change with the others: a zone that a spread pod may not go to now, it may go to later.
func TestTheGroupsThatTakeAPodAreCountedWithoutOthers(t *testing.T) {
	spread := func(p *corev1.Pod) {
		p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.DoNotSchedule,
			LabelSelector: &metav1.LabelSelector{MatchLabels: p.Labels}}}
	}
	of := func(zone string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{corev1.LabelTopologyZone: zone} }
	}
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 1).group("1c", nodegroups.Spot, 1).up(spotA, 1).up(spotC, 1)
	c.pods("spread", 1, "1", "i-0001", spread).pods("spread", 1, "1", "", spread).pods("only", 1, "1", "", of("1a")).pods("any", 1, "1", "").pods("large", 1, "16", "")
	var p Planner
	w, err := p.world(c.now, c.s, c.policy)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"spread": 2, "only": 1, "any": 2, "large": 0}
	for _, n := range w.needs {
		if app := n.pod.Labels["app"]; w.takers(n.pod) != want[app] || minds(n.pod) != (app == "spread") {
			t.Errorf("%d groups take pod %s, want %d; it minds others: %v", w.takers(n.pod), app, want[app], minds(n.pod))
		}
	}
	if len(w.needs) != len(want) {
		t.Errorf("%d pods wait, want %d", len(w.needs), len(want))
	}
}
