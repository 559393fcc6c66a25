package scaler

import (
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"swell/api/v1alpha1"
	"swell/scaler/learned"
	"swell/scaler/ledger"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

// waiting are the pods that wait for a node, by namespace/name.
type waiting map[string]wait

type wait struct {
	since time.Time // when it was made; model time
	// on is the instance that it is to run on, which boots; empty is that none is known.
	on string
}

// waited records which pods wait for an instance that boots, and those that found a place for which they had waited: an entry for
// each instance and node.
func (l *Loop) waited(world observe.World, p plan.Plan) {
	placed, still := l.waits.take(world, p, l.clock.At)
	awaited := map[string][]string{}
	for pod, w := range still {
		if w.on != "" && l.waits[pod].on != w.on {
			awaited[w.on] = append(awaited[w.on], pod)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(awaited)) {
		pods := awaited[id]
		slices.Sort(pods)
		l.write(ledger.Entry{Tick: l.tick, Phase: ledger.Note, Action: "awaited", Object: id, Count: len(pods), Pods: pods[:min(len(pods), ledger.MostPods)]})
	}
	l.tellWaiting(world.Snapshot.Pods, still)
	instances := map[string][]string{}
	if len(placed) > 0 {
		for _, n := range world.Snapshot.Nodes {
			instances[n.Name] = []string{n.Spec.ProviderID[strings.LastIndex(n.Spec.ProviderID, "/")+1:]}
		}
	}
	for _, node := range slices.Sorted(maps.Keys(placed)) {
		pods := placed[node]
		slices.SortFunc(pods, func(a, b ledger.PodWait) int { return strings.Compare(a.Pod, b.Pod) })
		l.write(ledger.Entry{Tick: l.tick, Phase: ledger.Note, Action: "placed", Object: node, Instances: instances[node], Count: len(pods), Placed: pods[:min(len(pods), ledger.MostPods)]})
	}
	l.waits = still
}

// take gives the pods that waited and are bound now, by their nodes, and those that wait: for a node that is not up, or with no
// node that takes them. A pod that the scheduler is about to bind to a node that is up waits for no node.
func (w waiting) take(world observe.World, p plan.Plan, at func(time.Time) time.Time) (placed map[string][]ledger.PodWait, still waiting) {
	placed, still = map[string][]ledger.PodWait{}, waiting{}
	up := map[string]bool{}
	for _, n := range world.Snapshot.Nodes {
		up[n.Name] = true
	}
	for _, pod := range world.Snapshot.Pods {
		key := pod.Namespace + "/" + pod.Name
		had, before := w[key]
		switch {
		case pod.Labels[v1alpha1.BalloonLabel] != "":
		case pod.Spec.NodeName == "":
			if before || !up[p.Placed[key]] {
				on, boots := strings.CutPrefix(p.Placed[key], plan.BootingName)
				if !boots { // it may be planned elsewhere for a moment
					on = had.on
				}
				still[key] = wait{at(pod.CreationTimestamp.Time), on}
			}
		case before:
			bound := at(pod.CreationTimestamp.Time)
			if t, ok := learned.PodSince(pod, corev1.PodScheduled); ok {
				bound = at(t)
			}
			placed[pod.Spec.NodeName] = append(placed[pod.Spec.NodeName], ledger.PodWait{Pod: key, Since: had.since, At: bound})
		}
	}
	return placed, still
}
