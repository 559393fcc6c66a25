package pack

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func testNode(name, zone, cpu string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
		corev1.LabelHostname: name, corev1.LabelTopologyZone: zone}},
		Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{"cpu": resource.MustParse(cpu), "memory": resource.MustParse("64Gi"), "pods": resource.MustParse("110")}}}
}

func testPod(name, app, cpu string, with ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", Labels: map[string]string{"app": app}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse(cpu), "memory": resource.MustParse("1Gi")}}}}}}
	for _, w := range with {
		w(p)
	}
	return p
}

func on(node string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Spec.NodeName = node } }

func zoneSpread(p *corev1.Pod) {
	p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone,
		WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: &metav1.LabelSelector{MatchLabels: p.Labels}}}
}

func oneANode(p *corev1.Pod) {
	p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
		{LabelSelector: &metav1.LabelSelector{MatchLabels: p.Labels}, TopologyKey: corev1.LabelHostname}}}}
}

func prepare(t *testing.T, pods ...*corev1.Pod) []*Pod {
	t.Helper()
	var out []*Pod
	for _, p := range pods {
		q, err := NewPod(p)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, q)
	}
	return out
}

func packer(t *testing.T, nodes []*corev1.Node, pods ...*corev1.Pod) *Packer {
	t.Helper()
	p, err := New(Options{}, nodes, prepare(t, pods...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func anyNode(*Node) (int64, bool) { return 0, true }

// fill places n pods one after the other and counts those on each node.
func fill(t *testing.T, p *Packer, n int, app, cpu string, with ...func(*corev1.Pod)) (perNode map[string]int, left int) {
	t.Helper()
	perNode = map[string]int{}
	for i := range n {
		pod := prepare(t, testPod(fmt.Sprintf("%s-%d", app, i), app, cpu, with...))[0]
		at := p.Find(pod, anyNode)
		if at == nil {
			left++
			continue
		}
		p.Assume(pod, at)
		perNode[at.Name]++
	}
	return perNode, left
}

func TestFindTakesRequestsIntoAccount(t *testing.T) {
	p := packer(t, []*corev1.Node{testNode("b", "z1", "4"), testNode("a", "z1", "2")}, testPod("bound", "x", "1", on("b")))
	got, left := fill(t, p, 6, "web", "1")
	if got["a"] != 2 || got["b"] != 3 || left != 1 {
		t.Errorf("placed %v, left %d; want 2 on a, 3 on b, 1 left", got, left)
	}
}

func TestFindKeepsZoneSpread(t *testing.T) {
	p := packer(t, []*corev1.Node{testNode("a", "z1", "4"), testNode("b", "z2", "4"), testNode("c", "z3", "1")})
	got, left := fill(t, p, 8, "web", "1", zoneSpread)
	if got["a"] != 2 || got["b"] != 2 || got["c"] != 1 || left != 3 {
		t.Errorf("placed %v, left %d; with a skew of one, c's single place allows 2, 2 and 1", got, left)
	}
}

func TestFindKeepsAntiAffinity(t *testing.T) {
	p := packer(t, []*corev1.Node{testNode("a", "z1", "4"), testNode("b", "z2", "4")})
	got, left := fill(t, p, 3, "db", "1", oneANode)
	if got["a"] != 1 || got["b"] != 1 || left != 1 {
		t.Errorf("placed %v, left %d; want one a node", got, left)
	}
	// A pod without affinity of its own meets that of the others.
	if got, left := fill(t, p, 1, "db", "1", func(p *corev1.Pod) { p.Name = "plain" }); left != 1 {
		t.Errorf("a pod that others exclude was placed: %v", got)
	}
}

func TestAntiAffinityThatArrivesLaterIsSeen(t *testing.T) {
	p := packer(t, []*corev1.Node{testNode("a", "z1", "4")})
	plain := prepare(t, testPod("plain", "db", "1"))[0]
	if p.Find(plain, anyNode) == nil {
		t.Fatal("a plain pod must fit an empty node")
	}
	guard := prepare(t, testPod("guard", "db", "1", oneANode))[0]
	mark := p.Checkpoint()
	p.Assume(guard, p.Node("a"))
	if fits, why := p.Fits(plain, p.Node("a")); fits {
		t.Error("the pod fits beside one whose anti-affinity excludes it")
	} else if why == "" {
		t.Error("no reason is given")
	}
	p.Rollback(mark)
	if fits, why := p.Fits(plain, p.Node("a")); !fits {
		t.Errorf("after the rollback the pod does not fit: %s", why)
	}
}

func TestRollbackTakesNodesAndPodsBack(t *testing.T) {
	p := packer(t, []*corev1.Node{testNode("a", "z1", "1")}, testPod("bound", "x", "1", on("a")))
	pod := prepare(t, testPod("new", "web", "1"))[0]
	bound := p.Node("a").Pods()[0]
	mark := p.Checkpoint()
	if err := p.AddNode(testNode("n", "z2", "1"), nil); err != nil {
		t.Fatal(err)
	}
	if at := p.Find(pod, anyNode); at == nil || at.Name != "n" {
		t.Fatalf("found %v, want the new node", at)
	}
	p.Assume(pod, p.Node("n"))
	p.Remove(bound)
	p.Rollback(mark)
	if p.Node("n") != nil || p.NodeOf(pod) != nil || p.NodeOf(bound) != p.Node("a") || len(p.Nodes()) != 1 {
		t.Error("the rollback left something behind")
	}
	if p.Find(pod, anyNode) != nil {
		t.Error("the pod found room on a full node")
	}
}

func TestCloneIsApart(t *testing.T) {
	p := packer(t, []*corev1.Node{testNode("a", "z1", "1")})
	c, err := p.Clone()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	pod := prepare(t, testPod("new", "web", "1"))[0]
	c.Assume(pod, c.Node("a"))
	if p.Find(pod, anyNode) == nil {
		t.Error("a pod on the clone takes room on the original")
	}
}

func TestTokenVolumesMakeNoClasses(t *testing.T) {
	token := func(name string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: name, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}}}
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: name, MountPath: "/t"}}
		}
	}
	pods := prepare(t, testPod("a", "web", "1", token("kube-api-access-x")), testPod("b", "web", "1", token("kube-api-access-y")), testPod("c", "web", "2"))
	if pods[0].Class() != pods[1].Class() || pods[0].Class() == pods[2].Class() {
		t.Error("pods that differ in their token alone are one class, those that differ in requests are two")
	}
}

