package plan

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"swell/nodegroups"
)

func poolNamed(name string) Pool { p := testPool(); p.Name = name; return p }

// in puts a group in another pool than general.
func in(pool string) func(*nodegroups.Group) {
	return func(g *nodegroups.Group) { g.Pool, g.Name = pool, strings.Replace(g.Name, "general", pool, 1) }
}

// filled binds a pod to every node that leaves no room.
func (c *cluster) filled() *cluster {
	for _, n := range c.s.Nodes {
		c.pods("fills", 1, "15", n.Name)
	}
	return c
}

func TestADearPoolIsNotBoughtForHavingFewerNodes(t *testing.T) {
	c := newCluster(testPool(), poolNamed("gpu")).group("1a", nodegroups.OnDemand, 0.2).group("1a", nodegroups.OnDemand, 30, in("gpu"))
	p := c.up(odA, 2).filled().pods("a", 1, "4", "").plan()
	expect(t, p, launched(p)[odA] == 1, "the cheap pool takes it")
	c.s.Groups[1].HourlyPrice = 0.19
	p = c.plan()
	expect(t, p, launched(p)["gpu-1a-on-demand"] == 1, "the other pool is the cheaper one")
}

// What another pool's policy buys next is what is compared, not the cheapest group that it has.
func TestPoolsAreComparedByWhatTheyWouldBuy(t *testing.T) {
	base := testPool()
	base.OnDemandBase = 1
	c := newCluster(base, poolNamed("other")).group("1a", nodegroups.Spot, 0.2).group("1a", nodegroups.OnDemand, 0.8).group("1a", nodegroups.Spot, 0.3, in("other"))
	p := c.pods("a", 1, "4", "").plan()
	expect(t, p, launched(p)["other-1a-spot"] == 1, "general would buy on-demand")
}

func TestAZoneWithSeveralGroupsSeemsNoDearer(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).group("1a", nodegroups.Spot, 0.5, func(g *nodegroups.Group) { g.Name += "-b" })
	p := c.group("1c", nodegroups.Spot, 1.9).pods("a", 1, "1", "").plan()
	expect(t, p, launched(p)[spotA] == 1, "0.2 in 1a rather than 1.9 in 1c; both zones are empty")
}

// Zones are kept of one size as long as that costs no more than a quarter.
func TestZonesAreNotBalancedAtAnyPrice(t *testing.T) {
	for price, balanced := range map[float64]bool{0.2: true, 0.25: true, 0.26: false, 30: false} {
		c := newCluster(testPool()).group("1a", nodegroups.OnDemand, 0.2).group("1c", nodegroups.OnDemand, 0.2).group("1d", nodegroups.OnDemand, price)
		p := c.up(odA, 1).up("general-1c-on-demand", 1).filled().pods("a", 1, "4", "").plan()
		expect(t, p, len(p.Launches) == 1 && (p.Launches[0].Zone == "1d") == balanced, "1d has no node yet, at 0.2 elsewhere")
	}
}

func TestAPoolThatIsHeldBackHidesNoOther(t *testing.T) {
	for name, hold := range map[string]func(*Pool){
		"observes":       func(p *Pool) { p.Observe = true },
		"another scaler": func(p *Pool) { p.ObserveWhy = "cluster-autoscaler acts on its groups" },
		"frozen":         func(p *Pool) { p.Freeze = Freeze{Until: start.Add(time.Hour), All: true, Reason: "release"} },
	} {
		watched := poolNamed("watched")
		hold(&watched)
		c := newCluster(testPool(), watched).group("1a", nodegroups.Spot, 0.2).group("1a", nodegroups.Spot, 0.1, in("watched")).pods("a", 1, "4", "")
		p := c.plan()
		expect(t, p, launched(p)[spotA] == 1, name+": the pool that may act buys")
		c.byName(spotA).Max = 0
		p = c.plan()
		expect(t, p, len(p.Launches) == 0, name+": and nothing is launched where it cannot")
		frozen := watched.Freeze.All
		expect(t, p, frozen == (len(p.Unplaced) == 1) && frozen != (len(p.Suppressed) == 1), name+": what is observed shows the launch, a freeze says why the pod waits")
	}
}

