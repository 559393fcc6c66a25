package balloon

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// onePodANode says why two of the workload's pods cannot share a node, or a wider domain; empty where they can.
func onePodANode(t corev1.PodTemplateSpec) string {
	if a := t.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
		for _, term := range a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
			if takesItself(term, t) {
				return "required anti-affinity to itself by " + term.TopologyKey
			}
		}
	}
	if port := hostPort(t); port != 0 {
		return fmt.Sprintf("host port %d", port)
	}
	return ""
}

// hostPort is a port of the node that the workload's pods take for as long as they run; 0 is none.
func hostPort(t corev1.PodTemplateSpec) int32 {
	for _, c := range t.Spec.InitContainers {
		if c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways {
			continue
		}
		for _, p := range c.Ports {
			if p.HostPort != 0 {
				return p.HostPort
			}
		}
	}
	for _, c := range t.Spec.Containers {
		for _, p := range c.Ports {
			if p.HostPort != 0 {
				return p.HostPort
			}
			if t.Spec.HostNetwork && p.ContainerPort != 0 {
				return p.ContainerPort
			}
		}
	}
	return 0
}

// takesItself says whether a term about other pods is about the workload's own. Of the keys beside the selector,
// matchLabelKeys holds between pods of one template, and mismatchLabelKeys does not.
func takesItself(term corev1.PodAffinityTerm, t corev1.PodTemplateSpec) bool {
	for _, key := range term.MismatchLabelKeys {
		if _, has := t.Labels[key]; has {
			return false
		}
	}
	if term.NamespaceSelector == nil && len(term.Namespaces) > 0 && !slices.Contains(term.Namespaces, t.Namespace) {
		return false
	}
	return selects(term.LabelSelector, t)
}

// selects says whether a selector takes the workload's own pods.
func selects(s *metav1.LabelSelector, t corev1.PodTemplateSpec) bool {
	sel, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && sel.Matches(labels.Set(t.Labels))
}

func ownSelector(name string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{Label: name}}
}

// affinityOf is the workload's affinity as a balloon must have it: pinned to the zone, and apart from its own kind
// where the workload's pods are.
func affinityOf(name string, t corev1.PodTemplateSpec, zone string) *corev1.Affinity {
	a := &corev1.Affinity{}
	if t.Spec.Affinity != nil {
		a = t.Spec.Affinity.DeepCopy()
	}
	a.NodeAffinity = pin(a.NodeAffinity, zone)
	a.PodAffinity = together(a.PodAffinity, t)
	a.PodAntiAffinity = apart(name, a.PodAntiAffinity, t)
	if hostPort(t) != 0 {
		a.PodAntiAffinity = portless(name, a.PodAntiAffinity, t)
	}
	return a
}

// pin adds the zone to every required term: terms are alternatives, requirements within one all hold. It stands first,
// where PinnedZone finds it before a zone that the workload itself names.
func pin(n *corev1.NodeAffinity, zone string) *corev1.NodeAffinity {
	if n == nil {
		n = &corev1.NodeAffinity{}
	}
	req := corev1.NodeSelectorRequirement{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{zone}}
	r := n.RequiredDuringSchedulingIgnoredDuringExecution
	if r == nil || len(r.NodeSelectorTerms) == 0 {
		r = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{}}}
		n.RequiredDuringSchedulingIgnoredDuringExecution = r
	}
	for i := range r.NodeSelectorTerms {
		r.NodeSelectorTerms[i].MatchExpressions = slices.Insert(r.NodeSelectorTerms[i].MatchExpressions, 0, req)
	}
	return n
}

