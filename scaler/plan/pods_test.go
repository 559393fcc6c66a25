package plan

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"swell/nodegroups"
)

func TestAffinityToAYoungerPodBuysNothing(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 1)
	c.pods("web", 1, "1", "", func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "cache"}}, TopologyKey: corev1.LabelTopologyZone}}}}
	})
	c.pods("cache", 1, "1", "")
	p := c.plan()
	expect(t, p, len(p.Launches) == 0, "both fit on the node that is up")
}

func TestAffinityToAYoungerPodOnOneHostIsPlaced(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 1)
	c.pods("web", 1, "1", "", func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "cache"}}, TopologyKey: corev1.LabelHostname}}}}
	})
	c.pods("cache", 1, "1", "")
	p := c.plan()
	expect(t, p, len(p.Unplaced) == 0, "both fit on the node that is up")
}

func TestPromisedPodsThatWillBeGatedBuyNothing(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2)
	c.promise("a", 4, "1")
	c.s.Promised[0].Pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "wait"}}
	p := c.plan()
	expect(t, p, len(p.Launches) == 0, "its pods will be gated")
}

func TestAPodThatNothingMakesAgainIsNotReplaced(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 1)
	c.pods("bare", 1, "1", "i-0001", func(p *corev1.Pod) { p.OwnerReferences = nil })
	c.s.Interrupted = []nodegroups.Interruption{{InstanceID: "i-0001", Kind: nodegroups.SpotInterruption, At: start, Deadline: start.Add(2 * time.Minute)}}
	p := c.plan()
	expect(t, p, len(p.Launches) == 0, "nothing makes it again")
}

func TestABalloonDoesNotGiveWayToAPodBelowIt(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 1)
	c.balloons("web", "1a", 3, "5", "i-0001").want("web", "1a", 3, "5")
	low := int32(-100)
	c.pods("batch", 1, "5", "", func(p *corev1.Pod) { p.Spec.Priority = &low })
	p := c.plan()
	expect(t, p, len(p.Pops) == 0, "a balloon does not give way to a pod that it would preempt")
}

// No pod waits, or for a node that is only shown, while an on-demand group of a pool that may act has room within all limits.
func TestNoPodIsLeftThatAGroupCouldTake(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t, true)
		for i := range c.policy.Pools {
			c.policy.Pools[i].Fallback = true
		}
		p := c.plan()
		left := map[string]bool{}
		for _, u := range p.Unplaced {
			left[u.Pod] = true
		}
		for pod, at := range p.Placed {
			for _, g := range c.s.Groups {
				left[pod] = left[pod] || isNew(at, g) && c.poolOf(g).Observe
			}
		}
		for _, pod := range c.s.Pods {
			if !left[pod.Namespace+"/"+pod.Name] {
				continue
			}
			for _, g := range c.s.Groups {
				zone := pod.Spec.NodeSelector[corev1.LabelTopologyZone]
				if g.Market == nodegroups.OnDemand && (zone == "" || zone == g.Zone) && c.mayTakeOne(g, launched(p)) {
					t.Fatalf("%s could be bought for in %s:\n%s", pod.Name, g.Name, text(p))
				}
			}
		}
	})
}

// mayTakeOne says whether the limits allow one more node of a group beside what is launched.
func (c *cluster) mayTakeOne(g nodegroups.Group, launched map[string]int) bool {
	pool := c.poolOf(g)
	if pool.Observe || pool.Freeze.All || size(g)+launched[g.Name] >= g.Max {
		return false
	}
	total, cost := 0, g.HourlyPrice
	for _, h := range c.s.Groups {
		have := size(h) + launched[h.Name]
		if h.Pool != g.Pool || have == 0 {
			continue
		}
		if h.HourlyPrice == 0 && pool.MaxHourlyCost > 0 {
			return false
		}
		total, cost = total+have, cost+float64(have)*h.HourlyPrice
	}
	return (pool.MaxNodes == 0 || total < pool.MaxNodes) && (pool.MaxHourlyCost == 0 || g.HourlyPrice > 0 && cost <= pool.MaxHourlyCost)
}

