package scaler

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"swell/api/v1alpha1"
	"swell/balloon"
	"swell/balloon/apply"
	"swell/nodegroups"
	"swell/scaler/observe"
)

// quantile is τ: the one that a Balloon asks for, or the one at which room and misses cost the same.
func quantile(b *v1alpha1.Balloon, requests corev1.ResourceList, target apply.Target, world *observe.World) (float64, error) {
	t := b.Spec.Target
	if t.MissCostPerPodMinute == "" {
		return number("spec.target.quantile", string(t.Quantile), 0.99)
	}
	miss, err := number("spec.target.missCostPerPodMinute", string(t.MissCostPerPodMinute), 0)
	if err != nil {
		return 0, err
	}
	room, err := roomCost(requests, target, world)
	if err != nil {
		return 0, err
	}
	return balloon.Quantile(miss, room)
}

// roomCost is what the room of one pod costs a minute, as it would be bought: in each zone on the cheapest group that
// takes the workload's pods, spot where the pool has it, and the mean of the zones.
func roomCost(requests corev1.ResourceList, target apply.Target, world *observe.World) (float64, error) {
	type offer struct {
		market nodegroups.Market
		cost   float64
	}
	best := map[string]offer{}
	for _, g := range world.Snapshot.Groups {
		if g.Unusable != "" || g.HourlyPrice <= 0 || g.Market == nodegroups.Spot && noSpot(world, g.Pool) || !takesPods(target, groupNode(g)) {
			continue
		}
		o := offer{g.Market, shareOf(requests, g.Template.Allocatable) * g.HourlyPrice / 60}
		have, known := best[g.Zone]
		better := o.cost < have.cost
		if o.market != have.market {
			better = o.market == nodegroups.Spot
		}
		if o.cost > 0 && (!known || better) {
			best[g.Zone] = o
		}
	}
	if len(best) == 0 {
		return 0, fmt.Errorf("spec.target.missCostPerPodMinute needs prices of groups that take the workload's pods; give the instance types' in the scaler's configuration, or use spec.target.quantile")
	}
	sum := 0.0
	for _, o := range best {
		sum += o.cost
	}
	return sum / float64(len(best)), nil
}

// noSpot says that a pool buys no spot at all.
func noSpot(world *observe.World, pool string) bool {
	for i := range world.Pools {
		if world.Pools[i].Name == pool {
			p, _ := observe.Pool(&world.Pools[i])
			return p.SpotMax == 0
		}
	}
	return false
}

// shareOf is the largest share of a node's resources that one pod takes.
func shareOf(requests, allocatable corev1.ResourceList) float64 {
	most := 0.0
	for name, q := range requests {
		all := allocatable[name]
		if a := all.AsApproximateFloat64(); a > 0 {
			most = max(most, q.AsApproximateFloat64()/a)
		}
	}
	return most
}
