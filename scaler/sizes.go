package scaler

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"swell/api/v1alpha1"
	"swell/balloon"
	"swell/balloon/apply"
	"swell/scaler/forecast"
	"swell/scaler/observe"
	"swell/scaler/plan"
	"swell/scaler/schedule"
)

// size is the decision on one Balloon, for its status.
type size struct {
	balloon  *v1alpha1.Balloon
	answer   forecast.Answer
	lead     time.Duration
	decision balloon.Decision
	err      error
}

// sizeBalloons decides how many balloons are wanted and puts them into the snapshot. Where that cannot be decided, those
// that exist are kept.
func (l *Loop) sizeBalloons(ctx context.Context, now time.Time, world *observe.World) []size {
	var sizes []size
	for i := range world.Balloons {
		b := &world.Balloons[i]
		if b.DeletionTimestamp != nil {
			continue
		}
		s := size{balloon: b}
		demands, err := l.sizeOne(ctx, now, world, &s)
		if err != nil {
			s.err = err
			world.Problems = append(world.Problems, plan.Problem{Object: "Balloon " + b.Namespace + "/" + b.Name, What: err.Error(), Mend: "its balloons stay as they are until then"})
			demands = keep(b, world)
		} else if b.Spec.Mode == v1alpha1.Observe {
			demands = keep(b, world)
		}
		world.Snapshot.Balloons = append(world.Snapshot.Balloons, demands...)
		sizes = append(sizes, s)
	}
	return sizes
}

func (l *Loop) sizeOne(ctx context.Context, now time.Time, world *observe.World, s *size) ([]plan.BalloonDemand, error) {
	b := s.balloon
	target, err := apply.ReadTarget(ctx, l.client, b.Namespace, b.Spec.ScaleTargetRef)
	if err != nil {
		return nil, err
	}
	chunk, err := number("spec.chunk", string(b.Spec.Chunk), 1)
	if err != nil {
		return nil, err
	}
	share, err := number("spec.share", strings.TrimSuffix(string(b.Spec.Share), "%"), 100)
	if err != nil {
		return nil, err
	}
	tau, err := l.tau(b, target, world)
	if err != nil {
		return nil, err
	}
	w := l.workload(ctx, b)
	s.lead = l.lead()
	if w.history != nil {
		s.answer = w.history.AtLead(now, s.lead, tau)
	}
	demand := demandOf(*world, b)
	headroom := l.headroom(now, s.lead, world, b)
	in := balloon.Input{
		Now: now, Chunk: chunk, Min: int(b.Spec.Min), Max: int(b.Spec.Max), Share: share / 100,
		Demand: demand, Upper: s.answer.Upper, Running: target.Replicas, SurviveZone: b.Spec.Zones.Survive == "Zone",
		Zones: zonesOf(world, b, target.Selector), State: w.state,
	}
	base := demand
	if math.IsNaN(base) { // the schedule is a floor whether or not the demand is known
		base = float64(target.Replicas)
	}
	in.Headroom, in.HeadroomWhy = headroom.For(base), headroom.Why
	if !s.answer.Ready {
		in.NotReady = s.answer.Reason
	}
	s.decision = balloon.Size(in)
	w.state = s.decision.State
	l.sizeProblems(world, b, w, s.decision)
	if out := b.Spec.Output; out != "" && out != v1alpha1.OutputPods {
		return nil, fmt.Errorf("spec.output %s is not supported yet; use Pods", out)
	}
	var demands []plan.BalloonDemand
	for _, z := range s.decision.Zones {
		pod, err := balloon.PodFor(*b, chunk, target.Template, z.Zone)
		if err != nil {
			return nil, err
		}
		demands = append(demands, plan.BalloonDemand{Namespace: b.Namespace, Name: b.Name, Zone: z.Zone, Pod: pod, Want: z.Balloons})
	}
	return demands, nil
}

// lead is the time from an order to the pods that run on it.
func (l *Loop) lead() time.Duration {
	lead := l.options.Config.Lead
	return lead.BootP95.Duration + lead.HPADelay.Duration + lead.PodStart.Duration
}

func (l *Loop) sizeProblems(world *observe.World, b *v1alpha1.Balloon, w *workload, d balloon.Decision) {
	object := "Balloon " + b.Namespace + "/" + b.Name
	for _, p := range d.Problems {
		world.Problems = append(world.Problems, plan.Problem{Object: object, What: p.What, Mend: p.Mend})
	}
	if w.problem != "" {
		world.Problems = append(world.Problems, plan.Problem{Object: object, What: w.problem, Mend: "until then its history is only what is sampled live"})
	}
}