func TestARoomThatIsBeingMadeForANominatedPodIsItsOwn(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 1)
	gone := metav1.NewTime(c.now)
	c.pods("victim", 1, "15", "i-0001", func(p *corev1.Pod) { p.DeletionTimestamp = &gone })
	c.pods("a", 1, "15", "", withPriority(10), func(p *corev1.Pod) { p.Status.NominatedNodeName = "i-0001" })
	p := c.plan()
	expect(t, p, len(p.Launches) == 0, "the pod of lower priority is on its way out")
	c.pods("b", 1, "15", "", withPriority(10))
	p = c.plan()
	expect(t, p, launched(p)[spotA] == 1 && p.Placed["shop/"+c.s.Pods[1].Name] == "i-0001", "another pod has no part of that room")
}

// A pod of a node that is about to go runs there still: what is in its way elsewhere is left to the scheduler.
func TestAPodThatWillMovePopsNothingYet(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 2)
	c.pods("web", 1, "10", "i-0001").balloons("web", "1a", 6, "2500m", "i-0002").want("web", "1a", 6, "2500m")
	c.s.Interrupted = []nodegroups.Interruption{{InstanceID: "i-0001", Kind: nodegroups.SpotInterruption, At: start, Deadline: start.Add(2 * time.Minute)}}
	p := c.plan()
	expect(t, p, len(p.Pops) == 0 && launched(p)[spotA] == 1 && p.Launches[0].Balloons == 4 && p.Launches[0].Pods == 0, "the balloons that will be put out get a node, and stay until then")
}

func TestABalloonTooManyGoesFromTheEmptiestNode(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 2)
	c.pods("web", 1, "5", "i-0001").balloons("web", "1a", 1, "2500m", "i-0001").balloons("web", "1a", 1, "2500m", "i-0002").want("web", "1a", 1, "2500m")
	p := c.plan()
	expect(t, p, len(p.Deletes) == 1 && p.Deletes[0].Node == "i-0002", "so that a node comes free")
}

// A pod beside a younger one takes a balloon's place like any other, and one beside that in its turn.
func TestPodsBesideYoungerOnesPopAndFollowEachOther(t *testing.T) {
	beside := func(app string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
				LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}, TopologyKey: corev1.LabelHostname}}}}
		}
	}
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 1).balloons("web", "1a", 1, "12", "i-0001").want("web", "1a", 0, "12")
	c.pods("third", 1, "2", "", beside("second")).pods("second", 1, "2", "", beside("first")).pods("first", 1, "1", "")
	p := c.plan()
	expect(t, p, len(p.Pops) == 1 && len(p.Unplaced) == 0 && len(p.Launches) == 0, "all three fit where the balloon is")
}

// The eviction of a pod that nothing makes again is one of its budget's all the same.
func TestAPodThatEndsWithItsNodeSpendsItsEviction(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 3).pods("a", 1, "1", "i-0002").pods("a", 1, "1", "i-0003")
	c.pods("a", 1, "1", "i-0001", func(p *corev1.Pod) { p.OwnerReferences = nil })
	c.s.Budgets = []*policyv1.PodDisruptionBudget{disruption("b", 1, map[string]string{"app": "a"})}
	c.policy.Pools[0].MaxUnavailable = 1
	c.plan()
	c.now = c.now.Add(time.Hour)
	c.s.Interrupted = []nodegroups.Interruption{{InstanceID: "i-0001", Kind: nodegroups.SpotInterruption, At: c.now, Deadline: c.now.Add(2 * time.Minute)}}
	p := c.plan()
	expect(t, p, len(p.Terminations) == 0 && strings.Contains(p.Replacements[0].Reason, "holds 1 pods"), "one eviction is allowed, and the interrupted node takes it")
}

// Of balloons above and below a pod only those below give way, on whatever node they are.
func TestOnlyBalloonsBelowAPodGiveWay(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 5)
	for i, n := range c.s.Nodes {
		cpu := "9"
		if i == 4 {
			cpu = "5"
		}
		c.pods("fills", 1, cpu, n.Name).balloons("above", "1a", 1, "5", n.Name)
	}
	c.balloons("below", "1a", 1, "5", "i-0005").pods("a", 1, "5", "", withPriority(-100))
	for _, p := range c.s.Pods {
		if p.Labels[BalloonLabel] == "below" {
			withPriority(-200)(p)
		}
	}
	p := c.plan()
	expect(t, p, len(p.Pops) == 1 && p.Pops[0].Node == "i-0005" && strings.HasPrefix(p.Pops[0].Name, "below"), "one balloon is below it, on the fullest node")
}
