package scaler

import (
	"cmp"
	"context"
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
	policy.NoSale = cmp.Or(l.tookOver.Unread(l.groups, world.Pools, *l.apiAt.Load()), unread)
	problems = append(append(problems, l.applyHands(&policy)...), l.refuse(&policy, *world)...)
	return policy, problems, l.enforce(&policy, *world)
}
