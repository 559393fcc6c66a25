package pack

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// changeNode gives a node its new API object. Most changes are of what no filter reads: then verdicts stay.
func (p *Packer) changeNode(n *Node, to *corev1.Node) {
	from := n.info.Node()
	if from == to {
		return
	}
	if alike(from, to) {
		generation := n.info.Generation
		n.info.SetNode(to)
		n.info.Generation = generation
		return
	}
	for _, pod := range n.pods {
		p.came(pod, from, -1)
	}
	p.came(nil, from, -1)
	n.info.SetNode(to)
	p.came(nil, to, 1)
	for _, pod := range n.pods {
		p.came(pod, to, 1)
	}
}

// alike says whether filters cannot tell two objects of one node apart.
func alike(a, b *corev1.Node) bool {
	return maps.Equal(a.Labels, b.Labels) && a.Spec.Unschedulable == b.Spec.Unschedulable &&
		equality.Semantic.DeepEqual(a.Spec.Taints, b.Spec.Taints) &&
		equality.Semantic.DeepEqual(a.Status.Allocatable, b.Status.Allocatable) &&
		slices.Equal(a.Status.DeclaredFeatures, b.Status.DeclaredFeatures)
}

// Index is the node's place in Nodes.
func (n *Node) Index() int { return n.index }

// Node is the API object.
func (n *Node) Node() *corev1.Node { return n.info.Node() }

// Pods on the node, in no particular order. Not to be changed.
func (n *Node) Pods() []*Pod { return n.pods }

// Allocatable CPU in millicores and memory in bytes.
func (n *Node) Allocatable() (milliCPU, bytes int64) {
	return n.info.Allocatable.MilliCPU, n.info.Allocatable.Memory
}

// Requested CPU in millicores and memory in bytes by the pods on the node.
func (n *Node) Requested() (milliCPU, bytes int64) {
	return n.info.Requested.MilliCPU, n.info.Requested.Memory
}

// short says, without asking the filters, that a node lacks CPU, memory or a place for the pod: what the resource filter
// would say first of most nodes of a full cluster.
func (n *Node) short(pod *Pod) bool {
	i := n.info
	return len(i.Pods)+1 > i.Allocatable.AllowedPodNumber ||
		pod.cpu > 0 && pod.cpu > i.Allocatable.MilliCPU-i.Requested.MilliCPU ||
		pod.memory > 0 && pod.memory > i.Allocatable.Memory-i.Requested.Memory
}

// namespaces are those given and, with their name's label alone, those that have pods.
type namespaces struct {
	given []*corev1.Namespace
	known map[string]bool
}

// SetNamespaces gives the namespaces in place of those before. Those of one name and the same labels are one: lists of a
// cache are made anew for every reading.
func (p *Packer) SetNamespaces(given []*corev1.Namespace) error {
	if p.namespaces.known != nil && slices.EqualFunc(p.namespaces.given, given, sameNamespace) {
		return nil
	}
	p.namespaces = namespaces{given: given, known: map[string]bool{}}
	for _, n := range given {
		p.namespaces.known[n.Name] = true
	}
	clear(p.classes)
	p.changes, p.freed = p.changes+1, p.freed+1
	if err := p.engine.setNamespaces(given); err != nil {
		return err
	}
	for name := range p.where {
		p.addNamespace(name)
	}
	return nil
}

// sameNamespace says whether filters cannot tell two namespaces apart.
func sameNamespace(a, b *corev1.Namespace) bool {
	return a == b || a.Name == b.Name && maps.Equal(a.Labels, b.Labels)
}

// addNamespace makes up a namespace that was not given.
func (p *Packer) addNamespace(name string) {
	if p.namespaces.known[name] {
		return
	}
	p.namespaces.known[name] = true
	_ = p.engine.namespaces.Add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelMetadataName: name}}})
	// Selectors of namespaces are resolved in PreFilter.
	for key, c := range p.classes {
		if c.affine {
			delete(p.classes, key)
		}
	}
}
