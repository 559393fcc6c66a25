package plan

import (
	"testing"
	"time"

	"swell/nodegroups"
)

func TestLimitsByZoneAndByAddresses(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).group("1c", nodegroups.Spot, 0.2).pods("web", 75, "1", "")
	c.policy.Pools[0].MaxNodesPerZone = 2
	p := c.plan()
	expect(t, p, launched(p)[spotA] == 2 && launched(p)[spotC] == 2 && len(p.Unplaced) > 0, "two in each zone")
	c.policy.Pools[0].MaxNodesPerZone = 0
	one := 1
	c.byName(spotA).FreeAddresses = &one
	p = c.plan()
	expect(t, p, launched(p)[spotA] == 1 && launched(p)[spotC] == 4, "the subnet of 1a has one address")
	c.group("1a", nodegroups.OnDemand, 0.8)
	for _, name := range []string{spotA, odA} {
		c.byName(name).FreeAddresses, c.byName(name).Subnets = &one, []string{"subnet-1"}
	}
	c.policy.Pools[0].SpotMax = 0.5
	p = c.plan()
	expect(t, p, launched(p)[spotA]+launched(p)[odA] <= 1, "both groups take their addresses from one subnet")
}

// The CNI gives a node a whole interface's addresses, those of a node that boots come out of the free ones too.
func TestANodeTakesMoreThanOneAddress(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).group("1c", nodegroups.Spot, 0.2).pods("web", 75, "1", "")
	free := 40
	g := c.byName(spotA)
	g.FreeAddresses, g.AddressesPerNode = &free, 15
	p := c.plan()
	expect(t, p, launched(p)[spotA] == 2 && launched(p)[spotC] == 3, "a third node of 1a would have ten of its fifteen addresses")
	c.launch(spotA, 1)
	p = c.plan()
	expect(t, p, launched(p)[spotA] == 1, "the one that boots still takes fourteen")
}

func TestZonesOfOneASGShareItsLimits(t *testing.T) {
	zone := func(name string, limit int) func(*nodegroups.Group) {
		return func(g *nodegroups.Group) { g.Name, g.ASG, g.Min, g.Max = name, "all", limit, 3 }
	}
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2, zone("all@1a", 0)).group("1c", nodegroups.Spot, 0.2, zone("all@1c", 0)).pods("web", 75, "1", "")
	p := c.plan()
	expect(t, p, launched(p)["all@1a"]+launched(p)["all@1c"] == 3, "three together")
	c = newCluster(testPool()).group("1a", nodegroups.Spot, 0.2, zone("all@1a", 2)).group("1c", nodegroups.Spot, 0.2, zone("all@1c", 2))
	p = c.plan()
	expect(t, p, launched(p)["all@1a"] == 1 && launched(p)["all@1c"] == 1, "the minimum of two is of both zones")
	c.up("all@1a", 1).up("all@1c", 2)
	p = c.slackFor(time.Hour)
	expect(t, p, len(p.Terminations) == 1, "one is above the minimum")
	c.carry(p)
	p = c.slackFor(time.Hour)
	expect(t, p, len(p.Terminations) == 0, "none is")
}

// ka#4438
func TestRefusedCapacityMarksEveryGroupOfTheSameTypes(t *testing.T) {
	other := func(g *nodegroups.Group) { g.Name = "general-1a-spot-b" }
	wider := func(g *nodegroups.Group) {
		g.Name, g.HourlyPrice = "general-1a-spot-c", 0.3
		g.InstanceTypes = []string{"m6i.4xlarge", "m5.4xlarge"}
	}
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).group("1a", nodegroups.Spot, 0.2, other).group("1a", nodegroups.Spot, 0.3, wider).pods("web", 1, "1", "")
	c.s.Unavailable = []nodegroups.Unavailable{{Group: spotA, Class: nodegroups.NoCapacity, Until: c.now.Add(time.Minute), Reason: "none left"}}
	p := c.plan()
	expect(t, p, launched(p)["general-1a-spot-c"] == 1, "the group with another type is tried, the one with the same is not")
	c.s.Unavailable[0].Class = nodegroups.LimitReached
	p = c.plan()
	expect(t, p, launched(p)["general-1a-spot-b"] == 1, "a limit says nothing of another group")
}

// ka#9043
func TestNoPlanTakesAGroupBelowItsMinimumWhateverItsDesiredCapacitySays(t *testing.T) {
	for desired, returned := range map[int]int{1: 0, 2: 0, 3: 1, 9: 1} {
		c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2, func(g *nodegroups.Group) { g.Min = 2 }).up(spotA, 3)
		c.policy.Pools[0].MaxUnavailable = 1
		c.byName(spotA).Desired = desired
		p := c.slackFor(time.Hour)
		expect(t, p, len(p.Terminations) == returned, "of the number shown and the number asked for the lesser counts")
	}
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2, func(g *nodegroups.Group) { g.Min = 1 }).up(spotA, 1)
	c.s.Interrupted = []nodegroups.Interruption{{InstanceID: "i-0001", Kind: nodegroups.SpotInterruption, Deadline: c.now.Add(2 * time.Minute)}}
	p := c.plan()
	expect(t, p, launched(p)[spotA] == 1, "the one that is about to go is replaced first")
}

func TestALaunchIsSpreadOverGroupsOfNearlyOnePrice(t *testing.T) {
	group := func(name string, failures int) func(*nodegroups.Group) {
		return func(g *nodegroups.Group) { g.Name, g.RecentFailures, g.InstanceTypes = name, failures, []string{name} }
	}
	for spread, want := range map[bool]map[string]int{false: {"a": 6}, true: {"a": 3, "b": 3}} {
		c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.20, group("a", 0)).group("1a", nodegroups.Spot, 0.21, group("b", 0)).group("1a", nodegroups.Spot, 0.3, group("dear", 0))
		c.policy.Pools[0].PriceCapacity = spread
		p := c.pods("web", 90, "1", "").plan()
		expect(t, p, launched(p)["a"] == want["a"] && launched(p)["b"] == want["b"], "within a tenth the launch is spread where the pool says so")
	}
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.20, group("a", 1)).group("1a", nodegroups.Spot, 0.21, group("b", 0))
	c.policy.Pools[0].PriceCapacity = true
	p := c.pods("web", 90, "1", "").plan()
	expect(t, p, launched(p)["a"] == 2 && launched(p)["b"] == 4, "a failure halves a group's part")
}
