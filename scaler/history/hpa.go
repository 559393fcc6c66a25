// Package history keeps the demand of each guarded workload: what its HPA asks for, sampled, and remembered across restarts.
package history

import (
	"fmt"
	"math"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"swell/api/metric"
)

// Demand is how many pods a source asks for at a time, of this cluster's traffic.
type Demand struct {
	// Pods are unrounded, and not bounded by the HPA's limits; NaN unless Class is Known.
	Pods  float64
	Class Class
	// Why tells where the number is from, or why there is none.
	Why string
}

func known(pods float64, why string) Demand { return Demand{Pods: pods, Class: Known, Why: why} }

// Unknown is a demand that cannot be told. It is not zero.
func Unknown(c Class, why string) Demand { return Demand{Pods: math.NaN(), Class: c, Why: why} }

// Scaled is what an HPA's current values were measured on.
type Scaled struct {
	// Replicas that the workload's scale status counts: Object and External averages are of these.
	Replicas int
	// Ready pods, since long enough to have metrics: all other values are of these.
	Ready int
}

// FromHPA is how many pods an HPA's metrics ask for: the largest of them, by the controller's own arithmetic
// (k8s.io/kubernetes/pkg/controller/podautoscaler, 1.36) without its rounding, tolerance, limits and stabilization, and without
// metric.PredictedReplicas, which a forecast must not learn from and whose absence says nothing of the others. Pods that are not
// ready count as using nothing there when it scales up, so that a rise is ratio × ready pods.
// Unknown where the HPA does not scale, is at its maximum, or where one of its metrics has no value, which may be the largest.
func FromHPA(hpa *autoscalingv2.HorizontalPodAutoscaler, on Scaled) Demand {
	if hpa.Status.ObservedGeneration != nil && *hpa.Status.ObservedGeneration < hpa.Generation {
		return Unknown(NoMetric, fmt.Sprintf("HPA %s has not looked at its newest spec yet", hpa.Name))
	}
	atMaximum, ownMetric := false, false
	for _, c := range hpa.Status.Conditions {
		switch {
		case c.Status == corev1.ConditionFalse && c.Type == autoscalingv2.ScalingActive && strings.Contains(c.Message, metric.PredictedReplicas):
		case c.Status == corev1.ConditionFalse && (c.Type == autoscalingv2.ScalingActive || c.Type == autoscalingv2.AbleToScale):
			return Unknown(Inactive, fmt.Sprintf("HPA %s does not scale: %s", hpa.Name, c.Message))
		case c.Status == corev1.ConditionTrue && c.Type == autoscalingv2.ScalingLimited && c.Reason == "TooManyReplicas":
			atMaximum = true
		}
	}
	largest := Unknown(NoMetric, fmt.Sprintf("HPA %s shows no current metric", hpa.Name))
	for i, spec := range hpa.Spec.Metrics {
		name := nameOf(spec)
		if name == metric.PredictedReplicas {
			ownMetric = true
			continue
		}
		pods, ok := 0.0, false
		if i < len(hpa.Status.CurrentMetrics) {
			pods, ok = asked(spec, hpa.Status.CurrentMetrics[i], on, hpa.Status)
		}
		if !ok {
			return Unknown(NoMetric, fmt.Sprintf("HPA %s shows no current value of %s", hpa.Name, name))
		}
		if largest.Class != Known || pods > largest.Pods {
			largest = known(pods, fmt.Sprintf("%s asks for %.1f pods", name, pods))
		}
	}
	if atMaximum && !(ownMetric && largest.Class == Known && largest.Pods < float64(hpa.Spec.MaxReplicas)) {
		return Unknown(AtMaximum, fmt.Sprintf("HPA %s is at its maximum of %d and wants more: what it shows is a lower bound", hpa.Name, hpa.Spec.MaxReplicas))
	}
	return largest
}