func numberedPod(i int, with ...func(*corev1.Pod)) *corev1.Pod {
	p := testPod(fmt.Sprintf("db-%d", i), "db", "1", with...)
	p.Labels["apps.kubernetes.io/pod-index"], p.Labels["statefulset.kubernetes.io/pod-name"] = fmt.Sprint(i), p.Name
	p.Labels["batch.kubernetes.io/job-completion-index"] = fmt.Sprint(i)
	return p
}

// notBeside excludes the pods whose label has the value.
func notBeside(label, value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
			{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{label: value}}, TopologyKey: corev1.LabelHostname}}}}
	}
}

func TestPodsThatAreOnlyNumberedAreOneClass(t *testing.T) {
	pods := prepare(t, numberedPod(0), numberedPod(1), numberedPod(0, notBeside("apps.kubernetes.io/pod-index", "1")), numberedPod(1, notBeside("apps.kubernetes.io/pod-index", "1")))
	if pods[0].Class() != pods[1].Class() {
		t.Error("each pod of a StatefulSet or an Indexed Job is a class of its own")
	}
	if pods[2].Class() == pods[3].Class() {
		t.Error("pods are one class whose own terms tell them apart")
	}
}

func TestAnothersTermTellsNumberedPodsApart(t *testing.T) {
	p := packer(t, []*corev1.Node{testNode("n", "z1", "8")})
	pods := prepare(t, numberedPod(0), numberedPod(1))
	fits := func(want ...bool) {
		t.Helper()
		for i, pod := range pods {
			if got, why := p.Fits(pod, p.Node("n")); got != want[i] {
				t.Errorf("%s fits: %v (%s), want %v", pod.Name, got, why, want[i])
			}
		}
	}
	fits(true, true)
	mark := p.Checkpoint()
	p.Assume(prepare(t, testPod("guard", "x", "1", notBeside("apps.kubernetes.io/pod-index", "1")))[0], p.Node("n"))
	fits(true, false)
	p.Rollback(mark)
	fits(true, true)
}

