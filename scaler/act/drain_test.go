package act

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"

	emulator "swell/bench/testbed/aws"
	"swell/bench/testbed/controlplane"
	"swell/scaler/ledger"
	"swell/scaler/plan"
)

// place is a node to be drained, with an instance of the emulated AWS behind it, and a namespace for its pods.
type place struct {
	t        *testing.T
	cluster  *controlplane.Cluster
	kube     kubernetes.Interface // the test's own
	wire     *wire                // the scaler's way to the API server
	ns, node string
	aws      *service
	scaler   scaler
}

func newPlace(t *testing.T) *place {
	t.Helper()
	c, kube := cluster(t)
	p := &place{t: t, cluster: c, kube: kube, wire: &wire{}, ns: addNamespace(t, kube), aws: startService(t)}
	p.node = "node-" + p.ns
	addNode(t, kube, p.node)
	p.scaler = takeOver(t, p.wire.through(t, c), p.ns, "first", p.aws.client())
	t.Cleanup(func() { p.ended() }) // a drain that goes on would meet the end of its ledger
	return p
}

func (p *place) termination(timeout time.Duration) plan.Termination {
	return plan.Termination{Node: p.node, InstanceID: p.aws.first(), Reason: "nobody needs it", DrainTimeout: timeout, Placed: true}
}

func (p *place) ended() {
	p.t.Helper()
	until(p.t, "the drain has ended", func() (bool, string) { return p.scaler.idle(), "" })
}

// deploy runs replicas on the node alone at first, which other nodes may take over.
func (p *place) deploy(replicas int32) {
	p.t.Helper()
	labels := map[string]string{"app": "web"}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: appsv1.DeploymentSpec{
		Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: map[string]string{controlplane.PodStartAnnotation: "300ms"}},
			Spec:       p.podSpec(true),
		},
	}}
	if _, err := p.kube.AppsV1().Deployments(p.ns).Create(p.t.Context(), d, metav1.CreateOptions{}); err != nil {
		p.t.Fatal(err)
	}
	until(p.t, "the pods are Ready", func() (bool, string) {
		on, ready := p.pods()
		return on == int(replicas) && ready == int(replicas), fmt.Sprintf("%d on the node, %d ready", on, ready)
	})
}

// podSpec prefers the test's node, so that all of its pods start there.
func (p *place) podSpec(preferred bool) corev1.PodSpec {
	none := int64(0)
	s := corev1.PodSpec{TerminationGracePeriodSeconds: &none, Containers: []corev1.Container{{Name: "app", Image: "app",
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("100m")}}}}}
	if !preferred {
		s.NodeName = p.node
		return s
	}
	s.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "node", Operator: corev1.NodeSelectorOpIn, Values: []string{p.node, "roomy"}}}}}},
		PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{Weight: 100, Preference: corev1.NodeSelectorTerm{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "node", Operator: corev1.NodeSelectorOpIn, Values: []string{p.node}}}}}},
	}}
	return s
}

// bare makes a pod on the node that no controller would make again.
func (p *place) bare() types.UID {
	p.t.Helper()
	pod, err := p.kube.CoreV1().Pods(p.ns).Create(p.t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "bare"}, Spec: p.podSpec(false)}, metav1.CreateOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return pod.UID
}

// budget makes a PodDisruptionBudget and waits until it counts.
func (p *place) budget(spec policyv1.PodDisruptionBudgetSpec, allowed int32) {
	p.t.Helper()
	spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	b := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: spec}
	if _, err := p.kube.PolicyV1().PodDisruptionBudgets(p.ns).Create(p.t.Context(), b, metav1.CreateOptions{}); err != nil {
		p.t.Fatal(err)
	}
	until(p.t, "the budget counts", func() (bool, string) {
		b, err := p.kube.PolicyV1().PodDisruptionBudgets(p.ns).Get(p.t.Context(), "web", metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		return b.Status.ObservedGeneration == b.Generation && b.Status.DisruptionsAllowed == allowed && b.Status.ExpectedPods > 0, fmt.Sprintf("%+v", b.Status)
	})
}

