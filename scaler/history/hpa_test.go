package history_test

import (
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	names "swell/api/metric"
	"swell/scaler/history"
)

type metric struct {
	spec autoscalingv2.MetricSpec
	now  autoscalingv2.MetricStatus
}

func hpa(replicas int32, metrics ...metric) *autoscalingv2.HorizontalPodAutoscaler {
	h := &autoscalingv2.HorizontalPodAutoscaler{}
	h.Name, h.Spec.MaxReplicas = "web", 100
	h.Status.CurrentReplicas, h.Status.DesiredReplicas = replicas, replicas
	for _, m := range metrics {
		h.Spec.Metrics = append(h.Spec.Metrics, m.spec)
		h.Status.CurrentMetrics = append(h.Status.CurrentMetrics, m.now)
	}
	return h
}

func on(n int) history.Scaled { return history.Scaled{Replicas: n, Ready: n} }

func cpu(target, current int32) metric {
	milli := resource.MustParse("500m") // the controller shows the raw usage beside the utilization
	return metric{
		autoscalingv2.MetricSpec{Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{AverageUtilization: &target}}},
		autoscalingv2.MetricStatus{Resource: &autoscalingv2.ResourceMetricStatus{Name: corev1.ResourceCPU, Current: autoscalingv2.MetricValueStatus{AverageUtilization: &current, AverageValue: &milli}}},
	}
}

func containerCPU(target, current int32) metric {
	return metric{
		autoscalingv2.MetricSpec{ContainerResource: &autoscalingv2.ContainerResourceMetricSource{Name: corev1.ResourceCPU, Container: "app", Target: autoscalingv2.MetricTarget{AverageUtilization: &target}}},
		autoscalingv2.MetricStatus{ContainerResource: &autoscalingv2.ContainerResourceMetricStatus{Name: corev1.ResourceCPU, Container: "app", Current: autoscalingv2.MetricValueStatus{AverageUtilization: &current}}},
	}
}

func quantity(s string) *resource.Quantity {
	if s == "" {
		return nil
	}
	q := resource.MustParse(s)
	return &q
}

// external has averages, or values, as text; empty is none.
func external(name, targetAverage, average, targetValue, value string) metric {
	id := autoscalingv2.MetricIdentifier{Name: name}
	return metric{
		autoscalingv2.MetricSpec{External: &autoscalingv2.ExternalMetricSource{Metric: id, Target: autoscalingv2.MetricTarget{AverageValue: quantity(targetAverage), Value: quantity(targetValue)}}},
		autoscalingv2.MetricStatus{External: &autoscalingv2.ExternalMetricStatus{Metric: id, Current: autoscalingv2.MetricValueStatus{AverageValue: quantity(average), Value: quantity(value)}}},
	}
}

func TestDemandIsWhatTheHPAAsksFor(t *testing.T) {
	rescaled := hpa(10, external("jobs", "1", "1800m", "", ""))
	rescaled.Status.DesiredReplicas = 18
	zero := hpa(0, external("jobs", "", "", "5", "20"))
	for name, tc := range map[string]struct {
		hpa  *autoscalingv2.HorizontalPodAutoscaler
		on   history.Scaled
		want float64
	}{
		"the largest of its metrics": {hpa(10, cpu(50, 80), external("lag", "1", "1200m", "", "")), on(10), 16},
		"a container's":              {hpa(10, containerCPU(50, 40)), on(10), 8},
		"utilization of the ready pods, not of those to come": {hpa(18, cpu(50, 90)), history.Scaled{Replicas: 18, Ready: 10}, 18},
		"an average of the replicas that there were":          {rescaled, on(18), 18},
		"an average of the replicas that there are yet":       {hpa(18, external("jobs", "1", "1500m", "", "")), history.Scaled{Replicas: 12, Ready: 5}, 18},
		"a value times the ready pods":                        {hpa(12, external("depth", "", "", "100", "150")), history.Scaled{Replicas: 12, Ready: 10}, 15},
		"a value from zero":                                   {zero, on(0), 4},
		"without swell's own":                                 {hpa(10, cpu(50, 40), external(names.PredictedReplicas, "1", "30", "", "")), on(10), 8},
		"below the minimum":                                   {hpa(10, cpu(50, 1)), on(10), 0.2},
	} {
		t.Run(name, func(t *testing.T) {
			d := history.FromHPA(tc.hpa, tc.on)
			if d.Class != history.Known || d.Pods < tc.want*0.9999 || d.Pods > tc.want*1.0001 {
				t.Errorf("%+v: want %g", d, tc.want)
			}
		})
	}
}

