package plan

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"swell/nodegroups"
)

const (
	spotA = "general-1a-spot"
	spotC = "general-1c-spot"
	odA   = "general-1a-on-demand"
)

func launched(p Plan) map[string]int {
	out := map[string]int{}
	for _, l := range p.Launches {
		out[l.Group] += l.Count
	}
	return out
}

func expect(t *testing.T, p Plan, ok bool, what string) {
	t.Helper()
	if !ok {
		t.Errorf("%s; planned:\n%s", what, text(p))
	}
}

// full is one node of 15 cores with 10 app pods and two balloons of 2.5.
func full() *cluster {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 1)
	c.pods("web", 10, "1", "i-0001").balloons("web", "1a", 2, "2500m", "i-0001")
	return c
}

func TestNothingIsBoughtThatPreemptionGives(t *testing.T) {
	c := full().want("web", "1a", 0, "2500m").pods("web", 5, "1", "")
	p := c.plan()
	expect(t, p, len(p.Launches) == 0 && len(p.Pops) == 2 && len(p.Creates) == 0, "two balloons give five pods their places, and nothing is bought")
}

func TestPromisedReplicasPopBalloonsBeforeTheirPodsExist(t *testing.T) {
	p := full().want("web", "1a", 1, "2500m").promise("web", 3, "1").plan()
	expect(t, p, len(p.Launches) == 0 && len(p.Pops) == 1, "three pods need the half core that is free and one balloon's place")
}

func TestPopsAreExactlyAsManyAsNeeded(t *testing.T) {
	p := full().want("web", "1a", 2, "2500m").pods("web", 2, "1", "").plan()
	expect(t, p, len(p.Pops) == 1 && len(p.Creates) == 1 && p.Creates[0].Count == 1, "one balloon gives way and is made again, as it is still wanted")
	expect(t, p, launched(p)[spotA] == 1 && p.Launches[0].Pods == 0 && p.Launches[0].Balloons == 1, "the node is bought for the balloon, not for a pod")
}

func TestAPoppedBalloonThatIsNotWantedBuysNothing(t *testing.T) {
	p := full().want("web", "1a", 1, "2500m").pods("web", 2, "1", "").plan()
	expect(t, p, len(p.Pops) == 1 && len(p.Launches) == 0 && len(p.Creates) == 0, "the second balloon is not wanted any more")
}

func TestNominatedPodsHoldTheirNodes(t *testing.T) {
	c := full().up(spotA, 1).want("web", "1a", 2, "2500m").pods("web", 1, "1", "", func(p *corev1.Pod) { p.Status.NominatedNodeName = "i-0001" })
	p := c.plan()
	expect(t, p, len(p.Pops) == 1 && p.Pops[0].Node == "i-0001", "the scheduler makes room on i-0001, although another node is empty")
}

// placeholder nodes counted in the first zone
func TestBootingInstancesCountInTheirOwnZone(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).group("1c", nodegroups.Spot, 0.2)
	c.launch(spotC, 1)
	inZone := func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{corev1.LabelTopologyZone: "1a"} }
	p := c.pods("web", 15, "1", "", inZone).plan()
	expect(t, p, launched(p)[spotA] == 1, "an instance on its way in 1c is no place for a pod of 1a")
	c.s.Pods = nil
	p = c.pods("web", 15, "1", "").plan()
	expect(t, p, len(p.Launches) == 0, "it is one for a pod that may be anywhere")
}

func TestInstancesAskedForAndNotStartedAreNotBoughtTwice(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).pods("web", 15, "1", "")
	c.byName(spotA).Desired = 1
	p := c.plan()
	expect(t, p, len(p.Launches) == 0, "the group was asked for one instance that it has not started yet")
}

// ka#4438
func TestNoCapacityFallsBackAtOnce(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).group("1a", nodegroups.OnDemand, 0.8).pods("web", 1, "1", "")
	c.s.Unavailable = []nodegroups.Unavailable{{Group: spotA, Class: nodegroups.NoCapacity, Until: c.now.Add(time.Minute), Reason: "none left"}}
	p := c.plan()
	expect(t, p, launched(p)[odA] == 1 && strings.Contains(p.Launches[0].Rejected[0].Reason, "none left"), "on-demand is bought, and the reason against spot is told")
	c.policy.Pools[0].Fallback = false
	p = c.plan()
	expect(t, p, len(p.Launches) == 0 && len(p.Unplaced) == 1, "without a fallback the pod waits, and its reasons are told")
	c.s.Unavailable[0].Until = c.now
	p = c.plan()
	expect(t, p, launched(p)[spotA] == 1, "after the back-off spot is tried again")
}

// kp#2259
func TestOnDemandBaseIsFilledFirst(t *testing.T) {
	pool := testPool()
	pool.OnDemandBase = 2
	p := newCluster(pool).group("1a", nodegroups.Spot, 0.2).group("1a", nodegroups.OnDemand, 0.8).pods("web", 45, "1", "").plan()
	expect(t, p, launched(p)[odA] == 2 && launched(p)[spotA] == 1, "two on-demand nodes are the base, the third is spot")
}

