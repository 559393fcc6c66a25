package act

import (
	"testing"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	emulator "swell/bench/testbed/aws"
	"swell/scaler/ledger"
	"swell/scaler/plan"
)

// heldUp is a place whose one pod a disruption budget keeps.
func heldUp(t *testing.T) *place {
	p := newPlace(t)
	p.deploy(1)
	none := intstr.FromInt32(0)
	p.budget(policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &none}, 0)
	return p
}

// free takes the budget away, so that the drain can end.
func (p *place) free() {
	p.t.Helper()
	if err := p.kube.PolicyV1().PodDisruptionBudgets(p.ns).Delete(p.t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) returns() int { return len(p.aws.seen("TerminateInstanceInAutoScalingGroup")) }

// returnedBy waits for the return of an instance, which must not come before its time, and says that nothing was evicted for it.
func (p *place) returnedBy(goes time.Time) {
	p.t.Helper()
	for p.returns() == 0 {
		if time.Sleep(50 * time.Millisecond); clock.Now().Sub(goes) > 5*time.Minute {
			p.free()
			p.t.Fatal("it is not returned, and its group has long replaced it")
		}
	}
	if now := clock.Now(); now.Before(goes) {
		p.t.Errorf("it is returned %s before it goes", goes.Sub(now))
	}
	if n := p.evictions(); n[201] != 0 {
		p.t.Errorf("evictions by answer: %v: want none against the budget", n)
	}
}

// A spot instance whose pods a budget holds is gone at its deadline: unless it was counted out by then, its group replaces it
// beside the replacement that was bought. What the budget holds is evicted once that allows it.
func TestAHeldUpInterruptionIsCountedOutWhenItsInstanceGoes(t *testing.T) {
	p := heldUp(t)
	lost := p.termination(10 * time.Minute)
	lost.Deadline = clock.Now().Add(time.Minute)
	p.scaler.Carry(t.Context(), 1, plan.Plan{Replacements: []plan.Termination{lost}})
	p.returnedBy(lost.Deadline)
	if !p.cordoned() {
		t.Error("the node takes pods although its instance goes")
	}
	p.free()
	p.ended()
	p.wantReturned(true)
	if on, _ := p.pods(); on != 0 || p.returns() != 1 {
		t.Errorf("%d pods are on the node of an instance that is gone, %d returns", on, p.returns())
	}
	if failed := p.scaler.entries("drain", ledger.Failed); len(failed) != 1 {
		t.Errorf("the ledger has %+v: want the drain that the deadline cut off", failed)
	}
}

// An instance that EC2 is ending already is returned at once: nobody waits for its replacement or for the pods of a kubelet that
// is silent.
func TestAnInstanceThatIsEndingIsReturnedBeforeItsPodsHaveAPlace(t *testing.T) {
	p := heldUp(t)
	lost := p.termination(10 * time.Minute)
	lost.Placed, lost.Deadline = false, clock.Now()
	p.scaler.Carry(t.Context(), 1, plan.Plan{Replacements: []plan.Termination{lost}})
	p.returnedBy(lost.Deadline)
	if n := len(p.scaler.entries("drain", ledger.Failed)); n != 0 {
		t.Errorf("%d drains were given up before it was returned: want the return first", n)
	}
	p.free()
	p.ended()
	if on, _ := p.pods(); on != 0 {
		t.Errorf("%d pods are left on the node", on)
	}
}

// A drain that began without a deadline, after a rebalance recommendation or because nobody needed the node, ends at that of a
// notice which comes while it goes on.
func TestADrainUnderWayEndsAtTheDeadlineThatALaterNoticeBrings(t *testing.T) {
	for name, first := range map[string]func(plan.Termination) plan.Plan{
		"recommended": func(t plan.Termination) plan.Plan { return plan.Plan{Replacements: []plan.Termination{t}} },
		"unneeded":    func(t plan.Termination) plan.Plan { return plan.Plan{Terminations: []plan.Termination{t}} },
	} {
		t.Run(name, func(t *testing.T) {
			p := heldUp(t)
			lost := p.termination(10 * time.Minute)
			p.scaler.Carry(t.Context(), 1, first(lost))
			until(t, "an eviction is refused", func() (bool, string) { return p.evictions()[429] > 0, "" })
			lost.Deadline = clock.Now().Add(30 * time.Second)
			p.scaler.Carry(t.Context(), 2, plan.Plan{Replacements: []plan.Termination{lost}})
			p.returnedBy(lost.Deadline)
			p.free()
			p.ended()
			if !p.cordoned() {
				t.Error("the node of an instance that is gone was taken back")
			}
		})
	}
}

// Nothing is returned with pods on it once its notice was withdrawn.
func TestANoticeThatIsWithdrawnEndsNothing(t *testing.T) {
	p := heldUp(t)
	lost := p.termination(2 * time.Minute)
	lost.Deadline = clock.Now().Add(time.Minute)
	p.scaler.Carry(t.Context(), 1, plan.Plan{Replacements: []plan.Termination{lost}})
	until(t, "an eviction is refused", func() (bool, string) { return p.evictions()[429] > 0, "" })
	p.scaler.Carry(t.Context(), 2, plan.Plan{})
	p.ended() // by its timeout
	p.wantReturned(false)
	if on, _ := p.pods(); on != 1 {
		t.Errorf("%d pods are on the node: want 1", on)
	}
}

// A failure before the deadline does not leave the instance to its group.
func TestALostInstanceIsCountedOutAlthoughItsNodeCannotBeCordoned(t *testing.T) {
	p := heldUp(t)
	p.wire.breakNext("PATCH", p.node, 1000, 0)
	lost := p.termination(10 * time.Minute)
	lost.Deadline = clock.Now().Add(30 * time.Second)
	p.scaler.Carry(t.Context(), 1, plan.Plan{Replacements: []plan.Termination{lost}})
	p.returnedBy(lost.Deadline)
	p.ended()
	p.wantReturned(true)
}

// That a drain has just failed is no reason to wait once the instance is lost.
func TestANodeWhoseDrainFailedIsDrainedAgainOnceItIsLost(t *testing.T) {
	p := newPlace(t)
	p.bare()
	due := p.termination(10 * time.Minute)
	p.scaler.Carry(t.Context(), 1, plan.Plan{Terminations: []plan.Termination{due}})
	p.ended()
	p.wantReturned(false)
	p.scaler.Carry(t.Context(), 2, plan.Plan{Replacements: []plan.Termination{due}})
	p.ended()
	p.wantReturned(true)
}

// A node takes no pods again while its instance goes, though its return was refused.
func TestTheNodeOfAnInstanceThatGoesStaysCordonedWhenItsReturnFails(t *testing.T) {
	p := heldUp(t)
	p.aws.order("deny", emulator.Order{Fault: emulator.Fault{Service: "autoscaling", Action: "TerminateInstanceInAutoScalingGroup"}})
	due := p.termination(10 * time.Minute)
	p.scaler.Carry(t.Context(), 1, plan.Plan{Terminations: []plan.Termination{due}})
	until(t, "an eviction is refused", func() (bool, string) { return p.evictions()[429] > 0, "" })
	due.Deadline = clock.Now()
	p.scaler.Carry(t.Context(), 2, plan.Plan{Replacements: []plan.Termination{due}})
	p.ended()
	p.wantReturned(false)
	if !p.cordoned() {
		t.Error("it takes pods again")
	}
}
