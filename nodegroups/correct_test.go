package nodegroups_test

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/nodegroups"
)

func resources(pairs ...string) corev1.ResourceList {
	out := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		out[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return out
}

var morning = time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)

// node of an instance in zone a that has been Ready for a time.
func node(id string, ready time.Duration, allocatable corev1.ResourceList) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "node-" + id, Labels: map[string]string{corev1.LabelHostname: "node-" + id}},
		Spec:       corev1.NodeSpec{ProviderID: nodegroups.ProviderID("a", id)},
		Status: corev1.NodeStatus{Allocatable: allocatable, Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue,
			LastTransitionTime: metav1.NewTime(morning), LastHeartbeatTime: metav1.NewTime(morning.Add(ready))}}},
	}
}

func instance(id, typed string) nodegroups.Instance {
	return nodegroups.Instance{ID: id, Type: typed, Zone: "a", Lifecycle: nodegroups.InService, ProviderID: nodegroups.ProviderID("a", id)}
}

func oneGroup(t nodegroups.Template, instances ...nodegroups.Instance) []nodegroups.Group {
	return []nodegroups.Group{{Name: "g", Zone: "a", InstanceTypes: []string{"m"}, Template: t, Templates: map[string]nodegroups.Template{"m": t}, Instances: instances}}
}

func has(t *testing.T, got corev1.ResourceList, name, want string) {
	t.Helper()
	q, ok := got[corev1.ResourceName(name)]
	if want == "" {
		if ok {
			t.Errorf("%s is %s, want none", name, q.String())
		}
		return
	}
	if w := resource.MustParse(want); !ok || q.Cmp(w) != 0 {
		t.Errorf("%s is %s (given: %t), want %s", name, q.String(), ok, want)
	}
}

// Template allocatable taken as capacity: what kubelet reserves is not there for pods.
func TestTemplateAllocatableIsNotTakenAsCapacity(t *testing.T) {
	groups := oneGroup(nodegroups.Template{Allocatable: resources("memory", "64Gi", "cpu", "16")}, instance("i-1", "m"), instance("i-2", "m"))
	got, why := nodegroups.Correct(groups, []*corev1.Node{
		node("i-1", time.Minute, resources("memory", "58Gi", "cpu", "15890m")), node("i-2", time.Minute, resources("memory", "57Gi", "cpu", "15890m"))})
	has(t, got[0].Template.Allocatable, "memory", "57Gi")
	has(t, got[0].Templates["m"].Allocatable, "cpu", "15890m")
	if len(why) != 2 || why[0].Group != "g" || why[0].Type != "m" || why[1].What != "memory is 57Gi by its nodes, the template had 64Gi" {
		t.Errorf("reasons %v", why)
	}
	has(t, groups[0].Template.Allocatable, "memory", "64Gi") // the argument is left as it is
}

func TestNodesThatDoNotTellAreNotHeard(t *testing.T) {
	template := nodegroups.Template{Allocatable: resources("memory", "64Gi")}
	notReady := node("i-1", time.Hour, resources("memory", "1Gi"))
	notReady.Status.Conditions[0].Status = corev1.ConditionFalse
	ending := instance("i-2", "m")
	ending.Lifecycle = nodegroups.Terminating
	old := instance("i-3", "m")
	old.Outdated = true
	stranger := node("i-9", time.Hour, resources("memory", "3Gi"))
	nodes := []*corev1.Node{notReady, node("i-2", time.Hour, resources("memory", "2Gi")), node("i-3", time.Hour, resources("memory", "60Gi")), stranger}
	got, _ := nodegroups.Correct(oneGroup(template, instance("i-1", "m"), ending), nodes)
	has(t, got[0].Template.Allocatable, "memory", "64Gi")
	// an older image is heard only while there is no node of the present one
	got, _ = nodegroups.Correct(oneGroup(template, old), nodes)
	has(t, got[0].Template.Allocatable, "memory", "60Gi")
	got, _ = nodegroups.Correct(oneGroup(template, old, instance("i-4", "m")), append(nodes, node("i-4", 0, resources("memory", "62Gi"))))
	has(t, got[0].Template.Allocatable, "memory", "62Gi")
}

