// Package pack says which pods fit which nodes, by kube-scheduler's own filters, on a snapshot that can be tried and taken back.
package pack

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// Options of a packer.
type Options struct {
	// Namespaces with their labels, for affinity terms that select namespaces. One that is not given
	// but has pods counts with its name's label alone.
	Namespaces []*corev1.Namespace
	// Volumes that pods with claims are placed by.
	Volumes Volumes
}

// Packer is a snapshot of nodes with the pods on them. It is not safe for use by several goroutines at once.
type Packer struct {
	engine     *engine
	namespaces namespaces
	volumes    Volumes
	nodes      []*Node
	infos      []fwk.NodeInfo
	byName     map[string]*Node
	where      map[string]map[types.UID]placed // by namespace
	claimUse   map[string]int                  // pods on nodes by claim
	telling    int                             // pods on nodes that tell
	undo       []change
	classes    map[string]*class
	slots      []int // free slots
	width      int   // slots in use and free

	events events
	// What results may rest on, counted: any change; what may make room; claims that were bound or used.
	changes, freed, claimChanges uint64
	round                        uint64 // of Settle
}

// Node is a node of a packer.
type Node struct {
	Name  string
	index int // among the packer's nodes
	slot  int // its own as long as it is there
	info  *framework.NodeInfo
	pods  []*Pod
	csi   *storagev1.CSINode
}

type placed struct {
	pod      *Pod
	node     *Node
	reserved fwk.CycleState // of a pod whose claims were assumed bound
}

// change is one step that Rollback takes back: a pod set or removed, or a node added where pod is nil.
type change struct {
	pod   *Pod
	node  *Node
	added bool
}

// Mark is a point to return to.
type Mark int

// New makes a packer of nodes and the pods bound to them; other pods are left out. Close it after use.
func New(o Options, nodes []*corev1.Node, pods []*Pod) (*Packer, error) {
	p := &Packer{byName: map[string]*Node{}, where: map[string]map[types.UID]placed{}, claimUse: map[string]int{}, classes: map[string]*class{}}
	var err error
	if p.engine, err = borrowEngine(p); err != nil {
		return nil, err
	}
	if err := p.SetNamespaces(o.Namespaces); err != nil {
		return nil, err
	}
	if err := p.SetVolumes(o.Volumes); err != nil {
		return nil, err
	}
	if _, err := p.SetNodes(nodes); err != nil {
		return nil, err
	}
	for _, pod := range pods {
		if n := p.byName[pod.At]; n != nil {
			p.Assume(pod, n)
		}
	}
	p.Settle()
	return p, nil
}

// Close gives back what the packer borrowed; the packer is not to be used afterwards.
func (p *Packer) Close() {
	if p.engine != nil {
		p.engine.giveBack()
		p.engine = nil
	}
}

// Clone is a packer of its own with the same nodes and pods, and nothing to take back.
func (p *Packer) Clone() (*Packer, error) {
	c := &Packer{byName: make(map[string]*Node, len(p.byName)), where: make(map[string]map[types.UID]placed, len(p.where)),
		claimUse: map[string]int{}, classes: map[string]*class{}, width: len(p.nodes)}
	var err error
	if c.engine, err = borrowEngine(c); err != nil {
		return nil, err
	}
	if err := c.SetNamespaces(p.namespaces.given); err != nil {
		return nil, err
	}
	if err := c.SetVolumes(p.volumes); err != nil {
		return nil, err
	}
	for _, n := range p.nodes {
		m := &Node{Name: n.Name, index: n.index, slot: n.index, info: n.info.SnapshotConcrete(), csi: n.csi}
		c.nodes, c.infos, c.byName[m.Name] = append(c.nodes, m), append(c.infos, m.info), m
		for _, pod := range n.pods {
			c.note(pod, m)
		}
	}
	return c, nil
}

// Nodes in the order in which equal ones are tried: by name, then as they were added. Not to be changed.
func (p *Packer) Nodes() []*Node { return p.nodes }

// Node by name, or nil.
func (p *Packer) Node(name string) *Node { return p.byName[name] }

// NodeOf is where a pod is, or nil.
func (p *Packer) NodeOf(pod *Pod) *Node { return p.where[pod.Namespace][pod.UID].node }

// AddNode adds an empty node, such as one that an instance will become, with the volume limits of csi; nil is no limits known. Its
// name must be new.
func (p *Packer) AddNode(node *corev1.Node, csi *storagev1.CSINode) error {
	if p.byName[node.Name] != nil {
		return fmt.Errorf("adding node %s to the snapshot: there is one of that name; names must be unique", node.Name)
	}
	n := p.newNode(node, csi)
	n.index = len(p.nodes)
	p.nodes, p.infos = append(p.nodes, n), append(p.infos, n.info)
	p.undo = append(p.undo, change{node: n, added: true})
	return nil
}

func (p *Packer) newNode(node *corev1.Node, csi *storagev1.CSINode) *Node {
	n := &Node{Name: node.Name, info: framework.NewNodeInfo(), csi: csi}
	if last := len(p.slots) - 1; last >= 0 {
		n.slot, p.slots = p.slots[last], p.slots[:last]
	} else {
		n.slot, p.width = p.width, p.width+1
	}
	n.info.SetNode(node)
	p.byName[n.Name] = n
	p.came(nil, node, 1)
	return n
}

