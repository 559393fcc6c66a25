package plan

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"swell/nodegroups"
)

const gpu = corev1.ResourceName("nvidia.com/gpu")

func withGPU(g *nodegroups.Group) { g.Template.Allocatable[gpu] = resource.MustParse("1") }

func asksGPU(p *corev1.Pod) {
	p.Spec.Containers[0].Resources.Requests[gpu] = resource.MustParse("1")
	p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{gpu: resource.MustParse("1")}
}

// A device plugin shows its resource, with none of it first, after kubelet has registered the node and said Ready.
func TestANodeWhoseDevicePluginIsLateIsNotBoughtTwice(t *testing.T) {
	for _, ready := range []corev1.ConditionStatus{corev1.ConditionFalse, corev1.ConditionTrue} {
		for _, shown := range []string{"", "0"} {
			t.Run("Ready is "+string(ready)+", shown is "+shown, func(t *testing.T) {
				c := newCluster(testPool()).group("1a", nodegroups.Spot, 20, withGPU).up(spotA, 1).pods("train", 1, "1", "", asksGPU)
				n := c.s.Nodes[0]
				n.Status.Allocatable = n.Status.Allocatable.DeepCopy()
				delete(n.Status.Allocatable, gpu)
				if shown != "" {
					n.Status.Allocatable[gpu] = resource.MustParse(shown)
				}
				n.Status.Conditions[0].Status = ready
				c.now = c.now.Add(50 * time.Second)
				p := c.plan()
				expect(t, p, len(p.Launches) == 0, "the node of 50 s ago will have its GPU in a moment")
				c.now = c.now.Add(defaultJoinWithin)
				p = c.plan()
				expect(t, p, len(p.Launches) == 1, "it is not waited for without end")
			})
		}
	}
}

// Storage and network drivers take their taint off a node some seconds after it is Ready.
func TestANodeWithAStartupTaintIsNotBoughtTwice(t *testing.T) {
	for _, key := range []string{"ebs.csi.aws.com/agent-not-ready", "node.cilium.io/agent-not-ready", "startup-taint.cluster-autoscaler.kubernetes.io/warm"} {
		c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 1).pods("web", 15, "1", "")
		c.now = c.now.Add(50 * time.Second)
		c.s.Nodes[0].Spec.Taints = []corev1.Taint{{Key: key, Effect: corev1.TaintEffectNoExecute}}
		p := c.plan()
		expect(t, p, len(p.Launches) == 0, key+" goes in a moment")
		c.now = c.now.Add(defaultJoinWithin)
		p = c.plan()
		expect(t, p, len(p.Launches) == 1, key+" has stayed")
	}
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 1).pods("web", 15, "1", "")
	c.s.Nodes[0].Spec.Taints = []corev1.Taint{{Key: "dedicated", Effect: corev1.TaintEffectNoSchedule}}
	p := c.plan()
	expect(t, p, len(p.Launches) == 1, "a taint of any other name keeps pods away")
}
