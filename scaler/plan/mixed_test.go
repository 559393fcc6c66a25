package plan

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/nodegroups"
)

// shapeOf is an instance type with its spot price an hour.
type shapeOf struct {
	cores, gib, pods int
	spot             float64
}

var mixedShapes = map[string]shapeOf{"c6i.2xlarge": {8, 16, 58, 0.158}, "c6i.4xlarge": {16, 32, 234, 0.312}, "m6i.2xlarge": {8, 32, 58, 0.184},
	"m6i.4xlarge": {16, 64, 234, 0.365}, "r6i.2xlarge": {8, 64, 58, 0.221}}

// mixedWorkloads share a hundred pods out among ten classes.
var mixedWorkloads = []struct {
	name, cpu, memory string
	zones             []string
	spread            bool
	share             int
}{
	{"web", "500m", "1Gi", nil, true, 20}, {"api", "1", "2Gi", nil, true, 15}, {"small", "250m", "512Mi", nil, false, 15}, {"jvm", "1500m", "6Gi", nil, false, 10},
	{"batch", "2", "4Gi", nil, false, 10}, {"cache", "500m", "7Gi", nil, false, 8}, {"one-zone", "1", "2Gi", []string{"1c"}, false, 7},
	{"two-zones", "750m", "3Gi", []string{"1a", "1d"}, false, 5}, {"wide", "3", "12Gi", nil, false, 5}, {"thin", "100m", "256Mi", nil, false, 5},
}

func mixedCluster(spread bool) *cluster {
	pool := testPool()
	pool.PriceCapacity = spread
	c := newCluster(pool)
	for _, zone := range []string{"1a", "1c", "1d"} {
		for _, name := range slices.Sorted(maps.Keys(mixedShapes)) {
			s := mixedShapes[name]
			c.group(zone, nodegroups.Spot, s.spot, func(g *nodegroups.Group) {
				g.Name, g.Max, g.InstanceTypes = name+"-"+zone, 1000, []string{name}
				g.Template.Allocatable = corev1.ResourceList{"cpu": *resource.NewMilliQuantity(int64(s.cores)*1000-100, resource.DecimalSI),
					"memory": resource.MustParse(fmt.Sprintf("%dMi", s.gib<<10-10)), "pods": *resource.NewQuantity(int64(s.pods), resource.DecimalSI)}
			})
		}
	}
	return c
}

func (c *cluster) mixedPods(n, from, to int) {
	for _, w := range mixedWorkloads[from:to] {
		c.pods(w.name, n*w.share/100, w.cpu, "", func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests[corev1.ResourceMemory] = resource.MustParse(w.memory)
			if w.zones != nil {
				p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
					NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: w.zones}}}}}}}
			}
			if w.spread {
				p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone,
					WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": w.name}}}}
			}
		})
	}
}

func (c *cluster) show(t *testing.T, p Plan) (cost float64) {
	by := map[string]int{}
	n := 0
	for _, l := range p.Launches {
		cost += float64(l.Count) * c.byName(l.Group).HourlyPrice
		by[c.byName(l.Group).InstanceTypes[0]] += l.Count
		n += l.Count
	}
	t.Logf("%d nodes, %.3f an hour, unplaced %d: %v", n, cost, len(p.Unplaced), by)
	return cost
}

func TestMixedShapes(t *testing.T) {
	for _, spread := range []bool{false, true} {
		t.Logf("spread over groups: %v", spread)
		c := mixedCluster(spread)
		c.mixedPods(1000, 0, 10)
		c.show(t, c.plan())
		c = mixedCluster(spread)
		sum := 0.0
		for i := 0; i < 10; i += 2 {
			c.mixedPods(1000, i, i+2)
			p := c.plan()
			sum += c.show(t, p)
			c.carry(p)
		}
		t.Logf("in five waves: %.3f", sum)
	}
}