// ka#3693
func TestScaleInKeepsZoneFloors(t *testing.T) {
	pool := testPool()
	pool.MinNodesPerZone = 1
	c := newCluster(pool).group("1a", nodegroups.Spot, 0.2).group("1c", nodegroups.Spot, 0.2).up(spotA, 1).up(spotC, 2)
	c.plan()
	c.now = c.now.Add(10 * time.Minute)
	p := c.plan()
	expect(t, p, len(p.Terminations) == 1 && p.Terminations[0].Group == spotC, "each zone keeps one node")
}

// ka#9043
func TestScaleInKeepsTheGroupsMinimum(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2, func(g *nodegroups.Group) { g.Min = 2 }).up(spotA, 2)
	c.plan()
	c.now = c.now.Add(time.Hour)
	p := c.plan()
	expect(t, p, len(p.Terminations) == 0, "the group is at its minimum")
}

// ka#10147, ka#9182
func TestInstancesAreReturnedByIDOnly(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 2)
	c.launch(spotA, 1)
	c.plan()
	c.now = c.now.Add(10 * time.Minute)
	p := c.plan()
	expect(t, p, len(p.Terminations) == 1 && p.Terminations[0].Node != "" && p.Terminations[0].InstanceID == p.Terminations[0].Node,
		"a node that is up is named, and an instance on its way is not touched")
}

// kp#4452
func TestBalloonsAreNoUseButNeedAnotherPlace(t *testing.T) {
	for room, returned := range map[string]int{"7": 1, "14": 0} {
		c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 2)
		c.pods("big", 1, room, "i-0001").balloons("web", "1a", 3, "2500m", "i-0002").want("web", "1a", 3, "2500m")
		c.plan()
		c.now = c.now.Add(10 * time.Minute)
		p := c.plan()
		expect(t, p, len(p.Terminations) == returned, "beside a pod of "+room+" cores three balloons of 2.5 decide whether their node goes")
	}
}

// kp#4452
func TestBalloonsDoNotMakeANodeUsed(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 2)
	c.policy.Pools[0].ScaleInBelow = 0.25
	c.pods("big", 1, "6", "i-0001").pods("web", 1, "1", "i-0002").balloons("web", "1a", 3, "2500m", "i-0002").want("web", "1a", 3, "2500m")
	c.plan()
	c.now = c.now.Add(10 * time.Minute)
	p := c.plan()
	expect(t, p, len(p.Terminations) == 1 && p.Terminations[0].Node == "i-0002", "one core of i-0002 is used, whatever is held there")
}

func TestScaleInWaitsForSlackWithoutABreak(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 2).pods("web", 1, "1", "i-0001")
	c.plan()
	c.now = c.now.Add(9 * time.Minute)
	busy := c.s.Pods
	c.pods("web", 10, "1", "i-0002").pods("web", 9, "1", "i-0001")
	p := c.plan()
	expect(t, p, len(p.Terminations) == 0, "both nodes are in use")
	c.s.Pods = busy
	c.now = c.now.Add(9 * time.Minute)
	c.plan()
	c.now = c.now.Add(9 * time.Minute)
	p = c.plan()
	expect(t, p, len(p.Terminations) == 0, "the slack began again nine minutes ago")
	c.now = c.now.Add(time.Minute)
	p = c.plan()
	expect(t, p, len(p.Terminations) == 1, "ten minutes have passed")
}

func TestProtectedPodsKeepTheirNode(t *testing.T) {
	for name, with := range map[string]func(*corev1.Pod){
		"cluster-autoscaler": func(p *corev1.Pod) {
			p.Annotations = map[string]string{"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
		},
		"karpenter":     func(p *corev1.Pod) { p.Annotations = map[string]string{"karpenter.sh/do-not-disrupt": "true"} },
		"no controller": func(p *corev1.Pod) { p.OwnerReferences = nil },
	} {
		c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 2).pods("a", 1, "1", "i-0001", with).pods("b", 1, "1", "i-0002", with)
		c.plan()
		c.now = c.now.Add(time.Hour)
		p := c.plan()
		expect(t, p, len(p.Terminations) == 0, name)
	}
}

// 60 s cache of optimistic size
func TestAStaleSnapshotReturnsNothingAndBuysForPendingPodsAlone(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 2)
	c.pods("web", 15, "1", "i-0001").pods("web", 2, "8", "")
	c.want("web", "1a", 8, "2500m").promise("web", 30, "1")
	c.memory.UnneededSince = map[string]time.Time{"i-0002": c.now.Add(-time.Hour)}
	c.s.PodsAt, c.s.GroupsAt = c.now, c.now.Add(-2*time.Minute)
	p, m := Make(c.now, c.s, c.policy, c.memory)
	expect(t, p, launched(p)[spotA] == 1 && p.Launches[0].Balloons == 0, "one of the two pods of 8 cores needs a node; promises and balloons buy none")
	expect(t, p, len(p.Terminations) == 0 && len(p.Creates) == 0 && len(p.Problems) == 1, "nothing else is done, and it is said")
	if len(m.UnneededSince) != 0 {
		t.Error("what was not seen is taken to have lasted")
	}
}

