package scaler

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

func balloonStatus(s size, world observe.World, clock config.Clock, at time.Time) v1alpha1.BalloonStatus {
	status := v1alpha1.BalloonStatus{Why: s.decision.Why, LeadTime: &metav1.Duration{Duration: s.lead.Total()}}
	condition := metav1.Condition{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Forecast", Message: "the forecast is in use", ObservedGeneration: s.balloon.Generation}
	switch {
	case s.err != nil:
		condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, "CannotSize", s.err.Error()
	case !s.answer.Ready:
		condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, "TooLittleHistory", s.answer.Reason
	default:
		status.PredictedPods, status.QuantilePods = decimal(s.answer.Point), decimal(s.answer.Upper)
	}
	s.startStatus(&status, clock, at)
	status.Conditions = conditions(s.balloon.Status.Conditions, condition, at)
	running := map[string]int32{}
	zoneOf := map[string]string{}
	for _, n := range world.Snapshot.Nodes {
		zoneOf[n.Name] = n.Labels[corev1.LabelTopologyZone]
	}
	for _, p := range world.Snapshot.Pods {
		if p.Namespace == s.balloon.Namespace && p.Labels[plan.BalloonLabel] == s.balloon.Name && p.Status.Phase == corev1.PodRunning {
			running[zoneOf[p.Spec.NodeName]]++
		}
	}
	for _, z := range s.decision.Zones {
		status.Zones = append(status.Zones, v1alpha1.BalloonZoneStatus{Zone: z.Zone, Balloons: int32(z.Balloons), Running: running[z.Zone]})
	}
	return status
}
