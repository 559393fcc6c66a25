package scaler

import (
	"cmp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"swell/api/config"
	"swell/api/v1alpha1"
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
	boots *learn.Boots
	pods  *learn.Durations[string] // by the workload that a Balloon guards
	// seen are pod UIDs by workload that were learned from or never will be.
	seen map[string]bool
	// boot is each instance type's of a group, made at the first need after something was learned.
	boot map[learn.BootKey]time.Duration
}

func newLeads(given config.Lead, clock config.Clock) (*leads, error) {
	// what is configured is the prior's 95th percentile, in the usual proportion to its median
	prior := func(p95 time.Duration) learn.Prior {
		ratio := float64(learn.BootPrior.P50) / float64(learn.BootPrior.P95) // nanoseconds times nanoseconds are more than an int64 holds
		return learn.Prior{P50: time.Duration(ratio * float64(p95)), P95: p95}
	}
	boots, err := learn.NewBoots(learn.BootOptions{Prior: prior(given.BootP95.Duration), OthersWeight: 20})
	if err != nil {
		return nil, err
	}
	pods, err := learn.NewDurations[string](learn.Options{Prior: prior(given.PodStart.Duration)})
	if err != nil {
		return nil, err
	}
	return &leads{clock: clock, given: given, boots: boots, pods: pods, seen: map[string]bool{}, boot: map[learn.BootKey]time.Duration{}}, nil
}

// forget drops what is known of workloads and pods that are gone.
func (l *leads) forget(world observe.World) {
	present := map[string]bool{}
	for _, p := range world.Snapshot.Pods {
		present[string(p.UID)] = true
	}
	workloads := map[string]bool{}
	for i := range world.Balloons {
		workloads[guarded(&world.Balloons[i])] = true
	}
	l.pods.Forget(func(workload string) bool { return workloads[workload] })
	for id := range l.seen {
		if of, _, _ := strings.Cut(id, " "); !present[of] {
			delete(l.seen, id)
		}
	}
}

// learnStarts takes the starts of a guarded workload's pods that became Ready since the last call.
func (l *leads) learnStarts(world observe.World, b *v1alpha1.Balloon, selector labels.Selector) {
	workload := guarded(b)
	for _, p := range world.Snapshot.Pods {
		id := string(p.UID) + " " + workload
		if p.Namespace != b.Namespace || l.seen[id] || p.Labels[v1alpha1.BalloonLabel] != "" || !selector.Matches(labels.Set(p.Labels)) {
			continue
		}
		ready, isReady := podSince(p, corev1.PodReady)
		bound, isBound := podSince(p, corev1.PodScheduled)
		if !isReady || !isBound {
			continue
		}
		l.seen[id] = true
		if took := l.clock.At(ready).Sub(l.clock.At(bound)); took > 0 && took <= longestStart {
			_ = l.pods.Add(workload, took) // it is above zero
		}
	}
}

// of a Balloon is its lead with the slowest boot among the groups that take its workload's pods, since any of them may be
// the one that is bought next. Without such a group the boot is the configured one.
func (l *leads) of(b *v1alpha1.Balloon, groups []nodegroups.Group) lead {
	out := lead{HPADelay: l.given.HPADelay.Duration, PodStart: l.pods.Quantile(guarded(b), leadQuantile)}
	for _, g := range groups {
		for _, t := range g.InstanceTypes {
			key := bootKey(g, t)
			if _, known := l.boot[key]; !known {
				l.boot[key] = l.boots.Quantile(key, learn.Ready, leadQuantile)
			}
			out.Boot = max(out.Boot, l.boot[key])
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

// bootKeyOf an instance, which may be of another image than its group launches now.
func bootKeyOf(g nodegroups.Group, in nodegroups.Instance) learn.BootKey {
	key := bootKey(g, in.Type)
	key.Image = cmp.Or(in.Image, g.Image)
	return key
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
