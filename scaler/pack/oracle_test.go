package pack

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
	"pgregory.net/rapid"
)

// oracle is the whole default profile, topology spread as the scheduler's plugin has it, asked anew for every pod.
func oracle(t testing.TB) *engine {
	e, err := newEngine([]string{names.DynamicResources})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// fits says what the profile says of the packer's present content.
func (e *engine) fits(p *Packer, pod *Pod, n *Node) (bool, string) {
	e.view.packer = p
	var all []*corev1.Namespace
	for _, x := range p.engine.namespaces.List() {
		all = append(all, x.(*corev1.Namespace))
	}
	_ = e.setNamespaces(all)
	pod = pod.free()
	state := framework.NewCycleState()
	result, status, _ := e.framework.RunPreFilterPlugins(context.Background(), state, pod.Pod)
	if !status.IsSuccess() {
		return false, status.Message()
	}
	if !result.AllNodes() && !result.NodeNames.Has(n.Name) {
		return false, "name"
	}
	s := e.framework.RunFilterPlugins(context.Background(), state, pod.Pod, n.info)
	return s.IsSuccess(), s.Message()
}

var oracleZones = []string{"z1", "z2", "z3"}

func drawNode(t *rapid.T, name string) *corev1.Node {
	n := testNode(name, rapid.SampledFrom(oracleZones).Draw(t, "zone"), rapid.SampledFrom([]string{"2", "4"}).Draw(t, "cpu"))
	switch rapid.IntRange(0, 5).Draw(t, "sort of node") {
	case 0:
		n.Spec.Taints = []corev1.Taint{{Key: "k", Effect: corev1.TaintEffectNoSchedule}}
	case 1:
		delete(n.Labels, corev1.LabelTopologyZone)
	case 2:
		n.Labels["disk"] = "fast"
	}
	return n
}

// drawPod makes pods of few shapes, so that many share a class and bear on each other.
func drawPod(t *rapid.T, name string) *corev1.Pod {
	app := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "app")
	p := testPod(name, app, rapid.SampledFrom([]string{"500m", "1"}).Draw(t, "cpu"))
	p.Namespace = rapid.SampledFrom([]string{"shop", "back"}).Draw(t, "namespace")
	p.Labels["version"] = rapid.SampledFrom([]string{"1", "2"}).Draw(t, "version")
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"app": rapid.SampledFrom([]string{"a", "b"}).Draw(t, "selects")}}
	key := rapid.SampledFrom([]string{corev1.LabelTopologyZone, corev1.LabelHostname}).Draw(t, "key")
	term := corev1.PodAffinityTerm{LabelSelector: selector, TopologyKey: key}
	switch rapid.IntRange(0, 2).Draw(t, "namespaces") {
	case 1:
		term.Namespaces = []string{"shop", "back"}
	case 2:
		term.NamespaceSelector = &metav1.LabelSelector{}
	}
	switch rapid.IntRange(0, 7).Draw(t, "sort of pod") {
	case 0, 1:
		c := corev1.TopologySpreadConstraint{MaxSkew: int32(rapid.IntRange(1, 2).Draw(t, "skew")), TopologyKey: key, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: selector}
		if rapid.Bool().Draw(t, "taints") {
			honor := corev1.NodeInclusionPolicyHonor
			c.NodeTaintsPolicy = &honor
		}
		if rapid.Bool().Draw(t, "least") {
			least := int32(3)
			c.MinDomains = &least
		}
		if rapid.Bool().Draw(t, "by version") {
			c.MatchLabelKeys = []string{"version"}
		}
		p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{c}
	case 2:
		p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term}}}
	case 3:
		p.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term}}}
	case 4:
		p.Spec.NodeSelector = map[string]string{"disk": "fast"}
	case 5:
		p.Spec.Tolerations = []corev1.Toleration{{Key: "k", Operator: corev1.TolerationOpExists}}
	case 6:
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{HostPort: 80, ContainerPort: 80}}
	}
	return p
}