// A device plugin registers after Ready: a young node's missing GPU is not the template's.
func TestAGPUIsGivenUpOnlyWhenNodesHaveLongBeenReadyWithoutIt(t *testing.T) {
	template := nodegroups.Template{Allocatable: resources("nvidia.com/gpu", "4", "cpu", "8"), Labels: map[string]string{"gpu": "yes"}}
	for ready, want := range map[time.Duration]string{time.Minute: "4", 10 * time.Minute: ""} {
		bare := resources("cpu", "8", "nvidia.com/gpu", "0")
		got, _ := nodegroups.Correct(oneGroup(template, instance("i-1", "m"), instance("i-2", "m")), []*corev1.Node{node("i-1", ready, bare), node("i-2", ready, bare)})
		has(t, got[0].Template.Allocatable, "nvidia.com/gpu", want)
		if _, ok := got[0].Template.Labels["gpu"]; ok != (want != "") {
			t.Errorf("after %s the label is there: %t", ready, ok)
		}
	}
}

func TestLabelsAndTaintsThatAllNodesShareAreTaken(t *testing.T) {
	a, b := node("i-1", time.Hour, nil), node("i-2", time.Hour, nil)
	for _, n := range []*corev1.Node{a, b} {
		n.Labels["team"], n.Labels["own"], n.Labels[corev1.LabelNodeExcludeBalancers] = "x", n.Name, "true" // it is drained
		n.Spec.Taints = []corev1.Taint{{Key: "dedicated", Value: "x", Effect: corev1.TaintEffectNoSchedule},
			{Key: "node.cilium.io/agent-not-ready", Effect: corev1.TaintEffectNoExecute},
			{Key: "eks.amazonaws.com/nodegroup", Value: "unschedulable", Effect: corev1.TaintEffectNoSchedule}, {Key: "node.kubernetes.io/unschedulable", Effect: corev1.TaintEffectNoSchedule}}
	}
	b.Labels["only"] = "b"
	got, _ := nodegroups.Correct(oneGroup(nodegroups.Template{}, instance("i-1", "m"), instance("i-2", "m")), []*corev1.Node{a, b})
	if l := got[0].Template.Labels; len(l) != 1 || l["team"] != "x" {
		t.Errorf("labels %v, want team alone", l)
	}
	if taints := got[0].Template.Taints; len(taints) != 1 || taints[0].Key != "dedicated" {
		t.Errorf("taints %v, want dedicated alone", taints)
	}
	// one node alone does not make its own name the group's
	got, _ = nodegroups.Correct(oneGroup(nodegroups.Template{}, instance("i-1", "m")), []*corev1.Node{a})
	if l := got[0].Template.Labels; len(l) != 1 {
		t.Errorf("labels %v, want team alone", l)
	}
}

func TestLeastIsWhatEveryTemplateGives(t *testing.T) {
	got := nodegroups.Least(
		nodegroups.Template{Allocatable: resources("cpu", "8", "memory", "10Gi", "nvidia.com/gpu", "1"), Labels: map[string]string{"a": "1", "b": "1"}},
		nodegroups.Template{Allocatable: resources("cpu", "4", "memory", "20Gi"), Labels: map[string]string{"a": "1", "b": "2"}})
	has(t, got.Allocatable, "cpu", "4")
	has(t, got.Allocatable, "memory", "10Gi")
	has(t, got.Allocatable, "nvidia.com/gpu", "")
	if len(got.Labels) != 1 || got.Labels["a"] != "1" {
		t.Errorf("labels %v", got.Labels)
	}
}

// A GPU that fell off one node says nothing of the next node; what two nodes lack, the type or the tag is wrong about.
func TestASickGPUDoesNotBlockItsGroup(t *testing.T) {
	for name, c := range map[string]struct {
		shows []string
		want  string
	}{
		"one of eight is lost":       {[]string{"7"}, "8"},
		"the driver failed":          {[]string{"0"}, "8"},
		"one of two nodes is well":   {[]string{"8", "3"}, "8"},
		"time slicing shows more":    {[]string{"32"}, "32"},
		"both have four":             {[]string{"4", "4"}, "4"},
		"the tag is wrong about two": {[]string{"0", "0"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var instances []nodegroups.Instance
			var nodes []*corev1.Node
			for i, shows := range c.shows {
				id := fmt.Sprintf("i-%d", i)
				instances = append(instances, instance(id, "m"))
				nodes = append(nodes, node(id, time.Hour, resources("cpu", "95", "nvidia.com/gpu", shows)))
			}
			got, _ := nodegroups.Correct(oneGroup(nodegroups.Template{Allocatable: resources("cpu", "96", "nvidia.com/gpu", "8")}, instances...), nodes)
			if q, ok := got[0].TemplateOf("m").Allocatable["nvidia.com/gpu"]; ok != (c.want != "") || ok && q.String() != c.want {
				t.Errorf("%s GPUs: want %q", q.String(), c.want)
			}
		})
	}
}
