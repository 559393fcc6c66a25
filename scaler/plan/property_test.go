package plan

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"swell/nodegroups"
)

var mixed = []string{"500m", "1", "2", "4", "7"}

// drawCluster makes a cluster with one or two pools, nodes, bound and pending pods, balloons and promises. Plain ones have no
// affinity and no spread.
func drawCluster(t *rapid.T, plain bool, sizes ...string) *cluster {
	if len(sizes) == 0 {
		sizes = mixed
	}
	c := newCluster(drawPool(t, "general"))
	zones := []string{"1a", "1c", "1d"}[:rapid.IntRange(1, 3).Draw(t, "zones")]
	c.drawGroups(t, "general", zones)
	if rapid.Bool().Draw(t, "second pool") {
		second := drawPool(t, "second")
		switch rapid.IntRange(0, 3).Draw(t, "held back") {
		case 0:
			second.Observe = true
		case 1:
			second.Freeze = Freeze{Until: c.now.Add(24 * time.Hour), All: rapid.Bool().Draw(t, "all"), Reason: "drawn"}
		}
		c.policy.Pools = append(c.policy.Pools, second)
		c.drawGroups(t, "second", zones)
	}
	for i := range c.s.Groups {
		g := &c.s.Groups[i]
		c.up(g.Name, rapid.IntRange(0, min(2, g.Max)).Draw(t, "up"))
		c.launch(g.Name, rapid.IntRange(0, min(1, g.Max-len(g.Instances))).Draw(t, "booting"))
	}
	for i := range rapid.IntRange(0, 12).Draw(t, "workloads") {
		app := fmt.Sprintf("app%d", i)
		c.pods(app, rapid.IntRange(1, 6).Draw(t, "pods"), rapid.SampledFrom(sizes).Draw(t, "size"), "", drawShape(t, app, zones, plain))
		if rapid.Bool().Draw(t, "bound") {
			c.bind()
		}
	}
	for _, zone := range zones {
		name, size := rapid.SampledFrom([]string{"web", "api"}).Draw(t, "balloon"), rapid.SampledFrom(sizes).Draw(t, "chunk")
		c.balloons(name, zone, rapid.IntRange(0, 4).Draw(t, "balloons"), size, "")
		c.want(name, zone, rapid.IntRange(0, 5).Draw(t, "want"), size)
	}
	if rapid.Bool().Draw(t, "bindBalloons") {
		c.bind()
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "late") {
		app := fmt.Sprintf("late%d", i)
		c.pods(app, rapid.IntRange(1, 8).Draw(t, "pods"), rapid.SampledFrom(sizes).Draw(t, "size"), "", drawShape(t, app, zones, plain))
	}
	c.promise("promised", rapid.IntRange(0, 5).Draw(t, "promised"), "1")
	return c
}

func drawPool(t *rapid.T, name string) Pool {
	p := testPool()
	p.Name = name
	p.OnDemandBase = rapid.IntRange(0, 3).Draw(t, "base")
	p.SpotMax = rapid.SampledFrom([]float64{0, 0.5, 0.7, 1}).Draw(t, "spotMax")
	p.Fallback = rapid.Bool().Draw(t, "fallback")
	p.MaxNodes = rapid.SampledFrom([]int{0, 0, 4, 9}).Draw(t, "maxNodes")
	p.MinNodesPerZone = rapid.IntRange(0, 1).Draw(t, "min")
	p.MaxHourlyCost = rapid.SampledFrom([]float64{0, 0, 2, 5}).Draw(t, "cost")
	return p
}

// drawGroups adds a pool's groups, one or two of different sizes for each zone and market.
func (c *cluster) drawGroups(t *rapid.T, pool string, zones []string) {
	for _, zone := range zones {
		for _, market := range []nodegroups.Market{nodegroups.Spot, nodegroups.OnDemand} {
			for i := range rapid.SampledFrom([]int{1, 1, 2}).Draw(t, "groups") {
				c.group(zone, market, rapid.SampledFrom([]float64{0, 0.2, 0.3, 0.8}).Draw(t, "price"), in(pool), func(g *nodegroups.Group) {
					g.Name += strings.Repeat("-b", i)
					g.Max = rapid.IntRange(0, 4).Draw(t, "max")
					g.Template.Allocatable = corev1.ResourceList{"cpu": resource.MustParse(rapid.SampledFrom([]string{"15500m", "15500m", "8", "31"}).Draw(t, "cores")),
						"memory": resource.MustParse("60Gi"), "pods": resource.MustParse("110")}
				})
			}
		}
	}
}

// poolOf is the policy of a group's pool.
func (c *cluster) poolOf(g nodegroups.Group) Pool {
	return c.policy.Pools[slices.IndexFunc(c.policy.Pools, func(p Pool) bool { return p.Name == g.Pool })]
}

