package plan

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/nodegroups"
	"swell/scaler/pack"
)

// podsPerNode is what a template that names no limit of pods is taken to allow, as kubelet does.
const podsPerNode = 110

// templateNode is the node that an instance of a group becomes.
func (w *world) templateNode(g *group, i *nodegroups.Instance, name string) *corev1.Node {
	template := g.Template
	if i != nil {
		if own, known := g.Templates[i.Type]; known {
			template = own
		}
	}
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name,
		Labels: merged(template.Labels, map[string]string{corev1.LabelHostname: name, corev1.LabelTopologyZone: g.Zone})}}
	n.Spec.Taints = withoutStartup(template.Taints)
	n.Status = w.template
	n.Status.Allocatable = template.Allocatable.DeepCopy()
	if n.Status.Allocatable == nil {
		n.Status.Allocatable = corev1.ResourceList{}
	}
	if _, given := n.Status.Allocatable[corev1.ResourcePods]; !given {
		n.Status.Allocatable[corev1.ResourcePods] = *resource.NewQuantity(podsPerNode, resource.DecimalSI)
	}
	return n
}

// joining is a Node that has registered and has not started all of what it will run, as it will be. A resource that it does not
// show yet is a device plugin's, which registers after kubelet.
func (w *world) joining(n *corev1.Node, g *group, i *nodegroups.Instance) *corev1.Node {
	m := w.templateNode(g, i, n.Name)
	m.Labels = merged(m.Labels, n.Labels)
	if _, reported := n.Status.Allocatable[corev1.ResourceCPU]; reported {
		for name, q := range n.Status.Allocatable {
			if _, promised := m.Status.Allocatable[name]; !q.IsZero() || !promised {
				m.Status.Allocatable[name] = q
			}
		}
	}
	m.Spec.ProviderID = n.Spec.ProviderID
	return m
}

// starting says whether a Node that is Ready still lacks what its group's nodes give, or carries a taint that it is to lose.
func (g *group) starting(n *corev1.Node, i *nodegroups.Instance) bool {
	if slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key != corev1.TaintNodeNotReady && nodegroups.StartupTaint(t.Key) }) {
		return true
	}
	for name, q := range g.TemplateOf(i.Type).Allocatable {
		// a device plugin's, or huge pages: kubelet shows the others at once
		if have := n.Status.Allocatable[name]; !q.IsZero() && have.IsZero() && (strings.Contains(string(name), "/") || strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)) {
			return true
		}
	}
	return false
}

// withoutStartup leaves out the taints that a node loses when it has started.
func withoutStartup(taints []corev1.Taint) []corev1.Taint {
	return slices.DeleteFunc(slices.Clone(taints), func(t corev1.Taint) bool { return nodegroups.StartupTaint(t.Key) })
}

// addTemplate adds a node that is not there yet, with its daemons, to both packers and gives its index.
func (w *world) addTemplate(g *group, k kind, name string, i *nodegroups.Instance) int {
	for w.real.Node(name) != nil {
		name += "-"
	}
	n := w.templateNode(g, i, name)
	limits := w.limitsFor(g, i)
	// It fails on a name that is taken alone.
	_, _ = w.real.AddNode(n, limits), w.full.AddNode(n, limits)
	g.templates++
	w.nodes = append(w.nodes, &node{name: name, zone: g.Zone, kind: k, group: g, instance: i, order: int64(g.index)<<32 + g.templates})
	index := len(w.nodes) - 1
	w.startDaemons(index, nil)
	return index
}

// startDaemons sets one pod of every DaemonSet on a node that is not Ready yet, unless one is there.
func (w *world) startDaemons(index int, there map[string]bool) {
	at := w.real.Nodes()[index]
	for _, d := range w.daemons {
		if there[daemonOf(d)] {
			continue
		}
		copied := *d
		copied.UID = ""
		copied.Name = d.Name + "@" + at.Name
		copied.Spec.NodeName = ""
		pod, err := pack.NewPod(&copied)
		if err != nil {
			continue
		}
		if fits, _ := w.real.Fits(pod, at); fits {
			w.assume(pod, index)
		}
	}
}

// addDaemons places the daemons that were made for a node and are not bound yet, then those still to be made on joining nodes.
func (w *world) addDaemons(pending []*pack.Pod) {
	for _, d := range pending {
		if at := w.real.Find(d, func(*pack.Node) (int64, bool) { return 0, true }); at != nil {
			w.assume(d, at.Index())
		}
	}
	for index, st := range w.nodes {
		if st.kind != booting {
			continue
		}
		st.group.templates++
		st.order = int64(st.group.index)<<32 + st.group.templates
		there := map[string]bool{}
		for _, p := range w.real.Nodes()[index].Pods() {
			there[daemonOf(p.Pod)] = true
		}
		w.startDaemons(index, there)
	}
}

// daemonOf is the namespace and name of the DaemonSet that a pod belongs to, or its own where it has none: the
// template of a DaemonSet may come without an owner.
func daemonOf(p *corev1.Pod) string {
	if o := metav1.GetControllerOfNoCopy(p); o != nil {
		if o.Kind != "DaemonSet" {
			return ""
		}
		return p.Namespace + "/" + o.Name
	}
	return p.Namespace + "/" + p.Name
}

func isDaemon(p *corev1.Pod) bool {
	o := metav1.GetControllerOfNoCopy(p)
	return o != nil && o.Kind == "DaemonSet"
}

// isStatic says whether the kubelet runs the pod from a file of its own.
func isStatic(p *corev1.Pod) bool {
	_, mirror := p.Annotations[corev1.MirrorPodAnnotationKey]
	return mirror
}

func sortedPods(pods []*corev1.Pod) []*corev1.Pod {
	out := slices.Clone(pods)
	slices.SortFunc(out, comparePods)
	return out
}

func comparePods(a, b *corev1.Pod) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name), strings.Compare(string(a.UID), string(b.UID)))
}
