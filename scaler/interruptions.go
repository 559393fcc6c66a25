package scaler

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
	"swell/nodegroups"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

// noted is a notice as it stands on a Node, in machine time.
type noted struct {
	Kind     nodegroups.InterruptionKind `json:"kind"`
	At       time.Time                   `json:"at"`
	Deadline *time.Time                  `json:"deadline,omitempty"`
	ASG      string                      `json:"autoScalingGroup,omitempty"`
	Hook     string                      `json:"lifecycleHook,omitempty"`
	Token    string                      `json:"lifecycleActionToken,omitempty"`
	// MoreHooks wait besides Hook, of the same instance.
	MoreHooks []nodegroups.LifecycleHook `json:"moreLifecycleHooks,omitempty"`
}

// rebalanceTaint is that of a rebalance recommendation.
const rebalanceTaint = "aws-node-termination-handler/rebalance-recommendation"

// handlerTaints are put on a Node by aws-node-termination-handler, with how long after it the instance may be gone; zero is not
// known.
var handlerTaints = map[string]time.Duration{
	"aws-node-termination-handler/spot-itn":                  2 * time.Minute,
	rebalanceTaint:                                           0,
	"aws-node-termination-handler/scheduled-maintenance":     0,
	"aws-node-termination-handler/asg-lifecycle-termination": 0,
}

// receiveInterruptions notes instances that are about to be lost.
func (l *Loop) receiveInterruptions(ctx context.Context) {
	if l.options.Config.AWS.QueueURL == "" || l.options.Config.Mode == v1alpha1.Observe {
		return // a notice that is received here is hidden from others that read the queue
	}
	for ctx.Err() == nil {
		notices, err := l.cloud.Interruptions(ctx)
		if err != nil {
			l.options.Log.Warn("receiving interruptions", "error", err)
			sleep(ctx, time.Second)
			continue
		}
		for _, n := range notices {
			kept, err := l.keepNotice(ctx, n.Interruption)
			if err != nil {
				l.options.Log.Warn("noting an interruption; it comes again", "instance", n.InstanceID, "error", err)
			}
			if !kept {
				continue
			}
			if err := n.Ack(ctx); err != nil {
				l.options.Log.Warn("acknowledging an interruption", "instance", n.InstanceID, "error", err)
			}
		}
	}
}

// keepNotice notes one notice and says whether the queue may forget it: it stands on the Node, or concerns nobody here. That
// of an instance without a Node comes again until the instance has one or is gone.
func (l *Loop) keepNotice(ctx context.Context, n nodegroups.Interruption) (kept bool, err error) {
	group, known, readAt := l.groups.Of(n.InstanceID)
	if !known {
		return readAt.After(n.At), nil // another's, or gone, unless it is too new to be read
	}
	if n.Kind == nodegroups.InstanceTerminating && l.groups.Ending(n.InstanceID) {
		return true, nil // swell's own doing, or its group's: counted out already
	}
	if n.Kind == nodegroups.RebalanceNotice && l.rebalances(group) {
		return true, nil // the group launches the replacement, and ends the instance when that is there
	}
	var nodes corev1.NodeList
	var pools v1alpha1.CapacityPoolList
	for _, list := range []client.ObjectList{&nodes, &pools} {
		if err := l.client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return false, fmt.Errorf("reading %T: %w", list, err)
		}
	}
	if l.groups.Interrupted(n) {
		interruptions.WithLabelValues(string(n.Kind)).Inc()
		l.options.Log.Info("interruption", "instance", n.InstanceID, "group", group, "kind", string(n.Kind), "deadline", n.Deadline)
		defer l.Kick()
	}
	if l.enforced.Load() == nil {
		return false, nil // whether anything may be changed is known after the first tick
	}
	if l.observedOnly(pools.Items, l.groups.List(), group) { // nothing is changed
		return true, nil
	}
	for i := range nodes.Items {
		node := &nodes.Items[i]
		if !strings.HasSuffix(node.Spec.ProviderID, "/"+n.InstanceID) {
			continue
		}
		have, ok := l.notedOn(node)
		switch both, news := have.WithHooks(n); {
		case !ok:
		case have.Kind == nodegroups.TerminationHook && n.Kind == have.Kind && news:
			n = both
		case !sooner(n, have):
			return true, nil
		}
		return l.annotate(ctx, node.Name, n)
	}
	if n.Kind == nodegroups.TerminationHook { // nothing runs there
		if len(n.Hooks()) == 0 {
			return true, nil // another's to complete
		}
		if h, ok := l.cloud.(lifecycle); ok {
			err = h.Complete(ctx, n)
			return err == nil, err
		}
	}
	return false, nil
}

// rebalances says whether a group replaces by itself what a rebalance recommendation is for.
func (l *Loop) rebalances(group string) bool {
	return slices.ContainsFunc(l.groups.List(), func(g nodegroups.Group) bool { return g.Name == group && g.Rebalances })
}

// sooner says that a notice is to replace another: it ends a wait that the other does not, or ends earlier.
func sooner(n, have nodegroups.Interruption) bool {
	if n.Kind == nodegroups.TerminationHook || have.Kind == nodegroups.TerminationHook {
		return have.Kind != n.Kind && n.Kind == nodegroups.TerminationHook
	}
	return !n.Deadline.IsZero() && (have.Deadline.IsZero() || n.Deadline.Before(have.Deadline))
}

