package observe

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"swell/api/v1alpha1"
	"swell/scaler/plan"
)

// Pool is a CapacityPool as the planner reads it. Fields that cannot be read are problems that name them, and the pool
// is then not acted on.
func Pool(p *v1alpha1.CapacityPool) (plan.Pool, []plan.Problem) {
	var problems []plan.Problem
	r := reader{object: "CapacityPool " + p.Name, problems: &problems}
	s := p.Spec
	out := plan.Pool{
		Name:            p.Name,
		MinNodesPerZone: int(s.Limits.MinNodesPerZone),
		MaxNodes:        int(s.Limits.MaxNodes),
		MaxNodesPerZone: int(s.Limits.MaxNodesPerZone),
		OnDemandBase:    int(s.Purchase.OnDemandBase),
		SpotMax:         r.share("spec.purchase.spotMax", s.Purchase.SpotMax, 1),
		Fallback:        s.Purchase.Fallback != "None",
		DrainTimeout:    r.duration("spec.scaleIn.drainTimeout", s.ScaleIn.DrainTimeout.Duration),
		ScaleInAfter:    r.duration("spec.scaleIn.after", s.ScaleIn.After.Duration),
		ScaleInBelow:    r.decimal("spec.scaleIn.below", s.ScaleIn.Below, 0.5),
		MaxUnavailable:  r.share("spec.scaleIn.maxUnavailablePerZone", s.ScaleIn.MaxUnavailablePerZone, 0.1),
		Observe:         s.Mode == v1alpha1.Observe,
		PriceCapacity:   s.Purchase.Strategy != "price",
	}
	if s.Limits.MaxHourlyCost != nil {
		before := len(problems)
		out.MaxHourlyCost = r.decimal("spec.limits.maxHourlyCost", *s.Limits.MaxHourlyCost, 0)
		if out.MaxHourlyCost == 0 && len(problems) == before {
			problems = append(problems, plan.Problem{Object: r.object, What: "spec.limits.maxHourlyCost is 0, which no node keeps to", Mend: "give the most an hour may cost, or leave it out for no limit"})
		}
	}
	if f := s.Freeze; f != nil {
		out.Freeze = plan.Freeze{Until: f.Until.Time, All: f.What == "All", Reason: f.Reason}
	}
	for _, h := range s.Holds {
		out.Holds = append(out.Holds, plan.Hold{Zone: h.Zone, Nodes: int(h.Nodes), Until: h.Until.Time})
	}
	if len(problems) > 0 {
		out.Observe = true
	}
	return out, problems
}

// reader reads the decimals of one object and keeps what is wrong with them.
type reader struct {
	object   string
	problems *[]plan.Problem
}

func (r reader) decimal(field string, d v1alpha1.Decimal, absent float64) float64 {
	if d == "" {
		return absent
	}
	v, err := strconv.ParseFloat(string(d), 64)
	if err != nil || !(v >= 0) || math.IsInf(v, 0) {
		r.say(field, string(d), `give a decimal number, such as "0.5"`)
		return 0
	}
	return v
}

func (r reader) share(field string, s v1alpha1.Share, absent float64) float64 {
	if s == "" {
		return absent
	}
	v, err := strconv.ParseFloat(strings.TrimSuffix(string(s), "%"), 64)
	if err != nil || !(v >= 0 && v <= 100) || !strings.HasSuffix(string(s), "%") {
		r.say(field, string(s), `give a percentage up to 100%, such as "70%"`)
		return 0
	}
	return v / 100
}

func (r reader) duration(field string, d time.Duration) time.Duration {
	if d < 0 {
		r.say(field, d.String(), `give a time of 0 or more, such as "10m"`)
	}
	return max(d, 0)
}

func (r reader) say(field, value, mend string) {
	*r.problems = append(*r.problems, plan.Problem{Object: r.object, What: fmt.Sprintf("%s is %q", field, value), Mend: mend})
}
