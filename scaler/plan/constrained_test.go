package plan

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"

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