func nameOf(spec autoscalingv2.MetricSpec) string {
	switch {
	case spec.Resource != nil:
		return string(spec.Resource.Name)
	case spec.ContainerResource != nil:
		return fmt.Sprintf("%s of container %s", spec.ContainerResource.Name, spec.ContainerResource.Container)
	case spec.Pods != nil:
		return spec.Pods.Metric.Name
	case spec.Object != nil:
		return spec.Object.Metric.Name
	case spec.External != nil:
		return spec.External.Metric.Name
	}
	return string(spec.Type)
}

// asked is the replicas that one metric asks for; false where it has no current value, or one of another kind than its target.
func asked(spec autoscalingv2.MetricSpec, now autoscalingv2.MetricStatus, on Scaled, status autoscalingv2.HorizontalPodAutoscalerStatus) (float64, bool) {
	ready := float64(on.Ready)
	switch {
	case spec.Resource != nil && now.Resource != nil && now.Resource.Name == spec.Resource.Name:
		return perPod(spec.Resource.Target, now.Resource.Current, ready)
	case spec.ContainerResource != nil && now.ContainerResource != nil && now.ContainerResource.Name == spec.ContainerResource.Name:
		return perPod(spec.ContainerResource.Target, now.ContainerResource.Current, ready)
	case spec.Pods != nil && now.Pods != nil && now.Pods.Metric.Name == spec.Pods.Metric.Name:
		return perPod(spec.Pods.Target, now.Pods.Current, ready)
	case spec.Object != nil && now.Object != nil && now.Object.Metric.Name == spec.Object.Metric.Name:
		return ofAll(spec.Object.Target, now.Object.Current, on, status)
	case spec.External != nil && now.External != nil && now.External.Metric.Name == spec.External.Metric.Name:
		return ofAll(spec.External.Target, now.External.Current, on, status)
	}
	return 0, false
}

// perPod is for values that were averaged over pods with metrics.
func perPod(target autoscalingv2.MetricTarget, current autoscalingv2.MetricValueStatus, pods float64) (float64, bool) {
	// an average value comes before a utilization, as in the controller; the status of a utilization has both
	if target.AverageValue != nil {
		r, ok := ratio(target.AverageValue, current.AverageValue)
		return pods * r, ok
	}
	if target.AverageUtilization == nil || current.AverageUtilization == nil || *target.AverageUtilization <= 0 {
		return 0, false
	}
	return pods * float64(*current.AverageUtilization) / float64(*target.AverageUtilization), true
}

// ofAll is for values that are of the whole workload: an average is of the replicas when it was computed, a value is scaled
// by the ready pods, or stands for itself where there are none.
func ofAll(target autoscalingv2.MetricTarget, current autoscalingv2.MetricValueStatus, on Scaled, status autoscalingv2.HorizontalPodAutoscalerStatus) (float64, bool) {
	if target.AverageValue != nil {
		r, ok := ratio(target.AverageValue, current.AverageValue)
		if replicas := averagedOver(on, status); replicas > 0 {
			return r * float64(replicas), ok
		}
		return 0, false // an average over none is no number
	}
	r, ok := ratio(target.Value, current.Value)
	if status.CurrentReplicas == 0 {
		return r, ok
	}
	return r * float64(on.Ready), ok
}

// averagedOver is the number of replicas that the controller divided by: those of the scale's status when it computed. What
// it rescaled by then is seen in the scale already, and not in the HPA's own count.
func averagedOver(on Scaled, status autoscalingv2.HorizontalPodAutoscalerStatus) int {
	if status.DesiredReplicas != status.CurrentReplicas {
		return int(status.CurrentReplicas)
	}
	return on.Replicas
}

// ratio of current to target; false where either is missing.
func ratio(target, current *resource.Quantity) (float64, bool) {
	if target == nil || current == nil {
		return 0, false
	}
	of := target.AsApproximateFloat64()
	return current.AsApproximateFloat64() / of, of > 0
}
