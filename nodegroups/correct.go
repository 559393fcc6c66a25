package nodegroups

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// settledAfter is how long a node must have been Ready before what it lacks is taken as missing: device plugins and
// controllers add resources and labels after kubelet has said Ready.
const settledAfter = 5 * time.Minute

// Correction says what of a group's template real nodes contradict.
type Correction struct {
	Group, Type, What string
}

// Correct replaces, in a copy of the groups, what a template claims by what the group's Ready nodes of the same instance type
// show. Nodes that the group would launch alike go first; only without any are those of an older image or version heard.
//
//   - Of each resource the least that a node shows counts, also against the group's tags: the scheduler will see the node, not
//     the tag. A resource that no node shows is dropped once one has been Ready for five minutes. Of a device plugin's resource the
//     most that a node shows counts, and less than the template has only by two nodes: devices fail one by one.
//   - Labels that all nodes share are taken, and labels that all of them lack are dropped by the same rule; those that name one
//     node or instance are not taken.
//   - Taints that all nodes share are taken at once, except those that come and go: what a node refuses would be bought for again and
//     again. A taint of the template is never dropped.
func Correct(groups []Group, nodes []*corev1.Node) ([]Group, []Correction) {
	byID := map[string]*corev1.Node{}
	for _, n := range nodes {
		if n.Spec.ProviderID != "" {
			byID[n.Spec.ProviderID] = n
		}
	}
	out := slices.Clone(groups)
	var all []Correction
	for i := range out {
		all = append(all, correct(&out[i], byID)...)
	}
	slices.SortFunc(all, func(a, b Correction) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Type, b.Type), cmp.Compare(a.What, b.What))
	})
	return out, all
}

func correct(g *Group, byID map[string]*corev1.Node) []Correction {
	byType := map[string][]*corev1.Node{}
	for _, outdated := range []bool{false, true} {
		found := map[string][]*corev1.Node{}
		for _, i := range g.Instances {
			if n := byID[i.ProviderID]; n != nil && i.Outdated == outdated && i.Lifecycle != Terminating && ready(n) != nil && len(byType[i.Type]) == 0 {
				found[i.Type] = append(found[i.Type], n)
			}
		}
		maps.Copy(byType, found)
	}
	if len(byType) == 0 {
		return nil
	}
	templates := map[string]Template{}
	var all []Correction
	for _, name := range g.InstanceTypes {
		t := g.TemplateOf(name)
		if seen := byType[name]; len(seen) > 0 {
			var what []string
			t, what = corrected(t, seen)
			for _, w := range what {
				all = append(all, Correction{g.Name, name, w})
			}
		}
		templates[name] = t
	}
	g.Templates = templates
	g.Template = Least(inOrder(g.InstanceTypes, templates)...)
	return all
}

func inOrder(names []string, templates map[string]Template) []Template {
	var out []Template
	for _, n := range names {
		out = append(out, templates[n])
	}
	return out
}

// corrected is the template with what the nodes, at least one, show.
func corrected(t Template, nodes []*corev1.Node) (Template, []string) {
	out := Template{Labels: maps.Clone(t.Labels), Taints: slices.Clone(t.Taints), Allocatable: t.Allocatable.DeepCopy()}
	if out.Labels == nil {
		out.Labels = map[string]string{}
	}
	if out.Allocatable == nil {
		out.Allocatable = corev1.ResourceList{}
	}
	isSettled := slices.ContainsFunc(nodes, settled)
	what := correctResources(out.Allocatable, nodes, isSettled)
	what = append(what, correctLabels(out.Labels, nodes, isSettled)...)
	for _, taint := range nodes[0].Spec.Taints {
		if passing(taint.Key) || slices.ContainsFunc(out.Taints, func(o corev1.Taint) bool { return o.MatchTaint(&taint) }) {
			continue
		}
		if !slices.ContainsFunc(nodes, func(n *corev1.Node) bool {
			return !slices.ContainsFunc(n.Spec.Taints, func(o corev1.Taint) bool { return o.MatchTaint(&taint) && o.Value == taint.Value })
		}) {
			out.Taints = append(out.Taints, corev1.Taint{Key: taint.Key, Value: taint.Value, Effect: taint.Effect})
			what = append(what, "taint "+taint.ToString()+" is on all nodes, the template had none")
		}
	}
	slices.SortFunc(out.Taints, func(a, b corev1.Taint) int { return cmp.Compare(a.Key+string(a.Effect), b.Key+string(b.Effect)) })
	return out, what
}

