package history

import (
	"encoding/json"
	"fmt"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// handSettle is how long the metrics are not trusted after somebody else has set the replicas.
	handSettle = 5 * time.Minute
	// hpaManager is the field manager of the HPA's controller.
	hpaManager = "kube-controller-manager"
)

// SetByHand says who set a workload's replicas in place of its HPA within the last minutes, or is empty. Now is machine time, as
// the stamps of managedFields.
func SetByHand(hpa *autoscalingv2.HorizontalPodAutoscaler, managed []metav1.ManagedFieldsEntry, now time.Time) string {
	var newest *metav1.ManagedFieldsEntry
	for i := range managed {
		if e := &managed[i]; e.Time != nil && hasReplicas(e) && (newest == nil || e.Time.After(newest.Time.Time)) {
			newest = e
		}
	}
	if newest == nil || newest.Manager == hpaManager && newest.Subresource == "scale" || now.Sub(newest.Time.Time) > handSettle {
		return ""
	}
	// Where managers share the field, the HPA may have scaled since without a newer stamp.
	if last := hpa.Status.LastScaleTime; last != nil && last.After(newest.Time.Time) && hpa.Status.DesiredReplicas != hpa.Status.CurrentReplicas {
		return ""
	}
	return fmt.Sprintf("%s set the replicas at %s, not HPA %s", newest.Manager, newest.Time.UTC().Format(time.RFC3339), hpa.Name)
}

func hasReplicas(e *metav1.ManagedFieldsEntry) bool {
	if e.FieldsV1 == nil {
		return false
	}
	var fields struct {
		Spec map[string]json.RawMessage `json:"f:spec"`
	}
	if json.Unmarshal(e.FieldsV1.GetRawBytes(), &fields) != nil {
		return false
	}
	_, ok := fields.Spec["f:replicas"]
	return ok
}
