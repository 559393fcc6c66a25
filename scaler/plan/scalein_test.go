package plan

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/nodegroups"
)

// slackFor is the plan after a time in which nothing changed.
func (c *cluster) slackFor(d time.Duration) Plan {
	c.plan()
	c.now = c.now.Add(d)
	return c.plan()
}

// two nodes with one small pod each: either could take both.
func twoSlack(with ...func(*corev1.Pod)) *cluster {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 2)
	return c.pods("a", 1, "1", "i-0001", with...).pods("a", 1, "1", "i-0002", with...)
}

func keptWhy(p Plan, node string) string {
	for _, k := range p.Kept {
		if k.Node == node {
			return k.Reason
		}
	}
	return ""
}

func disruption(name string, allowed int32, selector map[string]string) *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
		Spec:   policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: selector}},
		Status: policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: allowed, CurrentHealthy: 1, DesiredHealthy: 2}}
}

func TestNoNodeGoesWhosePodsMayNotBeEvicted(t *testing.T) {
	app := map[string]string{"app": "a"}
	for name, x := range map[string]struct {
		budgets  []*policyv1.PodDisruptionBudget
		returned int
		why      string
	}{
		"none allowed":    {[]*policyv1.PodDisruptionBudget{disruption("b", 0, app)}, 0, "allows no eviction"},
		"one allowed":     {[]*policyv1.PodDisruptionBudget{disruption("b", 1, app)}, 1, ""},
		"of another app":  {[]*policyv1.PodDisruptionBudget{disruption("b", 0, map[string]string{"app": "z"})}, 1, ""},
		"two on one pod":  {[]*policyv1.PodDisruptionBudget{disruption("b", 5, app), disruption("c", 5, app)}, 0, "two PodDisruptionBudgets"},
		"an empty one":    {[]*policyv1.PodDisruptionBudget{disruption("b", 0, nil)}, 0, "allows no eviction"},
		"not yet counted": {[]*policyv1.PodDisruptionBudget{func() *policyv1.PodDisruptionBudget { b := disruption("b", 1, app); b.Generation = 2; return b }()}, 0, "allows no eviction"},
	} {
		c := twoSlack()
		c.s.Budgets = x.budgets
		p := c.slackFor(time.Hour)
		expect(t, p, len(p.Terminations) == x.returned && strings.Contains(keptWhy(p, "i-0001"), x.why), name)
	}
}

func TestPickedNodesShareABudgetsAllowance(t *testing.T) {
	pool := testPool()
	pool.MaxUnavailable = 1
	c := newCluster(pool).group("1a", nodegroups.Spot, 0.2).up(spotA, 4)
	for _, n := range c.s.Nodes {
		c.pods("a", 1, "1", n.Name)
	}
	c.s.Budgets = []*policyv1.PodDisruptionBudget{disruption("b", 2, map[string]string{"app": "a"})}
	p := c.slackFor(time.Hour)
	expect(t, p, len(p.Terminations) == 2, "two evictions are allowed, and three nodes could go")
	for _, x := range p.Terminations[:1] {
		c.s.Draining = append(c.s.Draining, x.Node)
	}
	p = c.plan()
	expect(t, p, len(p.Terminations) == 1, "one of the two is spent on the node that drains")
}