// lifecycle is a Cloud that knows Auto Scaling's lifecycle actions.
type lifecycle interface {
	Complete(ctx context.Context, n nodegroups.Interruption) error
}

// notePolicy keeps for notices which pools may be changed.
func (l *Loop) notePolicy(p plan.Policy) {
	enforced := map[string]bool{}
	for _, pool := range p.Pools {
		enforced[pool.Name] = !pool.Observe
	}
	l.enforced.Store(&enforced)
}

// observedOnly says that nothing of a group may be changed: its pool observes, was refused by the last policy, or is not known.
func (l *Loop) observedOnly(pools []v1alpha1.CapacityPool, groups []nodegroups.Group, group string) bool {
	enforced := l.enforced.Load()
	for _, g := range groups {
		if g.Name != group || enforced == nil || !(*enforced)[g.Pool] {
			continue
		}
		return slices.ContainsFunc(pools, func(p v1alpha1.CapacityPool) bool { return p.Name == g.Pool && p.Spec.Mode == v1alpha1.Observe })
	}
	return true
}

func (l *Loop) annotate(ctx context.Context, node string, n nodegroups.Interruption) (bool, error) {
	x := noted{Kind: n.Kind, At: l.clock.RealTime(n.At), ASG: n.ASG, Hook: n.Hook, Token: n.HookToken, MoreHooks: n.MoreHooks}
	if !n.Deadline.IsZero() {
		d := l.clock.RealTime(n.Deadline)
		x.Deadline = &d
	}
	raw, err := json.Marshal(x)
	if err != nil {
		return false, fmt.Errorf("noting the interruption of node %s: %w", node, err)
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{nodegroups.InterruptionAnnotation: string(raw)}}})
	if err != nil {
		return false, fmt.Errorf("noting the interruption of node %s: %w", node, err)
	}
	if _, err = l.kube.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "swell-scaler"}); err != nil {
		return false, fmt.Errorf("noting the interruption of node %s: %w; let swell-scaler patch nodes", node, err)
	}
	return true, nil
}

// notedOn is the notice that stands on a Node.
func (l *Loop) notedOn(node *corev1.Node) (nodegroups.Interruption, bool) {
	raw := node.Annotations[nodegroups.InterruptionAnnotation]
	if raw == "" {
		return nodegroups.Interruption{}, false
	}
	var x noted
	if err := json.Unmarshal([]byte(raw), &x); err != nil || x.Kind == "" {
		return nodegroups.Interruption{}, false
	}
	n := nodegroups.Interruption{InstanceID: instanceID(node), Kind: x.Kind, At: l.clock.At(x.At), ASG: x.ASG, Hook: x.Hook, HookToken: x.Token, MoreHooks: x.MoreHooks}
	if x.Deadline != nil {
		n.Deadline = l.clock.At(*x.Deadline)
	}
	return n, n.InstanceID != ""
}

func instanceID(node *corev1.Node) string {
	return node.Spec.ProviderID[strings.LastIndex(node.Spec.ProviderID, "/")+1:]
}

// readNotices puts what stands on Nodes into the snapshot: notices that this scaler or its predecessor was told, and the
// taints of a notice handler. Lifecycle actions are the actor's: their groups have counted the instance out by themselves.
func (l *Loop) readNotices(ctx context.Context, now time.Time, world *observe.World) {
	s := &world.Snapshot
	s.Interrupted = slices.DeleteFunc(s.Interrupted, func(n nodegroups.Interruption) bool { return n.Kind == nodegroups.TerminationHook })
	for _, node := range s.Nodes {
		n, noted := l.notedOn(node)
		if !noted {
			var ok bool
			if n, ok = l.handlers(now, node); !ok {
				continue
			}
		}
		group, known, _ := l.groups.Of(n.InstanceID)
		if !known {
			continue
		}
		observed := l.observedOnly(world.Pools, s.Groups, group)
		if !noted && !observed {
			if _, err := l.annotate(ctx, node.Name, n); err != nil {
				l.options.Log.Warn("noting an interruption", "node", node.Name, "error", err)
			}
		}
		switch {
		case n.Kind != nodegroups.TerminationHook:
			s.Interrupted = append(s.Interrupted, n)
		case !observed:
			s.Draining = append(s.Draining, node.Name)
			nodegroups.MarkEnding(s.Groups, n.InstanceID)
			l.actor.EndLifecycle(ctx, l.tick, node.Name, n)
		}
	}
}

// handlers is what a notice handler's taint says.
func (l *Loop) handlers(now time.Time, node *corev1.Node) (nodegroups.Interruption, bool) {
	for _, t := range node.Spec.Taints {
		within, known := handlerTaints[t.Key]
		if !known {
			continue
		}
		if group, _, _ := l.groups.Of(instanceID(node)); t.Key == rebalanceTaint && l.rebalances(group) {
			continue
		}
		n := nodegroups.Interruption{InstanceID: instanceID(node), Kind: nodegroups.NodeNotice, At: now}
		if within > 0 {
			n.Deadline = now.Add(within)
		}
		return n, true
	}
	return nodegroups.Interruption{}, false
}
