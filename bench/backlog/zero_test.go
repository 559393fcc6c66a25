package backlog_test

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A workload that has nothing to read goes to no replicas after a proven time, comes back at the first message, and is never
// taken away while Kafka does not answer.
func TestToZeroAndBack(t *testing.T) {
	r := newRig(t, map[string]int{"idle": partitions}, nil)
	r.commitEnds(t, "idle")
	r.apply(t, workload{Name: "idle", Replicas: 1, PerPod: 10, Spec: "  zero: {after: 60s}"})
	r.goesToZero(t)

	r.produce(t, "idle", 1)
	r.eventually(t, "one replica at the first message", func() error { return r.wants(t, 1) })
	r.commitEnds(t, "idle")
	r.Kafka.Kill()
	r.eventually(t, "the lag is unknown", func() error {
		if c := r.condition(t, "idle", "Ready"); c.Status != metav1.ConditionFalse {
			return fmt.Errorf("condition %+v", c)
		}
		return nil
	})
	for end := r.Clock.Now().Add(3 * time.Minute); r.Clock.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if err := r.wants(t, 1); err != nil {
			t.Fatalf("while the lag is unknown: %v", err)
		}
	}
	if err := r.Kafka.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.goesToZero(t)
}

func (r *rig) goesToZero(t *testing.T) {
	t.Helper()
	r.eventually(t, "no replicas after the idle time", func() error { return r.wants(t, 0) })
	r.eventually(t, "the object says so", func() error {
		if c := r.condition(t, "idle", "Idle"); c.Status != metav1.ConditionTrue {
			return fmt.Errorf("condition %+v", c)
		}
		return nil
	})
}

func (r *rig) wants(t *testing.T, n int) error {
	t.Helper()
	if got := r.replicas(t, "idle"); got != n {
		return fmt.Errorf("%d replicas, want %d: %+v", got, n, r.consumer(t, "idle").Status)
	}
	return nil
}
