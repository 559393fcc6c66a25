package pack

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
)

// Rank orders the nodes for a pod: the lowest first, equal ones in the packer's order; not ok leaves a node out.
type Rank func(n *Node) (rank int64, ok bool)

// Reason is what a number of nodes lack.
type Reason struct {
	What  string
	Nodes int
}

// class is what pods that are alike share.
type class struct {
	state   fwk.CycleState
	refused *fwk.Status
	only    sets.Set[string] // node names that PreFilter left; nil is all
	affine  bool             // the result rests on pods of any namespace
	spread  bool             // the result rests on pods of the same namespace

	// The packer's counts when PreFilter ran.
	changes, nodeChanges, antiAffinity, inNamespace uint64
	fits                                            []verdict // by node index
}

// verdict is valid while the node's generation is the same.
type verdict struct {
	generation int64
	status     *fwk.Status
}

// Find is the best node by rank that the pod fits, or nil. It sets nothing.
func (p *Packer) Find(pod *Pod, rank Rank) *Node {
	if pod.refused != "" {
		return nil
	}
	c := p.classFor(pod)
	if c.refused != nil {
		return nil
	}
	var best *Node
	var bestRank int64
	for _, n := range p.nodes {
		r, ok := rank(n)
		if !ok || best != nil && r >= bestRank {
			continue
		}
		if p.filter(c, pod, n) == nil {
			best, bestRank = n, r
		}
	}
	return best
}

// Fits says whether the pod fits the node as it is, and if not, why.
func (p *Packer) Fits(pod *Pod, n *Node) (fits bool, why string) {
	if pod.refused != "" {
		return false, pod.refused
	}
	c := p.classFor(pod)
	if c.refused != nil {
		return false, c.refused.Message()
	}
	if s := p.filter(c, pod, n); s != nil {
		return false, s.Message()
	}
	return true, ""
}

// Why lists what the admitted nodes lack for the pod, the most frequent first.
func (p *Packer) Why(pod *Pod, admit func(n *Node) bool) []Reason {
	counts := map[string]int{}
	for _, n := range p.nodes {
		if !admit(n) {
			continue
		}
		if fits, why := p.Fits(pod, n); !fits {
			counts[why]++
		}
	}
	out := make([]Reason, 0, len(counts))
	for what, nodes := range counts {
		out = append(out, Reason{what, nodes})
	}
	slices.SortFunc(out, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.Nodes, a.Nodes), strings.Compare(a.What, b.What))
	})
	return out
}

// filter runs the filters on one node, or gives the verdict that still holds; nil is a fit.
func (p *Packer) filter(c *class, pod *Pod, n *Node) *fwk.Status {
	if c.only != nil && !c.only.Has(n.Name) {
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, "node(s) didn't match the pod's node name")
	}
	for len(c.fits) <= n.index {
		c.fits = append(c.fits, verdict{})
	}
	v := &c.fits[n.index]
	if v.generation == n.info.Generation && v.generation != 0 {
		return v.status
	}
	*v = verdict{n.info.Generation, p.engine.framework.RunFilterPlugins(context.Background(), c.state, pod.Pod, n.info)}
	return v.status
}

// classFor gives the pod's class with its PreFilter done on the present state.
func (p *Packer) classFor(pod *Pod) *class {
	c := p.classes[pod.Class()]
	if c != nil && p.fresh(c, pod) {
		return c
	}
	c = &class{state: framework.NewCycleState(), changes: p.changes, nodeChanges: p.nodeChanges,
		antiAffinity: p.antiAffinity, inNamespace: p.byNamespace[pod.Namespace]}
	result, status, _ := p.engine.framework.RunPreFilterPlugins(context.Background(), c.state, pod.Pod)
	if !status.IsSuccess() {
		c.refused = status
		if status.Message() == "" {
			c.refused = fwk.NewStatus(status.Code(), fmt.Sprintf("refused by %s", status.Plugin()))
		}
	}
	if !result.AllNodes() {
		c.only = result.NodeNames
	}
	skipped := c.state.GetSkipFilterPlugins()
	c.affine, c.spread = !skipped.Has(names.InterPodAffinity), !skipped.Has(names.PodTopologySpread)
	p.classes[pod.Class()] = c
	return c
}

// fresh says whether a class's PreFilter still holds. Node-local filters are covered by the nodes' generations;
// affinity rests on every pod, spread on nodes and on the pods of its namespace, and a pod with neither still
// meets the anti-affinity of others.
func (p *Packer) fresh(c *class, pod *Pod) bool {
	switch {
	case c.antiAffinity != p.antiAffinity:
		return false
	case c.affine || c.refused != nil:
		return c.changes == p.changes
	case c.spread:
		return c.nodeChanges == p.nodeChanges && c.inNamespace == p.byNamespace[pod.Namespace]
	}
	return true
}