// number reads a decimal field; absent is what an empty one means.
func number(field, value string, absent float64) (float64, error) {
	if value == "" {
		return absent, nil
	}
	v, err := strconv.ParseFloat(value, 64)
	if err != nil || v < 0 {
		return 0, fmt.Errorf("%s is %q; give a decimal number", field, value)
	}
	return v, nil
}

// tau is the quantile that a Balloon asks for, by itself or by what a miss costs.
func (l *Loop) tau(b *v1alpha1.Balloon, target apply.Target, world *observe.World) (float64, error) {
	t := b.Spec.Target
	if t.MissCostPerPodMinute == "" {
		return number("spec.target.quantile", string(t.Quantile), 0.99)
	}
	miss, err := number("spec.target.missCostPerPodMinute", string(t.MissCostPerPodMinute), 0)
	if err != nil {
		return 0, err
	}
	room, err := roomCost(target.Template, world)
	if err != nil {
		return 0, err
	}
	return balloon.Quantile(miss, room)
}

// roomCost is what the room of one pod costs a minute on the dearest group: its largest share of a node's resources.
func roomCost(template corev1.PodTemplateSpec, world *observe.World) (float64, error) {
	cost := 0.0
	for _, g := range world.Snapshot.Groups {
		for resource := range g.Template.Allocatable {
			all, asked := g.Template.Allocatable[resource], 0.0
			for _, c := range template.Spec.Containers {
				q := c.Resources.Requests[resource]
				asked += q.AsApproximateFloat64()
			}
			if a := all.AsApproximateFloat64(); a > 0 {
				cost = max(cost, asked/a*g.HourlyPrice/60)
			}
		}
	}
	if cost == 0 {
		return 0, fmt.Errorf("spec.target.missCostPerPodMinute needs prices: give the instance types' in the scaler's configuration, or use spec.target.quantile")
	}
	return cost, nil
}

// headroom is what the Balloon's schedules ask for within the lead time.
func (l *Loop) headroom(now time.Time, lead time.Duration, world *observe.World, b *v1alpha1.Balloon) schedule.Headroom {
	var most schedule.Headroom
	for _, name := range b.Spec.Schedules {
		object := "DiurnalSchedule " + b.Namespace + "/" + name
		d, ok := world.Schedules[b.Namespace+"/"+name]
		if !ok {
			world.Problems = append(world.Problems, plan.Problem{Object: object, What: "is not there, and Balloon " + b.Name + " names it", Mend: "create it or take it out of spec.schedules"})
			continue
		}
		s, problems := schedule.Compile(d.Spec)
		for _, p := range problems {
			world.Problems = append(world.Problems, plan.Problem{Object: object, What: p.Field + ": " + p.What, Mend: p.Mend})
		}
		if s != nil {
			most = most.Max(s.Over(now, now.Add(lead)))
		}
	}
	return most
}

// zonesOf are the zones that have groups, with the workload's pods and balloons in each.
func zonesOf(world *observe.World, b *v1alpha1.Balloon, selector labels.Selector) []balloon.Zone {
	zoneOf := map[string]string{}
	for _, n := range world.Snapshot.Nodes {
		zoneOf[n.Name] = n.Labels[corev1.LabelTopologyZone]
	}
	pods, balloons := map[string]int{}, map[string]int{}
	for _, p := range world.Snapshot.Pods {
		switch {
		case p.Namespace != b.Namespace || p.DeletionTimestamp != nil:
		case p.Labels[plan.BalloonLabel] == b.Name:
			balloons[balloon.PinnedZone(p)]++
		case p.Labels[plan.BalloonLabel] == "" && p.Spec.NodeName != "" && selector.Matches(labels.Set(p.Labels)):
			pods[zoneOf[p.Spec.NodeName]]++
		}
	}
	var zones []balloon.Zone
	seen := map[string]bool{}
	for _, g := range world.Snapshot.Groups {
		if !seen[g.Zone] {
			seen[g.Zone] = true
			zones = append(zones, balloon.Zone{Name: g.Zone, Pods: pods[g.Zone], Balloons: balloons[g.Zone]})
		}
	}
	return zones
}

// keep is a demand for just the balloons that exist.
func keep(b *v1alpha1.Balloon, world *observe.World) []plan.BalloonDemand {
	byZone := map[string]*plan.BalloonDemand{}
	var zones []string
	for _, p := range world.Snapshot.Pods {
		if p.Namespace != b.Namespace || p.Labels[plan.BalloonLabel] != b.Name || p.DeletionTimestamp != nil {
			continue
		}
		zone := balloon.PinnedZone(p)
		if byZone[zone] == nil {
			byZone[zone] = &plan.BalloonDemand{Namespace: b.Namespace, Name: b.Name, Zone: zone}
			zones = append(zones, zone)
		}
		byZone[zone].Want++
	}
	var out []plan.BalloonDemand
	for _, z := range zones {
		out = append(out, *byZone[z])
	}
	return out
}
