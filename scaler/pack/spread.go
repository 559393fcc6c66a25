package pack

import (
	"math"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/podtopologyspread"
)

// spread is the hard topology spread of one class, kept up to date by every change. The scheduler's plugin counts all
// pods of all nodes anew for each pod, which at 5,000 nodes costs more than all other filters together; it is what the
// tests compare this with, pod by pod.
type spread struct {
	pod         *corev1.Pod
	affinity    nodeaffinity.RequiredNodeAffinity
	constraints []constraint
}

// constraint is one spread constraint with the domains that count for it.
type constraint struct {
	key            string
	maxSkew        int
	minDomains     int
	selector       labels.Selector
	affinity       bool // only nodes that the pod's node affinity admits count
	taints         bool // only nodes whose taints the pod tolerates count
	domains        map[string]*domain
	least          int
	stale          bool // least is to be found anew
	selects, empty bool // the selector selects the pod itself; it selects anything
}

// domain is one value of a topology key.
type domain struct{ nodes, pods int }

// newSpread is nil for pods without hard constraints.
func newSpread(pod *corev1.Pod) (*spread, error) {
	var s *spread
	for _, c := range pod.Spec.TopologySpreadConstraints {
		if c.WhenUnsatisfiable != corev1.DoNotSchedule {
			continue
		}
		selector, err := metav1.LabelSelectorAsSelector(c.LabelSelector)
		if err != nil {
			return nil, err
		}
		if s == nil {
			s = &spread{pod: pod, affinity: nodeaffinity.GetRequiredNodeAffinity(pod)}
		}
		out := constraint{key: c.TopologyKey, maxSkew: int(c.MaxSkew), minDomains: 1, selector: withLabelKeys(selector, c.MatchLabelKeys, pod.Labels),
			affinity: c.NodeAffinityPolicy == nil || *c.NodeAffinityPolicy == corev1.NodeInclusionPolicyHonor,
			taints:   c.NodeTaintsPolicy != nil && *c.NodeTaintsPolicy == corev1.NodeInclusionPolicyHonor, domains: map[string]*domain{}, stale: true}
		if c.MinDomains != nil {
			out.minDomains = int(*c.MinDomains)
		}
		out.empty, out.selects = out.selector.Empty(), out.selector.Matches(labels.Set(pod.Labels))
		s.constraints = append(s.constraints, out)
	}
	return s, nil
}

// withLabelKeys narrows a selector to the pod's own values of the keys.
func withLabelKeys(selector labels.Selector, keys []string, own map[string]string) labels.Selector {
	set := labels.Set{}
	for _, key := range keys {
		if value, has := own[key]; has {
			set[key] = value
		}
	}
	if len(set) == 0 {
		return selector
	}
	requirements, selectable := selector.Requirements()
	if !selectable {
		return selector
	}
	return labels.SelectorFromSet(set).Add(requirements...)
}

// counts says whether a node has all keys; only such nodes count.
func (s *spread) counts(n *corev1.Node) bool {
	for i := range s.constraints {
		if _, has := n.Labels[s.constraints[i].key]; !has {
			return false
		}
	}
	return true
}

// admits says whether the node's domain counts for the constraint.
func (s *spread) admits(c *constraint, n *corev1.Node) bool {
	if c.affinity {
		// The plugin looks past what cannot be parsed, too.
		if match, _ := s.affinity.Match(n); !match {
			return false
		}
	}
	if !c.taints {
		return true
	}
	_, untolerated := corev1helpers.FindMatchingUntoleratedTaint(klog.Background(), n.Spec.Taints, s.pod.Spec.Tolerations,
		func(t *corev1.Taint) bool {
			return t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute
		}, false)
	return !untolerated
}

// addNode counts a node that came (1) or went (-1), without its pods.
func (s *spread) addNode(n *corev1.Node, sign int) {
	if !s.counts(n) {
		return
	}
	for i := range s.constraints {
		c := &s.constraints[i]
		if !s.admits(c, n) {
			continue
		}
		value := n.Labels[c.key]
		d := c.domains[value]
		if d == nil {
			d = &domain{}
			c.domains[value] = d
		}
		if d.nodes += sign; d.nodes == 0 {
			delete(c.domains, value)
		}
		c.stale = true
	}
}

// addPod counts a pod that came to a node (1) or left it (-1).
func (s *spread) addPod(p *corev1.Pod, n *corev1.Node, sign int) {
	if p.Namespace != s.pod.Namespace || p.DeletionTimestamp != nil {
		return
	}
	matched := false
	for i := range s.constraints {
		c := &s.constraints[i]
		if c.empty || !c.selector.Matches(labels.Set(p.Labels)) {
			continue
		}
		if !matched && !s.counts(n) {
			return
		}
		matched = true
		if d := c.domains[n.Labels[c.key]]; d != nil && s.admits(c, n) {
			d.pods += sign
			c.stale = true
		}
	}
}

// filter is what the plugin's filter says of a node.
func (s *spread) filter(n *corev1.Node) *fwk.Status {
	for i := range s.constraints {
		c := &s.constraints[i]
		value, has := n.Labels[c.key]
		if !has {
			return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, podtopologyspread.ErrReasonNodeLabelNotMatch)
		}
		with := 0
		if c.selects {
			with = 1
		}
		if d := c.domains[value]; d != nil {
			with += d.pods
		}
		if with-c.minimum() > c.maxSkew {
			return fwk.NewStatus(fwk.Unschedulable, podtopologyspread.ErrReasonConstraintsNotMatch)
		}
	}
	return nil
}

// minimum is the least number of pods in a domain; zero where there are too few domains.
func (c *constraint) minimum() int {
	if len(c.domains) < c.minDomains {
		return 0
	}
	if c.stale {
		c.least, c.stale = math.MaxInt32, false
		for _, d := range c.domains {
			c.least = min(c.least, d.pods)
		}
	}
	return c.least
}
