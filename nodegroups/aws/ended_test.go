package aws_test

import (
	"testing"
	"time"
)

// The end of an instance is when its scaling activity ended, by the id that the call for it gave.
func TestTheEndOfAnInstanceIsItsActivitys(t *testing.T) {
	const group = "general-1a-spot"
	w := newWorld(t)
	launched, err := w.c.Launch(ctx, group, "ap-northeast-1a", 2, "token")
	if err != nil || len(launched.Instances) != 2 || launched.Request == "" {
		t.Fatalf("%+v, %v", launched, err)
	}
	w.pass(5 * time.Minute)
	ended, stays := launched.Instances[0].ID, launched.Instances[1].ID
	if err := w.c.Terminate(ctx, ended); err != nil {
		t.Fatal(err)
	}
	activity := w.c.ActivityOf(ended)
	if activity == "" || w.c.ActivityOf(ended) != "" {
		t.Errorf("the activity is %q, and given again", activity)
	}
	ends, err := w.c.Ended(ctx, group, []string{ended, stays})
	if err != nil || len(ends) != 1 || !ends[ended].At.IsZero() || ends[ended].Activity != activity {
		t.Errorf("while it ends: %+v, %v", ends, err)
	}
	w.pass(10 * time.Minute)
	ends, err = w.c.Ended(ctx, group, []string{ended, stays})
	if err != nil || len(ends) != 1 {
		t.Fatalf("%+v, %v", ends, err)
	}
	for _, i := range w.e.Status().Instances {
		if i.ID == ended {
			t.Errorf("%s is there yet", ended)
		}
	}
	if end := ends[ended]; end.Activity != activity || end.Cause == "" || end.At.IsZero() || end.At.After(w.clock()) {
		t.Errorf("%+v", end)
	}
}