// A node that is only shown takes the pods that no other pool takes: any other would wait for it for ever.
func TestPodsDoNotWaitForANodeThatIsOnlyShown(t *testing.T) {
	watched := poolNamed("watched")
	watched.Observe = true
	c := newCluster(testPool(), watched).group("1a", nodegroups.Spot, 0.2)
	c.group("1a", nodegroups.Spot, 0.1, in("watched"), func(g *nodegroups.Group) { g.Template.Labels["kind"] = "watched" })
	c.pods("theirs", 2, "4", "", func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"kind": "watched"} }).pods("ours", 1, "4", "")
	p := c.plan()
	expect(t, p, launched(p)[spotA] == 1 && len(p.Suppressed) == 1 && p.Suppressed[0].Launch.Count == 1, "each pool buys for its own pods")
	expect(t, p, strings.HasPrefix(p.Placed["shop/"+c.s.Pods[2].Name], "new-general"), "ours is on a node that comes")
}

// Nor is a node sold for room on one that does not come.
func TestNoNodeGoesForRoomThatIsOnlyShown(t *testing.T) {
	watched := poolNamed("watched")
	watched.Observe, watched.MinNodesPerZone = true, 1
	c := newCluster(testPool(), watched).group("1a", nodegroups.Spot, 0.2).group("1a", nodegroups.Spot, 0.1, in("watched")).up(spotA, 2)
	c.want("web", "1a", 0, "2500m")
	c.s.Balloons[0].Soon = 8 // six fit on one node
	p := c.slackFor(time.Hour)
	expect(t, p, len(p.Terminations) == 0, "eight balloons are wanted soon")
}

func TestAPoolThatOnlyObservesSpendsNoEviction(t *testing.T) {
	for name, hold := range map[string]func(*Pool){
		"observes":    func(p *Pool) { p.Observe = true },
		"in a window": func(p *Pool) { p.NoSale = "never at noon" },
		"frozen":      func(p *Pool) { p.Freeze = Freeze{Until: start.Add(2 * time.Hour)} },
	} {
		watched := poolNamed("a-watched")
		hold(&watched)
		c := newCluster(testPool(), watched).group("1a", nodegroups.Spot, 0.2).group("1a", nodegroups.Spot, 0.9, in("a-watched"))
		c.up("a-watched-1a-spot", 2).up(spotA, 2)
		for _, n := range c.s.Nodes {
			c.pods("a", 1, "1", n.Name)
		}
		c.s.Budgets = []*policyv1.PodDisruptionBudget{disruption("b", 1, map[string]string{"app": "a"})}
		p := c.slackFor(time.Hour)
		expect(t, p, len(p.Terminations) == 1 && p.Terminations[0].Group == spotA, name+": the acting pool returns one, with the one eviction that is allowed")
	}
}

// A hold by hand is a floor like any other while it lasts.
func TestAHoldKeepsItsNodes(t *testing.T) {
	for until, returned := range map[time.Duration]int{time.Hour: 1, 3 * time.Hour: 0} {
		pool := testPool()
		pool.Holds = []Hold{{Zone: "1a", Nodes: 2, Until: start.Add(until)}}
		p := newCluster(pool).group("1a", nodegroups.Spot, 0.2).up(spotA, 2).slackFor(2 * time.Hour)
		expect(t, p, len(p.Terminations) == returned, "two are held until "+until.String())
	}
}

// Where only one of two zones has the large node, both are asked what they would hold.
func TestNodesOfOtherSizesInOtherZonesAreComparedByWhatTheyHold(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2)
	c.group("1c", nodegroups.Spot, 0.3, func(g *nodegroups.Group) { g.Template.Allocatable["cpu"] = resource.MustParse("31") })
	p := c.pods("a", 31, "1", "").plan()
	expect(t, p, launched(p)[spotC] == 1 && len(p.Launches) == 1, "31 cores at 0.3 rather than three times 15.5 at 0.2")
}

// What can still be shown once a pool that observes may have no more: room on what is shown already.
func TestAShownNodeIsFilledUpToItsEnd(t *testing.T) {
	watched := poolNamed("watched")
	watched.Observe, watched.MaxNodes = true, 1
	p := newCluster(watched).group("1a", nodegroups.Spot, 0.1, in("watched")).pods("a", 3, "4", "").plan()
	expect(t, p, len(p.Unplaced) == 0 && len(p.Suppressed) == 1, "three pods fit on the one node")
}