// together keeps affinity to other pods. Affinity to the workload itself becomes a preference: a balloon is not one of
// its pods, so the first of them could never be placed.
func together(p *corev1.PodAffinity, t corev1.PodTemplateSpec) *corev1.PodAffinity {
	if p == nil {
		return nil
	}
	out := &corev1.PodAffinity{}
	for _, w := range p.PreferredDuringSchedulingIgnoredDuringExecution {
		w.PodAffinityTerm = bare(w.PodAffinityTerm)
		out.PreferredDuringSchedulingIgnoredDuringExecution = append(out.PreferredDuringSchedulingIgnoredDuringExecution, w)
	}
	for _, term := range p.RequiredDuringSchedulingIgnoredDuringExecution {
		if takesItself(term, t) {
			out.PreferredDuringSchedulingIgnoredDuringExecution = append(out.PreferredDuringSchedulingIgnoredDuringExecution,
				corev1.WeightedPodAffinityTerm{Weight: 100, PodAffinityTerm: bare(term)})
			continue
		}
		out.RequiredDuringSchedulingIgnoredDuringExecution = append(out.RequiredDuringSchedulingIgnoredDuringExecution, bare(term))
	}
	return out
}

// apart keeps anti-affinity, and adds for each term that takes the workload itself the same towards its balloons.
func apart(name string, p *corev1.PodAntiAffinity, t corev1.PodTemplateSpec) *corev1.PodAntiAffinity {
	if p == nil {
		return nil
	}
	out := &corev1.PodAntiAffinity{}
	for _, term := range p.RequiredDuringSchedulingIgnoredDuringExecution {
		own := takesItself(term, t)
		term = bare(term)
		out.RequiredDuringSchedulingIgnoredDuringExecution = append(out.RequiredDuringSchedulingIgnoredDuringExecution, term)
		if own {
			term.LabelSelector = ownSelector(name)
			out.RequiredDuringSchedulingIgnoredDuringExecution = append(out.RequiredDuringSchedulingIgnoredDuringExecution, term)
		}
	}
	for _, w := range p.PreferredDuringSchedulingIgnoredDuringExecution {
		own := takesItself(w.PodAffinityTerm, t)
		w.PodAffinityTerm = bare(w.PodAffinityTerm)
		out.PreferredDuringSchedulingIgnoredDuringExecution = append(out.PreferredDuringSchedulingIgnoredDuringExecution, w)
		if own {
			w.PodAffinityTerm.LabelSelector = ownSelector(name)
			out.PreferredDuringSchedulingIgnoredDuringExecution = append(out.PreferredDuringSchedulingIgnoredDuringExecution, w)
		}
	}
	return out
}

// portless keeps balloons apart where the workload's pods are by a port of the node: a balloon may not take the port
// itself in a namespace that is restricted.
func portless(name string, p *corev1.PodAntiAffinity, t corev1.PodTemplateSpec) *corev1.PodAntiAffinity {
	if p == nil {
		p = &corev1.PodAntiAffinity{}
	}
	selectors := []*metav1.LabelSelector{ownSelector(name)}
	if len(t.Labels) > 0 {
		selectors = append(selectors, &metav1.LabelSelector{MatchLabels: maps.Clone(t.Labels)})
	}
	for _, s := range selectors {
		p.RequiredDuringSchedulingIgnoredDuringExecution = append(p.RequiredDuringSchedulingIgnoredDuringExecution,
			corev1.PodAffinityTerm{TopologyKey: corev1.LabelHostname, LabelSelector: s})
	}
	return p
}

// bare drops keys that compare with the pod's own labels, which a balloon does not have.
func bare(t corev1.PodAffinityTerm) corev1.PodAffinityTerm {
	t.MatchLabelKeys, t.MismatchLabelKeys = nil, nil
	return t
}

// spreadOf spreads balloons over nodes where the workload's pods are spread; zones are pinned, so those constraints go.
func spreadOf(name string, t corev1.PodTemplateSpec) []corev1.TopologySpreadConstraint {
	var out []corev1.TopologySpreadConstraint
	for _, c := range t.Spec.TopologySpreadConstraints {
		if c.TopologyKey == corev1.LabelTopologyZone || c.TopologyKey == corev1.LabelTopologyRegion || !selects(c.LabelSelector, t) {
			continue
		}
		c.LabelSelector, c.MatchLabelKeys, c.MinDomains = ownSelector(name), nil, nil
		// A balloon that waits for an even spread holds no place.
		c.WhenUnsatisfiable = corev1.ScheduleAnyway
		out = append(out, c)
	}
	return out
}