// TestVerdictsAreThoseOfAFreshScheduler does random things to a packer and asks after each what fits where.
func TestVerdictsAreThoseOfAFreshScheduler(t *testing.T) {
	e := oracle(t)
	rapid.Check(t, func(t *rapid.T) {
		m := machine{t: t, packer: packerOf(t, rapid.IntRange(1, 4).Draw(t, "nodes"))}
		defer m.packer.Close()
		for i := range rapid.IntRange(1, 4).Draw(t, "asked") {
			m.asked = append(m.asked, m.pod(fmt.Sprintf("asked-%d", i)))
		}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			m.step()
			for _, pod := range m.asked {
				for _, n := range m.packer.Nodes() {
					want, why := e.fits(m.packer, pod, n)
					got, said := m.packer.Fits(pod, n)
					if want != got {
						t.Fatalf("%s on %s: fits %v (%s), a fresh scheduler says %v (%s)", pod.Key(), n.Name, got, said, want, why)
					}
					if found := m.packer.Find(pod, func(x *Node) (int64, bool) { return 0, x == n }); (found != nil) != want {
						t.Fatalf("%s on %s: found %v, a fresh scheduler says %v (%s)", pod.Key(), n.Name, found != nil, want, why)
					}
				}
			}
		}
	})
}

func packerOf(t *rapid.T, nodes int) *Packer {
	var all []*corev1.Node
	for i := range nodes {
		all = append(all, drawNode(t, fmt.Sprintf("n%d", i)))
	}
	p, err := New(Options{}, all, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// machine does what a planner does, in any order.
type machine struct {
	t      *rapid.T
	packer *Packer
	asked  []*Pod
	set    []*Pod
	marks  []Mark
	born   int
}

func (m *machine) pod(name string) *Pod {
	p, err := NewPod(drawPod(m.t, name))
	if err != nil {
		m.t.Fatal(err)
	}
	return p
}

func (m *machine) step() {
	m.born++
	nodes := m.packer.Nodes()
	switch rapid.IntRange(0, 6).Draw(m.t, "step") {
	case 0, 1:
		if len(nodes) > 0 {
			pod := m.pod(fmt.Sprintf("set-%d", m.born))
			m.packer.Assume(pod, nodes[rapid.IntRange(0, len(nodes)-1).Draw(m.t, "at")])
			m.set = append(m.set, pod)
		}
	case 2:
		if len(m.set) > 0 {
			m.packer.Remove(m.set[rapid.IntRange(0, len(m.set)-1).Draw(m.t, "which")])
		}
	case 3:
		if err := m.packer.AddNode(drawNode(m.t, fmt.Sprintf("new-%d", m.born)), nil); err != nil {
			m.t.Fatal(err)
		}
	case 4:
		m.marks = append(m.marks, m.packer.Checkpoint())
	case 5:
		if last := len(m.marks) - 1; last >= 0 {
			m.packer.Rollback(m.marks[last])
			m.marks = m.marks[:last]
		}
	case 6:
		m.update()
	}
}

// update is what comes between two plans: everything is taken back, and nodes come, go and change.
func (m *machine) update() {
	m.packer.Rollback(0)
	m.marks = nil
	var all []*corev1.Node
	for _, n := range m.packer.Nodes() {
		switch rapid.IntRange(0, 4).Draw(m.t, "node") {
		case 0:
		case 1:
			all = append(all, drawNode(m.t, n.Name))
		default:
			all = append(all, n.Node().DeepCopy())
		}
	}
	all = append(all, drawNode(m.t, fmt.Sprintf("a-%d", m.born)))
	if _, err := m.packer.SetNodes(all); err != nil {
		m.t.Fatal(err)
	}
	if len(m.packer.Nodes()) > 0 {
		m.packer.Assume(m.pod(fmt.Sprintf("bound-%d", m.born)), m.packer.Nodes()[0])
	}
	m.packer.Settle()
}

// TestPodsOfOneClassHaveTheSameVerdicts compares pods that differ in what a class leaves out.
func TestPodsOfOneClassHaveTheSameVerdicts(t *testing.T) {
	e := oracle(t)
	rapid.Check(t, func(t *rapid.T) {
		m := machine{t: t, packer: packerOf(t, 3)}
		defer m.packer.Close()
		for range 6 {
			m.step()
		}
		a, b := m.pod("one"), m.pod("other")
		if rapid.Bool().Draw(t, "alike") {
			copied := a.Pod.DeepCopy()
			copied.Name, copied.UID = "other", ""
			b, _ = NewPod(copied)
		}
		if a.Class() != b.Class() {
			return
		}
		for _, n := range m.packer.Nodes() {
			x, _ := e.fits(m.packer, a, n)
			if y, why := e.fits(m.packer, b, n); x != y {
				t.Fatalf("two pods of one class on %s: %v and %v (%s)", n.Name, x, y, why)
			}
		}
	})
}