func drawShape(t *rapid.T, app string, zones []string, plain bool) func(*corev1.Pod) {
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}
	shape := rapid.IntRange(0, 5).Draw(t, "shape")
	prio := int32(rapid.IntRange(0, 2).Draw(t, "priority"))
	return func(p *corev1.Pod) {
		p.Spec.Priority = &prio
		switch {
		case shape == 0:
			p.Spec.NodeSelector = map[string]string{corev1.LabelTopologyZone: zones[0]}
		case plain:
		case shape == 1:
			p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: selector}}
		case shape == 2:
			p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{LabelSelector: selector, TopologyKey: corev1.LabelHostname}}}}
		}
	}
}

func size(g nodegroups.Group) int { return max(g.Alive(), g.Desired) }

// TestNoPlanGoesAboveALimit checks groups, pools and cost after every launch of the plan.
func TestNoPlanGoesAboveALimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t, false)
		plan := c.plan()
		launches := launched(plan)
		for _, p := range c.policy.Pools {
			total, more, cost := 0, 0, 0.0
			for _, g := range c.s.Groups {
				if g.Pool != p.Name {
					continue
				}
				n := launches[g.Name]
				if n < 0 || n > 0 && size(g)+n > g.Max {
					t.Fatalf("%s has %d of at most %d and %d are launched", g.Name, size(g), g.Max, n)
				}
				if n > 0 && p.MaxHourlyCost > 0 && g.HourlyPrice == 0 {
					t.Fatalf("%s has no price, and cost is limited", g.Name)
				}
				total, more, cost = total+size(g), more+n, cost+float64(size(g)+n)*g.HourlyPrice
			}
			if more > 0 && (p.MaxNodes > 0 && total+more > p.MaxNodes || p.MaxHourlyCost > 0 && cost > p.MaxHourlyCost+1e-6) {
				t.Fatalf("%d nodes and %d more of at most %d, at %.2f an hour of at most %.2f", total, more, p.MaxNodes, cost, p.MaxHourlyCost)
			}
			if more > 0 && (p.Observe || p.Freeze.All) {
				t.Fatalf("%d are launched in a pool that is held back", more)
			}
		}
	})
}

// TestPlanningAgainBuysNothingMore: the launched instances are on their way, all else is as it was.
func TestPlanningAgainBuysNothingMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t, false)
		first := c.plan()
		for _, l := range first.Launches {
			c.launch(l.Group, l.Count)
		}
		if again := c.plan(); len(again.Launches) > 0 {
			t.Fatalf("first:\n%sthen again:\n%s", text(first), text(again))
		}
	})
}

// TestOrderOfInputDoesNotMatter permutes every list of the snapshot.
func TestOrderOfInputDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t, false)
		for _, n := range c.s.Nodes {
			if c.memory.UnneededSince == nil {
				c.memory.UnneededSince = map[string]time.Time{}
			}
			c.memory.UnneededSince[n.Name] = c.now.Add(-time.Hour)
		}
		a, am := Make(c.now, c.s, c.policy, c.memory)
		r := rand.New(rand.NewSource(int64(rapid.IntRange(0, 1<<30).Draw(t, "seed"))))
		r.Shuffle(len(c.s.Nodes), func(i, j int) { c.s.Nodes[i], c.s.Nodes[j] = c.s.Nodes[j], c.s.Nodes[i] })
		r.Shuffle(len(c.s.Pods), func(i, j int) { c.s.Pods[i], c.s.Pods[j] = c.s.Pods[j], c.s.Pods[i] })
		r.Shuffle(len(c.s.Groups), func(i, j int) { c.s.Groups[i], c.s.Groups[j] = c.s.Groups[j], c.s.Groups[i] })
		r.Shuffle(len(c.s.Balloons), func(i, j int) { c.s.Balloons[i], c.s.Balloons[j] = c.s.Balloons[j], c.s.Balloons[i] })
		for _, g := range c.s.Groups {
			r.Shuffle(len(g.Instances), func(i, j int) { g.Instances[i], g.Instances[j] = g.Instances[j], g.Instances[i] })
		}
		b, bm := Make(c.now, c.s, c.policy, c.memory)
		if d := cmp.Diff(a, b) + cmp.Diff(am, bm); d != "" {
			t.Fatalf("the same snapshot in another order:\n%s", d)
		}
	})
}

// isNew says whether a node is one that the plan buys in a group.
func isNew(node string, g nodegroups.Group) bool {
	number, of := strings.CutPrefix(node, "new-"+g.Name+"-")
	return of && strings.Trim(number, "0123456789-") == "" && number != ""
}

// millicores of a node, by the group that it is or will be of.
func (c *cluster) millicores(node string) int64 {
	for _, g := range c.s.Groups {
		ours := isNew(node, g)
		for _, i := range g.Instances {
			ours = ours || node == i.ID || node == "booting-"+i.ID
		}
		if ours {
			return g.Template.Allocatable.Cpu().MilliValue()
		}
	}
	return 0
}

