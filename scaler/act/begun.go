package act

import (
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"swell/nodegroups"
	"swell/scaler/plan"
)

// begun is an instance whose drain this scaler began, by which its Node is told from one that a predecessor cordoned.
type begun struct {
	// returned says that the instance was returned; its Node stays cordoned then, as it does with a lifecycle action that was ended.
	returned bool
	// completed are the hooks whose lifecycle actions were ended, with when, machine time; one without a name stands for others'
	// hooks, of an empty node.
	completed map[string]time.Time
	// seen says that a reading of the Nodes has shown its Node.
	seen bool
	// heldSince is when its lifecycle action was first held, and patience how long its pods' grace asks a drain to take; machine time.
	heldSince time.Time
	patience  time.Duration
}

// noteBegun changes what is known of an instance's drain.
func (a *Actor) noteBegun(instanceID string, change func(*begun)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.began[instanceID] == nil {
		a.began[instanceID] = &begun{}
	}
	change(a.began[instanceID])
}

// noteCompleted keeps that the action of a notice's one hook was ended.
func (a *Actor) noteCompleted(n nodegroups.Interruption) {
	a.noteBegun(n.InstanceID, func(b *begun) {
		if b.completed == nil {
			b.completed = map[string]time.Time{}
		}
		b.completed[n.Hook] = time.Now()
	})
}

// lastCompleted is when the last lifecycle action was ended; zero is none.
func (b *begun) lastCompleted() time.Time {
	var last time.Time
	for _, at := range b.completed {
		if at.After(last) {
			last = at
		}
	}
	return last
}

// forsake forgets the drains that have ended without a return and that neither the plan nor a lifecycle action asks for any more:
// their notices were withdrawn. The next look at leftovers takes their Nodes back. What is only held back is still asked for.
func (a *Actor) forsake(p plan.Plan) {
	asked := map[string]bool{}
	for _, list := range [][]plan.Termination{p.Replacements, p.Lost, p.Terminations} {
		for _, t := range list {
			asked[t.InstanceID] = true
		}
	}
	for _, s := range p.Suppressed {
		if s.Termination != nil {
			asked[s.Termination.InstanceID] = true
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.began, func(id string, b *begun) bool {
		_, held := a.held[id]
		return !b.returned && len(b.completed) == 0 && !asked[id] && !held && a.draining[id] == nil
	})
	clear(a.held)
}

// forgetGone forgets the instances that were ended and whose Nodes are gone.
func (a *Actor) forgetGone(nodes []*corev1.Node) {
	there := map[string]bool{}
	for _, n := range nodes {
		there[instanceOf(n)] = true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.began, func(id string, b *begun) bool {
		b.seen = b.seen || there[id]
		return (b.returned || len(b.completed) > 0) && b.seen && !there[id] && time.Since(b.lastCompleted()) > nodegroups.ListedWithin
	})
}

// countedOut says that an instance's lifecycle action was ended: its group has counted it out by itself, which a reading of the group
// may not show yet. To return it too would lower the group twice.
func (a *Actor) countedOut(instanceID string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.began[instanceID]
	return b != nil && len(b.completed) > 0
}

// ours says whether this scaler has begun to drain an instance, or is about to cordon it.
func (a *Actor) ours(instanceID string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.began[instanceID] != nil || a.draining[instanceID] != nil
}

// instanceOf is the id of the instance that a Node is; empty is that it is none.
func instanceOf(n *corev1.Node) string {
	return n.Spec.ProviderID[strings.LastIndex(n.Spec.ProviderID, "/")+1:]
}

// isOf says whether a Node may be an instance's: one without a provider ID may be anybody's.
func isOf(n *corev1.Node, instanceID string) bool {
	id := instanceOf(n)
	return id == "" || id == instanceID
}
