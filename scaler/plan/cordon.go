package plan

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
)

// excluded is DrainingAnnotation's value on a Node that swell has labelled too, so that only its own label is taken away.
const excluded = "excluded"

// Cordon is the merge patch by which a Node takes no pods and load balancer controllers take it out: they do not look at the
// cordon (kubernetes#90823), but at this label, which is left as it is where somebody else has set it.
func Cordon(n *corev1.Node) []byte {
	value, labels := "true", map[string]any{}
	if _, given := n.Labels[corev1.LabelNodeExcludeBalancers]; !given {
		labels[corev1.LabelNodeExcludeBalancers] = "true"
	}
	if len(labels) > 0 || n.Annotations[DrainingAnnotation] == excluded {
		value = excluded
	}
	return cordon(true, value, labels)
}

// Uncordon is the merge patch that takes Cordon's back.
func Uncordon(n *corev1.Node) []byte {
	labels := map[string]any{}
	if n.Annotations[DrainingAnnotation] == excluded {
		labels[corev1.LabelNodeExcludeBalancers] = nil
	}
	return cordon(false, nil, labels)
}

func cordon(unschedulable bool, annotation any, labels map[string]any) []byte {
	raw, _ := json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{DrainingAnnotation: annotation}, "labels": labels},
		"spec":     map[string]any{"unschedulable": unschedulable},
	}) // cannot fail
	return raw
}
