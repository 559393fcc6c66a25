package balloon

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// onePodANode says why two of the workload's pods cannot share a node; empty where they can.
func onePodANode(t corev1.PodTemplateSpec) string {
	if a := t.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
		for _, term := range a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
			if term.TopologyKey == corev1.LabelHostname && selects(term.LabelSelector, t) {
				return "required anti-affinity to itself by " + corev1.LabelHostname
			}
		}
	}
	for _, c := range t.Spec.Containers {
		for _, p := range c.Ports {
			if p.HostPort != 0 {
				return fmt.Sprintf("host port %d", p.HostPort)
			}
		}
	}
	return ""
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
	return a
}

// pin adds the zone to every required term: terms are alternatives, requirements within one all hold.
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
		r.NodeSelectorTerms[i].MatchExpressions = append(r.NodeSelectorTerms[i].MatchExpressions, req)
	}
	return n
}

// together keeps affinity to other pods. Affinity to the workload itself becomes a preference: a balloon is not one of
// its pods, so the first of them could never be placed.
func together(p *corev1.PodAffinity, t corev1.PodTemplateSpec) *corev1.PodAffinity {
	if p == nil {
		return nil
	}
	out := &corev1.PodAffinity{PreferredDuringSchedulingIgnoredDuringExecution: p.PreferredDuringSchedulingIgnoredDuringExecution}
	for _, term := range p.RequiredDuringSchedulingIgnoredDuringExecution {
		if selects(term.LabelSelector, t) {
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
		term = bare(term)
		out.RequiredDuringSchedulingIgnoredDuringExecution = append(out.RequiredDuringSchedulingIgnoredDuringExecution, term)
		if selects(term.LabelSelector, t) {
			term.LabelSelector = ownSelector(name)
			out.RequiredDuringSchedulingIgnoredDuringExecution = append(out.RequiredDuringSchedulingIgnoredDuringExecution, term)
		}
	}
	for _, w := range p.PreferredDuringSchedulingIgnoredDuringExecution {
		w.PodAffinityTerm = bare(w.PodAffinityTerm)
		out.PreferredDuringSchedulingIgnoredDuringExecution = append(out.PreferredDuringSchedulingIgnoredDuringExecution, w)
		if selects(w.PodAffinityTerm.LabelSelector, t) {
			w.PodAffinityTerm.LabelSelector = ownSelector(name)
			out.PreferredDuringSchedulingIgnoredDuringExecution = append(out.PreferredDuringSchedulingIgnoredDuringExecution, w)
		}
	}
	return out
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
