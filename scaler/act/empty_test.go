package act

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"swell/nodegroups"
	"swell/scaler/plan"
)

// ending is AWS with a lifecycle action; it counts what it is told.
type ending struct{ terminated, beats, completed atomic.Int32 }

func (c *ending) Launch(context.Context, string, string, int, string) (nodegroups.Launched, error) {
	return nodegroups.Launched{}, nil
}

func (c *ending) Terminate(context.Context, string) error {
	c.terminated.Add(1)
	return nil
}

func (c *ending) Heartbeat(context.Context, nodegroups.Interruption) error {
	c.beats.Add(1)
	return nil
}

func (c *ending) Complete(context.Context, nodegroups.Interruption) error {
	c.completed.Add(1)
	return nil
}

var heldAction = nodegroups.Interruption{InstanceID: "i-1", Kind: nodegroups.TerminationHook, ASG: "g", Hook: "h"}

func unneeded(timeout time.Duration) plan.Termination {
	return plan.Termination{Node: "node-1", InstanceID: "i-1", Group: "g", Reason: "nobody needs it", DrainTimeout: timeout, Placed: true}
}

// Nobody confirms the end of the pods of a dead kubelet: once their grace is over nothing waits for it.
func TestALifecycleActionOfADeadNodeIsCompleted(t *testing.T) {
	for _, ready := range []corev1.ConditionStatus{corev1.ConditionUnknown, corev1.ConditionFalse} {
		t.Run(string(ready), func(t *testing.T) {
			e, c := &endless{perNode: 3, ready: ready}, &ending{}
			a := e.against(t, c, 10)
			a.EndLifecycle(t.Context(), 1, "node-1", time.Hour, heldAction)
			until(t, "the action is completed", func() (bool, string) { return c.completed.Load() == 1, "" })
			if e.count("evict") != 3 {
				t.Errorf("%d evictions: want all three pods asked to go first", e.count("evict"))
			}
		})
	}
}

// A reading of its group may be older than the end of an instance's lifecycle action, and its Node gone already.
func TestAnInstanceWhoseActionWasEndedIsNotReturnedToo(t *testing.T) {
	e, c := &endless{}, &ending{}
	a := e.against(t, c, 10)
	a.EndLifecycle(t.Context(), 1, "node-1", 0, heldAction)
	until(t, "the action is completed", func() (bool, string) { return c.completed.Load() == 1 && len(a.Draining()) == 0, "" })
	for _, nodes := range [][]*corev1.Node{{{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}, Spec: corev1.NodeSpec{ProviderID: nodegroups.ProviderID(zone, "i-1")}}}, nil} {
		if err := a.UncordonLeftovers(t.Context(), nodes); err != nil {
			t.Fatal(err)
		}
	}
	a.Carry(t.Context(), 1, plan.Plan{Replacements: []plan.Termination{unneeded(0)}})
	until(t, "nothing is under way", func() (bool, string) { return scaler{Actor: a}.idle(), "" })
	if c.terminated.Load() != 0 {
		t.Error("it was returned, which lowers its group a second time")
	}
}

// A kubelet that answers is waited for, but Auto Scaling is kept waiting for no longer than a drain may take.
func TestALifecycleActionIsKeptWaitingNoLongerThanADrain(t *testing.T) {
	e, c := &endless{perNode: 1, held: true}, &ending{}
	a := e.against(t, c, 10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const timeout = 50 * time.Second
	turns := func(d time.Duration) {
		for end := a.options.Clock.Now().Add(d); a.options.Clock.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			a.EndLifecycle(ctx, 1, "node-1", timeout, heldAction)
			a.Carry(ctx, 1, plan.Plan{})
		}
	}
	turns(timeout)
	beats := c.beats.Load()
	if beats < 2 {
		t.Errorf("%d heartbeats while the drain goes on", beats)
	}
	if turns(2 * timeout); c.beats.Load() > beats+1 {
		t.Errorf("%d heartbeats, and %d more after the time of a drain", beats, c.beats.Load()-beats)
	}
	if c.completed.Load() != 0 {
		t.Error("it was completed with a pod on its node that a budget holds")
	}
}

// Pods that were evicted and end for as long as they may are waited for, however short the pool's timeout: to take their node back
// would be of no use to them.
func TestANodeWhosePodsEndIsNotTakenBack(t *testing.T) {
	e, c := &endless{perNode: 2, grace: time.Hour}, &ending{}
	a := e.against(t, c, 10)
	a.startDrain(t.Context(), 1, returning{Termination: unneeded(10 * time.Second)})
	until(t, "the pods end", func() (bool, string) { return e.count("evict") == 2, "" })
	time.Sleep(a.options.Clock.Wait(30 * time.Second))
	looks := e.count("list")
	until(t, "it goes on looking", func() (bool, string) { return e.count("list") > looks, "" })
	if e.count("cordon false") != 0 || c.terminated.Load() != 0 {
		t.Fatalf("taken back %d times, %d returns: want it to wait", e.count("cordon false"), c.terminated.Load())
	}
	e.change(func() { e.over = true })
	until(t, "the instance is returned", func() (bool, string) { return c.terminated.Load() == 1, "" })
}

