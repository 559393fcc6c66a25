package plan

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"pgregory.net/rapid"
)

// change does one thing that happens in a cluster between two plans.
func (c *cluster) change(t *rapid.T, last Plan) {
	switch rapid.IntRange(0, 9).Draw(t, "change") {
	case 0:
		c.carry(last)
	case 1:
		c.boot()
	case 2:
		c.bind()
	case 3:
		app := rapid.SampledFrom([]string{"app0", "app1", "fresh"}).Draw(t, "app")
		c.pods(app, rapid.IntRange(1, 4).Draw(t, "pods"), rapid.SampledFrom(mixed).Draw(t, "size"), "", drawShape(t, app, []string{"1a"}, false))
	case 4:
		if len(c.s.Pods) > 0 {
			i := rapid.IntRange(0, len(c.s.Pods)-1).Draw(t, "gone")
			c.s.Pods = slices.Delete(c.s.Pods, i, i+1)
		}
	case 5:
		c.changeNode(t)
	case 6:
		if len(c.s.Nodes) > 0 {
			i := rapid.IntRange(0, len(c.s.Nodes)-1).Draw(t, "gone")
			c.s.Nodes = slices.Delete(c.s.Nodes, i, i+1)
		}
	case 7:
		if len(c.s.Nodes) > 0 {
			c.s.Draining = []string{c.s.Nodes[rapid.IntRange(0, len(c.s.Nodes)-1).Draw(t, "drains")].Name}
		}
	case 8:
		c.now = c.now.Add(15 * time.Minute)
	case 9:
		if len(c.s.Pods) > 0 {
			i := rapid.IntRange(0, len(c.s.Pods)-1).Draw(t, "resized")
			p := c.s.Pods[i].DeepCopy()
			p.Spec.Containers[0].Resources.Requests["cpu"] = resource.MustParse("3")
			c.s.Pods[i] = p
		}
	}
}

func (c *cluster) changeNode(t *rapid.T) {
	if len(c.s.Nodes) == 0 {
		return
	}
	i := rapid.IntRange(0, len(c.s.Nodes)-1).Draw(t, "node")
	n := c.s.Nodes[i].DeepCopy()
	switch rapid.IntRange(0, 4).Draw(t, "of the node") {
	case 0:
		n.Labels[corev1.LabelTopologyZone] = "1c"
	case 1:
		n.Spec.Taints = []corev1.Taint{{Key: "odd", Effect: corev1.TaintEffectNoSchedule}}
	case 2:
		n.Spec.Unschedulable = !n.Spec.Unschedulable
	case 3:
		n.Annotations = map[string]string{"seen": "again"}
	case 4:
		n.Status.Conditions[0].Status = corev1.ConditionFalse
	}
	c.s.Nodes[i] = n
}

// TestAPlannerThatRemembersPlansAsAFreshOne makes each plan twice, over a random sequence of changes.
func TestAPlannerThatRemembersPlansAsAFreshOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t, false)
		var kept Planner
		defer kept.forget()
		for range rapid.IntRange(2, 6).Draw(t, "plans") {
			c.s.PodsAt, c.s.GroupsAt = c.now, c.now
			want, wantMemory := Make(c.now, c.s, c.policy, c.memory)
			got, memory := kept.Make(c.now, c.s, c.policy, c.memory)
			if d := cmp.Diff(want, got) + cmp.Diff(wantMemory, memory); d != "" {
				t.Fatalf("the fresh plan (-) is not that of a planner that remembers (+):\n%s", d)
			}
			c.memory = memory
			for range rapid.IntRange(0, 3).Draw(t, "changes") {
				c.change(t, got)
			}
		}
	})
}
