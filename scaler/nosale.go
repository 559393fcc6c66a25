package scaler

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"swell/scaler/observe"
	"swell/scaler/plan"
)

// policy is what pools allow now, what was ordered by hand and what other scalers leave included, with why nothing may be
// returned; waits says that groups are to be read once more before all of it holds.
func (l *Loop) policy(ctx context.Context, now time.Time, world *observe.World) (policy plan.Policy, problems []plan.Problem, waits bool) {
	unread := world.Budgets(ctx, l.client)
	policy, problems = world.Policy(l.options.Config.Observe.MaxAge.Duration)
	problems = append(problems, world.Windows(now, &policy)...)
	policy.Self, policy.Schedulers = l.options.Self, l.options.Config.Schedulers
	policy.NoSale = cmp.Or(l.takingOver(*world), unread)
	problems = append(append(problems, l.applyHands(&policy)...), l.refuse(&policy, *world)...)
	return policy, problems, l.enforce(&policy, *world)
}

// takingOver is why nothing may be returned yet: what a predecessor saw last, or what a cache held while nobody acted on it,
// is no ground to take a node away. Both the API server and every pool's groups must have answered since.
func (l *Loop) takingOver(world observe.World) string {
	if l.tookOver.IsZero() {
		return ""
	}
	var pools []string
	for _, p := range world.Pools {
		pools = append(pools, p.Name)
	}
	why := l.groups.ReadSince(l.tookOver, pools)
	if !l.apiAt.Load().After(l.tookOver) {
		why = "the API server was not asked"
	}
	if why != "" {
		return fmt.Sprintf("%s since this scaler took over at %s", why, l.tookOver.UTC().Format("15:04:05"))
	}
	l.tookOver = time.Time{}
	return ""
}
