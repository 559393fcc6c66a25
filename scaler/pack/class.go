package pack

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
)

// class is what pods that are alike share: what PreFilter found, kept up to date by what happened since, and the verdicts
// of the filters that look at one node alone.
type class struct {
	pod     *Pod
	state   fwk.CycleState
	refused *fwk.Status
	only    sets.Set[string] // node names that PreFilter left; nil is all
	spread  *spread          // nil without hard topology spread
	affine  bool             // pod affinity has something to say
	// plain and others are the filters that are left out: for verdicts of one node, and for pod affinity alone.
	skipped, plain, others sets.Set[string]

	cursor       uint64 // of the packer's events, up to which state and spread are current
	claimChanges uint64
	used         uint64    // the packer's round
	fits         []verdict // by node slot
}

// verdict is valid while the node's generation is the same.
type verdict struct {
	generation int64
	status     *fwk.Status
}

// classFor gives the pod's class, current.
func (p *Packer) classFor(pod *Pod) *class {
	key := pod.Class()
	if p.telling > 0 {
		for _, l := range numbered(pod.Pod) {
			key += "\n" + l + "=" + pod.Labels[l]
		}
	}
	c := p.classes[key]
	if c == nil || !p.follow(c) {
		c = p.newClass(pod)
		p.classes[key] = c
	}
	c.used = p.round
	return c
}

func (p *Packer) newClass(pod *Pod) *class {
	if !p.namespaces.known[pod.Namespace] {
		p.addNamespace(pod.Namespace)
	}
	c := &class{pod: pod, state: framework.NewCycleState(), cursor: p.events.seen(), claimChanges: p.claimChanges}
	if p.volumes.Unread != "" && len(pod.claims) > 0 {
		c.refuse(fwk.NewStatus(fwk.UnschedulableAndUnresolvable, p.volumes.Unread))
		return c
	}
	p.engine.foresee(pod.Pod)
	p.engine.view.listed = p.counted(pod)
	result, status, _ := p.engine.framework.RunPreFilterPlugins(context.Background(), c.state, pod.Pod)
	p.engine.view.listed = nil
	c.refuse(status)
	if !result.AllNodes() {
		c.only = result.NodeNames
	}
	c.skipped = c.state.GetSkipFilterPlugins()
	c.affine = !c.skipped.Has(names.InterPodAffinity)
	c.plain = c.skipped.Clone().Insert(names.InterPodAffinity)
	if c.affine {
		c.others = sets.New[string]()
		for _, plugin := range p.engine.framework.ListPlugins().Filter.Enabled {
			if plugin.Name != names.InterPodAffinity {
				c.others.Insert(plugin.Name)
			}
		}
	}
	s, err := newSpread(pod.Pod)
	if err != nil {
		c.refuse(fwk.AsStatus(fmt.Errorf("reading the pod's topology spread: %w", err)))
		return c
	}
	if c.spread = s; s != nil && c.refused == nil {
		p.countSpread(s)
	}
	return c
}

func (c *class) refuse(status *fwk.Status) {
	if status.IsSuccess() {
		return
	}
	if c.refused = status; status.Message() == "" {
		c.refused = fwk.NewStatus(status.Code(), fmt.Sprintf("refused by %s", status.Plugin()))
	}
}

// countSpread counts what is there now.
func (p *Packer) countSpread(s *spread) {
	for _, n := range p.nodes {
		s.addNode(n.info.Node(), 1)
	}
	for _, at := range p.where[s.pod.Namespace] {
		s.addPod(at.pod.Pod, at.node.info.Node(), 1)
	}
}

// inNamespace is a node with the pods of one namespace.
type inNamespace struct {
	fwk.NodeInfo
	pods []fwk.PodInfo
}

func (n inNamespace) GetPods() []fwk.PodInfo { return n.pods }

// counted are the nodes that a pod's affinity terms are counted on, where these look at its own namespace alone; nil is all.
func (p *Packer) counted(pod *Pod) []fwk.NodeInfo {
	terms := append(append([]fwk.AffinityTerm(nil), pod.info.RequiredAffinityTerms...), pod.info.RequiredAntiAffinityTerms...)
	if len(terms) == 0 {
		return nil
	}
	for _, t := range terms {
		if len(t.Namespaces) != 1 || !t.Namespaces.Has(pod.Namespace) {
			return nil
		}
		if requirements, selects := t.NamespaceSelector.Requirements(); selects || len(requirements) > 0 {
			return nil
		}
	}
	pods := map[*Node][]fwk.PodInfo{}
	for _, at := range p.where[pod.Namespace] {
		pods[at.node] = append(pods[at.node], at.pod.infoAt(at.node.Name))
	}
	out := make([]fwk.NodeInfo, 0, len(pods))
	for n, on := range pods {
		out = append(out, inNamespace{n.info, on})
	}
	return out
}

