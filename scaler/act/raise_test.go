package act

import (
	"context"
	"errors"
	"testing"

	emulator "swell/bench/testbed/aws"
	"swell/nodegroups"
	"swell/nodegroups/aws"
)

// dying is a cloud whose process dies at the raise: before the call, or after it and before its answer.
type dying struct {
	*aws.Client
	after bool
}

func (d dying) Raise(ctx context.Context, group string, target int) (nodegroups.Launched, error) {
	if d.after {
		if _, err := d.Client.Raise(ctx, group, target); err != nil {
			return nodegroups.Launched{}, err
		}
	}
	return nodegroups.Launched{}, errors.New("the process dies here")
}

// An absolute desired capacity knows no client token: the number stands in the fence before it is asked for, so that a
// successor asks for the same one, and a crash at any instruction buys neither twice nor not at all.
// ka#9182
func TestASuccessorDoesNotRaiseAgain(t *testing.T) {
	_, kube := cluster(t)
	for name, after := range map[string]bool{"dies before the call": false, "dies before its answer": true} {
		t.Run(name, func(t *testing.T) {
			ns, aws := addNamespace(t, kube), startService(t)
			aws.order("deny", emulator.Order{Fault: emulator.Fault{Service: "autoscaling", Action: "LaunchInstances"}})
			takeOver(t, kube, ns, "first", dying{aws.client(), after}).Carry(t.Context(), 1, launches(3))
			if _, open := fenceOf(t, kube, ns); len(open) != 1 || open[0].Target != 4 {
				t.Fatalf("the fence has %+v: want the launch with the number 4", open)
			}
			s := takeOver(t, kube, ns, "second", aws.client())
			if out, err := s.Recover(t.Context(), s.open); err != nil || !out.Reread {
				t.Fatalf("%+v, %v", out, err)
			}
			until(t, "the group has 4", func() (bool, string) { return len(aws.alive()) == 4, "" })
			if calls := len(aws.seen("SetDesiredCapacity")); calls != 1 {
				t.Errorf("the desired capacity was set %d times: want once", calls)
			}
			if _, open := fenceOf(t, kube, ns); len(open) != 0 {
				t.Errorf("the fence has %v after all was answered", open)
			}
		})
	}
}

// Raises of one group at once add up, though each is an absolute number.
func TestRaisesOfOneGroupAddUp(t *testing.T) {
	_, kube := cluster(t)
	ns, aws := addNamespace(t, kube), startService(t)
	aws.order("deny", emulator.Order{Fault: emulator.Fault{Service: "autoscaling", Action: "LaunchInstances"}})
	s := takeOver(t, kube, ns, "first", aws.client())
	if out := s.Carry(t.Context(), 1, launches(150)); len(out.Errors) > 0 || len(s.Open()) > 0 {
		t.Fatalf("%+v, open %v", out, s.Open())
	}
	until(t, "the group has 151", func() (bool, string) { return len(aws.alive()) == 151, "" })
}