func correctResources(template corev1.ResourceList, nodes []*corev1.Node, isSettled bool) []string {
	shown := corev1.ResourceList{}
	for _, n := range nodes {
		for name, q := range n.Status.Allocatable {
			// nothing shown is not yet shown: a device plugin registers its resource with zero first
			if have, ok := shown[name]; !q.IsZero() && (!ok || q.Cmp(have) < 0 != ofDevices(name)) {
				shown[name] = q.DeepCopy()
			}
		}
	}
	var what []string
	for name, q := range shown {
		had, ok := template[name]
		if ok && (had.Cmp(q) == 0 || ofDevices(name) && q.Cmp(had) < 0 && len(nodes) < 2) {
			continue
		}
		template[name] = q
		what = append(what, fmt.Sprintf("%s is %s by its nodes, the template had %s", name, q.String(), given(had, ok)))
	}
	for name, had := range template {
		if _, ok := shown[name]; !ok && isSettled && !(ofDevices(name) && len(nodes) < 2) {
			delete(template, name)
			what = append(what, fmt.Sprintf("%s is on no node, the template had %s", name, had.String()))
		}
	}
	return what
}

// ofDevices says whether a resource is a device plugin's.
func ofDevices(name corev1.ResourceName) bool { return strings.Contains(string(name), "/") }

func given(q resource.Quantity, ok bool) string {
	if !ok {
		return "none"
	}
	return q.String()
}

func correctLabels(template map[string]string, nodes []*corev1.Node, isSettled bool) []string {
	var what []string
	for k, v := range nodes[0].Labels {
		if ofOneNode(k, v, nodes[0]) || slices.ContainsFunc(nodes, func(n *corev1.Node) bool { got, ok := n.Labels[k]; return !ok || got != v }) {
			continue
		}
		if had, ok := template[k]; !ok || had != v {
			template[k] = v
			if ok {
				what = append(what, fmt.Sprintf("label %s is %q by its nodes, the template had %q", k, v, had))
			}
		}
	}
	for k, v := range template {
		if isSettled && !slices.ContainsFunc(nodes, func(n *corev1.Node) bool { return n.Labels[k] == v }) {
			delete(template, k)
			what = append(what, fmt.Sprintf("label %s=%s is on no node", k, v))
		}
	}
	return what
}

// ofOneNode reports whether a label names the node or its instance, or is on it while it is drained.
func ofOneNode(key, value string, n *corev1.Node) bool {
	id := n.Spec.ProviderID[strings.LastIndexByte(n.Spec.ProviderID, '/')+1:]
	return key == corev1.LabelHostname || key == corev1.LabelNodeExcludeBalancers || value != "" && (value == n.Name || strings.Contains(value, id))
}

// updated is the taint that EKS puts on the old nodes of a managed node group during a version update.
const updated = "eks.amazonaws.com/nodegroup"

// passing reports whether a taint of this key comes and goes in a node's life, so that a new node is not judged by it.
func passing(key string) bool {
	return key == updated || StartupTaint(key) || contains(key, "node.kubernetes.io/", "ToBeDeleted", "DeletionCandidate", "karpenter.sh/", "capacity.swell/", "aws-node-termination-handler/")
}

// StartupTaint reports whether a taint of this key is on a node until something on it has started, by Kubernetes' own names,
// cluster-autoscaler's prefixes for such taints, and what network and storage drivers call theirs.
func StartupTaint(key string) bool {
	return contains(key, corev1.TaintNodeNotReady, corev1.TaintNodeNetworkUnavailable, "node.cloudprovider.kubernetes.io/", "startup-taint.", "ignore-taint.",
		"not-ready", "uninitialized")
}

func contains(key string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(key, part) })
}

// ready is the node's Ready condition if it is true.
func ready(n *corev1.Node) *corev1.NodeCondition {
	for i, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
			return &n.Status.Conditions[i]
		}
	}
	return nil
}

// settled reports whether a node has been Ready for long by its own account.
func settled(n *corev1.Node) bool {
	c := ready(n)
	return c != nil && c.LastHeartbeatTime.Sub(c.LastTransitionTime.Time) >= settledAfter
}