func TestAnInterruptionIsReplacedBeforeItsDrain(t *testing.T) {
	for kind, within := range map[nodegroups.InterruptionKind]time.Duration{nodegroups.SpotInterruption: 2 * time.Minute, nodegroups.RebalanceNotice: 0} {
		c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 1).pods("web", 15, "1", "i-0001")
		notice := nodegroups.Interruption{InstanceID: "i-0001", Kind: kind, At: c.now}
		if within > 0 { // a recommendation says nothing of when
			notice.Deadline = c.now.Add(within)
		}
		c.s.Interrupted = []nodegroups.Interruption{notice}
		p := c.plan()
		expect(t, p, launched(p)[spotA] == 1 && len(p.Replacements) == 1 && !p.Replacements[0].Placed, string(kind)+": a replacement is launched first")
		c.carry(p)
		c.boot()
		p = c.plan()
		expect(t, p, len(p.Launches) == 0 && len(p.Replacements) == 1 && p.Replacements[0].InstanceID == "i-0001" && p.Replacements[0].Placed,
			string(kind)+": the pods have a place, and no second replacement is bought")
	}
}

// template allocatable taken as capacity
func TestDaemonsTakeTheirPartOfANewNode(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).pods("web", 15, "1", "")
	daemon := podOf("agent", "1", func(p *corev1.Pod) { p.OwnerReferences[0].Kind = "DaemonSet" })
	c.s.DaemonPods = []*corev1.Pod{daemon}
	p := c.plan()
	expect(t, p, launched(p)[spotA] == 2, "14 pods fit beside a daemon of one core")
}

func TestANodeThatIsNotReadyYetIsWaitedForAndLaterNot(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 1).pods("web", 15, "1", "")
	c.s.Nodes[0].Status.Conditions[0].Status = corev1.ConditionFalse
	c.s.Nodes[0].Spec.Taints = []corev1.Taint{{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule}}
	p := c.plan()
	expect(t, p, len(p.Launches) == 0, "the node was launched just now")
	c.now = c.now.Add(20 * time.Minute)
	p = c.plan()
	expect(t, p, launched(p)[spotA] == 1 && len(p.Problems) == 1, "a node that does not become Ready is no place, and is reported")
}

func TestGatedAndRefusedPodsBuyNothing(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2)
	c.pods("gated", 1, "1", "", func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "wait"}} })
	c.pods("claim", 1, "1", "", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "d", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "d"}}}}
	})
	p := c.plan()
	expect(t, p, len(p.Launches) == 0 && len(p.Unplaced) == 1 && strings.Contains(p.Unplaced[0].Reasons[0].Reason, `persistentvolumeclaim "d" not found`), "one is not ready, the other is refused with the reason")
}

func TestAnUnknownPriceIsNotZero(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0).group("1a", nodegroups.Spot, 0.9, func(g *nodegroups.Group) { g.Name = "z-known" }).pods("web", 1, "1", "")
	p := c.plan()
	expect(t, p, launched(p)["z-known"] == 1, "the group with a price is bought before the one without")
	c.policy.Pools[0].MaxHourlyCost = 0.5
	p = c.plan()
	expect(t, p, len(p.Launches) == 0 && len(p.Unplaced) == 1, "with a limit of cost, a node of unknown price is not bought")
}

func TestTheCheaperShapeForWhatWaitsIsBought(t *testing.T) {
	large := func(g *nodegroups.Group) {
		g.Name = "general-1a-large"
		g.Template.Allocatable = corev1.ResourceList{"cpu": resource.MustParse("31"), "memory": resource.MustParse("120Gi"), "pods": resource.MustParse("110")}
	}
	for pods, group := range map[int]string{4: spotA, 31: "general-1a-large"} {
		c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).group("1a", nodegroups.Spot, 0.3, large).pods("web", pods, "1", "")
		p := c.plan()
		expect(t, p, len(p.Launches) == 1 && launched(p)[group] == 1, "the price for what it holds decides")
	}
}

func TestScaleInTakesASpreadBudgetPerZone(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).group("1c", nodegroups.Spot, 0.2).up(spotA, 20).up(spotC, 5)
	c.plan()
	c.now = c.now.Add(10 * time.Minute)
	p := c.plan()
	zones := map[string]int{}
	for _, x := range p.Terminations {
		zones[x.Group]++
	}
	expect(t, p, zones[spotA] == 2 && zones[spotC] == 1, "10 % of 20 nodes, and of 5 at least one")
	for _, x := range p.Terminations {
		c.s.Draining = append(c.s.Draining, x.Node)
	}
	p = c.plan()
	expect(t, p, len(p.Terminations) == 0, "what drains already is counted")
}
