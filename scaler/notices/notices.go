// Package notices keeps what is told of instances that are about to be lost: on their Nodes, from where a successor reads it.
package notices

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
// instance without a Node comes again until the instance has one or is gone. That of a pool which only observes is left to whoever
// else reads the queue, and comes again until the pool is enforced or the instance is gone.
func (k *Keeper) Keep(ctx context.Context, cache client.Reader, n nodegroups.Interruption) (kept bool, err error) {
	groups := k.options.Groups
	group, known, readAt := groups.Of(n.InstanceID)
	if !known {
		return readAt.After(n.At), nil // another's, or gone, unless it is too new to be read
	}
	var nodes corev1.NodeList
	var pools v1alpha1.CapacityPoolList
	for _, list := range []client.ObjectList{&nodes, &pools} {
		if err := cache.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return false, fmt.Errorf("reading %T for the notice of instance %s: %w; let swell-scaler list nodes and capacitypools", list, n.InstanceID, err)
		}
	}
	observed := k.observedOnly(pools.Items, groups.List(), group) // or not known, before the first plan
	if n.Kind == nodegroups.InstanceTerminating && groups.Ending(n.InstanceID) {
		return !observed, nil // swell's own doing, or its group's: counted out already
	}
	if n.Kind == nodegroups.RebalanceNotice && k.rebalances(group) {
		return !observed, nil // the group launches the replacement, and ends the instance when that is there
	}
	if groups.Interrupted(n) && k.options.News != nil {
		defer k.options.News(n, group)
	}
	if observed {
		return false, nil
	}
	for i := range nodes.Items {
		if instanceID(&nodes.Items[i]) == n.InstanceID {
			err := k.noteOn(ctx, nodes.Items[i].Name, n)
			return err == nil, err
		}
	}
	if n.Kind == nodegroups.TerminationHook && len(n.Hooks()) == 0 {
		return true, nil // another's to complete
	}
	if n.Kind == nodegroups.TerminationHook && k.options.Complete != nil { // nothing runs there
		err := k.options.Complete(ctx, n)
		return err == nil, err
	}
	return false, nil
}

// rebalances says whether a group replaces by itself what a rebalance recommendation is for.
func (k *Keeper) rebalances(group string) bool {
	return slices.ContainsFunc(k.options.Groups.List(), func(g nodegroups.Group) bool { return g.Name == group && g.Rebalances })
}

// noteOn writes a notice on a Node, with what stands there already. That is read afresh, since notices may come at once.
func (k *Keeper) noteOn(ctx context.Context, name string, n nodegroups.Interruption) error {
	node, err := k.options.Kube.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("noting the interruption of node %s: %w; let swell-scaler get nodes", name, err)
	}
	if have, ok := k.On(node); ok {
		both, news := n.Beside(have)
		if !news {
			return nil
		}
		n = both
	}
	return k.annotate(ctx, name, n)
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