func TestNodesThatMustStayStay(t *testing.T) {
	local := func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	}
	for name, x := range map[string]struct {
		with     func(*corev1.Pod)
		cluster  func(*cluster)
		returned int
	}{
		"swell's annotation on a pod": {with: func(p *corev1.Pod) { p.Annotations = map[string]string{KeepAnnotation: "true"} }},
		"local storage":               {with: local},
		"local storage that may be lost": {with: func(p *corev1.Pod) {
			local(p)
			p.Annotations = map[string]string{safeToEvictVolumes: "other, scratch"}
		}, returned: 1},
		"local storage, safe to evict": {with: func(p *corev1.Pod) {
			local(p)
			p.Annotations = map[string]string{safeToEvict: "true"}
		}, returned: 1},
		"memory is no local storage": {with: func(p *corev1.Pod) {
			local(p)
			p.Spec.Volumes[0].EmptyDir.Medium = corev1.StorageMediumMemory
		}, returned: 1},
		"a path of the node": {with: func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/data"}}}}
		}},
		"kube-system without a budget":  {with: func(p *corev1.Pod) { p.Namespace = "kube-system" }},
		"swell's annotation on a node":  {cluster: onNodes(KeepAnnotation)},
		"cluster-autoscaler's on nodes": {cluster: onNodes(scaleDownDisabled)},
		"karpenter's on nodes":          {cluster: onNodes(karpenterKeep)},
		"protected by hand":             {cluster: protect(false)},
		"protected by the group":        {cluster: protect(true), returned: 1},
	} {
		with, change := x.with, x.cluster
		if with == nil {
			with = func(*corev1.Pod) {}
		}
		c := twoSlack(with)
		if change != nil {
			change(c)
		}
		p := c.slackFor(time.Hour)
		expect(t, p, len(p.Terminations) == x.returned && (x.returned == 1 || keptWhy(p, "i-0001") != ""), name)
	}
}

func onNodes(annotation string) func(*cluster) {
	return func(c *cluster) {
		for _, n := range c.s.Nodes {
			n.Annotations = map[string]string{annotation: "true"}
		}
	}
}

func protect(byGroup bool) func(*cluster) {
	return func(c *cluster) {
		g := c.byName(spotA)
		g.ProtectsNew = byGroup
		for i := range g.Instances {
			g.Instances[i].Protected = true
		}
	}
}

// ka#6795
func TestAGroupWhoseInstancesDoNotJoinKeepsItsNodesAndBuysNone(t *testing.T) {
	for name, broken := range map[string]func(*cluster){
		"the template is broken": func(c *cluster) { // as learned capacity says of a refusal, and of instances that did not join
			c.s.Unavailable = []nodegroups.Unavailable{{Group: spotA, Class: nodegroups.BadTemplate, Until: c.now.Add(24 * time.Hour), Reason: "its last 3 instances never became Ready nodes"}}
		},
		"the template cannot be read": func(c *cluster) { c.byName(spotA).Template = nodegroups.Template{} },
		"nothing can be bought in it": func(c *cluster) { c.byName(spotA).Unusable = "its Launch process is suspended" },
	} {
		c := twoSlack()
		broken(c)
		p := c.slackFor(time.Hour)
		expect(t, p, len(p.Terminations) == 0 && keptWhy(p, "i-0001") != "", name+": nothing is returned")
		c.group("1a", nodegroups.OnDemand, 0.8).pods("big", 3, "15", "")
		c.policy.Pools[0].MinNodesPerZone = 6
		p = c.plan()
		expect(t, p, launched(p)[spotA] == 0 && launched(p)[odA] == 4, name+": another group is used, for the floor too")
	}
}

// kp#7146, karpenter#2388
func TestNoNodeGoesThatTheForecastWantsSoon(t *testing.T) {
	for soon, returned := range map[int]int{0: 1, 5: 1, 6: 0, 30: 0} {
		c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 2).pods("a", 1, "1", "i-0001")
		c.want("web", "1a", 0, "2500m")
		c.s.Balloons[0].Soon = soon
		p := c.slackFor(time.Hour)
		expect(t, p, len(p.Terminations) == returned && len(p.Creates) == 0 && len(p.Launches) == 0, "five balloons of 2.5 cores fit on the other node")
		c.s.Balloons[0].Pod, c.s.Balloons[0].SoonPod = nil, c.s.Balloons[0].Pod // as of a Balloon that could not be sized
		p = c.slackFor(time.Second)
		expect(t, p, len(p.Terminations) == returned && len(p.Creates) == 0 && len(p.Launches) == 0, "nor while its Balloon cannot be sized")
	}
}

