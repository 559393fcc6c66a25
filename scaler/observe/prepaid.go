package observe

import (
	"context"
	"slices"

	"swell/nodegroups"
	"swell/scaler/plan"
)

// readPrepaid reads what the account pays for whether or not it runs, if a pool asks for it.
func (g *Groups) readPrepaid(ctx context.Context) {
	g.mu.Lock()
	var types, readers []string
	for _, pool := range sortedKeys(g.pools) {
		if g.pools[pool].prepaid {
			readers = append(readers, pool)
		}
		for _, x := range g.pools[pool].groups {
			if x.Market == nodegroups.OnDemand && len(x.InstanceTypes) > 0 && !slices.Contains(types, x.InstanceTypes[0]) {
				types = append(types, x.InstanceTypes[0])
			}
		}
	}
	g.mu.Unlock()
	var prepaid nodegroups.Prepaid
	var wrong []string
	if len(readers) > 0 {
		prepaid, wrong = g.cloud.Prepaid(ctx, types)
	}
	var problems []plan.Problem
	for _, pool := range readers {
		for _, what := range wrong {
			problems = append(problems, plan.Problem{Object: "CapacityPool " + pool, What: what, Mend: "until then none beyond what was read last is taken as prepaid"})
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.prepaid, g.prepaidProblems = prepaid, problems
}

// allocate says how many of the groups' instances are prepaid, over all pools at once, since what is paid for one is not paid for
// another. Instances of pools that do not ask use some of it up, and those pools plan for none.
func (g *Groups) allocate(groups []shown) {
	if !slices.ContainsFunc(groups, func(x shown) bool { return x.prepaid }) {
		return
	}
	var all []nodegroups.Group
	for _, x := range groups {
		if !x.prepaid {
			x.Max = min(x.Max, x.Alive())
		}
		all = append(all, x.Group)
	}
	nodegroups.AllocatePrepaid(all, g.prepaid.Reservations, g.prepaid.Commitments)
	for i := range groups {
		groups[i].Prepaid = 0
		if groups[i].prepaid {
			groups[i].Prepaid = all[i].Prepaid
		}
	}
}
