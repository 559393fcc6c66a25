package observe

import (
	"cmp"
	"fmt"
	"time"

	"swell/api/v1alpha1"
	"swell/scaler/plan"
	"swell/scaler/schedule"
)

// Windows sets what the pools' windows say of now: that nothing is returned, or that nodes are emptied. Where it cannot be
// read when nothing may be returned, nothing is.
func (w World) Windows(now time.Time, policy *plan.Policy) []plan.Problem {
	var problems []plan.Problem
	for i := range w.Pools {
		s := w.Pools[i].Spec.ScaleIn
		object := "CapacityPool " + w.Pools[i].Name
		never, inNever, bad := window(now, s.TimeZone, "never", s.Never)
		_, consolidate, alsoBad := window(now, s.TimeZone, "consolidate", s.Consolidate)
		for _, p := range append(bad, alsoBad...) {
			problems = append(problems, plan.Problem{Object: object, What: "spec.scaleIn" + p.Field + ": " + p.What, Mend: p.Mend + "; until then it returns nothing"})
		}
		for k := range policy.Pools {
			q := &policy.Pools[k]
			if q.Name != w.Pools[i].Name {
				continue
			}
			q.Consolidate = consolidate
			switch {
			case len(bad)+len(alsoBad) > 0:
				q.NoSale = fmt.Sprintf("the windows of pool %s cannot be read", q.Name)
			case inNever:
				q.NoSale = fmt.Sprintf("pool %s returns nothing %s", q.Name, never)
			}
		}
	}
	return problems
}

// window says whether now is in one of the windows, and in which.
func window(now time.Time, zone, field string, windows []v1alpha1.PoolWindow) (name string, in bool, problems []schedule.Problem) {
	for i, w := range windows {
		spec := v1alpha1.DiurnalScheduleSpec{TimeZone: cmp.Or(zone, "UTC"), Windows: []v1alpha1.Window{{Name: "w", Days: w.Days, From: w.From, To: w.To, MinHeadroom: "1"}}}
		if len(w.Days) == 0 {
			spec.Windows[0].Days = []v1alpha1.DayRange{"Mon-Sun"}
		}
		compiled, bad := schedule.Compile(spec)
		for _, p := range bad {
			if len(p.Field) > len("spec.windows[0]") {
				p.Field = fmt.Sprintf(".%s[%d]%s", field, i, p.Field[len("spec.windows[0]"):])
			} else {
				p.Field = ".timeZone"
			}
			problems = append(problems, p)
		}
		if compiled == nil {
			continue
		}
		if room, _ := compiled.At(now, nil); room.Pods > 0 && !in {
			in, name = true, fmt.Sprintf("from %s to %s (%s)", w.From, w.To, cmp.Or(zone, "UTC"))
		}
	}
	return name, in, problems
}
