package act

import (
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes/fake"

	emulator "swell/bench/testbed/aws"
	"swell/scaler/plan"
)

// newRaised is an actor whose group may only be raised, and was, from 1 to 4.
func newRaised(t *testing.T) (*Actor, *service) {
	t.Helper()
	s := startService(t)
	s.order("deny", emulator.Order{Fault: emulator.Fault{Service: "autoscaling", Action: "LaunchInstances"}})
	a := actorOf(t, fake.NewClientset(), s.client())
	if out := a.Carry(t.Context(), 1, launches(3)); len(out.Errors) > 0 {
		t.Fatal(out.Errors)
	}
	s.wantDesired(4)
	return a, s
}

// A number that follows from an old answer would lower the group, which ends instances undrained.
// ka#9182
func TestARaiseRestsOnNoAnswerThatIsOlderThanTheLastOne(t *testing.T) {
	a, s := newRaised(t)
	s.old(true) // as before the raise: desired 1
	out := a.Carry(t.Context(), 2, launches(1))
	s.wantDesired(4)
	if len(out.Errors) != 1 || !strings.Contains(out.Errors[0].Error(), "was raised to 4") || !strings.HasPrefix(out.Errors[0].Error(), "raising the desired capacity of group "+group) || a.Open()[group] != 1 {
		t.Errorf("%v, open %v: want the reason, and the launch open", out.Errors, a.Open())
	}
	s.old(false)
	if out := a.Carry(t.Context(), 3, plan.Plan{}); len(out.Errors) > 0 || len(a.Open()) > 0 {
		t.Errorf("%v, open %v", out.Errors, a.Open())
	}
	s.wantDesired(5)
}

// A successor knows what its predecessor raised.
func TestASuccessorsRaiseRestsOnNoAnswerThatIsOlderThanItsPredecessors(t *testing.T) {
	a, s := newRaised(t)
	in, _, err := TakeOver(t.Context(), a.kube, "swell-system", intentsName, "second")
	if err != nil {
		t.Fatal(err)
	}
	b := New(nil, a.kube, s.client(), in, a.ledger, Options{Clock: clock, Log: a.options.Log})
	s.old(true)
	b.Carry(t.Context(), 1, launches(1))
	s.wantDesired(4)
}

// What was returned just now is not bought again because an answer still has it.
func TestARaiseRestsOnNoAnswerThatIsOlderThanAReturn(t *testing.T) {
	a, s := newRaised(t)
	until(t, "the group has 4", func() (bool, string) { return len(s.alive()) == 4, "" })
	if _, err := s.client().Launch(t.Context(), group, zone, 1, "look"); err != nil { // the answer that becomes old
		t.Fatal(err)
	}
	s.old(true)
	a.Carry(t.Context(), 2, plan.Plan{Terminations: []plan.Termination{{Group: group, InstanceID: s.first()}}})
	until(t, "the return", func() (bool, string) { return scaler{Actor: a}.idle(), "" })
	s.wantDesired(3)
	out := a.Carry(t.Context(), 3, launches(1))
	if s.wantDesired(3); len(out.Errors) != 1 || !strings.Contains(out.Errors[0].Error(), "was returned at") {
		t.Errorf("%v: want the reason", out.Errors)
	}
	s.old(false)
	a.Carry(t.Context(), 4, plan.Plan{})
	s.wantDesired(4)
}

// The repetition of a raise asks for nothing once a later one came on top of it: with an old answer it would undo that.
func TestARepeatedRaiseDoesNotUndoALaterOne(t *testing.T) {
	a, s := newRaised(t)
	earlier := intent("earlier")
	earlier.At, earlier.Target = time.Now().Add(-time.Minute), 2
	s.old(true)
	got, err := a.ask(t.Context(), &earlier)
	if s.wantDesired(4); err != nil || got.Raised == 0 {
		t.Errorf("%+v, %v: want it answered", got, err)
	}
	later := intent("later")
	later.Target = 6 // nothing has reached it
	s.old(false)
	if _, err := a.ask(t.Context(), &later); err != nil {
		t.Fatal(err)
	}
	s.wantDesired(6)
}