// Assume sets a pod on a node, whether or not it fits. A pod that is elsewhere must be removed first.
func (p *Packer) Assume(pod *Pod, n *Node) {
	p.set(pod, n)
	p.undo = append(p.undo, change{pod: pod, node: n, added: true})
}

// Remove takes a pod off its node; one that is nowhere is left alone.
func (p *Packer) Remove(pod *Pod) {
	at, ok := p.where[pod.Namespace][pod.UID]
	if !ok {
		return
	}
	p.unset(at.pod, at.node)
	p.undo = append(p.undo, change{pod: at.pod, node: at.node})
}

// Checkpoint marks the present state for Rollback.
func (p *Packer) Checkpoint() Mark { return Mark(len(p.undo)) }

// Rollback takes back everything done since the mark.
func (p *Packer) Rollback(m Mark) {
	for len(p.undo) > int(m) {
		last := p.undo[len(p.undo)-1]
		p.undo = p.undo[:len(p.undo)-1]
		switch {
		case last.pod == nil:
			p.dropNode(last.node)
		case last.added:
			p.unset(last.pod, last.node)
		default:
			p.set(last.pod, last.node)
		}
	}
}

// dropNode drops the node that was added last, or one of any place if the order is made anew afterwards.
func (p *Packer) dropNode(n *Node) {
	if n.index == len(p.nodes)-1 {
		p.nodes, p.infos = p.nodes[:n.index], p.infos[:n.index]
	}
	delete(p.byName, n.Name)
	p.slots = append(p.slots, n.slot)
	p.came(nil, n.info.Node(), -1)
}

func (p *Packer) set(pod *Pod, n *Node) {
	reserved := p.reserve(pod, n)
	n.info.AddPodInfo(pod.infoAt(n.Name))
	p.note(pod, n)
	if reserved != nil {
		p.where[pod.Namespace][pod.UID] = placed{pod, n, reserved}
	}
	p.came(pod, n.info.Node(), 1)
}

// note enters a pod in the packer's own books.
func (p *Packer) note(pod *Pod, n *Node) {
	n.pods = append(n.pods, pod)
	in := p.where[pod.Namespace]
	if in == nil {
		in = map[types.UID]placed{}
		p.where[pod.Namespace] = in
		p.addNamespace(pod.Namespace)
	}
	in[pod.UID] = placed{pod: pod, node: n}
	if pod.tells {
		p.telling++
	}
	for _, claim := range pod.claims {
		p.claimUse[claim]++
	}
}

func (p *Packer) unset(pod *Pod, n *Node) {
	if at := p.where[pod.Namespace][pod.UID]; at.reserved != nil {
		p.unreserve(pod, n, at.reserved)
	}
	// It fails only for a pod that is not there, and where says that it is.
	_ = n.info.RemovePod(klog.Background(), pod.Pod)
	n.pods = slices.DeleteFunc(n.pods, func(q *Pod) bool { return q == pod })
	delete(p.where[pod.Namespace], pod.UID)
	if pod.tells {
		p.telling--
	}
	for _, claim := range pod.claims {
		p.claimUse[claim]--
	}
	p.came(pod, n.info.Node(), -1)
}

// came records a change for the classes to follow: a pod, or where it is nil a node, that came (1) or went (-1).
func (p *Packer) came(pod *Pod, node *corev1.Node, sign int) {
	p.changes++
	if (pod == nil) == (sign > 0) {
		p.freed++
	}
	if pod != nil && len(pod.claims) > 0 {
		p.claimChanges++
	}
	p.events.add(event{pod, node, sign})
}

// SetNodes makes nodes those of the packer, in place of those that it had, and gives the names of those that are new. Pods on
// nodes that are gone are gone too. It must not be called while something is to be taken back.
func (p *Packer) SetNodes(nodes []*corev1.Node) (added []string, err error) {
	sorted := slices.Clone(nodes)
	slices.SortFunc(sorted, func(a, b *corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	want := make(map[string]bool, len(sorted))
	for _, n := range sorted {
		if want[n.Name] {
			return nil, fmt.Errorf("adding node %s to the snapshot: there is one of that name; names must be unique", n.Name)
		}
		want[n.Name] = true
	}
	for _, n := range p.nodes {
		if want[n.Name] {
			continue
		}
		for _, pod := range slices.Clone(n.pods) {
			p.unset(pod, n)
		}
		n.index = -1
		p.dropNode(n)
	}
	all, infos := make([]*Node, 0, len(sorted)), make([]fwk.NodeInfo, 0, len(sorted))
	for i, n := range sorted {
		at := p.byName[n.Name]
		if at == nil {
			at = p.newNode(n, nil)
			added = append(added, n.Name)
		} else {
			p.changeNode(at, n)
		}
		at.index = i
		all, infos = append(all, at), append(infos, at.info)
	}
	p.nodes, p.infos = all, infos
	return added, nil
}

// Settle forgets how to take back what was done, and what is no longer asked for.
func (p *Packer) Settle() {
	p.undo = p.undo[:0]
	p.round++
	for key, c := range p.classes {
		if c.used+1 < p.round {
			delete(p.classes, key)
		}
	}
	p.events.shorten()
}
