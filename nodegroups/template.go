package nodegroups

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Least is what every one of the templates gives: of each resource the least, zero counting where a template does not name
// it; the labels that all share; the taints that any has.
func Least(templates ...Template) Template {
	out := Template{Labels: map[string]string{}, Allocatable: corev1.ResourceList{}}
	for i, t := range templates {
		if i == 0 {
			maps.Copy(out.Labels, t.Labels)
			out.Allocatable = t.Allocatable.DeepCopy()
			if out.Allocatable == nil {
				out.Allocatable = corev1.ResourceList{}
			}
		}
		maps.DeleteFunc(out.Labels, func(k, v string) bool { other, ok := t.Labels[k]; return !ok || other != v })
		for name, q := range out.Allocatable {
			if other, ok := t.Allocatable[name]; !ok {
				delete(out.Allocatable, name)
			} else if other.Cmp(q) < 0 {
				out.Allocatable[name] = other.DeepCopy()
			}
		}
		for _, taint := range t.Taints {
			if !slices.ContainsFunc(out.Taints, func(o corev1.Taint) bool { return o.MatchTaint(&taint) }) {
				out.Taints = append(out.Taints, taint)
			}
		}
	}
	return out
}

// TemplateOf is the node that an instance of a type becomes.
func (g Group) TemplateOf(instanceType string) Template {
	if t, ok := g.Templates[instanceType]; ok {
		return t
	}
	return g.Template
}

// AutoScalingGroup is the name that the service knows the group by.
func (g Group) AutoScalingGroup() string {
	if g.ASG != "" {
		return g.ASG
	}
	return g.Name
}
