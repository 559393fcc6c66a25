package scaler

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"swell/api/v1alpha1"
	"swell/scaler/learned"
	"swell/scaler/ledger"
	"swell/scaler/observe"
	"swell/scaler/plan"
	"swell/scaler/shadow"
)

// countEvery is how often the nodes of pools that only observe are counted; model time.
const countEvery = time.Minute

// waitBounds in seconds are what waits are counted by.
var waitBounds = []int{1, 2, 5, 10, 20, 30, 60, 120, 300, 600}

// shadows are the books of pools that only observe.
type shadows struct {
	books   shadow.Books
	counted time.Time
	waits   map[string]int
	bound   map[string]bool // pods that had a place; nil before the first plan
}

// shadowing writes to the ledger what pools that only observe would have done.
func (l *Loop) shadowing(now time.Time, world observe.World, policy plan.Policy, p plan.Plan) {
	observing := map[string]bool{}
	for _, q := range policy.Pools {
		observing[q.Name] = q.Observe
	}
	events, counts := l.shadows.books.Take(now, world.Snapshot.Groups, p.Suppressed, func(pool string) bool { return observing[pool] })
	if len(counts) == 0 {
		l.shadows = shadows{}
		return
	}
	for _, e := range events {
		object := e.Object
		if object == "" {
			object = e.Group.Name
		}
		entry := ledger.Entry{Tick: l.tick, Phase: ledger.Note, Action: string(e.Kind), Object: object, Count: e.Count, Reason: e.Reason,
			Pool: e.Group.Pool, Zone: e.Group.Zone, Market: string(e.Group.Market), Hourly: e.Group.HourlyPrice}
		if e.Kind == shadow.WouldReturn {
			entry.Group, entry.Node = e.Group.Name, e.Node
		}
		if e.Kind == shadow.NodeCame {
			entry.Reason = "launched at " + e.At.UTC().Format(time.RFC3339)
		}
		l.write(entry)
	}
	l.countWaits(world.Snapshot.Pods)
	if now.Sub(l.shadows.counted) < countEvery {
		return
	}
	entry := ledger.Entry{Tick: l.tick, Phase: ledger.Note, Action: "shadow", Object: "pools that only observe", Waits: l.shadows.waits}
	for _, c := range counts {
		entry.Nodes = append(entry.Nodes, ledger.NodeCount{Group: c.Group.Name, Real: c.Real, Wanted: c.Wanted, Unneeded: c.Unneeded,
			Pool: c.Group.Pool, Zone: c.Group.Zone, Market: string(c.Group.Market), Hourly: c.Group.HourlyPrice})
	}
	l.write(entry)
	l.shadows.counted, l.shadows.waits = now, nil
}

// countWaits takes the pods that found a place since the last plan.
func (l *Loop) countWaits(pods []*corev1.Pod) {
	bound := map[string]bool{}
	for _, p := range pods {
		at, ok := learned.PodSince(p, corev1.PodScheduled)
		if !ok || p.Spec.NodeName == "" || p.Labels[v1alpha1.BalloonLabel] != "" {
			continue
		}
		id := string(p.UID)
		bound[id] = true
		if l.shadows.bound == nil || l.shadows.bound[id] {
			continue
		}
		if l.shadows.waits == nil {
			l.shadows.waits = map[string]int{}
		}
		l.shadows.waits[waitBound(l.clock.At(at).Sub(l.clock.At(p.CreationTimestamp.Time)))]++
	}
	l.shadows.bound = bound
}

func waitBound(wait time.Duration) string {
	for _, b := range waitBounds {
		if wait <= time.Duration(b)*time.Second {
			return fmt.Sprint(b)
		}
	}
	return "more"
}
