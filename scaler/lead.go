package scaler

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/nodegroups"
	"swell/nodegroups/learn"
	"swell/scaler/learned"
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

// leads puts the boots that are known together with the starts of pods. These are learned from the stamps of Pods, so that a
// scaler that starts anew knows at once what is still running, and needs no memory of its own.
type leads struct {
	clock config.Clock
	given config.Lead
	known *learned.Instances
	pods  *learn.Durations[string] // by the workload that a Balloon guards
	// seen are pod UIDs by workload that were learned from or never will be.
	seen map[string]bool
}

// priorOf is a prior with what is configured as its 95th percentile, in the usual proportion to its median.
func priorOf(p95 time.Duration) learn.Prior {
	ratio := float64(learn.BootPrior.P50) / float64(learn.BootPrior.P95) // nanoseconds times nanoseconds are more than an int64 holds
	return learn.Prior{P50: time.Duration(ratio * float64(p95)), P95: p95}
}

func newLeads(given config.Lead, clock config.Clock, known *learned.Instances) (*leads, error) {
	pods, err := learn.NewDurations[string](learn.Options{Prior: priorOf(given.PodStart.Duration)})
	if err != nil {
		return nil, err
	}
	return &leads{clock: clock, given: given, known: known, pods: pods, seen: map[string]bool{}}, nil
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
		ready, isReady := learned.PodSince(p, corev1.PodReady)
		bound, isBound := learned.PodSince(p, corev1.PodScheduled)
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
			out.Boot = max(out.Boot, l.known.Ready(learned.Key(g, t), leadQuantile))
		}
	}
	if out.Boot == 0 {
		out.Boot = l.given.BootP95.Duration
	}
	return out
}