// TestEveryPlaceIsReallyThere adds up the CPU of what is bound, placed and not popped, node by node.
func TestEveryPlaceIsReallyThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t, true)
		p := c.plan()
		gone := map[string]bool{}
		for _, b := range append(p.Pops, p.Deletes...) {
			gone[b.Namespace+"/"+b.Name] = true
		}
		use, fresh := map[string]int64{}, map[string]int{}
		cpu := func(q *corev1.Pod) int64 { return q.Spec.Containers[0].Resources.Requests.Cpu().MilliValue() }
		waiting := 0
		for _, q := range c.s.Pods {
			key := q.Namespace + "/" + q.Name
			at := q.Spec.NodeName
			if at == "" && q.Labels[BalloonLabel] == "" {
				waiting++
				at = p.Placed[key]
			}
			if at != "" && !gone[key] {
				use[at] += cpu(q)
			}
		}
		for key, at := range p.Placed {
			if strings.Contains(key, "promised-") {
				use[at] += 1000
			}
		}
		waiting += c.s.Promised[0].Count
		if len(p.Placed)+len(p.Unplaced) != waiting {
			t.Fatalf("%d pods wait, %d are placed and %d are not", waiting, len(p.Placed), len(p.Unplaced))
		}
		for at, milli := range use {
			if room := c.millicores(at); milli > room {
				t.Fatalf("%s would hold %d of %d millicores:\n%s", at, milli, room, text(p))
			}
			for _, g := range c.s.Groups {
				if isNew(at, g) {
					fresh[g.Name]++
				}
			}
		}
		planned := launched(p)
		for _, x := range p.Suppressed {
			if x.Launch != nil {
				planned[x.Launch.Group] += x.Launch.Count
			}
		}
		for group, n := range fresh {
			if n > planned[group] {
				t.Fatalf("pods are placed on %d new nodes of %s, and %d are launched or shown", n, group, planned[group])
			}
		}
	})
}

// TestReturningNodesCostsNothing: after the return no floor is broken, and what was moved needs no launch. Pods
// are of one size: with several, the scheduler may pack what was moved worse than the planner could.
func TestReturningNodesCostsNothing(t *testing.T) {
	returned := 0
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t, true, "1")
		c.memory.UnneededSince = map[string]time.Time{}
		for _, n := range c.s.Nodes {
			c.memory.UnneededSince[n.Name] = c.now.Add(-time.Hour)
		}
		first := c.plan()
		if len(first.Terminations) == 0 {
			return
		}
		returned++
		// Balloons that go change where pods that wait are placed, whatever is returned.
		kept, without := c.copied(), first
		without.Terminations = nil
		kept.carry(without)
		c.carry(first)
		again := c.plan()
		if most := max(len(first.Unplaced), len(kept.plan().Unplaced)); len(again.Unplaced) > most {
			t.Fatalf("%d pods more have no place; first:\n%sthen:\n%s", len(again.Unplaced)-most, text(first), text(again))
		}
		inZone := map[string]int{}
		for _, g := range c.s.Groups {
			if size(g) < g.Min {
				t.Fatalf("%s has %d, its minimum is %d", g.Name, size(g), g.Min)
			}
			inZone[g.Pool+" "+g.Zone] += size(g)
		}
		for _, x := range first.Terminations {
			g := c.byName(x.Group)
			if n, floor := inZone[g.Pool+" "+g.Zone], c.poolOf(*g).MinNodesPerZone; n < floor {
				t.Fatalf("pool %s has %d nodes in zone %s, its floor is %d", g.Pool, n, g.Zone, floor)
			}
		}
		// What waited for a limit may have it now that a node is gone; that is no buying back.
		waited := len(first.Launches)+len(first.Unplaced) > 0 || strings.Contains(text(first), "has no place for") || strings.Contains(text(first), "of at least")
		if !waited && len(again.Launches) > 0 {
			t.Fatalf("what was returned is bought back; first:\n%sthen:\n%s", text(first), text(again))
		}
	})
	if returned == 0 {
		t.Error("no drawn cluster returned a node, so nothing was checked")
	}
}

func TestAPlanChangesNothingThatItIsGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t, false)
		c.memory.UnneededSince = map[string]time.Time{}
		for _, n := range c.s.Nodes {
			c.memory.UnneededSince[n.Name] = c.now.Add(-time.Hour)
		}
		c.s.PodsAt, c.s.GroupsAt = c.now, c.now
		say := func() string {
			b, err := json.Marshal(struct {
				S Snapshot
				P Policy
				M Memory
			}{c.s, c.policy, c.memory})
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		before := say()
		a, _ := Make(c.now, c.s, c.policy, c.memory)
		if say() != before {
			t.Fatal("inputs were changed")
		}
		b, _ := Make(c.now, c.s, c.policy, c.memory)
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		if string(x) != string(y) {
			t.Fatal("two plans of one snapshot differ")
		}
	})
}

// copied is a cluster that changes by itself.
func (c *cluster) copied() *cluster {
	d := *c
	d.s.Pods, d.s.Nodes, d.s.Groups = slices.Clone(c.s.Pods), slices.Clone(c.s.Nodes), slices.Clone(c.s.Groups)
	for i := range d.s.Groups {
		d.s.Groups[i].Instances = slices.Clone(d.s.Groups[i].Instances)
	}
	return &d
}
