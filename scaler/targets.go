package scaler

import (
	"context"
	"hash/fnv"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"swell/api/v1alpha1"
	"swell/balloon/apply"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

// readTargetEvery bounds how often the API server is asked for a workload of a kind that no cache has; model time.
const readTargetEvery = 5 * time.Second

// seenTarget is what was last read of a workload of such a kind.
type seenTarget struct {
	of     v1alpha1.ScaleTarget
	target apply.Target
	err    error
	at     time.Time
	pods   uint64 // that it had
}

// target reads a Balloon's workload: Deployments and StatefulSets from the cache, other kinds from the API server, which
// is asked for them now and then, and when their pods are others than at the last answer.
func (l *Loop) target(ctx context.Context, now time.Time, world *observe.World, b *v1alpha1.Balloon) (apply.Target, error) {
	ref := b.Spec.ScaleTargetRef
	if ref.APIVersion == "apps/v1" && (ref.Kind == "Deployment" || ref.Kind == "StatefulSet") {
		return apply.ReadTarget(ctx, l.client, b.Namespace, ref)
	}
	seen := &l.outputOf(b).target
	if age := now.Sub(seen.at); seen.of == ref && age >= 0 && age < readTargetEvery && (seen.err != nil || seen.pods == podSet(world, b.Namespace, seen.target.Selector)) {
		return seen.target, seen.err
	}
	*seen = seenTarget{of: ref, at: now}
	if seen.target, seen.err = apply.ReadTarget(ctx, l.client, b.Namespace, ref); seen.err == nil {
		seen.pods = podSet(world, b.Namespace, seen.target.Selector)
	}
	return seen.target, seen.err
}

// podSet tells one set of a workload's pods from another.
func podSet(world *observe.World, namespace string, selector labels.Selector) uint64 {
	var set uint64
	for _, p := range world.Snapshot.Pods {
		if p.Namespace == namespace && p.DeletionTimestamp == nil && p.Labels[plan.BalloonLabel] == "" && selector.Matches(labels.Set(p.Labels)) {
			h := fnv.New64a()
			h.Write([]byte(p.UID))
			set ^= h.Sum64() // in whatever order they are
		}
	}
	return set
}
