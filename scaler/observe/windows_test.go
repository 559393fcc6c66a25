package observe

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
	"swell/scaler/plan"
)

func TestWindowsInTheirTimeZone(t *testing.T) {
	pool := v1alpha1.CapacityPool{ObjectMeta: metav1.ObjectMeta{Name: "p"}}
	pool.Spec.ScaleIn = v1alpha1.PoolScaleIn{TimeZone: "Asia/Tokyo",
		Never:       []v1alpha1.PoolWindow{{Days: []v1alpha1.DayRange{"Mon-Fri"}, From: "08:00", To: "10:00"}},
		Consolidate: []v1alpha1.PoolWindow{{From: "23:00", To: "05:00"}}}
	w := World{Pools: []v1alpha1.CapacityPool{pool}}
	for at, want := range map[string]struct{ never, consolidate bool }{
		"2026-11-23T08:00:00+09:00": {true, false},  // a Monday
		"2026-11-23T10:00:00+09:00": {false, false}, // its end is not in it
		"2026-11-23T08:30:00Z":      {false, false},
		"2026-11-22T08:30:00+09:00": {false, false}, // a Sunday
		"2026-11-22T04:59:00+09:00": {false, true},
		"2026-11-22T23:00:00+09:00": {false, true},
	} {
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		policy := plan.Policy{Pools: []plan.Pool{{Name: "p"}}}
		if problems := w.Windows(now, &policy); len(problems) > 0 {
			t.Fatal(problems)
		}
		if p := policy.Pools[0]; (p.NoSale != "") != want.never || p.Consolidate != want.consolidate {
			t.Errorf("at %s: NoSale is %q, Consolidate is %t", at, p.NoSale, p.Consolidate)
		}
	}
}

func TestWindowsThatCannotBeReadForbidTheReturn(t *testing.T) {
	for _, change := range []func(*v1alpha1.PoolScaleIn){
		func(s *v1alpha1.PoolScaleIn) { s.TimeZone = "Asia/Tokio" },
		func(s *v1alpha1.PoolScaleIn) { s.Never[0].From = "25:00" },
	} {
		pool := v1alpha1.CapacityPool{ObjectMeta: metav1.ObjectMeta{Name: "p"}}
		pool.Spec.ScaleIn.Never = []v1alpha1.PoolWindow{{From: "08:00", To: "10:00"}}
		change(&pool.Spec.ScaleIn)
		policy := plan.Policy{Pools: []plan.Pool{{Name: "p"}}}
		problems := World{Pools: []v1alpha1.CapacityPool{pool}}.Windows(time.Now(), &policy)
		if policy.Pools[0].NoSale == "" || len(problems) == 0 || !strings.HasPrefix(problems[0].What, "spec.scaleIn.") {
			t.Errorf("NoSale is %q, the problems are %v", policy.Pools[0].NoSale, problems)
		}
	}
}
