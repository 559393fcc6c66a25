package plan

import (
	"fmt"
	"math"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/nodegroups"
)

// burstType is an instance type with spot prices of the order of Tokyo's.
type burstType struct {
	name       string
	cores, gib float64
	spot       float64
}

var burstTypes = []burstType{{"c6i.2xlarge", 8, 16, 0.158}, {"c6i.4xlarge", 16, 32, 0.312}, {"m6i.2xlarge", 8, 32, 0.184}, {"m6i.4xlarge", 16, 64, 0.365}, {"r6i.2xlarge", 8, 64, 0.221}}

// burstApp is a share of a burst of a thousand pods.
type burstApp struct {
	name       string
	cores, gib float64
	pods       int
	with       func(*corev1.Pod)
}

func burstApps() []burstApp {
	spread := func(p *corev1.Pod) {
		p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.DoNotSchedule,
			LabelSelector: &metav1.LabelSelector{MatchLabels: p.Labels}}}
	}
	zone := func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{corev1.LabelTopologyZone: "1c"} }
	anywhere := func(*corev1.Pod) {}
	return []burstApp{{"web", 0.5, 1, 200, spread}, {"api", 1, 2, 150, spread}, {"small", 0.25, 0.5, 150, anywhere}, {"jvm", 1.5, 6, 100, anywhere}, {"batch", 2, 4, 100, anywhere},
		{"cache", 0.5, 7, 80, anywhere}, {"zonal", 1, 2, 70, zone}, {"mid", 0.75, 3, 50, anywhere}, {"wide", 3, 12, 50, anywhere}, {"thin", 0.1, 0.25, 50, anywhere}}
}

func burstCluster() *cluster {
	c := newCluster(testPool())
	for _, zone := range []string{"1a", "1c", "1d"} {
		for _, s := range burstTypes {
			c.s.Groups = append(c.s.Groups, nodegroups.Group{Name: s.name + "-" + zone, Pool: "general", Zone: zone, Market: nodegroups.Spot, InstanceTypes: []string{s.name}, Max: 1000, HourlyPrice: s.spot,
				Template: nodegroups.Template{Labels: map[string]string{corev1.LabelTopologyZone: zone}, Allocatable: corev1.ResourceList{
					"cpu": resource.MustParse(fmt.Sprint(s.cores)), "memory": resource.MustParse(fmt.Sprintf("%gGi", s.gib)), "pods": resource.MustParse("110")}}})
		}
	}
	return c
}

// leastCost is what cores and memory cost if nodes could be bought in parts: no set of whole nodes is cheaper. With two
// resources a cheapest set has at most two types.
func leastCost(cores, gib float64) float64 {
	least := math.Inf(1)
	for _, a := range burstTypes {
		least = min(least, a.spot*max(cores/a.cores, gib/a.gib))
		for _, b := range burstTypes {
			det := a.cores*b.gib - b.cores*a.gib
			x, y := (cores*b.gib-b.cores*gib)/det, (a.cores*gib-cores*a.gib)/det
			if det != 0 && x >= 0 && y >= 0 {
				least = min(least, x*a.spot+y*b.spot)
			}
		}
	}
	return least
}

// A burst costs little more than its cores and memory must, at once and as its workloads grow one after the other.
func TestABurstCostsLittleMoreThanItMust(t *testing.T) {
	apps := burstApps()
	cores, gib := 0.0, 0.0
	for _, a := range apps {
		cores, gib = cores+a.cores*float64(a.pods), gib+a.gib*float64(a.pods)
	}
	least := leastCost(cores, gib)
	for perWave, most := range map[int]float64{len(apps): 1.1, 1: 1.2} {
		c := burstCluster()
		cost := 0.0
		for i := 0; i < len(apps); i += perWave {
			for _, a := range apps[i : i+perWave] {
				c.pods(a.name, a.pods, fmt.Sprint(a.cores), "", a.with, func(p *corev1.Pod) {
					p.Spec.Containers[0].Resources.Requests["memory"] = resource.MustParse(fmt.Sprintf("%gGi", a.gib))
				})
			}
			p := c.plan()
			expect(t, p, len(p.Unplaced) == 0, "all pods have a place")
			for g, n := range launched(p) {
				cost += float64(n) * c.byName(g).HourlyPrice
			}
			c.carry(p)
		}
		t.Logf("%d workloads at a time: %.3g times the least", perWave, cost/least)
		if cost > most*least {
			t.Errorf("%d workloads at a time cost %.4g an hour, %.4g times the least of %.4g: want at most %g times", perWave, cost, cost/least, least, most)
		}
	}
}

// What cores and memory are worth adds up to what buying them costs at least, and no node gives more than its price.
func TestResourcesAreWorthWhatTheyMustCost(t *testing.T) {
	var shapes []shape
	for _, b := range burstTypes {
		shapes = append(shapes, shape{b.spot, b.cores, b.gib / 4})
	}
	for _, want := range []struct{ cores, gib float64 }{{100, 100}, {100, 200}, {100, 320}, {100, 400}, {100, 650}, {100, 2000}, {1, 0}} {
		w := worthOf(shapes, want.cores, want.gib/4)
		if worth, least := w.core*want.cores+w.memory*want.gib/4, leastCost(want.cores, want.gib); math.Abs(worth-least) > 1e-9*least {
			t.Errorf("%g cores and %g GiB are worth %g, and cost at least %g", want.cores, want.gib, worth, least)
		}
		for _, s := range shapes {
			if gives := w.core*s.cores + w.memory*s.memory; gives > s.price*(1+1e-6) {
				t.Errorf("a node at %g gives %g", s.price, gives)
			}
		}
	}
	if w := worthOf(nil, 1, 1); w != (worth{1, 1}) {
		t.Errorf("without prices %+v", w)
	}
}