// A drain takes as long as the longest grace of its pods asks for, though a budget lets them go one after the other.
func TestADrainIsGivenTheLongestGraceOfItsPods(t *testing.T) {
	a := actorOf(t, fake.NewClientset(), nil)
	d := a.newEmptying(unneeded(time.Minute), false, &corev1.Node{})
	hour, second := int64(3600), int64(1)
	d.note([]corev1.Pod{{Spec: corev1.PodSpec{TerminationGracePeriodSeconds: &hour}}, {Spec: corev1.PodSpec{TerminationGracePeriodSeconds: &second}}})
	if got, want := d.ends.Sub(d.began), time.Hour+clock.Wait(time.Minute); got != want {
		t.Errorf("it ends after %s: want %s", got, want)
	}
	d = a.newEmptying(unneeded(time.Minute), false, &corev1.Node{})
	d.note([]corev1.Pod{{Spec: corev1.PodSpec{TerminationGracePeriodSeconds: new(int64)}}})
	if got, want := d.ends.Sub(d.began), clock.Wait(time.Minute); got != want {
		t.Errorf("it ends after %s: want the pool's %s", got, want)
	}
}

// A node that fails to drain is left alone for longer each time.
func TestADrainThatKeepsFailingIsTriedLessOften(t *testing.T) {
	a := actorOf(t, fake.NewClientset(), nil)
	var waits []time.Duration
	for range 7 {
		a.block("i-1", false, context.DeadlineExceeded)
		waits = append(waits, a.blocked["i-1"].at.Sub(a.options.Clock.Now()).Round(time.Minute))
	}
	for i, want := range []time.Duration{2, 4, 8, 16, 32, 60, 60} {
		if waits[i] != want*time.Minute {
			t.Errorf("the waits are %v: want 2, 4, 8, 16, 32, 60 and 60 minutes", waits)
		}
	}
	if a.block("i-1", true, context.DeadlineExceeded); a.blocked["i-1"].at.Sub(a.options.Clock.Now()) > retryCall {
		t.Error("one that is lost by now is left alone for as long")
	}
	if a.block("i-1", false, nil); len(a.blocked) != 0 {
		t.Error("a drain that has succeeded is remembered as failed")
	}
}

// The name of a node that went may be another instance's before its drain is over.
func TestANewNodeOfTheSameNameIsLeftAlone(t *testing.T) {
	t.Run("while its drain is held up", func(t *testing.T) {
		e, c := &endless{perNode: 1, held: true, providerID: nodegroups.ProviderID(zone, "i-1")}, &ending{}
		a := e.against(t, c, 10)
		a.startDrain(t.Context(), 1, returning{Termination: unneeded(10 * time.Minute)})
		until(t, "an eviction is refused", func() (bool, string) { return e.count("evict") > 0, "" })
		e.change(func() { e.providerID, e.held, e.calls["evict"] = nodegroups.ProviderID(zone, "i-2"), false, 0 })
		until(t, "the drain ends", func() (bool, string) { return len(a.Draining()) == 0, "" })
		if e.count("evict") != 0 || e.count("cordon false") != 0 || e.count("cordon true") != 1 {
			t.Errorf("%d evictions from it, cordons %d, uncordons %d", e.count("evict"), e.count("cordon true"), e.count("cordon false"))
		}
	})
	t.Run("before it", func(t *testing.T) {
		e, c := &endless{perNode: 1, providerID: nodegroups.ProviderID(zone, "i-2")}, &ending{}
		a := e.against(t, c, 10)
		a.startDrain(t.Context(), 1, returning{Termination: unneeded(10 * time.Minute)})
		until(t, "the drain ends", func() (bool, string) { return len(a.Draining()) == 0, "" })
		if e.count("evict")+e.count("cordon true") != 0 {
			t.Errorf("%d evictions from it, %d cordons", e.count("evict"), e.count("cordon true"))
		}
	})
	t.Run("when it is taken back", func(t *testing.T) {
		e := &endless{providerID: nodegroups.ProviderID(zone, "i-2")}
		a := e.against(t, &ending{}, 10)
		if a.takeBack(t.Context(), unneeded(0)); e.count("cordon false") != 0 {
			t.Error("another's cordon was taken away")
		}
	})
}

// A Node that was deleted and registered anew under the drain has its pods still, and no cordon: it is no node that is gone.
func TestANodeThatIsRegisteredAnewIsDrainedAnew(t *testing.T) {
	e, c := &endless{perNode: 1, held: true, providerID: nodegroups.ProviderID(zone, "i-1")}, &ending{}
	a := e.against(t, c, 10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a.startDrain(ctx, 1, returning{unneeded(10 * time.Minute), true, true})
	until(t, "an eviction is refused", func() (bool, string) { return e.count("evict") > 0, "" })
	e.change(func() { e.uid, e.calls["cordon true"] = "anew", 0 })
	until(t, "the drain ends", func() (bool, string) { return len(a.Draining()) == 0, "" })
	if c.terminated.Load() != 0 {
		t.Fatal("the instance was returned with a pod on its node that a budget holds")
	}
	until(t, "it is cordoned anew", func() (bool, string) {
		a.startDrain(ctx, 1, returning{unneeded(10 * time.Minute), true, true})
		return e.count("cordon true") == 1, ""
	})
}
