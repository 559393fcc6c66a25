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

// The floors hold among nodes that are really up.
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
		for _, x := range p.Terminations {
			gone[x.Group]++
		}
		up, going := map[string]int{}, map[string]int{}
		for _, g := range c.s.Groups {
			if gone[g.Name] > 0 && g.Alive()-gone[g.Name] < g.Min {
				t.Fatalf("group %s below its minimum:\n%s", g.Name, text(p))
			}
			key := g.Pool + " " + g.Zone
			going[key] += gone[g.Name]
			for _, i := range g.Instances {
				if i.Lifecycle == nodegroups.InService {
					up[key]++
				}
			}
			if floor := c.poolOf(g).MinNodesPerZone; going[key] > 1 {
				t.Fatalf("%d nodes of %s go at once:\n%s", going[key], key, text(p))
			} else if last := c.lastOf(g); last && going[key] > 0 && up[key]-going[key] < floor {
				t.Fatalf("%s below its floor of %d:\n%s", key, floor, text(p))
			}
		}
	})
}

// lastOf says whether no group of the same pool and zone comes after this one.
func (c *cluster) lastOf(g nodegroups.Group) bool {
	last := ""
	for _, h := range c.s.Groups {
		if h.Pool == g.Pool && h.Zone == g.Zone {
			last = h.Name
		}
	}
	return last == g.Name
}

func TestBootingInstancesAreNoOnDemandBase(t *testing.T) {
	pool := testPool()
	pool.OnDemandBase = 2
	c := newCluster(pool).group("1a", nodegroups.OnDemand, 0.8).up(odA, 2)
	c.plan()
	c.now = c.now.Add(time.Hour)
	c.launch(odA, 1)
	p := c.plan()
	expect(t, p, len(p.Terminations) == 0, "two of two are up, one boots")
}

func TestAHoldThatEndedAsksForNothing(t *testing.T) {
	pool := testPool()
	pool.Holds = []Hold{{Zone: "1x", Nodes: 3, Until: start.Add(-time.Hour)}}
	pool.MinNodesPerZone = 1
	p := newCluster(pool).group("1a", nodegroups.Spot, 0.2).up(spotA, 1).plan()
	expect(t, p, len(p.Problems) == 0, "the zone of the hold is none of the pool's")
}