func TestWhatIsNotModelledIsRefused(t *testing.T) {
	p := packer(t, []*corev1.Node{testNode("a", "z1", "8")})
	for name, with := range map[string]func(*corev1.Pod){
		"claim": func(p *corev1.Pod) { p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu"}} },
	} {
		pod := prepare(t, testPod(name, "x", "1", with))[0]
		if n := p.Find(pod, anyNode); n != nil {
			t.Errorf("%s: placed on %s", name, n.Name)
		}
		if fits, why := p.Fits(pod, p.Node("a")); fits || why == "" || p.FitsAlone(pod, p.Node("a")) {
			t.Errorf("%s: fits %v, for the reason %q", name, fits, why)
		}
	}
}

func TestNamespaceSelectorsSeeTheLabelsGiven(t *testing.T) {
	apart := func(p *corev1.Pod) {
		oneANode(p)
		p.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution[0].NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}}
	}
	bound := testPod("bound", "x", "1", on("n"))
	bound.Namespace = "other"
	pod := prepare(t, testPod("new", "x", "1", apart))[0]
	for team, fits := range map[string]bool{"a": false, "b": true} {
		p, err := New(Options{Namespaces: []*corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: "other", Labels: map[string]string{"team": team}}}}},
			[]*corev1.Node{testNode("n", "z1", "8")}, prepare(t, bound))
		if err != nil {
			t.Fatal(err)
		}
		if got, why := p.Fits(pod, p.Node("n")); got != fits {
			t.Errorf("team %s: fits %v (%s), want %v", team, got, why, fits)
		}
		p.Close()
	}
}

// A cache's list is another list for every reading; only other labels are news.
func TestNamespacesReadAgainAreNoNews(t *testing.T) {
	read := func(team string) []*corev1.Namespace {
		return []*corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: "other", Labels: map[string]string{"team": team}}}}
	}
	bound := testPod("bound", "x", "1", on("n"))
	bound.Namespace = "other"
	pod := prepare(t, testPod("new", "x", "1", oneANode, func(p *corev1.Pod) {
		p.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution[0].NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}}
	}))[0]
	p, err := New(Options{Namespaces: read("b")}, []*corev1.Node{testNode("n", "z1", "8")}, prepare(t, bound))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if fits, why := p.Fits(pod, p.Node("n")); !fits {
		t.Fatalf("team b: %s", why)
	}
	if err := p.SetNamespaces(read("b")); err != nil {
		t.Fatal(err)
	}
	if len(p.classes) != 1 {
		t.Error("what was found of the pod is forgotten, though its namespaces are as they were")
	}
	if err := p.SetNamespaces(read("a")); err != nil {
		t.Fatal(err)
	}
	if fits, _ := p.Fits(pod, p.Node("n")); fits {
		t.Error("the namespace's new label is not seen")
	}
}

// What a node alone would say of a pod does not change with the pods that are elsewhere.
func TestFittingAloneLeavesOutSpreadAndAffinity(t *testing.T) {
	nodes := []*corev1.Node{testNode("a", "z1", "8"), testNode("b", "z2", "8"), testNode("small", "z3", "1")}
	there := []*corev1.Pod{testPod("spread", "web", "1", on("a")), testPod("apart", "x", "1", oneANode, on("a"))}
	p := packer(t, nodes, there...)
	for name, c := range map[string]struct {
		with            func(*corev1.Pod)
		node            string
		fits, fitsAlone bool
	}{
		"spread":                      {zoneSpread, "a", false, true},
		"kept apart":                  {func(p *corev1.Pod) { p.Labels["app"] = "x"; oneANode(p) }, "a", false, true},
		"kept apart by another":       {func(p *corev1.Pod) { p.Labels["app"] = "x" }, "a", false, true},
		"on a node without others":    {zoneSpread, "b", true, true},
		"on a node that is too small": {zoneSpread, "small", false, false},
		"not modelled":                {func(p *corev1.Pod) { p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu"}} }, "b", false, false},
	} {
		pod := prepare(t, testPod(name, "web", "2", c.with))[0]
		if fits, why := p.Fits(pod, p.Node(c.node)); fits != c.fits || p.FitsAlone(pod, p.Node(c.node)) != c.fitsAlone {
			t.Errorf("%s: fits %v (%s) and alone %v, want %v and %v", name, fits, why, p.FitsAlone(pod, p.Node(c.node)), c.fits, c.fitsAlone)
		}
	}
}
