package observe

import (
	"reflect"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
	"swell/scaler/plan"
)

func capacityPool(change func(*v1alpha1.CapacityPoolSpec)) *v1alpha1.CapacityPool {
	p := &v1alpha1.CapacityPool{ObjectMeta: metav1.ObjectMeta{Name: "general"}}
	if change != nil {
		change(&p.Spec)
	}
	return p
}

func decimal(s v1alpha1.Decimal) *v1alpha1.Decimal { return &s }

func TestAPoolIsReadAsItIsWritten(t *testing.T) {
	until := metav1.NewTime(at.Add(time.Hour))
	full := capacityPool(func(s *v1alpha1.CapacityPoolSpec) {
		s.Limits = v1alpha1.PoolLimits{MinNodesPerZone: 1, MaxNodes: 200, MaxHourlyCost: decimal("150.5")}
		s.Purchase = v1alpha1.PoolPurchase{OnDemandBase: 6, SpotMax: "70%", Fallback: "None"}
		s.ScaleIn = v1alpha1.PoolScaleIn{After: metav1.Duration{Duration: 10 * time.Minute}, Below: "0.4", DrainTimeout: metav1.Duration{Duration: 5 * time.Minute}, MaxUnavailablePerZone: "12.5%"}
		s.Freeze = &v1alpha1.PoolFreeze{Until: until, Reason: "release", What: "All"}
		s.Holds = []v1alpha1.PoolHold{{Zone: "a", Nodes: 5, Until: until}}
		s.Mode = v1alpha1.Observe
	})
	got, problems := Pool(full)
	want := plan.Pool{
		Name: "general", MinNodesPerZone: 1, MaxNodes: 200, MaxHourlyCost: 150.5, OnDemandBase: 6, SpotMax: 0.7, Fallback: false,
		ScaleInAfter: 10 * time.Minute, ScaleInBelow: 0.4, DrainTimeout: 5 * time.Minute, MaxUnavailable: 0.125,
		Freeze: plan.Freeze{Until: until.Time, All: true, Reason: "release"}, Holds: []plan.Hold{{Zone: "a", Nodes: 5, Until: until.Time}}, Observe: true, PriceCapacity: true,
	}
	if len(problems) > 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v\nproblems %v", got, want, problems)
	}
}

// What is left out has the kind's own default; times are filled in by the API server, as none is not zero.
func TestAPoolThatSaysNothingHasTheDefaults(t *testing.T) {
	got, problems := Pool(capacityPool(func(s *v1alpha1.CapacityPoolSpec) {
		s.ScaleIn.After.Duration, s.ScaleIn.DrainTimeout.Duration = 10*time.Minute, 10*time.Minute
	}))
	want := plan.Pool{Name: "general", SpotMax: 1, Fallback: true, ScaleInAfter: 10 * time.Minute, ScaleInBelow: 0.5, DrainTimeout: 10 * time.Minute, MaxUnavailable: 0.1, PriceCapacity: true}
	if len(problems) > 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v\nproblems %v", got, want, problems)
	}
	frozen, _ := Pool(capacityPool(func(s *v1alpha1.CapacityPoolSpec) { s.Freeze = &v1alpha1.PoolFreeze{Until: metav1.NewTime(at)} }))
	if frozen.Freeze.All {
		t.Error("a freeze that does not say what stops more than scale-in")
	}
}

func TestAPoolWithABadFieldIsOnlyObserved(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1alpha1.CapacityPoolSpec)
		what   string
	}{
		"no number":          {func(s *v1alpha1.CapacityPoolSpec) { s.ScaleIn.Below = "half" }, `spec.scaleIn.below is "half"`},
		"below zero":         {func(s *v1alpha1.CapacityPoolSpec) { s.ScaleIn.Below = "-0.1" }, `spec.scaleIn.below is "-0.1"`},
		"no such number":     {func(s *v1alpha1.CapacityPoolSpec) { s.ScaleIn.Below = "NaN" }, `spec.scaleIn.below is "NaN"`},
		"endless":            {func(s *v1alpha1.CapacityPoolSpec) { s.Limits.MaxHourlyCost = decimal("Inf") }, `spec.limits.maxHourlyCost is "Inf"`},
		"no percent":         {func(s *v1alpha1.CapacityPoolSpec) { s.Purchase.SpotMax = "0.7" }, `spec.purchase.spotMax is "0.7"`},
		"negative percent":   {func(s *v1alpha1.CapacityPoolSpec) { s.Purchase.SpotMax = "-7%" }, `spec.purchase.spotMax is "-7%"`},
		"words":              {func(s *v1alpha1.CapacityPoolSpec) { s.ScaleIn.MaxUnavailablePerZone = "some%" }, `spec.scaleIn.maxUnavailablePerZone is "some%"`},
		"more than all":      {func(s *v1alpha1.CapacityPoolSpec) { s.Purchase.SpotMax = "170%" }, `spec.purchase.spotMax is "170%"`},
		"not a number %":     {func(s *v1alpha1.CapacityPoolSpec) { s.ScaleIn.MaxUnavailablePerZone = "NaN%" }, `spec.scaleIn.maxUnavailablePerZone is "NaN%"`},
		"nothing an hour":    {func(s *v1alpha1.CapacityPoolSpec) { s.Limits.MaxHourlyCost = decimal("0") }, "spec.limits.maxHourlyCost is 0"},
		"after before now":   {func(s *v1alpha1.CapacityPoolSpec) { s.ScaleIn.After.Duration = -time.Minute }, `spec.scaleIn.after is "-1m0s"`},
		"drained in no time": {func(s *v1alpha1.CapacityPoolSpec) { s.ScaleIn.DrainTimeout.Duration = -time.Minute }, `spec.scaleIn.drainTimeout is "-1m0s"`},
		"no cost":            {func(s *v1alpha1.CapacityPoolSpec) { s.Limits.MaxHourlyCost = decimal("much") }, `spec.limits.maxHourlyCost is "much"`},
		"empty cost is bad":  {func(s *v1alpha1.CapacityPoolSpec) { s.Limits.MaxHourlyCost = decimal("") }, "spec.limits.maxHourlyCost is"},
	} {
		t.Run(name, func(t *testing.T) {
			got, problems := Pool(capacityPool(c.change))
			if !got.Observe {
				t.Error("the pool is acted on")
			}
			if len(problems) != 1 || problems[0].Object != "CapacityPool general" || !strings.Contains(problems[0].What, c.what) || !strings.Contains(problems[0].Mend, "give") {
				t.Errorf("problems %+v: want one that says %q and the mend", problems, c.what)
			}
		})
	}
}

func TestAPolicyHasAllPoolsAndTheirProblems(t *testing.T) {
	bad := *capacityPool(func(s *v1alpha1.CapacityPoolSpec) { s.ScaleIn.Below = "half" })
	bad.Name = "bad"
	w := World{Pools: []v1alpha1.CapacityPool{bad, *capacityPool(func(s *v1alpha1.CapacityPoolSpec) { s.Groups.Tags = map[string]string{"k": "v"} })}}
	p, problems := w.Policy(time.Minute)
	if p.MaxAge != time.Minute || len(p.Pools) != 2 || !p.Pools[0].Observe || p.Pools[1].Observe || len(problems) != 1 || problems[0].Object != "CapacityPool bad" {
		t.Errorf("%+v, %v", p, problems)
	}
	if chosen := w.Selections(); chosen["general"].Tags["k"] != "v" || len(chosen) != 2 {
		t.Errorf("selections %v", chosen)
	}
}
