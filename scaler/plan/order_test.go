package plan

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"swell/nodegroups"
)

func withPriority(n int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.Priority = &n }
}

// goes is the one node that is returned after an hour without a change.
func (c *cluster) goes(t *testing.T, node, what string) {
	t.Helper()
	p := c.slackFor(time.Hour)
	expect(t, p, len(p.Terminations) == 1 && p.Terminations[0].Node == node, what)
}

func TestANodeThatAPodWasJustGivenIsNotReturned(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 2).pods("a", 1, "1", "")
	c.byName(spotA).Instances[0].Outdated = true // and would go first
	c.goes(t, "i-0002", "the pod that waits is given the first node")
}

func TestAReturnKeepsTheSpotShare(t *testing.T) {
	pool := testPool()
	pool.SpotMax = 0.5
	c := newCluster(pool).group("1a", nodegroups.OnDemand, 0.8).group("1a", nodegroups.Spot, 0.2).up(odA, 2).up(spotA, 2)
	c.goes(t, "i-0003", "without a dear on-demand node two of three were spot")
}

func TestTheMarketThatThereIsTooMuchOfGoesFirst(t *testing.T) {
	pool := testPool()
	pool.OnDemandBase = 1
	c := newCluster(pool).group("1a", nodegroups.Spot, 0.9).group("1a", nodegroups.OnDemand, 0.8).up(spotA, 2).up(odA, 2)
	c.goes(t, "i-0003", "one on-demand node is above the base, and spot is dearer at this moment")
}

func TestTheEmptiestNodeGoesFirst(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 3)
	c.pods("a", 3, "1", "i-0001").pods("a", 1, "1", "i-0002").pods("a", 10, "1", "i-0003")
	c.goes(t, "i-0002", "it holds one pod, the first three")
}

// The scheduler takes pods of high priority first, so that a node goes only if they all find a place in that order.
func TestWhatIsMovedIsPlacedByPriority(t *testing.T) {
	for priority, returned := range map[int32]int{0: 1, 5: 0} {
		c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 3)
		c.pods("a", 1, "4", "i-0001").pods("b", 1, "3", "i-0001", withPriority(priority))
		c.pods("fills", 1, "11500m", "i-0002").pods("fills", 1, "12500m", "i-0003")
		p := c.slackFor(time.Hour)
		expect(t, p, len(p.Terminations) == returned, "4 and 3 cores are free; where b comes first it takes a part of the 4 that a needs")
	}
}

func TestWhatAStaleSnapshotShowsIsNotTakenToHaveLasted(t *testing.T) {
	c := twoSlack()
	_, m := Make(c.now, c.s, c.policy, Memory{UnneededSince: map[string]time.Time{"i-0001": c.now.Add(-time.Hour)}})
	if len(m.UnneededSince) != 0 {
		t.Errorf("remembered are %v, of readings that have no time", m.UnneededSince)
	}
}

func TestPodsThatAreNotReadyAreEvictedAsTheirBudgetSays(t *testing.T) {
	always := policyv1.AlwaysAllow
	for name, x := range map[string]struct {
		ready            corev1.ConditionStatus
		current, desired int32
		policy           *policyv1.UnhealthyPodEvictionPolicyType
		returned         int
	}{
		"its app is healthy without it": {corev1.ConditionFalse, 2, 2, nil, 1},
		"its app is not":                {corev1.ConditionFalse, 1, 2, nil, 0},
		"nothing is asked for":          {corev1.ConditionFalse, 0, 0, nil, 0},
		"always":                        {corev1.ConditionFalse, 1, 2, &always, 1},
		"ready ones never":              {corev1.ConditionTrue, 2, 2, &always, 0},
	} {
		b := disruption("b", 0, map[string]string{"app": "a"})
		b.Spec.UnhealthyPodEvictionPolicy = x.policy
		b.Status.CurrentHealthy, b.Status.DesiredHealthy = x.current, x.desired
		c := twoSlack(func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: x.ready}}
		})
		c.s.Budgets = []*policyv1.PodDisruptionBudget{b}
		p := c.slackFor(time.Hour)
		expect(t, p, len(p.Terminations) == x.returned, name)
	}
}

func TestNothingIsBoughtUnderALimitOfCostWhileThePoolsCostIsNotKnown(t *testing.T) {
	pool := testPool()
	pool.MaxHourlyCost = 5
	c := newCluster(pool).group("1a", nodegroups.OnDemand, 0).group("1a", nodegroups.Spot, 0.2).up(odA, 1).filled()
	p := c.pods("a", 1, "4", "").plan()
	expect(t, p, len(p.Launches) == 0 && len(p.Unplaced) == 1, "the node that is there may cost more than the limit")
}

func TestOnlyOnDemandIsPrepaid(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2)
	c.group("1a", nodegroups.Spot, 0.9, func(g *nodegroups.Group) { g.Name, g.Prepaid = "dear", 1 })
	p := c.pods("a", 1, "4", "").plan()
	expect(t, p, launched(p)[spotA] == 1, "a reservation pays for no spot instance")
}

// largeAndSmall are two groups of 31 and of 15.5 cores.
func largeAndSmall(pool Pool, large, small float64) *cluster {
	c := newCluster(pool).group("1a", nodegroups.Spot, small)
	return c.group("1a", nodegroups.Spot, large, func(g *nodegroups.Group) {
		g.Name = "large"
		g.Template.Allocatable = corev1.ResourceList{"cpu": resource.MustParse("31"), "memory": resource.MustParse("120Gi"), "pods": resource.MustParse("110")}
	})
}

func TestACheaperSetLeavesNoPodOut(t *testing.T) {
	pool := testPool()
	pool.MaxNodes = 1
	p := largeAndSmall(pool, 0.3, 0.2).pods("a", 30, "1", "").plan()
	expect(t, p, launched(p)["large"] == 1 && len(p.Unplaced) == 0, "a small node is cheaper and holds half of them")
}

func TestACheaperSetKeepsTheLimits(t *testing.T) {
	c := largeAndSmall(testPool(), 0.5, 0.2).pods("a", 30, "1", "")
	c.byName(spotA).Max = 1
	p := c.plan()
	expect(t, p, launched(p)["large"] == 1 && launched(p)[spotA] == 0, "two small ones are cheaper, and one may be had")
}
