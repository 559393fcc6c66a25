package scaler

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/scaler/guardrail"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

// A person who stops swell by mode: Observe is not overruled by a roll-back to the spec of before.
func TestASpecThatObservesIsNotRolledBack(t *testing.T) {
	l := &Loop{options: Options{Config: config.Scaler{Mode: v1alpha1.Enforce, GuardRails: config.GuardRails{Mode: v1alpha1.Enforce}}}}
	for mode, want := range map[v1alpha1.Mode]string{v1alpha1.Observe: "its spec has mode: Observe", v1alpha1.Enforce: "", "": ""} {
		changed, err := specOf(&v1alpha1.CapacityPool{}, v1alpha1.CapacityPoolSpec{Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		if why := l.whyNoRollBack(changed); why != want {
			t.Errorf("mode %q: %q, want %q", mode, why, want)
		}
	}
}

// A pool whose groups were not read, by this scaler or of late, is not one without pods and cost.
func TestAPoolThatWasNotReadIsNotJudged(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	l := &Loop{options: Options{Config: config.Scaler{}}}
	l.options.Config.Observe.MaxAge.Duration = time.Minute
	world := observe.World{Snapshot: plan.Snapshot{PodsAt: now, GroupsAt: now, PoolsAt: map[string]time.Time{"a": now, "b": now.Add(-2 * time.Minute)}}}
	v := l.viewRails(now, &world)
	if v == nil || v.pool("a") == nil {
		t.Fatal("a pool that was just read is not judged")
	}
	for _, name := range []string{"b", "c"} {
		if r := v.pool(name); r != nil {
			t.Errorf("pool %s is judged by %+v", name, r)
		}
	}
}

func TestARecordThatIsCutShortBeginsAnew(t *testing.T) {
	r := newRails()
	r.kept = map[string]string{railKey("CapacityPool general"): `{"phase":"Watching"}`}
	record, err := r.recordOf("CapacityPool general")
	if err == nil || !strings.Contains(err.Error(), "without what is watched") || record.Phase != "" {
		t.Errorf("%+v, %v", record, err)
	}
}

// A watch that nothing is seen of does not end, and that is said.
func TestAWatchThatSeesNothingIsAProblem(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	l := &Loop{rails: newRails(), clock: config.Clock{Speed: 1, Real: now, Model: now}}
	l.tookOver.At = now.Add(-longestUnseen - time.Minute)
	pool := &v1alpha1.CapacityPool{ObjectMeta: metav1.ObjectMeta{Name: "general", Generation: 2, Annotations: map[string]string{guardrail.BoundsAnnotation: "misses<=1%"}}}
	s, err := specOf(pool, pool.Spec)
	if err != nil {
		t.Fatal(err)
	}
	w := railed{kind: "CapacityPool", key: "CapacityPool general", object: pool, spec: s}
	for since, want := range map[time.Duration]int{0: 0, longestUnseen + time.Second: 1} {
		l.rails.problems = nil
		l.rails.records[w.key] = &guardrail.Record{}
		if _, err := l.rails.records[w.key].Step(now.Add(-since), guardrail.Object{Generation: 1, Spec: []byte("{}"), Bounds: "misses<=1%"}, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := l.rails.records[w.key].Step(now.Add(-since), guardrail.Object{Generation: 2, Spec: s.policy, Bounds: "misses<=1%"}, ""); err != nil {
			t.Fatal(err)
		}
		l.guardPolicy(t.Context(), now, w, nil, about{})
		if len(l.rails.problems) != want {
			t.Errorf("after %s: %+v", since, l.rails.problems)
		}
	}
}