func TestDemandIsUnknownNotZero(t *testing.T) {
	with := func(typ autoscalingv2.HorizontalPodAutoscalerConditionType, status corev1.ConditionStatus, reason string) *autoscalingv2.HorizontalPodAutoscaler {
		h := hpa(10, cpu(50, 40))
		h.Status.Conditions = []autoscalingv2.HorizontalPodAutoscalerCondition{{Type: typ, Status: status, Reason: reason, Message: "its words"}}
		return h
	}
	missing := hpa(10, cpu(50, 40), external("lag", "100", "50", "", ""))
	missing.Status.CurrentMetrics[1] = autoscalingv2.MetricStatus{}
	shifted := hpa(10, external("a", "1", "1", "", ""), external("b", "1", "1", "", ""))
	shifted.Status.CurrentMetrics[0], shifted.Status.CurrentMetrics[1] = shifted.Status.CurrentMetrics[1], shifted.Status.CurrentMetrics[0]
	for name, tc := range map[string]struct {
		hpa   *autoscalingv2.HorizontalPodAutoscaler
		class history.Class
		why   string
	}{
		"no metrics":             {hpa(10), history.NoMetric, "shows no current metric"},
		"one metric missing":     {missing, history.NoMetric, "lag"},
		"only swell's own":       {hpa(10, external(names.PredictedReplicas, "1", "30", "", "")), history.NoMetric, "no current metric"},
		"values of another spec": {shifted, history.NoMetric, "no current value of a"},
		"an average over none":   {hpa(0, external("lag", "1", "0", "", "")), history.NoMetric, "lag"},
		"not active":             {with(autoscalingv2.ScalingActive, corev1.ConditionFalse, "FailedGetResourceMetric"), history.Inactive, "its words"},
		"disabled":               {with(autoscalingv2.ScalingActive, corev1.ConditionFalse, "ScalingDisabled"), history.Inactive, "its words"},
		"no scale":               {with(autoscalingv2.AbleToScale, corev1.ConditionFalse, "FailedGetScale"), history.Inactive, "its words"},
		"at its maximum":         {with(autoscalingv2.ScalingLimited, corev1.ConditionTrue, "TooManyReplicas"), history.AtMaximum, "maximum of 100"},
	} {
		t.Run(name, func(t *testing.T) {
			d := history.FromHPA(tc.hpa, history.Scaled{Replicas: int(tc.hpa.Status.CurrentReplicas), Ready: 10})
			if d.Class != tc.class || d.Pods == d.Pods || !strings.Contains(d.Why, tc.why) {
				t.Errorf("%+v: want %s and %q", d, tc.class, tc.why)
			}
		})
	}
	// what swell's own metric does to an HPA says nothing of the others'
	held := hpa(10, cpu(50, 40), external(names.PredictedReplicas, "1", "30", "", ""))
	held.Status.CurrentMetrics[1] = autoscalingv2.MetricStatus{}
	held.Status.Conditions = []autoscalingv2.HorizontalPodAutoscalerCondition{{Type: autoscalingv2.ScalingActive, Status: corev1.ConditionFalse, Reason: "FailedGetExternalMetric",
		Message: "unable to get external metric shop/swell_predicted_replicas/&LabelSelector{}: it is older than 5m"}}
	if d := history.FromHPA(held, on(10)); d.Class != history.Known || d.Pods != 8 {
		t.Errorf("%+v while swell's own metric is an error: want the 8 that the other asks for", d)
	}
	driven := with(autoscalingv2.ScalingLimited, corev1.ConditionTrue, "TooManyReplicas")
	own := external(names.PredictedReplicas, "1", "30", "", "")
	driven.Spec.Metrics, driven.Status.CurrentMetrics = append(driven.Spec.Metrics, own.spec), append(driven.Status.CurrentMetrics, own.now)
	if d := history.FromHPA(driven, on(10)); d.Class != history.Known || d.Pods != 8 {
		t.Errorf("%+v at a maximum that swell's own metric asks for: want the 8 that the other asks for", d)
	}
	limited := with(autoscalingv2.ScalingLimited, corev1.ConditionTrue, "TooFewReplicas")
	if d := history.FromHPA(limited, on(10)); d.Class != history.Known || d.Pods != 8 {
		t.Errorf("%+v at the minimum: want 8, which is known", d)
	}
}
