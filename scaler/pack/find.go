package pack

// Rank orders the nodes for a pod: the lowest first, equal ones in the packer's order; not ok leaves a node out.
type Rank func(n *Node) (rank int64, ok bool)

// Find is the best node by rank that the pod fits, or nil. It sets nothing.
func (p *Packer) Find(pod *Pod, rank Rank) *Node { return p.FindAmong(pod, p.nodes, rank) }

// FindAmong is Find on some of the packer's nodes, in their order.
func (p *Packer) FindAmong(pod *Pod, nodes []*Node, rank Rank) *Node {
	pod = pod.free()
	if pod.refused != "" {
		return nil
	}
	c := p.classFor(pod)
	if c.refused != nil {
		return nil
	}
	var best *Node
	var bestRank int64
	for _, n := range nodes {
		if n.short(pod) {
			continue
		}
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

// Chances counts the steps after each of which a pod that found no place may find one: what made room, and for a pod whose
// place depends on where others are, everything.
func (p *Packer) Chances(pod *Pod) uint64 {
	spec := &pod.Spec
	if len(pod.claims) > 0 || len(pod.info.RequiredAffinityTerms) > 0 || len(spec.TopologySpreadConstraints) > 0 {
		return p.changes
	}
	return p.freed
}

// Fits says whether the pod fits the node as it is, and if not, why.
func (p *Packer) Fits(pod *Pod, n *Node) (fits bool, why string) {
	pod = pod.free()
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

// FitsAlone says whether the pod would fit the node if its topology spread and all pod affinity were met.
func (p *Packer) FitsAlone(pod *Pod, n *Node) bool {
	pod = pod.free()
	if pod.refused != "" {
		return false
	}
	c := p.classFor(pod)
	return c.refused == nil && p.filterAlone(c, pod, n) == nil
}
