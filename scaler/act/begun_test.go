package act

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	emulator "swell/bench/testbed/aws"
	"swell/nodegroups"
	"swell/scaler/plan"
)

// emptied is an actor with one node of the emulated AWS's first instance, whose pods can be listed unless told.
type emptied struct {
	*Actor
	t      *testing.T
	kube   *fake.Clientset
	aws    *service
	lost   plan.Termination
	unread bool // the pods cannot be listed: a drain fails
}

func newEmptied(t *testing.T) *emptied {
	t.Helper()
	e := &emptied{t: t, aws: startService(t)}
	e.lost = plan.Termination{Node: "node-1", InstanceID: e.aws.first(), Group: group, Reason: "interrupted", Placed: true}
	e.kube = fake.NewClientset(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}, Spec: corev1.NodeSpec{ProviderID: nodegroups.ProviderID(zone, e.lost.InstanceID)}})
	e.kube.PrependReactor("list", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		if e.unread {
			return true, nil, errors.New("i/o timeout")
		}
		return false, nil, nil
	})
	e.Actor = actorOf(t, e.kube, e.aws.client())
	t.Cleanup(e.ended)
	return e
}

func (e *emptied) ended() {
	e.t.Helper()
	until(e.t, "the drain has ended", func() (bool, string) { return scaler{Actor: e.Actor}.idle(), "" })
}

// carry carries a plan out, waits for its drains, and takes back what nobody asks for, as the next turn does.
func (e *emptied) carry(p plan.Plan) {
	e.t.Helper()
	e.Carry(e.t.Context(), 1, p)
	e.ended()
	e.takeBackLeftovers()
}

func (e *emptied) takeBackLeftovers() {
	e.t.Helper()
	list, err := e.kube.CoreV1().Nodes().List(e.t.Context(), metav1.ListOptions{})
	if err != nil {
		e.t.Fatal(err)
	}
	var nodes []*corev1.Node
	for i := range list.Items {
		nodes = append(nodes, &list.Items[i])
	}
	if err := e.UncordonLeftovers(e.t.Context(), nodes); err != nil {
		e.t.Fatal(err)
	}
}

func (e *emptied) cordoned() bool {
	e.t.Helper()
	n, err := e.kube.CoreV1().Nodes().Get(e.t.Context(), "node-1", metav1.GetOptions{})
	if err != nil {
		e.t.Fatal(err)
	}
	return n.Spec.Unschedulable
}

// A node whose instance was about to be lost stays cordoned while its drain fails and the notice stands, though the pool is frozen
// meanwhile. Once the notice was withdrawn it is of use again.
func TestANodeWhoseNoticeWasWithdrawnTakesPodsAgain(t *testing.T) {
	e := newEmptied(t)
	e.unread = true
	if e.carry(plan.Plan{Replacements: []plan.Termination{e.lost}}); !e.cordoned() {
		t.Error("the node takes pods while its instance is about to be lost")
	}
	if e.carry(plan.Plan{Suppressed: []plan.Suppressed{{Termination: &e.lost}}}); !e.cordoned() {
		t.Error("the node takes pods while what its notice asks for is held back")
	}
	if e.carry(plan.Plan{}); e.cordoned() {
		t.Error("the node stays cordoned though its notice was withdrawn")
	}
	if len(e.aws.alive()) != 1 {
		t.Error("its instance was returned undrained")
	}
}

