package plan

import (
	"fmt"
	"testing"

	"swell/nodegroups"
)

// Of two groups of a zone one cannot be bought in any more, as when one of its tags has a mistake: nothing has changed in the
// cluster, so that nothing is bought for floors and limits count its nodes.
func TestNodesOfAGroupThatBecameUnusableCount(t *testing.T) {
	pool := testPool()
	pool.MinNodesPerZone, pool.MaxNodes = 6, 6
	c := newCluster(pool).group("1a", nodegroups.Spot, 0.2).group("1a", nodegroups.OnDemand, 1).up(spotA, 5).up(odA, 1)
	c.pods("web", 30, "1", "")
	for i := range c.s.Pods {
		c.s.Pods[i].Spec.NodeName = fmt.Sprintf("i-%04d", 1+i%6)
	}
	g := c.byName(spotA)
	g.Unusable, g.Template = `its tag is "y:NoSchedul"`, nodegroups.Template{}
	p := c.plan()
	expect(t, p, len(p.Launches) == 0 && len(p.Terminations) == 0, "all six nodes are still there")
	for _, x := range p.Problems {
		if x.Object == "group "+spotA && x.Mend == "correct its launch template; nothing is bought in it and none of its nodes is returned until it can be read" {
			t.Errorf("the reading has said what is wrong, and it is another thing: %v", x)
		}
	}
	c.pods("more", 120, "1", "")
	p = c.plan()
	expect(t, p, len(p.Launches) == 0 && len(p.Unplaced) > 0, "the pool is at its maximum with the nodes of the unusable group")
}
