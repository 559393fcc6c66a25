package plan

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"swell/nodegroups"
)

func TestInstancesThatWereNeverStartedHoldNoFloor(t *testing.T) {
	pool := testPool()
	pool.MinNodesPerZone = 2
	c := newCluster(pool).group("1a", nodegroups.Spot, 0.2).up(spotA, 2)
	c.byName(spotA).Desired = 3
	c.s.Unavailable = []nodegroups.Unavailable{{Group: spotA, Class: nodegroups.NoCapacity, Until: start.Add(3 * time.Hour), Reason: "none"}}
	p := c.slackFor(time.Hour)
	expect(t, p, len(p.Terminations) == 0, "two of two")
}

func TestBootingInstancesHoldNoFloor(t *testing.T) {
	pool := testPool()
	pool.MinNodesPerZone = 2
	c := newCluster(pool).group("1a", nodegroups.Spot, 0.2).up(spotA, 2)
	c.plan()
	c.now = c.now.Add(time.Hour)
	c.launch(spotA, 1)
	p := c.plan()
	expect(t, p, len(p.Terminations) == 0, "two Ready of two, one boots")
}

func TestNoNodeDrainsWhereNoneMayBeUnavailable(t *testing.T) {
	c := twoSlack()
	c.policy.Pools[0].MaxUnavailable = 0
	p := c.slackFor(time.Hour)
	expect(t, p, len(p.Terminations) == 0, "0% is none")
}

func TestAHoldInAZoneWithoutGroupsIsNotDropped(t *testing.T) {
	pool := testPool()
	pool.Holds = []Hold{{Zone: "1x", Nodes: 3, Until: start.Add(time.Hour)}}
	p := newCluster(pool).group("1a", nodegroups.Spot, 0.2).plan()
	expect(t, p, len(p.Problems) > 0, "a hold that cannot be held is a problem")
}

func TestNoReturnGoesBelowAFloor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t, true)
		for i := range c.s.Groups {
			c.s.Groups[i].Min = rapid.IntRange(0, 1).Draw(t, "min")
		}
		c.memory.UnneededSince = map[string]time.Time{}
		for _, n := range c.s.Nodes {
			c.memory.UnneededSince[n.Name] = c.now.Add(-time.Hour)
		}
		p := c.plan()
		gone := map[string]int{}
		zone := map[string]int{}
		for _, x := range p.Terminations {
			gone[x.Group]++
			zone[c.byName(x.Group).Zone]++
		}
		up := map[string]int{}
		for _, g := range c.s.Groups {
			up[g.Zone] += g.Alive()
			if gone[g.Name] > 0 && g.Alive()-gone[g.Name] < g.Min {
				t.Fatalf("group %s below its minimum:\n%s", g.Name, text(p))
			}
		}
		for z, n := range zone {
			if up[z]-n < c.policy.Pools[0].MinNodesPerZone {
				t.Fatalf("zone %s below its floor:\n%s", z, text(p))
			}
			if n > 1 {
				t.Fatalf("%d of %d nodes of %s go at once:\n%s", n, up[z], z, text(p))
			}
		}
	})
}
