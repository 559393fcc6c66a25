package history_test

import (
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"swell/scaler/history"
)

func hpa(replicas int32, metrics ...[2]any) *autoscalingv2.HorizontalPodAutoscaler {
	h := &autoscalingv2.HorizontalPodAutoscaler{}
	h.Name = "web"
	h.Status.CurrentReplicas = replicas
	for _, m := range metrics {
		h.Spec.Metrics = append(h.Spec.Metrics, m[0].(autoscalingv2.MetricSpec))
		h.Status.CurrentMetrics = append(h.Status.CurrentMetrics, m[1].(autoscalingv2.MetricStatus))
	}
	return h
}

func cpu(target, current int32) [2]any {
	return [2]any{
		autoscalingv2.MetricSpec{Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{AverageUtilization: &target}}},
		autoscalingv2.MetricStatus{Resource: &autoscalingv2.ResourceMetricStatus{Name: corev1.ResourceCPU, Current: autoscalingv2.MetricValueStatus{AverageUtilization: &current}}},
	}
}

func external(name, target, current string) [2]any {
	t, c := resource.MustParse(target), resource.MustParse(current)
	id := autoscalingv2.MetricIdentifier{Name: name}
	return [2]any{
		autoscalingv2.MetricSpec{External: &autoscalingv2.ExternalMetricSource{Metric: id, Target: autoscalingv2.MetricTarget{AverageValue: &t}}},
		autoscalingv2.MetricStatus{External: &autoscalingv2.ExternalMetricStatus{Metric: id, Current: autoscalingv2.MetricValueStatus{AverageValue: &c}}},
	}
}

func TestDemandIsTheLargestMetricOverItsTarget(t *testing.T) {
	pods, known, why := history.Demand(hpa(10, cpu(50, 80), external("kafka_consumergroup_desired_replicas", "1", "1200m")))
	if !known || pods != 16 {
		t.Fatalf("demand %g (%t, %s): want 16, from 10 pods at 80%% of a 50%% target", pods, known, why)
	}
}

func TestDemandDoesNotLearnFromThePredictedMetric(t *testing.T) {
	pods, known, _ := history.Demand(hpa(10, cpu(50, 40), external(history.PredictedMetric, "1", "30")))
	if !known || pods != 8 {
		t.Fatalf("demand %g (%t): want 8, the prediction left out", pods, known)
	}
}

func TestDemandWithoutMetricsIsUnknownNotZero(t *testing.T) {
	if pods, known, why := history.Demand(hpa(10)); known || why == "" {
		t.Fatalf("demand %g (%t, %q): want unknown with a reason", pods, known, why)
	}
	failing := hpa(10, cpu(50, 40))
	failing.Status.Conditions = []autoscalingv2.HorizontalPodAutoscalerCondition{{Type: autoscalingv2.ScalingActive, Status: "False", Message: "no metrics"}}
	if pods, known, why := history.Demand(failing); known || why == "" {
		t.Fatalf("demand %g (%t, %q) from an HPA that cannot read its metrics: want unknown", pods, known, why)
	}
}

func TestDemandWithOneMetricMissingIsUnknown(t *testing.T) {
	h := hpa(10, cpu(50, 40), external("kafka_consumergroup_lag", "100", "50"))
	h.Status.CurrentMetrics[1] = autoscalingv2.MetricStatus{}
	if pods, known, why := history.Demand(h); known || why == "" {
		t.Fatalf("demand %g (%t, %q) without the lag's value: want unknown, since the lag may ask for more", pods, known, why)
	}
}
