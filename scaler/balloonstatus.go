package scaler

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/balloon"
	"swell/scaler/history"
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
	status.Conditions = conditions(s.balloon.Status.Conditions, at, slices.Concat(historyConditions(s), []metav1.Condition{condition}, s.says)...)
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
	zones := s.decision.Zones
	if s.unsized {
		for _, z := range s.balloon.Status.Zones {
			zones = append(zones, balloon.ZoneBalloons{Zone: z.Zone, Balloons: int(z.Balloons)})
		}
	}
	for _, z := range zones {
		status.Zones = append(status.Zones, v1alpha1.BalloonZoneStatus{Zone: z.Zone, Balloons: int32(z.Balloons), Running: running[z.Zone] + int32(s.virtual[z.Zone])})
	}
	return status
}

// historyConditions say what is sampled, and whether it is kept.
func historyConditions(s size) []metav1.Condition {
	if s.memory == nil || s.memory.history == nil {
		return nil
	}
	demand := metav1.Condition{Type: "DemandKnown", Status: metav1.ConditionTrue, Reason: "Known", ObservedGeneration: s.balloon.Generation}
	last := s.memory.history.Last()
	if demand.Message = last.Why; last.Class != history.Known {
		demand.Status, demand.Reason = metav1.ConditionFalse, last.Class.String()
		demand.Message += "; it is not learned"
	}
	if last.At.IsZero() {
		demand.Status, demand.Reason, demand.Message = metav1.ConditionUnknown, "NotSampled", "no sample was taken yet"
	}
	kept := metav1.Condition{Type: "HistoryKept", Status: metav1.ConditionTrue, Reason: "Kept", Message: "the demand history is read and kept", ObservedGeneration: s.balloon.Generation}
	for _, p := range []struct{ reason, problem string }{
		{"CannotLoad", s.memory.load.problem}, {"CannotFill", s.memory.fill.problem}, {"CannotSave", s.memory.saveProblem},
		{"FileAhead", s.memory.warning},
	} {
		if p.problem != "" {
			kept.Status, kept.Reason, kept.Message = metav1.ConditionFalse, p.reason, p.problem
			break
		}
	}
	return []metav1.Condition{demand, kept}
}
