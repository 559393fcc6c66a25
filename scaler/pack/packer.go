// Package pack says which pods fit which nodes, by kube-scheduler's own filters, on a snapshot that can be tried and taken back.
package pack

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
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
}

// Packer is a snapshot of nodes with the pods on them. It is not safe for use by several goroutines at once.
type Packer struct {
	engine     *engine
	namespaces []*corev1.Namespace
	nodes      []*Node
	infos      []fwk.NodeInfo
	byName     map[string]*Node
	where      map[types.UID]placed
	undo       []change
	classes    map[string]*class

	// What a class's PreFilter may rest on, counted: any change, nodes that came or went, pods with required
	// anti-affinity, pods of one namespace.
	changes, nodeChanges, antiAffinity uint64
	byNamespace                        map[string]uint64
}

// Node is a node of a packer.
type Node struct {
	Name  string
	index int
	info  *framework.NodeInfo
	pods  []*Pod
}

type placed struct {
	pod  *Pod
	node *Node
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
	p := &Packer{byName: map[string]*Node{}, where: map[types.UID]placed{}, classes: map[string]*class{}, byNamespace: map[string]uint64{}}
	seen := map[string]bool{}
	for _, pod := range pods {
		seen[pod.Namespace] = true
	}
	p.namespaces = namespacesOf(o.Namespaces, seen)
	sorted := slices.Clone(nodes)
	slices.SortFunc(sorted, func(a, b *corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	for _, n := range sorted {
		if err := p.AddNode(n); err != nil {
			return nil, err
		}
	}
	for _, pod := range pods {
		if n := p.byName[pod.At]; n != nil {
			p.Assume(pod, n)
		}
	}
	p.undo = nil
	var err error
	if p.engine, err = borrowEngine(p, p.namespaces); err != nil {
		return nil, err
	}
	return p, nil
}

// Close gives back what the packer borrowed; the packer is not to be used afterwards.
func (p *Packer) Close() {
	if p.engine != nil {
		p.engine.giveBack()
		p.engine = nil
	}
}

// Clone is a packer of its own with the same content and nothing to take back.
func (p *Packer) Clone() (*Packer, error) {
	c := &Packer{namespaces: p.namespaces, byName: make(map[string]*Node, len(p.byName)), where: make(map[types.UID]placed, len(p.where)),
		classes: map[string]*class{}, byNamespace: map[string]uint64{}}
	for _, n := range p.nodes {
		m := &Node{Name: n.Name, index: n.index, info: n.info.SnapshotConcrete(), pods: slices.Clone(n.pods)}
		c.nodes, c.infos, c.byName[m.Name] = append(c.nodes, m), append(c.infos, m.info), m
		for _, pod := range m.pods {
			c.where[pod.UID] = placed{pod, m}
		}
	}
	var err error
	if c.engine, err = borrowEngine(c, c.namespaces); err != nil {
		return nil, err
	}
	return c, nil
}

// Nodes in the order in which equal ones are tried: by name, then as they were added. Not to be changed.
func (p *Packer) Nodes() []*Node { return p.nodes }

// Node by name, or nil.
func (p *Packer) Node(name string) *Node { return p.byName[name] }

// NodeOf is where a pod is, or nil.
func (p *Packer) NodeOf(pod *Pod) *Node { return p.where[pod.UID].node }

// AddNode adds an empty node, such as one that an instance will become. Its name must be new.
func (p *Packer) AddNode(node *corev1.Node) error {
	if p.byName[node.Name] != nil {
		return fmt.Errorf("adding node %s to the snapshot: there is one of that name; names must be unique", node.Name)
	}
	n := &Node{Name: node.Name, index: len(p.nodes), info: framework.NewNodeInfo()}
	n.info.SetNode(node)
	p.nodes, p.infos, p.byName[n.Name] = append(p.nodes, n), append(p.infos, n.info), n
	p.undo = append(p.undo, change{node: n, added: true})
	p.changes++
	p.nodeChanges++
	return nil
}

// Assume sets a pod on a node, whether or not it fits. A pod that is elsewhere must be removed first.
func (p *Packer) Assume(pod *Pod, n *Node) {
	p.set(pod, n)
	p.undo = append(p.undo, change{pod: pod, node: n, added: true})
}

// Remove takes a pod off its node; one that is nowhere is left alone.
func (p *Packer) Remove(pod *Pod) {
	at, ok := p.where[pod.UID]
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

func (p *Packer) dropNode(n *Node) {
	p.nodes, p.infos = p.nodes[:n.index], p.infos[:n.index]
	delete(p.byName, n.Name)
	p.changes++
	p.nodeChanges++
}

func (p *Packer) set(pod *Pod, n *Node) {
	n.info.AddPodInfo(pod.info)
	n.pods = append(n.pods, pod)
	p.where[pod.UID] = placed{pod, n}
	p.changed(pod)
}

func (p *Packer) unset(pod *Pod, n *Node) {
	// It fails only for a pod that is not there, and where says that it is.
	_ = n.info.RemovePod(klog.Background(), pod.Pod)
	n.pods = slices.DeleteFunc(n.pods, func(q *Pod) bool { return q == pod })
	delete(p.where, pod.UID)
	p.changed(pod)
}

func (p *Packer) changed(pod *Pod) {
	p.changes++
	p.byNamespace[pod.Namespace]++
	if len(pod.info.RequiredAntiAffinityTerms) > 0 {
		p.antiAffinity++
	}
}

// Index is the node's place in Nodes.
func (n *Node) Index() int { return n.index }

// Version changes with every change of the node or its pods, and never comes back.
func (n *Node) Version() int64 { return n.info.Generation }

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
