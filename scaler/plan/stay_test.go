package plan

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/nodegroups"
)

func TestADaemonThatMayNotBeDisruptedKeepsItsNode(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 2)
	for _, n := range c.s.Nodes {
		c.pods("d", 1, "1", n.Name, func(p *corev1.Pod) {
			p.OwnerReferences[0].Kind = "DaemonSet"
			p.Annotations = map[string]string{karpenterKeep: "true"}
		})
	}
	p := c.slackFor(time.Hour)
	expect(t, p, len(p.Terminations) == 0, "karpenter keeps a node for a daemon's pod that says so")
}

func TestEachAnnotationOnAPodKeepsItsNode(t *testing.T) {
	for _, k := range podKeeps {
		p := twoSlack(func(p *corev1.Pod) { p.Annotations = map[string]string{k[0]: k[1]} }).slackFor(time.Hour)
		expect(t, p, len(p.Terminations) == 0, k[0])
	}
}

func TestACordonedNodeIsNotSold(t *testing.T) {
	c := twoSlack()
	c.s.Nodes[0].Spec.Unschedulable = true
	p := c.slackFor(time.Hour)
	expect(t, p, len(p.Terminations) == 0, "cordoned by hand is not sold; and the other has no other place")
}

// The scaler's own node stays, whatever its pod's annotations allow.
func TestTheScalersOwnNodeIsNotReturned(t *testing.T) {
	c := twoSlack(func(p *corev1.Pod) { p.Annotations = map[string]string{safeToEvict: "true"} })
	for i, kept := range []string{"i-0001", "i-0002"} {
		c.policy.Self = "shop/" + c.s.Pods[i].Name
		p := c.slackFor(time.Hour)
		expect(t, p, len(p.Terminations) == 1 && p.Terminations[0].Node != kept && keptWhy(p, kept) == "pod "+c.policy.Self+": it is the scaler itself", "the node of the other pod goes")
	}
	c.policy.Self = "shop/elsewhere"
	p := c.slackFor(time.Hour)
	expect(t, p, len(p.Terminations) == 0 && len(p.Suppressed) == 1 && len(p.Problems) == 1, "nothing goes while the own node is not known")
}

func TestAPodThatIsNotPlannedForKeepsItsNodeAndSaysWhy(t *testing.T) {
	p := twoSlack(func(p *corev1.Pod) { p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu"}} }).slackFor(time.Hour)
	expect(t, p, len(p.Terminations) == 0 && strings.Contains(keptWhy(p, "i-0001"), "dynamic resource claims"), "where it may run is not known")
}

// cluster-autoscaler does not ask a DaemonSet's pods, and what ends asks nothing.
func TestADaemonIsHeardOnlyWhereOthersHearIt(t *testing.T) {
	gone := metav1.NewTime(start)
	for name, with := range map[string]func(*corev1.Pod){
		safeToEvict: func(p *corev1.Pod) { p.Annotations = map[string]string{safeToEvict: "false"} },
		"it ends": func(p *corev1.Pod) {
			p.Annotations, p.DeletionTimestamp = map[string]string{karpenterKeep: "true"}, &gone
		},
	} {
		c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 2)
		for _, n := range c.s.Nodes {
			c.pods("d", 1, "1", n.Name, with, func(p *corev1.Pod) { p.OwnerReferences[0].Kind = "DaemonSet" })
		}
		p := c.slackFor(time.Hour)
		expect(t, p, len(p.Terminations) == 1, name)
	}
}