// The node of an instance that was returned is not taken back while it is there, though no plan names it any more; after that
// nothing is remembered of it.
func TestTheNodeOfAReturnedInstanceStaysCordoned(t *testing.T) {
	e := newEmptied(t)
	e.carry(plan.Plan{Replacements: []plan.Termination{e.lost}})
	e.carry(plan.Plan{})
	if !e.cordoned() || e.aws.alive()[e.lost.InstanceID] {
		t.Fatalf("cordoned %t, alive %v: want it returned and cordoned", e.cordoned(), e.aws.alive())
	}
	if err := e.kube.CoreV1().Nodes().Delete(t.Context(), "node-1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	e.takeBackLeftovers()
	if len(e.began) != 0 {
		t.Errorf("%v are still remembered", e.began)
	}
}

// One that AWS ends, which its group shows, is not taken back, whoever began to drain it.
func TestTheNodeOfAnInstanceThatEndsIsNotTakenBack(t *testing.T) {
	e := newEmptied(t)
	e.unread = true
	e.options.Ending = func(id string) bool { return id == e.lost.InstanceID }
	e.carry(plan.Plan{Replacements: []plan.Termination{e.lost}})
	if e.carry(plan.Plan{}); !e.cordoned() {
		t.Error("it takes pods, and ends")
	}
}

// A group at its minimum refuses to be lowered. What is of no use to it is ended all the same, and the group replaces it by itself;
// a node that nobody needs is given back at once.
func TestAnInstanceOfAGroupAtItsMinimumIsReplacedByTheGroup(t *testing.T) {
	for name, c := range map[string]struct {
		plan     func(plan.Termination) plan.Plan
		replaced bool
	}{
		"interrupted":  {func(t plan.Termination) plan.Plan { return plan.Plan{Replacements: []plan.Termination{t}} }, true},
		"never joined": {func(t plan.Termination) plan.Plan { return plan.Plan{Lost: []plan.Termination{t}} }, true},
		"unneeded":     {func(t plan.Termination) plan.Plan { return plan.Plan{Terminations: []plan.Termination{t}} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEmptied(t)
			e.aws.atLeast(1)
			var returned, replaced []string
			e.options.Returned = func(id string) { returned = append(returned, id) }
			e.options.Replaced = func(id string) { replaced = append(replaced, id) }
			e.carry(c.plan(e.lost))
			if alive := e.aws.alive()[e.lost.InstanceID]; alive == c.replaced || len(returned) != 0 || (len(replaced) == 1) != c.replaced || e.cordoned() != c.replaced {
				t.Fatalf("alive %t, returned %v, replaced %v, cordoned %t; want replaced: %t", alive, returned, replaced, e.cordoned(), c.replaced)
			}
			if n := len(e.aws.seen("TerminateInstanceInAutoScalingGroup")); n > 2 {
				t.Errorf("%d calls to end it: want no repetition of what is refused", n)
			}
			until(t, "the group has one again", func() (bool, string) { return len(e.aws.alive()) == 1, "" })
		})
	}
}

// A launch of the group whose answer is not known yet may raise it: then the instance is returned as any other, and not doubled by
// its group beside that launch.
func TestAnInstanceIsNotReplacedByItsGroupBesideALaunch(t *testing.T) {
	e := newEmptied(t)
	e.aws.atLeast(1)
	e.aws.order("deny", emulator.Order{Fault: emulator.Fault{Service: "autoscaling", Action: "LaunchInstances", Code: "IdempotentCallInProgress"}})
	out := e.Carry(t.Context(), 1, plan.Plan{Launches: launches(1).Launches, Replacements: []plan.Termination{e.lost}})
	if len(out.Errors) == 0 {
		t.Fatal("the launch was answered")
	}
	until(t, "the return is refused", func() (bool, string) { return len(e.aws.seen("TerminateInstanceInAutoScalingGroup")) > 0, "" })
	e.aws.order("reset", emulator.Order{})
	until(t, "it is returned", func() (bool, string) {
		e.Carry(t.Context(), 2, plan.Plan{Replacements: []plan.Termination{e.lost}})
		return !e.aws.alive()[e.lost.InstanceID], ""
	})
	if e.aws.wantDesired(1); len(e.aws.alive()) != 1 {
		t.Errorf("%v are alive: want the one that was launched", e.aws.alive())
	}
}

// An instance that never joined becomes a node while its return is refused: its pods would end undrained.
func TestAnInstanceThatJoinsBeforeItsReturnIsLeft(t *testing.T) {
	e := newEmptied(t)
	node := e.node()
	if err := e.kube.CoreV1().Nodes().Delete(t.Context(), node.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	e.aws.order("deny", emulator.Order{Fault: emulator.Fault{Service: "autoscaling", Action: "TerminateInstanceInAutoScalingGroup", Code: "InternalFailure"}})
	e.lost.Node = ""
	e.Carry(t.Context(), 1, plan.Plan{Lost: []plan.Termination{e.lost}})
	until(t, "the return is refused", func() (bool, string) { return len(e.aws.seen("TerminateInstanceInAutoScalingGroup")) > 0, "" })
	if _, err := e.kube.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	e.aws.order("reset", emulator.Order{})
	if e.ended(); !e.aws.alive()[e.lost.InstanceID] {
		t.Error("it was ended, and is a node")
	}
}
