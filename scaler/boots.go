package scaler

import (
	"context"
	"fmt"
	"time"

	"swell/nodegroups"
	"swell/nodegroups/learn"
	"swell/scaler/act"
	"swell/scaler/observe"
	"swell/scaler/plan"
	"swell/scaler/record"
)

// learnBoots takes what the world shows of instances, tells the snapshot what follows, and keeps it for a successor.
func (l *Loop) learnBoots(ctx context.Context, now time.Time, world *observe.World) {
	l.boots.news(l.known.Observe(now, &world.Snapshot))
	l.leads.forget(*world)
	for _, g := range world.Snapshot.Groups {
		if n := l.known.Capacity.FailedJoins(g); n >= 2 {
			world.Problems = append(world.Problems, plan.Problem{Object: "group " + g.Name,
				What: fmt.Sprintf("its last %d instances of image %s never became Ready nodes; after three it is not bought from for a while, and the nodes it has stay", n, g.Image),
				Mend: "look at the console output of its next instance, its launch template's user data, security groups and instance profile"})
		}
	}
	for _, s := range l.known.Boots.Slower() {
		for _, pool := range poolsOf(s, world.Snapshot.Groups) {
			world.Problems = append(world.Problems, plan.Problem{Object: "CapacityPool " + pool, What: s.String(), Mend: "look at what the new image does at its start, or go back to the former"})
		}
	}
	l.saveBoots(ctx, now)
	l.bootMetrics(now, world.Snapshot.Groups)
}

// makePlan makes a plan and tells of instances that never joined.
func (l *Loop) makePlan(now time.Time, world *observe.World, policy plan.Policy) plan.Plan {
	p, memory, never := l.known.Plan(now, &l.planner, &world.Snapshot, policy, l.memory)
	l.memory = memory
	l.boots.news(len(never) > 0)
	for _, t := range never {
		act.CountNeverJoined()
		if l.recorder != nil {
			l.recorder.lives.Ends(t.InstanceID, record.NeverJoined)
		}
		l.options.Log.Warn("instance never joined", "instance", t.InstanceID, "group", t.Group, "reason", t.Reason)
	}
	return p
}

func poolsOf(s learn.Slower, groups []nodegroups.Group) []string {
	var pools []string
	seen := map[string]bool{}
	for _, g := range groups {
		if g.Zone != s.Zone || g.Market != s.Market || g.Image != s.Image || seen[g.Pool] {
			continue
		}
		for _, t := range g.InstanceTypes {
			if t == s.Type && !seen[g.Pool] {
				seen[g.Pool] = true
				pools = append(pools, g.Pool)
			}
		}
	}
	return pools
}
