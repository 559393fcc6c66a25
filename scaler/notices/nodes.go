package notices

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

	"swell/nodegroups"
	"swell/scaler/observe"
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

func (k *Keeper) annotate(ctx context.Context, node string, n nodegroups.Interruption) error {
	x := noted{Kind: n.Kind, At: k.options.Clock.RealTime(n.At), ASG: n.ASG, Hook: n.Hook, Token: n.HookToken, MoreHooks: n.MoreHooks}
	if !n.Deadline.IsZero() {
		d := k.options.Clock.RealTime(n.Deadline)
		x.Deadline = &d
	}
	raw, err := json.Marshal(x)
	if err != nil {
		return fmt.Errorf("noting the interruption of node %s: %w", node, err)
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{nodegroups.InterruptionAnnotation: string(raw)}}})
	if err != nil {
		return fmt.Errorf("noting the interruption of node %s: %w", node, err)
	}
	if _, err = k.options.Kube.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "swell-scaler"}); err != nil {
		return fmt.Errorf("noting the interruption of node %s: %w; let swell-scaler patch nodes", node, err)
	}
	return nil
}

// On is the notice that stands on a Node.
func (k *Keeper) On(node *corev1.Node) (nodegroups.Interruption, bool) {
	raw := node.Annotations[nodegroups.InterruptionAnnotation]
	if raw == "" {
		return nodegroups.Interruption{}, false
	}
	var x noted
	if err := json.Unmarshal([]byte(raw), &x); err != nil || x.Kind == "" {
		return nodegroups.Interruption{}, false
	}
	n := nodegroups.Interruption{InstanceID: instanceID(node), Kind: x.Kind, At: k.options.Clock.At(x.At), ASG: x.ASG, Hook: x.Hook, HookToken: x.Token, MoreHooks: x.MoreHooks}
	if x.Deadline != nil {
		n.Deadline = k.options.Clock.At(*x.Deadline)
	}
	return n, n.InstanceID != ""
}

func instanceID(node *corev1.Node) string {
	return node.Spec.ProviderID[strings.LastIndex(node.Spec.ProviderID, "/")+1:]
}

// Read puts what stands on Nodes into the snapshot: notices that this scaler or its predecessor was told, and the taints of a
// notice handler. Lifecycle actions are given to end: their groups have counted the instance out by themselves. now is model time.
func (k *Keeper) Read(ctx context.Context, now time.Time, world *observe.World, end func(node string, n nodegroups.Interruption)) {
	s := &world.Snapshot
	s.Interrupted = slices.DeleteFunc(s.Interrupted, func(n nodegroups.Interruption) bool { return n.Kind == nodegroups.TerminationHook })
	for _, node := range s.Nodes {
		n, noted := k.On(node)
		if noted {
			k.options.Groups.Noted(n)
		} else {
			var ok bool
			if n, ok = k.handlers(now, node); !ok {
				continue
			}
		}
		group, known, _ := k.options.Groups.Of(n.InstanceID)
		if !known {
			continue
		}
		observed := k.observedOnly(world.Pools, s.Groups, group)
		if !noted && !observed {
			if err := k.noteOn(ctx, node.Name, n); err != nil {
				k.options.Log.Warn("noting an interruption", "node", node.Name, "error", err)
			}
		}
		switch {
		case n.Kind != nodegroups.TerminationHook:
			s.Interrupted = append(s.Interrupted, n)
		case !observed:
			s.Draining = append(s.Draining, node.Name)
			nodegroups.MarkEnding(s.Groups, n.InstanceID)
			end(node.Name, n)
		}
	}
}

// handlers is what a notice handler's taint says.
func (k *Keeper) handlers(now time.Time, node *corev1.Node) (nodegroups.Interruption, bool) {
	for _, t := range node.Spec.Taints {
		within, known := handlerTaints[t.Key]
		if !known {
			continue
		}
		if group, _, _ := k.options.Groups.Of(instanceID(node)); t.Key == rebalanceTaint && k.rebalances(group) {
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
