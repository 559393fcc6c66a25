package plan

import (
	"testing"

	"swell/nodegroups"
)

// A return whose decrement was not read back may have lowered nothing: the instance may have died before and been replaced.
func TestAReturnIsNoRoomBelowTheMaximumUntilItIsReadBack(t *testing.T) {
	for name, limit := range map[string]func(*Pool, *nodegroups.Group){
		"group": func(_ *Pool, g *nodegroups.Group) { g.Max = 3 },
		"pool":  func(p *Pool, _ *nodegroups.Group) { p.MaxNodes = 3 },
		"zone":  func(p *Pool, _ *nodegroups.Group) { p.MaxNodesPerZone = 3 },
		"cost":  func(p *Pool, _ *nodegroups.Group) { p.MaxHourlyCost = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(testPool()).group("1a", nodegroups.Spot, 1).up(spotA, 2).pods("web", 20, "14", "")
			limit(&c.policy.Pools[0], &c.s.Groups[0])
			c.s.Groups[0].Returning = 1
			before := c.plan()
			if n := launched(before)[spotA]; n != 0 {
				t.Errorf("%d launched beside 2 instances and one that may be a third, at most 3 are allowed", n)
			}
			c.s.Groups[0].Returning = 0
			if n := launched(c.plan())[spotA]; n != 1 {
				t.Errorf("%d launched once the return was read back, want 1", n)
			}
		})
	}
}
