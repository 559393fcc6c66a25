package scaler

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"

	"swell/balloon"
	"swell/balloon/apply"
	"swell/nodegroups"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

// groupsFor are the groups whose nodes take a workload's pods.
func groupsFor(target apply.Target, world *observe.World) []nodegroups.Group {
	var out []nodegroups.Group
	for _, g := range world.Snapshot.Groups {
		if takesPods(target, groupNode(g)) {
			out = append(out, g)
		}
	}
	return out
}

// podsOf are a workload's own pods that have a node and are not going.
func podsOf(world *observe.World, namespace string, selector labels.Selector) []*corev1.Pod {
	var out []*corev1.Pod
	for _, p := range world.Snapshot.Pods {
		if p.Namespace == namespace && p.DeletionTimestamp == nil && p.Labels[plan.BalloonLabel] == "" && p.Spec.NodeName != "" && selector.Matches(labels.Set(p.Labels)) {
			out = append(out, p)
		}
	}
	return out
}

// leavesWithin is how long after its grace a pod that is deleted is still waited for; one that stays longer is on a node
// that is gone. Model time.
const leavesWithin = 2 * time.Minute

// occupied is how many of a workload's pods have a place on a node, those that go included.
func occupied(world *observe.World, namespace string, selector labels.Selector, now time.Time, model func(time.Time) time.Time) int {
	n := 0
	for _, p := range world.Snapshot.Pods {
		if p.Namespace != namespace || p.Labels[plan.BalloonLabel] != "" || p.Spec.NodeName == "" || !selector.Matches(labels.Set(p.Labels)) {
			continue
		}
		if d := p.DeletionTimestamp; d == nil || now.Sub(model(d.Time)) < leavesWithin {
			n++
		}
	}
	return n
}

// notYet takes back the balloons that a decision adds while more of the workload's pods are on nodes than it was given
// replicas: a scale-down or a rollout is under way, and the places of pods that go would else be bought a second time.
func notYet(d balloon.Decision, in balloon.Input, over int) balloon.Decision {
	least := balloon.Size(in)
	less := map[string]int{}
	for _, z := range least.Zones {
		less[z.Zone] = z.Balloons
	}
	have := map[string]int{}
	for _, z := range in.Zones {
		have[z.Name] = z.Balloons
	}
	wanted := d.Total
	d.Zones = slices.Clone(d.Zones)
	d.Total = 0
	for i := range d.Zones {
		z := &d.Zones[i]
		z.Balloons = min(z.Balloons, max(have[z.Zone], less[z.Zone]))
		d.Total += z.Balloons
	}
	if d.Total < wanted {
		d.Why += fmt.Sprintf("; %d for now, while %d pods more than its replicas are on nodes", d.Total, over)
	}
	return d
}

// zonesOf are the zones that the workload's pods can be in, with its pods and balloons in each: those with a group that
// takes them, or where there is none such, as with nodes that another scaler owns, those with such a node.
func zonesOf(world *observe.World, target apply.Target, running []*corev1.Pod, held map[string]int) []balloon.Zone {
	can := map[string]bool{}
	for _, g := range world.Snapshot.Groups {
		if takesPods(target, groupNode(g)) {
			can[g.Zone] = true
		}
	}
	zoneOf := map[string]string{}
	for _, n := range world.Snapshot.Nodes {
		zoneOf[n.Name] = n.Labels[corev1.LabelTopologyZone]
	}
	if len(can) == 0 {
		for _, n := range world.Snapshot.Nodes {
			if zone := zoneOf[n.Name]; zone != "" && takesPods(target, n) {
				can[zone] = true
			}
		}
	}
	pods := map[string]int{}
	for _, p := range running {
		pods[zoneOf[p.Spec.NodeName]]++
	}
	var zones []balloon.Zone
	for _, zone := range slices.Sorted(maps.Keys(can)) {
		zones = append(zones, balloon.Zone{Name: zone, Pods: pods[zone], Balloons: held[zone]})
	}
	return zones
}

// groupNode is a node of a group as far as a pod's constraints look at it.
func groupNode(g nodegroups.Group) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "new-" + g.Name, Labels: maps.Clone(g.Template.Labels)}}
	if n.Labels == nil {
		n.Labels = map[string]string{}
	}
	n.Labels[corev1.LabelTopologyZone] = g.Zone
	n.Spec.Taints = g.Template.Taints
	return n
}

// passing are taints that a node has for a while only.
var passing = []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable, corev1.TaintNodeUnschedulable, corev1.TaintNodeNetworkUnavailable,
	corev1.TaintNodeMemoryPressure, corev1.TaintNodeDiskPressure, corev1.TaintNodePIDPressure, "node.cloudprovider.kubernetes.io/uninitialized"}

// takesPods says whether a node is of the kind that the workload's pods can be on: by node selector and affinity, by
// taints, and by its volumes.
func takesPods(target apply.Target, n *corev1.Node) bool {
	pod := &corev1.Pod{Spec: target.Template.Spec}
	if ok, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(n); !ok || err != nil {
		return false
	}
	for i := range n.Spec.Taints {
		t := &n.Spec.Taints[i]
		if t.Effect == corev1.TaintEffectPreferNoSchedule || slices.Contains(passing, t.Key) {
			continue
		}
		if !slices.ContainsFunc(pod.Spec.Tolerations, func(x corev1.Toleration) bool { return x.ToleratesTaint(klog.Background(), t, true) }) {
			return false
		}
	}
	for i := range target.Volumes {
		if !reaches(&target.Volumes[i], n) {
			return false
		}
	}
	return true
}

// reaches says whether a volume can be attached to a node. Drivers name zones by labels of their own, which a node that
// is not there yet does not show: there all that end in /zone mean its zone.
func reaches(v *corev1.PersistentVolume, n *corev1.Node) bool {
	zone := n.Labels[corev1.LabelTopologyZone]
	for _, key := range []string{corev1.LabelTopologyZone, corev1.LabelFailureDomainBetaZone} {
		if allowed := v.Labels[key]; allowed != "" && !slices.Contains(strings.Split(allowed, "__"), zone) {
			return false
		}
	}
	if v.Spec.NodeAffinity == nil || v.Spec.NodeAffinity.Required == nil {
		return true
	}
	known := *n
	known.Labels = maps.Clone(n.Labels)
	for _, term := range v.Spec.NodeAffinity.Required.NodeSelectorTerms {
		for _, e := range term.MatchExpressions {
			if _, has := known.Labels[e.Key]; !has && strings.HasSuffix(e.Key, "/zone") {
				known.Labels[e.Key] = zone
			}
		}
	}
	selector, err := nodeaffinity.NewNodeSelector(v.Spec.NodeAffinity.Required)
	return err == nil && selector.Match(&known)
}