// pods counts the Deployment's pods that are on the node, and those that are Ready anywhere.
func (p *place) pods() (on, ready int) {
	p.t.Helper()
	list, err := p.kube.CoreV1().Pods(p.ns).List(p.t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, pod := range list.Items {
		if pod.Spec.NodeName == p.node {
			on++
		}
		if isReady(&pod) {
			ready++
		}
	}
	return on, ready
}

func isReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return pod.DeletionTimestamp == nil
		}
	}
	return false
}

// evictions counts the namespace's eviction requests in the API server's audit log, by their answer.
func (p *place) evictions() map[int]int {
	p.t.Helper()
	file, err := os.Open(p.cluster.AuditLog())
	if err != nil {
		p.t.Fatal(err)
	}
	defer file.Close()
	n := map[int]int{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e struct {
			ObjectRef      struct{ Resource, Subresource, Namespace string }
			ResponseStatus struct{ Code int }
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			p.t.Fatal(err)
		}
		if e.ObjectRef.Resource == "pods" && e.ObjectRef.Subresource == "eviction" && e.ObjectRef.Namespace == p.ns {
			n[e.ResponseStatus.Code]++
		}
	}
	if err := lines.Err(); err != nil {
		p.t.Fatal(err)
	}
	return n
}

// cordoned says whether the node takes pods, and that its mark agrees.
func (p *place) cordoned() bool {
	p.t.Helper()
	n, err := p.kube.CoreV1().Nodes().Get(p.t.Context(), p.node, metav1.GetOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	if _, marked := n.Annotations[plan.DrainingAnnotation]; marked != n.Spec.Unschedulable {
		p.t.Errorf("node %s: unschedulable %t, marked as draining %t", n.Name, n.Spec.Unschedulable, marked)
	}
	return n.Spec.Unschedulable
}

func (p *place) wantReturned(want bool) {
	p.t.Helper()
	if returned := len(p.aws.alive()) == 0; returned != want {
		p.t.Errorf("the instance was returned: %t, want %t; the calls were %v", returned, want, p.aws.seen("TerminateInstanceInAutoScalingGroup"))
	}
	if n := len(p.scaler.entries("terminate", ledger.Done)); (n > 0) != want {
		p.t.Errorf("the ledger has %d returns done, want some: %t", n, want)
	}
}

func TestADrainWaitsForWhatABudgetAllows(t *testing.T) {
	p := newPlace(t)
	p.deploy(3)
	two := intstr.FromInt32(2)
	p.budget(policyv1.PodDisruptionBudgetSpec{MinAvailable: &two}, 1)
	watch, err := p.kube.CoreV1().Pods(p.ns).Watch(t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil {
		t.Fatal(err)
	}
	fewest := make(chan int, 1)
	go func() { // what the API server showed at any time, not at the times of a poll
		ready, low := map[string]bool{}, 3
		for e := range watch.ResultChan() {
			pod, isPod := e.Object.(*corev1.Pod)
			if !isPod {
				continue
			}
			ready[pod.Name] = e.Type != "DELETED" && isReady(pod)
			n := 0
			for _, r := range ready {
				if r {
					n++
				}
			}
			if len(ready) >= 3 { // the first events tell of the pods one by one
				low = min(low, n)
			}
		}
		fewest <- low
	}()
	p.scaler.Carry(t.Context(), 1, plan.Plan{Terminations: []plan.Termination{p.termination(10 * time.Minute)}})
	if d := p.scaler.Draining(); len(d) != 1 || d[0] != p.node {
		t.Errorf("draining are %v: want %s", d, p.node)
	}
	p.ended()
	until(t, "three pods are Ready elsewhere", func() (bool, string) {
		on, ready := p.pods()
		return on == 0 && ready == 3, fmt.Sprintf("%d on the node, %d ready", on, ready)
	})
	watch.Stop()
	if low := <-fewest; low < 2 {
		t.Errorf("%d pods were Ready at a time: the budget wants 2", low)
	}
	p.wantReturned(true)
	if n := p.evictions(); n[201] != 3 {
		t.Errorf("evictions by answer: %v: want 3 that were allowed", n)
	}
	if len(p.scaler.Draining()) != 0 {
		t.Errorf("draining are %v after the end", p.scaler.Draining())
	}
}

func TestABudgetThatAllowsNothingKeepsTheNode(t *testing.T) {
	p := newPlace(t)
	p.deploy(2)
	none := intstr.FromInt32(0)
	p.budget(policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &none}, 0)
	const timeout = time.Minute
	before := p.wire.count()
	p.scaler.Carry(t.Context(), 1, plan.Plan{Terminations: []plan.Termination{p.termination(timeout)}})
	p.ended()
	if p.cordoned() {
		t.Error("the node is cordoned after the drain timeout")
	}
	p.wantReturned(false)
	if on, _ := p.pods(); on != 2 {
		t.Errorf("%d pods are on the node: want 2", on)
	}
	// a pod is tried for once a second until the timeout; each try is an eviction and a reading of the pod
	tries := 2 * (int(clock.Wait(timeout)/time.Second) + 1)
	n := p.evictions()
	if n[429] == 0 || n[429] > tries || len(n) != 1 {
		t.Errorf("evictions by answer: %v: want 1 to %d refused ones", n, tries)
	}
	if all := p.wire.count() - before; all > 2*tries+10 {
		t.Errorf("%d requests to the API server: want at most %d", all, 2*tries+10)
	}
	failed := p.scaler.entries("drain", ledger.Failed)
	if len(failed) != 1 || !strings.Contains(failed[0].Error, "PodDisruptionBudget") || !strings.Contains(failed[0].Error, p.node) {
		t.Errorf("the ledger has %+v: want the failed drain with the node and the mend", failed)
	}
	// the same plan at once again leaves it alone
	p.scaler.Carry(t.Context(), 2, plan.Plan{Terminations: []plan.Termination{p.termination(timeout)}})
	if len(p.scaler.Draining()) != 0 {
		t.Error("the node is drained again at once")
	}
}

func TestAPodWithoutAControllerIsNeverEvictedToSaveANode(t *testing.T) {
	p := newPlace(t)
	p.deploy(1)
	uid := p.bare()
	p.scaler.Carry(t.Context(), 1, plan.Plan{Terminations: []plan.Termination{p.termination(10 * time.Minute)}})
	p.ended()
	pod, err := p.kube.CoreV1().Pods(p.ns).Get(t.Context(), "bare", metav1.GetOptions{})
	if err != nil || pod.UID != uid || pod.DeletionTimestamp != nil {
		t.Errorf("the pod is %v, %v: want it as it was", pod, err)
	}
	if n := p.evictions(); len(n) != 0 {
		t.Errorf("evictions by answer: %v: want none, of other pods neither", n)
	}
	if p.cordoned() {
		t.Error("the node was not taken back")
	}
	p.wantReturned(false)
	if failed := p.scaler.entries("drain", ledger.Failed); len(failed) != 1 || !strings.Contains(failed[0].Error, "bare") {
		t.Errorf("the ledger has %+v: want the failed drain with the pod's name", failed)
	}
}

func TestALostNodeIsEmptiedOfAllPodsAndStaysCordoned(t *testing.T) {
	p := newPlace(t)
	p.deploy(1)
	p.bare()
	p.scaler.Carry(t.Context(), 1, plan.Plan{Replacements: []plan.Termination{p.termination(10 * time.Minute)}})
	p.ended()
	if on, _ := p.pods(); on != 0 {
		t.Errorf("%d pods with a controller are on the node", on)
	}
	if _, err := p.kube.CoreV1().Pods(p.ns).Get(t.Context(), "bare", metav1.GetOptions{}); err == nil {
		t.Error("the pod without a controller is still there")
	}
	if n := p.evictions(); n[201] != 2 {
		t.Errorf("evictions by answer: %v: want 2", n)
	}
	if !p.cordoned() {
		t.Error("the node takes pods although it is lost")
	}
	p.wantReturned(true)
}

// An interrupted node whose pods have no place yet is drained only when its end is near.
func TestALostNodeIsKeptUntilItsPodsHaveAPlaceOrItsEndIsNear(t *testing.T) {
	p := newPlace(t)
	late := p.termination(10 * time.Minute)
	late.Placed, late.Deadline = false, clock.Now().Add(time.Hour)
	p.scaler.Carry(t.Context(), 1, plan.Plan{Replacements: []plan.Termination{late}})
	if len(p.scaler.Draining()) != 0 || p.cordoned() {
		t.Fatal("it is drained an hour before its end")
	}
	late.Deadline = clock.Now().Add(lastCall)
	p.scaler.Carry(t.Context(), 2, plan.Plan{Replacements: []plan.Termination{late}})
	p.ended()
	p.wantReturned(true)
}

func TestANodeThatIsGoneCountsAsDrained(t *testing.T) {
	p := newPlace(t)
	if err := p.kube.CoreV1().Nodes().Delete(t.Context(), p.node, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	p.scaler.Carry(t.Context(), 1, plan.Plan{Terminations: []plan.Termination{p.termination(10 * time.Minute)}})
	p.ended()
	p.wantReturned(true)
	if n := len(p.scaler.entries("drain", ledger.Done)); n != 1 {
		t.Errorf("the ledger has %d drains done: want 1", n)
	}
}

// A plan that was made from an old cache may not know that an instance has a Node by now.
func TestAnInstanceWhoseNodeThePlanDoesNotKnowIsDrained(t *testing.T) {
	p := newPlace(t)
	p.deploy(1)
	due := p.termination(10 * time.Minute)
	patch := fmt.Sprintf(`{"spec":{"providerID":"aws:///ap-northeast-1a/%s"}}`, due.InstanceID)
	if _, err := p.kube.CoreV1().Nodes().Patch(t.Context(), p.node, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	due.Node = ""
	p.wire.breakNext("GET", "nodes", 1, 0)
	p.scaler.Carry(t.Context(), 1, plan.Plan{Replacements: []plan.Termination{due}})
	p.ended()
	p.wantReturned(false) // it may have pods
	until(t, "it is drained and returned", func() (bool, string) {
		p.scaler.Carry(t.Context(), 2, plan.Plan{Replacements: []plan.Termination{due}})
		p.ended()
		return !p.aws.alive()[due.InstanceID], ""
	})
	if n := p.evictions(); n[201] != 1 || !p.cordoned() {
		t.Errorf("evictions by answer: %v, cordoned: %t: want one eviction from a cordoned node", n, p.cordoned())
	}
}

func TestAReturnThatFailsForAWhileIsRepeated(t *testing.T) {
	p := newPlace(t)
	p.aws.order("deny", emulator.Order{Fault: emulator.Fault{Service: "autoscaling", Action: "TerminateInstanceInAutoScalingGroup", Code: "ServiceUnavailable"}})
	p.scaler.Carry(t.Context(), 1, plan.Plan{Terminations: []plan.Termination{p.termination(10 * time.Minute)}})
	until(t, "two calls were refused", func() (bool, string) { return len(p.aws.seen("TerminateInstanceInAutoScalingGroup")) >= 2, "" })
	p.wire.breakNext("GET", intentsName, 1, 0) // nor does a fence that cannot be read for a moment end it
	p.aws.order("reset", emulator.Order{})
	p.ended()
	p.wantReturned(true)
	if n := len(p.scaler.entries("terminate", ledger.Intent)); n != 1 {
		t.Errorf("the ledger has %d intents to return it: want 1", n)
	}
}

func TestAReturnThatKeepsFailingGivesTheNodeBack(t *testing.T) {
	p := newPlace(t)
	p.aws.order("deny", emulator.Order{Fault: emulator.Fault{Service: "autoscaling", Action: "TerminateInstanceInAutoScalingGroup"}})
	p.scaler.Carry(t.Context(), 1, plan.Plan{Terminations: []plan.Termination{p.termination(10 * time.Minute)}})
	p.ended()
	p.wantReturned(false)
	if p.cordoned() {
		t.Error("the node was not taken back")
	}
	if failed := p.scaler.entries("terminate", ledger.Failed); len(failed) != 1 || !strings.Contains(failed[0].Error, p.aws.first()) {
		t.Errorf("the ledger has %+v: want the failed return with its instance", failed)
	}
}

func TestANodeIsTakenBackAlthoughTheAPIServerFailsForAMoment(t *testing.T) {
	p := newPlace(t)
	p.bare()
	p.wire.breakNext("PATCH", p.node, 1, 1) // the cordon is made and its answer lost; the first try to take it back is refused
	p.scaler.Carry(t.Context(), 1, plan.Plan{Terminations: []plan.Termination{p.termination(10 * time.Minute)}})
	p.ended()
	if p.cordoned() {
		t.Error("the node was not taken back")
	}
	p.wantReturned(false)
}

func TestADrainThatEndsAfterATakeOverReturnsNothing(t *testing.T) {
	p := newPlace(t)
	p.deploy(1)
	none := intstr.FromInt32(0)
	p.budget(policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &none}, 0)
	p.scaler.Carry(t.Context(), 1, plan.Plan{Terminations: []plan.Termination{p.termination(10 * time.Minute)}})
	until(t, "an eviction was refused", func() (bool, string) { return p.evictions()[429] > 0, "" })
	takeOver(t, p.kube, p.ns, "second", p.aws.client())
	if err := p.kube.PolicyV1().PodDisruptionBudgets(p.ns).Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	p.ended()
	p.wantReturned(false)
	if n := len(p.aws.seen("TerminateInstanceInAutoScalingGroup")); n != 0 {
		t.Errorf("%d calls to return an instance", n)
	}
	if !p.cordoned() {
		t.Error("the node was taken back, though the second may be draining it by now")
	}
	// the second takes it back when it starts
	nodes, err := p.kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{LabelSelector: "node=" + p.node})
	if err != nil {
		t.Fatal(err)
	}
	second := takeOver(t, p.kube, p.ns, "second", p.aws.client())
	if err := second.UncordonLeftovers(t.Context(), []*corev1.Node{&nodes.Items[0], {ObjectMeta: metav1.ObjectMeta{Name: "gone", Annotations: map[string]string{plan.DrainingAnnotation: "true"}}}}); err != nil {
		t.Fatal(err)
	}
	if p.cordoned() {
		t.Error("the second has not taken the node back")
	}
}

// A node that somebody else has cordoned is none of a scaler's leftovers.
func TestACordonByHandStays(t *testing.T) {
	p := newPlace(t)
	if _, err := p.kube.CoreV1().Nodes().Patch(t.Context(), p.node, types.MergePatchType, []byte(`{"spec":{"unschedulable":true}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	n, err := p.kube.CoreV1().Nodes().Get(t.Context(), p.node, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.scaler.UncordonLeftovers(t.Context(), []*corev1.Node{n}); err != nil {
		t.Fatal(err)
	}
	if n, err = p.kube.CoreV1().Nodes().Get(t.Context(), p.node, metav1.GetOptions{}); err != nil || !n.Spec.Unschedulable {
		t.Errorf("%v, %v: want the cordon to stay", n.Spec, err)
	}
}