// nodeOnly is a node of which only the API object is asked.
type nodeOnly struct {
	fwk.NodeInfo
	node *corev1.Node
}

func (n nodeOnly) Node() *corev1.Node { return n.node }

// follow brings a class up to date with what happened; not ok is that it must be made anew.
func (p *Packer) follow(c *class) bool {
	if len(c.pod.claims) > 0 && c.claimChanges != p.claimChanges {
		return false
	}
	list, known := p.events.after(c.cursor)
	if !known {
		return false
	}
	if c.refused != nil {
		return true
	}
	for _, e := range list {
		if !p.apply(c, e) {
			return false
		}
	}
	c.cursor = p.events.seen()
	return true
}

func (p *Packer) apply(c *class, e event) bool {
	if e.pod == nil {
		if c.spread != nil {
			c.spread.addNode(e.node, e.sign)
		}
		return true
	}
	if c.spread != nil {
		c.spread.addPod(e.pod.Pod, e.node, e.sign)
	}
	info := e.pod.infoAt(e.node.Name)
	if !c.affine {
		return e.sign < 0 || !p.excludes(info, c.pod)
	}
	c.state.SetSkipFilterPlugins(c.skipped)
	var status *fwk.Status
	if e.sign > 0 {
		status = p.engine.framework.RunPreFilterExtensionAddPod(context.Background(), c.state, c.pod.Pod, info, nodeOnly{node: e.node})
	} else {
		status = p.engine.framework.RunPreFilterExtensionRemovePod(context.Background(), c.state, c.pod.Pod, info, nodeOnly{node: e.node})
	}
	return status.IsSuccess()
}

// excludes says whether the anti-affinity of a pod that came may bear on a class that no pod affinity bore on.
func (p *Packer) excludes(came *framework.PodInfo, pod *Pod) bool {
	if len(came.RequiredAntiAffinityTerms) == 0 {
		return false
	}
	var labels map[string]string
	if found, exists, err := p.engine.namespaces.GetByKey(pod.Namespace); err == nil && exists {
		labels = found.(*corev1.Namespace).Labels
	}
	for _, t := range came.RequiredAntiAffinityTerms {
		if t.Matches(pod.Pod, labels) {
			return true
		}
	}
	return false
}

// filter says what is against the pod on a node; nil is a fit.
func (p *Packer) filter(c *class, pod *Pod, n *Node) *fwk.Status {
	if status := p.filterAlone(c, pod, n); status != nil {
		return status
	}
	if c.spread != nil {
		if status := c.spread.filter(n.info.Node()); status != nil {
			return status
		}
	}
	if !c.affine {
		return nil
	}
	c.state.SetSkipFilterPlugins(c.others)
	return p.engine.framework.RunFilterPlugins(context.Background(), c.state, pod.Pod, n.info)
}

// filterAlone is filter by what one node alone tells: neither topology spread nor pod affinity.
func (p *Packer) filterAlone(c *class, pod *Pod, n *Node) *fwk.Status {
	if c.only != nil && !c.only.Has(n.Name) {
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, "node(s) didn't match the pod's node name")
	}
	if len(c.fits) <= n.slot {
		c.fits = append(c.fits, make([]verdict, p.width-len(c.fits))...)
	}
	v := &c.fits[n.slot]
	if v.generation != n.info.Generation || v.generation == 0 {
		c.state.SetSkipFilterPlugins(c.plain)
		*v = verdict{n.info.Generation, p.engine.framework.RunFilterPlugins(context.Background(), c.state, pod.Pod, n.info)}
	}
	return v.status
}

// reserve assumes the claims of a pending pod bound as they would be on the node, so that no volume is given twice; nil is
// that nothing was assumed.
func (p *Packer) reserve(pod *Pod, n *Node) fwk.CycleState {
	if len(pod.claims) == 0 || pod.At != "" || pod.refused != "" {
		return nil
	}
	c := p.newClass(pod)
	if c.refused != nil || p.filter(c, pod, n) != nil {
		return nil
	}
	if !p.engine.framework.RunReservePluginsReserve(context.Background(), c.state, pod.Pod, n.Name).IsSuccess() {
		return nil
	}
	p.claimChanges++
	return c.state
}

func (p *Packer) unreserve(pod *Pod, n *Node, state fwk.CycleState) {
	p.engine.framework.RunReservePluginsUnreserve(context.Background(), state, pod.Pod, n.Name)
	p.claimChanges++
}
