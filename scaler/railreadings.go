package scaler

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	resourcehelper "k8s.io/component-helpers/resource"

	"swell/api/v1alpha1"
	"swell/balloon/apply"
	"swell/nodegroups"
	"swell/scaler/guardrail"
	"swell/scaler/observe"
)

// railView is one snapshot as guard rails read it.
type railView struct {
	loop  *Loop
	world *observe.World
	// groups by the node that is an instance of theirs.
	groups map[string]*nodegroups.Group
	nodes  map[string]*corev1.Node
	// unpriced is why no cost is known at all; empty is that it is.
	unpriced string
	// since is when a reading of a pool's groups must have been made to be judged by.
	since time.Time
}

// viewRails is nil where what the API server has is too old to be judged by.
func (l *Loop) viewRails(now time.Time, world *observe.World) *railView {
	maxAge := l.options.Config.Observe.MaxAge.Duration
	if now.Sub(world.Snapshot.PodsAt) > maxAge {
		return nil
	}
	v := &railView{loop: l, world: world, groups: map[string]*nodegroups.Group{}, nodes: map[string]*corev1.Node{}, since: now.Add(-maxAge)}
	if now.Sub(world.Snapshot.GroupsAt) > maxAge {
		v.unpriced = "AWS was last read at " + world.Snapshot.GroupsAt.UTC().Format("15:04:05")
	}
	byProvider := map[string]*corev1.Node{}
	for _, n := range world.Snapshot.Nodes {
		v.nodes[n.Name], byProvider[n.Spec.ProviderID] = n, n
	}
	for i := range world.Snapshot.Groups {
		g := &world.Snapshot.Groups[i]
		for _, in := range g.Instances {
			if n := byProvider[in.ProviderID]; n != nil && in.ProviderID != "" {
				v.groups[n.Name] = g
			}
		}
	}
	return v
}

// wants says whether a pod is one that nodes are bought for and that runs or wants to.
func (v *railView) wants(p *corev1.Pod) bool {
	if p.DeletionTimestamp != nil || p.Labels[v1alpha1.BalloonLabel] != "" {
		return false
	}
	if o := metav1.GetControllerOf(p); o != nil && o.Kind == "DaemonSet" {
		return false
	}
	schedulers := v.loop.options.Config.Schedulers
	name := cmp.Or(p.Spec.SchedulerName, corev1.DefaultSchedulerName)
	ours := slices.Contains(schedulers, name) || len(schedulers) == 0 && name == corev1.DefaultSchedulerName
	return p.Spec.NodeName != "" || ours && len(p.Spec.SchedulingGates) == 0
}

// add counts a pod.
func (v *railView) add(r *guardrail.Reading, p *corev1.Pod) {
	r.Pods++
	asked := resourcehelper.PodRequests(p, resourcehelper.PodResourcesOptions{})
	r.Cores += asked.Cpu().AsApproximateFloat64()
	if p.Spec.NodeName == "" { // a stamp is in whole seconds: one of the second that a change came in is after it
		r.Pending = append(r.Pending, v.loop.clock.At(p.CreationTimestamp.Add(time.Second)))
	}
}

// pool is what is seen of a CapacityPool: the pods on its nodes and those without a node that its groups could take, and what its
// instances cost, booting ones too. It is nil where its groups were not read of late.
func (v *railView) pool(name string) *guardrail.Reading {
	if v.world.Snapshot.PoolsAt[name].Before(v.since) {
		return nil
	}
	r := &guardrail.Reading{Unpriced: v.unpriced}
	var templates []*corev1.Node
	for i := range v.world.Snapshot.Groups {
		g := &v.world.Snapshot.Groups[i]
		if g.Pool != name {
			continue
		}
		templates = append(templates, groupNode(*g))
		for _, in := range g.Instances {
			if !in.Lifecycle.Counts() {
				continue
			}
			if g.HourlyPrice <= 0 {
				r.Unpriced = unpricedGroup(g)
			}
			r.Hourly += g.HourlyPrice
		}
	}
	for _, p := range v.world.Snapshot.Pods {
		if !v.wants(p) {
			continue
		}
		if p.Spec.NodeName != "" {
			if g := v.groups[p.Spec.NodeName]; g != nil && g.Pool == name {
				v.add(r, p)
			}
			continue
		}
		target := apply.Target{Template: corev1.PodTemplateSpec{Spec: p.Spec}}
		if slices.ContainsFunc(templates, func(n *corev1.Node) bool { return takesPods(target, n) }) {
			v.add(r, p)
		}
	}
	return r
}

func unpricedGroup(g *nodegroups.Group) string {
	return "the price of group " + g.Name + " is not known"
}

// balloon is what is seen of a Balloon's workload: its pods, and what their share and that of the balloons costs of the nodes
// that they are on. nil is that the workload cannot be read.
func (v *railView) balloon(ctx context.Context, now time.Time, b *v1alpha1.Balloon) *guardrail.Reading {
	target, err := v.loop.target(ctx, now, v.world, b)
	if err != nil {
		return nil
	}
	r := &guardrail.Reading{Unpriced: v.unpriced}
	if b.Spec.Output != v1alpha1.OutputPods && b.Spec.Output != "" {
		r.Unpriced = fmt.Sprintf("balloons with output %s are no pods, so that their share of nodes is not known", b.Spec.Output)
	}
	for _, p := range v.world.Snapshot.Pods {
		if p.Namespace != b.Namespace {
			continue
		}
		held := p.Labels[v1alpha1.BalloonLabel] == b.Name
		if !held && (!v.wants(p) || !target.Selector.Matches(labels.Set(p.Labels))) {
			continue
		}
		if !held {
			v.add(r, p)
		}
		if p.Spec.NodeName != "" {
			v.charge(r, p)
		}
	}
	return r
}

// charge adds a pod's share of its node's price.
func (v *railView) charge(r *guardrail.Reading, p *corev1.Pod) {
	g, n := v.groups[p.Spec.NodeName], v.nodes[p.Spec.NodeName]
	switch {
	case g == nil || n == nil:
		r.Unpriced = cmp.Or(r.Unpriced, "node "+p.Spec.NodeName+" is of no pool, so that its price is not known")
	case g.HourlyPrice <= 0:
		r.Unpriced = unpricedGroup(g)
	default:
		asked := resourcehelper.PodRequests(p, resourcehelper.PodResourcesOptions{})
		r.Hourly += g.HourlyPrice * shareOf(asked, n.Status.Allocatable)
	}
}

// schedule is what is seen of all Balloons that a DiurnalSchedule is for.
func (v *railView) schedule(ctx context.Context, now time.Time, d *v1alpha1.DiurnalSchedule) *guardrail.Reading {
	all := &guardrail.Reading{Unpriced: v.unpriced}
	for i := range v.world.Balloons {
		b := &v.world.Balloons[i]
		if b.Namespace != d.Namespace || !slices.Contains(b.Spec.Schedules, d.Name) {
			continue
		}
		r := v.balloon(ctx, now, b)
		if r == nil {
			return nil
		}
		all.Pods, all.Cores, all.Hourly = all.Pods+r.Pods, all.Cores+r.Cores, all.Hourly+r.Hourly
		all.Pending = append(all.Pending, r.Pending...)
		all.Unpriced = cmp.Or(all.Unpriced, r.Unpriced)
	}
	return all
}
