// Package notices keeps what is told of instances that are about to be lost: on their Nodes, from where a successor reads it.
package notices

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/nodegroups"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

// Notice is one interruption with the means to acknowledge it.
type Notice struct {
	nodegroups.Interruption
	Ack func(context.Context) error
}

// Options of a Keeper.
type Options struct {
	Clock  config.Clock
	Kube   kubernetes.Interface
	Groups *observe.Groups
	// Complete ends the lifecycle action of an instance without a Node; nil leaves it to its hook's time-out.
	Complete func(context.Context, nodegroups.Interruption) error
	// News is called with each notice that is news and its instance's group, when it has been kept or could not be. nil is nobody.
	News func(n nodegroups.Interruption, group string)
	Log  *slog.Logger
}

// Keeper of notices. Permit and Read are for the goroutine that plans; Take and Keep may be called from another.
type Keeper struct {
	options Options
	// enforced are the pools that the last policy lets be changed; nil before the first.
	enforced atomic.Pointer[map[string]bool]
}

// NewKeeper changes nothing before its first Permit.
func NewKeeper(o Options) *Keeper { return &Keeper{options: o} }

// Take keeps notices and acknowledges those that need not come again. cache is the cluster's Nodes and CapacityPools.
func (k *Keeper) Take(ctx context.Context, cache client.Reader, list []Notice) {
	for _, n := range list {
		kept, err := k.Keep(ctx, cache, n.Interruption)
		if err != nil {
			k.options.Log.Warn("noting an interruption; it comes again", "instance", n.InstanceID, "error", err)
		}
		if !kept {
			continue
		}
		if err := n.Ack(ctx); err != nil {
			k.options.Log.Warn("acknowledging an interruption", "instance", n.InstanceID, "error", err)
		}
	}
}

// Keep notes one notice and says whether the queue may forget it: it stands on the Node, or concerns nobody here. That of an
// instance without a Node comes again until the instance has one or is gone.
func (k *Keeper) Keep(ctx context.Context, cache client.Reader, n nodegroups.Interruption) (kept bool, err error) {
	groups := k.options.Groups
	group, known, readAt := groups.Of(n.InstanceID)
	if !known {
		return readAt.After(n.At), nil // another's, or gone, unless it is too new to be read
	}
	if n.Kind == nodegroups.InstanceTerminating && groups.Ending(n.InstanceID) {
		return true, nil // swell's own doing, or its group's: counted out already
	}
	var nodes corev1.NodeList
	var pools v1alpha1.CapacityPoolList
	for _, list := range []client.ObjectList{&nodes, &pools} {
		if err := cache.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return false, fmt.Errorf("reading %T: %w", list, err)
		}
	}
	if groups.Interrupted(n) && k.options.News != nil {
		defer k.options.News(n, group)
	}
	if k.enforced.Load() == nil {
		return false, nil // whether anything may be changed is known after the first plan
	}
	if k.observedOnly(pools.Items, groups.List(), group) { // nothing is changed
		return true, nil
	}
	for i := range nodes.Items {
		node := &nodes.Items[i]
		if !strings.HasSuffix(node.Spec.ProviderID, "/"+n.InstanceID) {
			continue
		}
		if have, ok := k.notedOn(node); ok && !sooner(n, have) {
			return true, nil
		}
		err := k.annotate(ctx, node.Name, n)
		return err == nil, err
	}
	if n.Kind == nodegroups.TerminationHook && k.options.Complete != nil { // nothing runs there
		err := k.options.Complete(ctx, n)
		return err == nil, err
	}
	return false, nil
}

// sooner says that a notice is to replace another: it ends a wait that the other does not, or ends earlier.
func sooner(n, have nodegroups.Interruption) bool {
	if n.Kind == nodegroups.TerminationHook || have.Kind == nodegroups.TerminationHook {
		return have.Kind != n.Kind && n.Kind == nodegroups.TerminationHook
	}
	return !n.Deadline.IsZero() && (have.Deadline.IsZero() || n.Deadline.Before(have.Deadline))
}

// Permit takes which pools may be changed.
func (k *Keeper) Permit(p plan.Policy) {
	enforced := map[string]bool{}
	for _, pool := range p.Pools {
		enforced[pool.Name] = !pool.Observe
	}
	k.enforced.Store(&enforced)
}

// observedOnly says that nothing of a group may be changed: its pool observes, was refused by the last policy, or is not known.
func (k *Keeper) observedOnly(pools []v1alpha1.CapacityPool, groups []nodegroups.Group, group string) bool {
	enforced := k.enforced.Load()
	for _, g := range groups {
		if g.Name != group || enforced == nil || !(*enforced)[g.Pool] {
			continue
		}
		return slices.ContainsFunc(pools, func(p v1alpha1.CapacityPool) bool { return p.Name == g.Pool && p.Spec.Mode == v1alpha1.Observe })
	}
	return true
}
