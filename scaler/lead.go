package scaler

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"swell/api/config"
	"swell/nodegroups"
	"swell/nodegroups/learn"
	"swell/scaler/observe"
)

const (
	// leadQuantile of boots and pod starts is what a lead time is made of.
	leadQuantile = 0.95
	// longestStart is the longest boot or pod start that is learned: a condition that changed later came back, it did not begin.
	longestStart = 15 * time.Minute
	// mostLead is the longest lead that is forecast for.
	mostLead = time.Hour
)

// lead is the time from a need to a pod that serves, as it is known now.
type lead struct {
	Boot, HPADelay, PodStart time.Duration
}

// Total is how far ahead room must be asked for.
func (l lead) Total() time.Duration { return min(l.Boot+l.HPADelay+l.PodStart, mostLead) }

// leads learns boots and pod starts from the stamps of Nodes and Pods, so that a scaler that starts anew knows at once
// what is still running, and needs no memory of its own.
type leads struct {
	clock config.Clock
	given config.Lead
	boots *learn.Durations[learn.BootKey]
	pods  *learn.Durations[string] // by namespace/name of the Balloon
	// seen are instance ids and pod UIDs that were learned from, or never will be.
	seen map[string]bool
}

func newLeads(given config.Lead, clock config.Clock) (*leads, error) {
	// what is configured is the prior's 95th percentile, in the usual proportion to its median
	prior := func(p95 time.Duration) learn.Prior {
		return learn.Prior{P50: p95 * learn.BootPrior.P50 / learn.BootPrior.P95, P95: p95}
	}
	boots, err := learn.NewDurations[learn.BootKey](learn.Options{Prior: prior(given.BootP95.Duration), OthersWeight: 20})
	if err != nil {
		return nil, err
	}
	pods, err := learn.NewDurations[string](learn.Options{Prior: prior(given.PodStart.Duration)})
	if err != nil {
		return nil, err
	}
	return &leads{clock: clock, given: given, boots: boots, pods: pods, seen: map[string]bool{}}, nil
}

// learnBoots takes the boots of instances whose Nodes became Ready since the last call.
func (l *leads) learnBoots(world observe.World) {
	nodes := map[string]*corev1.Node{}
	for _, n := range world.Snapshot.Nodes {
		nodes[n.Spec.ProviderID] = n
	}
	present := map[string]bool{}
	keys := map[learn.BootKey]bool{}
	for _, g := range world.Snapshot.Groups {
		for _, t := range g.InstanceTypes {
			keys[bootKey(g, t)] = true
		}
		for _, in := range g.Instances {
			present[in.ID] = true
			node := nodes[in.ProviderID]
			if node == nil || l.seen[in.ID] || in.LaunchedAt.IsZero() {
				continue
			}
			at, ready := since(node.Status.Conditions, corev1.NodeReady)
			if !ready {
				continue
			}
			l.seen[in.ID] = true
			if took := l.clock.At(at).Sub(in.LaunchedAt); took > 0 && took <= longestStart {
				_ = l.boots.Add(bootKey(g, in.Type), took) // it is above zero
			}
		}
	}
	l.boots.Forget(func(k learn.BootKey) bool { return keys[k] })
	for _, p := range world.Snapshot.Pods {
		present[string(p.UID)] = true
	}
	for id := range l.seen {
		if !present[id] {
			delete(l.seen, id)
		}
	}
}

// learnStarts takes the starts of a Balloon's workload's pods that became Ready since the last call.
func (l *leads) learnStarts(world observe.World, namespace, balloon string, selector labels.Selector) {
	for _, p := range world.Snapshot.Pods {
		if p.Namespace != namespace || l.seen[string(p.UID)] || !selector.Matches(labels.Set(p.Labels)) {
			continue
		}
		ready, isReady := podSince(p, corev1.PodReady)
		bound, isBound := podSince(p, corev1.PodScheduled)
		if !isReady || !isBound {
			continue
		}
		l.seen[string(p.UID)] = true
		if took := l.clock.At(ready).Sub(l.clock.At(bound)); took > 0 && took <= longestStart {
			_ = l.pods.Add(namespace+"/"+balloon, took) // it is above zero
		}
	}
}

// of a Balloon is its lead with the slowest boot among the groups that exist, since any of them may be the one that is
// bought next.
func (l *leads) of(world observe.World, namespace, balloon string) lead {
	out := lead{HPADelay: l.given.HPADelay.Duration, PodStart: l.pods.Quantile(namespace+"/"+balloon, leadQuantile)}
	for _, g := range world.Snapshot.Groups {
		for _, t := range g.InstanceTypes {
			out.Boot = max(out.Boot, l.boots.Quantile(bootKey(g, t), leadQuantile))
		}
	}
	if out.Boot == 0 {
		out.Boot = l.given.BootP95.Duration
	}
	return out
}

func bootKey(g nodegroups.Group, instanceType string) learn.BootKey {
	return learn.BootKey{Zone: g.Zone, Type: instanceType, Image: g.Image, Market: g.Market}
}

// since is when a Node's condition became true; false where it is not.
func since(conditions []corev1.NodeCondition, kind corev1.NodeConditionType) (time.Time, bool) {
	for _, c := range conditions {
		if c.Type == kind {
			return c.LastTransitionTime.Time, c.Status == corev1.ConditionTrue
		}
	}
	return time.Time{}, false
}

func podSince(p *corev1.Pod, kind corev1.PodConditionType) (time.Time, bool) {
	for _, c := range p.Status.Conditions {
		if c.Type == kind {
			return c.LastTransitionTime.Time, c.Status == corev1.ConditionTrue
		}
	}
	return time.Time{}, false
}
