package plan

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/nodegroups"
)

// benchCluster has 200 nodes with 3,000 pods, balloons on some of them, and 300 pending pods in 20 workloads.
func benchCluster(with func(app string) func(*corev1.Pod)) *cluster {
	p := testPool()
	p.OnDemandBase, p.SpotMax = 6, 0.7
	c := newCluster(p)
	for _, zone := range []string{"1a", "1c", "1d"} {
		for _, market := range []nodegroups.Market{nodegroups.Spot, nodegroups.OnDemand} {
			c.group(zone, market, 0.3, func(g *nodegroups.Group) { g.Max = 200 })
		}
		c.up("general-"+zone+"-spot", 67)
	}
	for i, n := range c.s.Nodes {
		c.pods(fmt.Sprintf("app%d", i%40), 15, "800m", n.Name)
		if i%2 == 0 {
			c.balloons("web", n.Labels[corev1.LabelTopologyZone], 1, "2500m", n.Name)
		}
	}
	for _, zone := range []string{"1a", "1c", "1d"} {
		c.want("web", zone, 40, "2500m")
	}
	for i := range 20 {
		app := fmt.Sprintf("new%d", i)
		c.pods(app, 15, "1", "", with(app))
	}
	return c
}

// BenchmarkTick is one plan at 200 nodes, 3,000 pods and 300 pending pods, half of which find a balloon's place.
func BenchmarkTick(b *testing.B) {
	plain := func(string) func(*corev1.Pod) { return func(*corev1.Pod) {} }
	spread := func(app string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone,
				WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}}}
		}
	}
	for name, with := range map[string]func(string) func(*corev1.Pod){"plain": plain, "spread": spread} {
		b.Run(name, func(b *testing.B) {
			c := benchCluster(with)
			b.ReportAllocs()
			for b.Loop() {
				c.plan()
			}
		})
	}
	b.Run("quiet", func(b *testing.B) {
		c := benchCluster(plain)
		c.carry(c.plan())
		c.boot()
		c.bind()
		b.ReportAllocs()
		for b.Loop() {
			c.plan()
		}
	})
}