func TestNothingGoesWhenThatIsForbiddenAndTheReasonIsKept(t *testing.T) {
	for name, forbid := range map[string]func(*cluster){
		"after taking over": func(c *cluster) { c.policy.NoSale = name0 },
		"in a window":       func(c *cluster) { c.policy.Pools[0].NoSale = name0 },
	} {
		c := twoSlack()
		forbid(c)
		p := c.slackFor(time.Hour)
		expect(t, p, len(p.Terminations) == 0 && len(p.Suppressed) == 1 && p.Suppressed[0].Reason == name0, name)
	}
}

const name0 = "because it is so"

func TestConsolidationEmptiesNodesInUse(t *testing.T) {
	for consolidate, returned := range map[bool]int{false: 0, true: 1} {
		c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 3)
		c.policy.Pools[0].Consolidate = consolidate
		for _, n := range c.s.Nodes {
			c.pods("a", 10, "1", n.Name)
		}
		c.s.Pods = c.s.Pods[:20] // the third is empty, the others hold 10 of 15.5 each
		c.pods("z", 9, "1", "i-0003")
		c.s.Pods = append(c.s.Pods[:10:10], c.s.Pods[15:]...) // the second holds 5
		c.policy.Pools[0].ScaleInBelow = 0.2
		p := c.slackFor(time.Hour)
		expect(t, p, len(p.Terminations) == returned, "a third of a node is in use, and it finds a place")
	}
}

func TestOldImagesAndDearNodesGoFirst(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 3)
	c.byName(spotA).Instances[1].Outdated = true
	p := c.slackFor(time.Hour)
	expect(t, p, len(p.Terminations) == 1 && p.Terminations[0].Node == "i-0002", "the one of an old image")
	c = newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).group("1a", nodegroups.Spot, 0.3, func(g *nodegroups.Group) { g.Name = "z-dear" }).up(spotA, 1).up("z-dear", 1)
	p = c.slackFor(time.Hour)
	expect(t, p, len(p.Terminations) == 1 && p.Terminations[0].Group == "z-dear", "the dearer one")
}

// kp#2259
func TestPrepaidNodesAreBoughtFirstAndReturnedLast(t *testing.T) {
	prepaid := func(g *nodegroups.Group) { g.Prepaid = 1 }
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).group("1a", nodegroups.OnDemand, 0.8, prepaid).pods("web", 30, "1", "")
	p := c.plan()
	expect(t, p, launched(p)[odA] == 1 && launched(p)[spotA] == 1, "one on-demand node costs nothing more, the second does")
	c = newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).group("1a", nodegroups.OnDemand, 0.8, prepaid).up(odA, 1).up(spotA, 1)
	p = c.slackFor(time.Hour)
	expect(t, p, len(p.Terminations) == 1 && p.Terminations[0].Group == spotA, "the return of the prepaid node saves nothing")
}

func TestTheOnDemandBaseStays(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.OnDemand, 0.8).up(odA, 3)
	c.policy.Pools[0].OnDemandBase, c.policy.Pools[0].MaxUnavailable = 2, 1
	p := c.slackFor(time.Hour)
	expect(t, p, len(p.Terminations) == 1, "two are the base")
}

// kp#4452
func TestNoPlanBuysAndReturnsInOneZone(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 2).group("1c", nodegroups.Spot, 0.2).up(spotC, 2)
	c.plan()
	c.now = c.now.Add(time.Hour)
	p := c.pods("huge", 3, "15", "", func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{corev1.LabelTopologyZone: "1a"} }).plan()
	expect(t, p, launched(p)[spotA] == 1 && len(p.Terminations) == 1 && p.Terminations[0].Group == spotC, "only the zone where nothing is bought returns a node")
	c = newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 2)
	c.plan()
	c.now = c.now.Add(time.Hour)
	other := func(g *nodegroups.Group) {
		g.Name, g.Template.Labels = "gpu", map[string]string{"kind": "gpu"}
	}
	p = c.group("1a", nodegroups.Spot, 0.9, other).pods("gpu", 1, "1", "", func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"kind": "gpu"} }).plan()
	expect(t, p, launched(p)["gpu"] == 1 && len(p.Terminations) == 0, "what is bought may be about to take over what returns")
}
