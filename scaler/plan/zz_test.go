package plan

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestZZ(t *testing.T) {
	for _, pc := range []bool{false, true} {
		c := burstCluster()
		c.policy.Pools[0].PriceCapacity = pc
		for _, a := range burstApps() {
			c.pods(a.name, a.pods, fmt.Sprint(a.cores), "", a.with, func(p *corev1.Pod) {
				p.Spec.Containers[0].Resources.Requests["memory"] = resource.MustParse(fmt.Sprintf("%gGi", a.gib))
			})
		}
		p := c.plan()
		by := map[string]int{}
		cost := 0.0
		for g, n := range launched(p) {
			by[c.byName(g).InstanceTypes[0]] += n
			cost += float64(n) * c.byName(g).HourlyPrice
		}
		apps := map[string]map[string]int{}
		used := map[string][2]float64{}
		size := map[string]burstApp{}
		for _, a := range burstApps() {
			size[a.name] = a
		}
		for pod, node := range p.Placed {
			app := ""
			for _, a := range burstApps() {
				if len(pod) > 5+len(a.name) && pod[5:5+len(a.name)+1] == a.name+"-" {
					app = a.name
				}
			}
			ty := node[4 : 4+11]
			if apps[ty] == nil {
				apps[ty] = map[string]int{}
			}
			apps[ty][app]++
			u := used[ty]
			used[ty] = [2]float64{u[0] + size[app].cores, u[1] + size[app].gib}
		}
		fmt.Println(pc, cost, by)
		for ty, m := range apps {
			for _, b := range burstTypes {
				if b.name == ty {
					fmt.Printf("   %s %d nodes: cpu %.0f%% mem %.0f%% %v\n", ty, by[ty], 100*used[ty][0]/(b.cores*float64(by[ty])), 100*used[ty][1]/(b.gib*float64(by[ty])), m)
				}
			}
		}
	}
}
