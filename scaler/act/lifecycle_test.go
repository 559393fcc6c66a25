package act

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"swell/nodegroups"
	"swell/nodegroups/aws"
	"swell/scaler/plan"
)

// waiting is AWS with a lifecycle action that counts what it is told.
type waiting struct {
	*aws.Client
	beats, completed *atomic.Int32
	hooks            *sync.Map // tokens by name, of those that were completed; nil counts alone
}

func (w waiting) Heartbeat(context.Context, nodegroups.Interruption) error {
	w.beats.Add(1)
	return nil
}

func (w waiting) Complete(_ context.Context, n nodegroups.Interruption) error {
	w.completed.Add(1)
	if w.hooks != nil {
		w.hooks.Store(n.Hook, n.HookToken)
	}
	return nil
}

// Each of swell's hooks is completed, those of others are not, and the node is drained for either.
func TestEachHookIsCompletedByItsOwner(t *testing.T) {
	for name, n := range map[string]nodegroups.Interruption{"two": {Hook: "a", HookToken: "1", MoreHooks: []nodegroups.LifecycleHook{{Name: "b", Token: "2"}}}, "another's": {}} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.deploy(1)
			w := waiting{Client: p.aws.client(), beats: &atomic.Int32{}, completed: &atomic.Int32{}, hooks: &sync.Map{}}
			p.scaler.cloud = w
			n.InstanceID, n.Kind, n.ASG = p.termination(0).InstanceID, nodegroups.TerminationHook, group
			until(t, "the node is empty and its hooks are completed", func() (bool, string) {
				p.scaler.EndLifecycle(t.Context(), 1, p.node, 0, n)
				on, _ := p.pods()
				return on == 0 && len(p.scaler.hold(n)) == 0, ""
			})
			p.ended()
			if int(w.completed.Load()) != len(n.Hooks()) {
				t.Errorf("completed %d times, want %d", w.completed.Load(), len(n.Hooks()))
			}
			for _, h := range n.Hooks() {
				if token, _ := w.hooks.Load(h.Name); token != h.Token {
					t.Errorf("hook %s was completed by token %v, want %s", h.Name, token, h.Token)
				}
			}
		})
	}
}

// A group that ends an instance by itself and waits with a hook goes on only when the node is empty: its pods went as their
// budget allowed, and the desired capacity is not lowered a second time.
func TestALifecycleActionEndsWhenTheNodeIsEmpty(t *testing.T) {
	p := newPlace(t)
	p.deploy(2)
	none, one := intstr.FromInt32(0), intstr.FromInt32(1)
	p.budget(policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &none}, 0)
	w := waiting{Client: p.aws.client(), beats: &atomic.Int32{}, completed: &atomic.Int32{}}
	p.scaler.cloud = w
	n := nodegroups.Interruption{InstanceID: p.termination(0).InstanceID, Kind: nodegroups.TerminationHook, ASG: group, Hook: "h"}
	end := func() { p.scaler.EndLifecycle(t.Context(), 1, p.node, 0, n) }
	end()
	until(t, "an eviction is refused and the action is kept waiting", func() (bool, string) { end(); return p.evictions()[429] > 0 && w.beats.Load() > 1, "" })
	if on, _ := p.pods(); on != 2 || w.completed.Load() != 0 {
		t.Fatalf("%d pods are on the node, %d times completed: want both pods there and the action open", on, w.completed.Load())
	}
	b, err := p.kube.PolicyV1().PodDisruptionBudgets(p.ns).Get(t.Context(), "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b.Spec.MaxUnavailable = &one
	if _, err := p.kube.PolicyV1().PodDisruptionBudgets(p.ns).Update(t.Context(), b, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the action is completed", func() (bool, string) { end(); return w.completed.Load() > 0, "" })
	if on, _ := p.pods(); on != 0 {
		t.Errorf("completed with %d pods on the node", on)
	}
	p.ended()
	end()
	p.ended()
	if w.completed.Load() != 1 || len(p.aws.seen("TerminateInstanceInAutoScalingGroup")) != 0 {
		t.Errorf("completed %d times, returned %v: want once, and no return", w.completed.Load(), p.aws.seen("TerminateInstanceInAutoScalingGroup"))
	}
}

// EC2 ends an instance that it takes back, whoever waits for it: the action ends at the deadline though the node is not empty, so
// that the group goes on, and not before. A notice that has no deadline any more waits for the pods again.
func TestALifecycleActionEndsAtTheDeadlineOfANoticeBesideIt(t *testing.T) {
	e := newEmptied(t)
	e.unread = true // no drain ends
	w := waiting{Client: e.aws.client(), beats: &atomic.Int32{}, completed: &atomic.Int32{}}
	e.cloud = w
	n := nodegroups.Interruption{InstanceID: e.lost.InstanceID, Kind: nodegroups.TerminationHook, ASG: group, Hook: "h"}
	turn := func() {
		e.EndLifecycle(t.Context(), 1, "node-1", 0, n)
		e.Carry(t.Context(), 1, plan.Plan{})
		e.takeBackLeftovers()
	}
	n.Deadline = clock.Now().Add(10 * time.Second)
	turn()
	n.Deadline = time.Time{}
	turn()
	for gone := clock.Now().Add(30 * time.Second); clock.Now().Before(gone); time.Sleep(10 * time.Millisecond) {
		turn()
	}
	if w.completed.Load() != 0 {
		t.Fatal("the action was ended with pods on the node, and nobody says that the instance goes")
	}
	n.Deadline = clock.Now().Add(30 * time.Second)
	until(t, "the action is completed", func() (bool, string) { turn(); return w.completed.Load() > 0, "" })
	if now := clock.Now(); now.Before(n.Deadline) {
		t.Errorf("it is completed %s before the instance goes", n.Deadline.Sub(now))
	}
	e.unread = false
	e.ended()
	turn()
	e.ended()
	if w.completed.Load() != 1 || len(e.aws.seen("TerminateInstanceInAutoScalingGroup")) != 0 || !e.cordoned() {
		t.Errorf("completed %d times, %d returns, cordoned %t: want one, none, and its node to stay cordoned", w.completed.Load(), len(e.aws.seen("TerminateInstanceInAutoScalingGroup")), e.cordoned())
	}
}
