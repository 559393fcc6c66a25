package nodegroups

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
)

// Shown remembers what the nodes of groups showed, for the time when a group has none: what kubelet, device plugins and the image
// add to a node stands in no tag. It is not safe for concurrent use.
type Shown struct{ types map[shownOf]shown }

// shownOf is an instance type of a group.
type shownOf struct{ group, instanceType string }

// shown is what nodes made of a template; it holds for as long as the group would launch the same.
type shown struct {
	Group, Type, Image string
	Declared, Real     Template
}

// NewShown remembers nothing yet.
func NewShown() *Shown { return &Shown{types: map[shownOf]shown{}} }

// Correct is Correct, and for types of which there is no Ready node what the last ones showed.
func (s *Shown) Correct(groups []Group, nodes []*corev1.Node) ([]Group, []Correction) {
	out, corrections := Correct(groups, nodes)
	with := readyTypes(groups, nodes)
	for i, g := range groups {
		recalled := map[string]Template{}
		for _, t := range g.InstanceTypes {
			key, declared := shownOf{g.Name, t}, g.TemplateOf(t)
			if with[key] {
				s.types[key] = shown{g.Name, t, g.Image, declared, out[i].TemplateOf(t)}
			} else if was, known := s.types[key]; known && was.Image == g.Image && apiequality.Semantic.DeepEqual(was.Declared, declared) {
				recalled[t] = was.Real
			}
		}
		if len(recalled) == 0 {
			continue
		}
		templates := map[string]Template{}
		for _, t := range g.InstanceTypes {
			templates[t] = out[i].TemplateOf(t)
		}
		maps.Copy(templates, recalled)
		out[i].Templates = templates
		out[i].Template = Least(inOrder(g.InstanceTypes, templates)...)
	}
	return out, corrections
}

// readyTypes are the types of each group of which a node has been Ready long enough to be what it will be.
func readyTypes(groups []Group, nodes []*corev1.Node) map[shownOf]bool {
	settledAt := map[string]bool{}
	for _, n := range nodes {
		if n.Spec.ProviderID != "" && settled(n) {
			settledAt[n.Spec.ProviderID] = true
		}
	}
	out := map[shownOf]bool{}
	for _, g := range groups {
		for _, i := range g.Instances {
			if settledAt[i.ProviderID] && !i.Outdated && i.Lifecycle != Terminating {
				out[shownOf{g.Name, i.Type}] = true
			}
		}
	}
	return out
}

// MarshalJSON writes what is remembered, sorted.
func (s *Shown) MarshalJSON() ([]byte, error) {
	all := slices.SortedFunc(maps.Values(s.types), func(a, b shown) int {
		return strings.Compare(a.Group+"\x00"+a.Type, b.Group+"\x00"+b.Type)
	})
	return json.Marshal(all)
}

// Merge adds what MarshalJSON wrote; what is remembered already stays.
func (s *Shown) Merge(raw []byte) error {
	var all []shown
	if err := json.Unmarshal(raw, &all); err != nil {
		return fmt.Errorf("reading what nodes showed: %w", err)
	}
	for _, x := range all {
		if key := (shownOf{x.Group, x.Type}); s.types[key].Group == "" {
			s.types[key] = x
		}
	}
	return nil
}
