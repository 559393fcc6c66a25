package plan

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
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

func TestNoPodIsLeftThatAGroupCouldTake(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t, true)
		pool := &c.policy.Pools[0]
		pool.Fallback = true
		p := c.plan()
		n := launched(p)
		total, cost, known := 0, 0.0, true
		for _, g := range c.s.Groups {
			have := size(g) + n[g.Name]
			total += have
			cost += float64(have) * g.HourlyPrice
			known = known && (have == 0 || g.HourlyPrice > 0)
		}
		if pool.MaxNodes > 0 && total >= pool.MaxNodes {
			return
		}
		for _, u := range p.Unplaced {
			var pod *corev1.Pod
			for _, q := range c.s.Pods {
				if q.Namespace+"/"+q.Name == u.Pod {
					pod = q
				}
			}
			if pod == nil {
				continue
			}
			for _, g := range c.s.Groups {
				zone := pod.Spec.NodeSelector[corev1.LabelTopologyZone]
				if g.Market != nodegroups.OnDemand || zone != "" && zone != g.Zone || size(g)+n[g.Name] >= g.Max {
					continue
				}
				if pool.MaxHourlyCost > 0 && (!known || g.HourlyPrice == 0 || cost+g.HourlyPrice > pool.MaxHourlyCost) {
					continue
				}
				t.Fatalf("%s could be bought for in %s:\n%s", u.Pod, g.Name, text(p))
			}
		}
	})
}
