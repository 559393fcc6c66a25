package plan

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"swell/nodegroups"
)

// readLimits finds what volume limits the groups' real nodes show, for nodes that are not there yet.
func (w *world) readLimits(s Snapshot) {
	w.limits = map[string]*storagev1.CSINode{}
	if len(s.Volumes.Nodes) == 0 {
		return
	}
	byName := make(map[string]*storagev1.CSINode, len(s.Volumes.Nodes))
	for _, n := range s.Volumes.Nodes {
		byName[n.Name] = n
	}
	for _, n := range w.real.Nodes() {
		shown := byName[n.Name]
		if shown == nil || len(shown.Spec.Drivers) == 0 {
			continue
		}
		if st := w.nodes[n.Index()]; st.group != nil {
			w.lowest("group "+st.group.Name, shown)
			w.lowest("group "+st.group.Name+" type "+n.Node().Labels[corev1.LabelInstanceTypeStable], shown)
		}
		w.lowest("type "+n.Node().Labels[corev1.LabelInstanceTypeStable], shown)
	}
}

// lowest keeps the lowest limit of each driver; what drivers a new node has is what its like have.
func (w *world) lowest(key string, shown *storagev1.CSINode) {
	have := w.limits[key]
	if have == nil {
		w.limits[key] = shown
		return
	}
	var merged *storagev1.CSINode
	for i, d := range have.Spec.Drivers {
		for _, e := range shown.Spec.Drivers {
			if d.Name != e.Name || e.Allocatable == nil || e.Allocatable.Count == nil ||
				d.Allocatable != nil && d.Allocatable.Count != nil && *d.Allocatable.Count <= *e.Allocatable.Count {
				continue
			}
			if merged == nil {
				merged = have.DeepCopy()
			}
			merged.Spec.Drivers[i].Allocatable = e.Allocatable
		}
	}
	if merged != nil {
		w.limits[key] = merged
	}
}

// limitsFor are the volume limits of a node to come: those of the group's nodes of its type, else of the group's, else of
// other groups' nodes of the type; nil is unknown, and then nothing limits it, as for a node without a CSINode.
func (w *world) limitsFor(g *group, i *nodegroups.Instance) *storagev1.CSINode {
	kind := ""
	switch {
	case i != nil && i.Type != "":
		kind = i.Type
	case len(g.InstanceTypes) == 1:
		kind = g.InstanceTypes[0]
	}
	for _, key := range []string{"group " + g.Name + " type " + kind, "group " + g.Name, "type " + kind} {
		if l := w.limits[key]; l != nil && (kind != "" || key == "group "+g.Name) {
			return l
		}
	}
	return nil
}
