package act

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/kubernetes/fake"

	"swell/nodegroups"
	"swell/scaler/plan"
)

// forbidding launches, loses the answer, and refuses every call after it, as when a permission is withdrawn.
type forbidding struct {
	slowRaises
	launched int
}

func (f *forbidding) Launch(_ context.Context, _, _ string, count int, _ string) (nodegroups.Launched, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.launched == 0 {
		f.launched = count
		f.desired += count
		return nodegroups.Launched{}, errors.New("i/o timeout")
	}
	return nodegroups.Launched{RaiseFrom: f.desired, RaiseTo: f.desired + count, RaiseMost: 10, Refused: true}, nil
}

// That a repetition is refused does not say that the first call was: raising the desired capacity then would buy a second time.
func TestALaunchWithoutAnAnswerIsNotRaisedWhenItsRepetitionIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, kube := &forbidding{}, fake.NewClientset()
		a := actorOf(t, kube, c)
		a.Carry(t.Context(), 1, launches(3))
		out := a.Carry(t.Context(), 2, plan.Plan{})
		if c.desired != 3 || len(out.Errors) == 0 || a.Open()[group] != 3 {
			t.Fatalf("desired %d, open %v, %v: want the 3 that were launched, and still open", c.desired, a.Open(), out.Errors)
		}
		in, open, err := TakeOver(t.Context(), kube, "swell-system", intentsName, "second")
		if err != nil {
			t.Fatal(err)
		}
		b := New(nil, kube, c, in, a.ledger, Options{Clock: clock})
		if _, err := b.Recover(t.Context(), open); err == nil || c.desired != 3 || b.Open()[group] != 3 {
			t.Fatalf("desired %d, open %v, %v: want the same of a successor", c.desired, b.Open(), err)
		}
		time.Sleep(nodegroups.ListedWithin + time.Second)
		out = b.Carry(t.Context(), 3, plan.Plan{})
		if c.desired != 3 || len(out.Errors) > 0 || !out.Reread || len(b.Open()) > 0 {
			t.Fatalf("desired %d, open %v, %+v: want it ended once AWS's lists show what there is", c.desired, b.Open(), out)
		}
		b.Carry(t.Context(), 4, launches(1))
		if c.desired != 4 {
			t.Errorf("desired %d: want the raise of the plan after it", c.desired)
		}
	})
}
