package sim

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"swell/nodegroups"
	"swell/nodegroups/aws"
	"swell/scaler/observe"
)

const handlerTaint = "aws-node-termination-handler/rebalance-recommendation"

// receive keeps notices on Nodes and lets the queue forget those that are kept, or concern nobody.
func (s *scaler) receive(ctx context.Context, v *view) {
	notices, err := s.cloud.Interruptions(ctx)
	if err != nil {
		return // they come again
	}
	for _, n := range notices {
		if s.keep(ctx, v, n) {
			_ = s.cloud.Ack(ctx, n) // it comes again
		}
	}
}

func (s *scaler) keep(ctx context.Context, v *view, n aws.Received) bool {
	_, known, readAt := s.groups.Of(n.InstanceID)
	if !known {
		return readAt.After(n.At)
	}
	if n.Kind == nodegroups.InstanceTerminating && s.groups.Ending(n.InstanceID) {
		return true
	}
	s.groups.Interrupted(n.Interruption)
	if s.tick == 1 {
		return false // what may be changed is known after the first plan
	}
	for _, node := range v.nodes {
		if !strings.HasSuffix(node.Spec.ProviderID, "/"+n.InstanceID) {
			continue
		}
		have, ok := noticeOn(node)
		switch both, news := have.WithHooks(n.Interruption); {
		case !ok:
		case have.Kind == nodegroups.TerminationHook && n.Kind == have.Kind && news:
			n.Interruption = both
		case !sooner(n.Interruption, have):
			return true
		}
		return s.annotate(ctx, node.Name, n.Interruption) == nil
	}
	return n.Kind == nodegroups.TerminationHook && s.cloud.Complete(ctx, n.Interruption) == nil
}

// sooner says that a notice takes another's place, as the loop has it.
func sooner(n, have nodegroups.Interruption) bool {
	if n.Kind == nodegroups.TerminationHook || have.Kind == nodegroups.TerminationHook {
		return have.Kind != n.Kind && n.Kind == nodegroups.TerminationHook
	}
	return !n.Deadline.IsZero() && (have.Deadline.IsZero() || n.Deadline.Before(have.Deadline))
}

func (s *scaler) annotate(ctx context.Context, node string, n nodegroups.Interruption) error {
	raw, err := json.Marshal(n)
	if err != nil {
		return err
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{nodegroups.InterruptionAnnotation: string(raw)}}})
	if err != nil {
		return err
	}
	_, err = s.kube.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

func noticeOn(n *corev1.Node) (notice nodegroups.Interruption, ok bool) {
	raw := n.Annotations[nodegroups.InterruptionAnnotation]
	return notice, raw != "" && json.Unmarshal([]byte(raw), &notice) == nil
}

// readNotices puts what stands on Nodes into the snapshot, and ends lifecycle actions.
func (s *scaler) readNotices(ctx context.Context, world *observe.World) {
	x := &world.Snapshot
	x.Interrupted = slices.DeleteFunc(x.Interrupted, func(n nodegroups.Interruption) bool { return n.Kind == nodegroups.TerminationHook })
	for _, node := range x.Nodes {
		id := node.Spec.ProviderID[strings.LastIndex(node.Spec.ProviderID, "/")+1:]
		if _, known, _ := s.groups.Of(id); !known {
			continue
		}
		n, ok := noticeOn(node)
		if !ok && slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == handlerTaint }) {
			n, ok = nodegroups.Interruption{InstanceID: id, Kind: nodegroups.NodeNotice, At: s.w.now()}, true
			_ = s.annotate(ctx, node.Name, n) // the taint stays
		}
		switch {
		case !ok:
		case n.Kind != nodegroups.TerminationHook:
			x.Interrupted = append(x.Interrupted, n)
		default:
			x.Draining = append(x.Draining, node.Name)
			nodegroups.MarkEnding(x.Groups, n.InstanceID)
			s.actor.EndLifecycle(ctx, s.tick, node.Name, n)
		}
	}
}
