// Package history keeps the demand of each guarded workload: what its HPA asks for, sampled, and remembered across restarts.
package history

import (
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
)

// PredictedMetric is swell's own metric; a forecast must not learn from it.
const PredictedMetric = "swell_predicted_replicas"

// Demand is how many pods an HPA's metrics ask for, unrounded and not bounded by the HPA's limits: the largest of its
// metrics, each current value over its target, times the replicas that the value was measured on. Known is false, with
// the reason, where the HPA has no metric to go by; unknown is not zero.
func Demand(hpa *autoscalingv2.HorizontalPodAutoscaler) (pods float64, known bool, why string) {
	for i, spec := range hpa.Spec.Metrics {
		name := nameOf(spec)
		if name == PredictedMetric {
			continue
		}
		ratio, ok := 0.0, false
		if i < len(hpa.Status.CurrentMetrics) {
			ratio, ok = ratioToTarget(spec, hpa.Status.CurrentMetrics[i], float64(hpa.Status.CurrentReplicas))
		}
		if !ok { // the largest is not known where one is missing
			return 0, false, fmt.Sprintf("HPA %s shows no current value of %s", hpa.Name, name)
		}
		if !known || ratio > pods {
			pods, known, why = ratio, true, fmt.Sprintf("%s asks for %.1f pods", name, ratio)
		}
	}
	for _, c := range hpa.Status.Conditions {
		if c.Type == autoscalingv2.ScalingActive && c.Status != "True" {
			return 0, false, fmt.Sprintf("HPA %s is not active: %s", hpa.Name, c.Message)
		}
	}
	if !known {
		why = fmt.Sprintf("HPA %s shows no current metric", hpa.Name)
	}
	return pods, known, why
}

func nameOf(spec autoscalingv2.MetricSpec) string {
	switch {
	case spec.Resource != nil:
		return string(spec.Resource.Name)
	case spec.ContainerResource != nil:
		return string(spec.ContainerResource.Name)
	case spec.Pods != nil:
		return spec.Pods.Metric.Name
	case spec.Object != nil:
		return spec.Object.Metric.Name
	case spec.External != nil:
		return spec.External.Metric.Name
	}
	return string(spec.Type)
}

// ratioToTarget is the replicas that one metric asks for, by the HPA's own arithmetic without its tolerance; false where
// the metric has no current value.
func ratioToTarget(spec autoscalingv2.MetricSpec, now autoscalingv2.MetricStatus, replicas float64) (float64, bool) {
	var target autoscalingv2.MetricTarget
	var current autoscalingv2.MetricValueStatus
	switch {
	case spec.Resource != nil && now.Resource != nil:
		target, current = spec.Resource.Target, now.Resource.Current
	case spec.ContainerResource != nil && now.ContainerResource != nil:
		target, current = spec.ContainerResource.Target, now.ContainerResource.Current
	case spec.Pods != nil && now.Pods != nil:
		target, current = spec.Pods.Target, now.Pods.Current
	case spec.Object != nil && now.Object != nil:
		target, current = spec.Object.Target, now.Object.Current
	case spec.External != nil && now.External != nil:
		target, current = spec.External.Target, now.External.Current
	default:
		return 0, false
	}
	switch {
	case target.AverageUtilization != nil && current.AverageUtilization != nil && *target.AverageUtilization > 0:
		return replicas * float64(*current.AverageUtilization) / float64(*target.AverageUtilization), true
	case target.AverageValue != nil && current.AverageValue != nil && target.AverageValue.AsApproximateFloat64() > 0:
		return replicas * current.AverageValue.AsApproximateFloat64() / target.AverageValue.AsApproximateFloat64(), true
	case target.Value != nil && current.Value != nil && target.Value.AsApproximateFloat64() > 0:
		return replicas * current.Value.AsApproximateFloat64() / target.Value.AsApproximateFloat64(), true
	}
	return 0, false
}

// Censored says why an HPA's demand is not all of the demand, or is empty.
func Censored(hpa *autoscalingv2.HorizontalPodAutoscaler) string {
	for _, c := range hpa.Status.Conditions {
		if c.Type == autoscalingv2.ScalingLimited && c.Status == "True" && c.Reason == "TooManyReplicas" {
			return fmt.Sprintf("HPA %s is at its maximum of %d", hpa.Name, hpa.Spec.MaxReplicas)
		}
	}
	return ""
}
