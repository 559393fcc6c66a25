package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"swell/api/metric"
	"swell/api/v1alpha1"
)

// aboutHPAs are those that name the consumer or scale its workload.
func aboutHPAs(all []autoscalingv2.HorizontalPodAutoscaler, q *v1alpha1.QueueConsumer) []hpaOutput {
	out := []hpaOutput{}
	for _, h := range all {
		var names, notes []string
		for _, m := range h.Spec.Metrics {
			name, target, ok := metricOf(m, q)
			if !ok {
				continue
			}
			names = append(names, name)
			notes = append(notes, metricNotes(name, target, h.Spec.Behavior)...)
		}
		ref := h.Spec.ScaleTargetRef
		scales := ref.Kind == q.Spec.ScaleTargetRef.Kind && ref.Name == q.Spec.ScaleTargetRef.Name
		if !scales && len(names) == 0 {
			continue
		}
		switch {
		case !scales:
			notes = append(notes, fmt.Sprintf("it scales %s %s, not the consumer's %s %s", ref.Kind, ref.Name, q.Spec.ScaleTargetRef.Kind, q.Spec.ScaleTargetRef.Name))
		case len(names) == 0:
			notes = append(notes, fmt.Sprintf("it scales the workload and names no metric of this consumer: give it External metric %s with selector consumer: %s", metric.DesiredReplicas, q.Name))
		}
		if want := q.Status.DesiredReplicas; want != nil && *want > h.Spec.MaxReplicas {
			notes = append(notes, fmt.Sprintf("%d replicas are needed, and maxReplicas is %d", *want, h.Spec.MaxReplicas))
		}
		for _, c := range h.Status.Conditions {
			if c.Type == autoscalingv2.ScalingActive && c.Status != "True" {
				notes = append(notes, "it holds the replicas while ScalingActive is "+string(c.Status))
			}
		}
		one := hpaOutput{Name: h.Name, Names: names, Current: h.Status.CurrentReplicas, Desired: h.Status.DesiredReplicas, Min: 1, Max: h.Spec.MaxReplicas,
			Conditions: slices.Clone(h.Status.Conditions), Notes: notes}
		for i := range one.Conditions {
			one.Conditions[i].Message = plainSelectors(one.Conditions[i].Message)
		}
		if h.Spec.MinReplicas != nil {
			one.Min = *h.Spec.MinReplicas
		}
		out = append(out, one)
	}
	return out
}

// metricOf is the name and target of a metric that asks about the consumer or its group.
func metricOf(m autoscalingv2.MetricSpec, q *v1alpha1.QueueConsumer) (name string, target autoscalingv2.MetricTarget, ok bool) {
	switch {
	case m.Object != nil:
		o := m.Object.DescribedObject
		return m.Object.Metric.Name, m.Object.Target, o.Kind == "QueueConsumer" && o.Name == q.Name
	case m.External != nil:
		selector, err := metav1.LabelSelectorAsSelector(m.External.Metric.Selector)
		if err != nil || selector.Empty() || !strings.HasPrefix(m.External.Metric.Name, "kafka_") {
			return "", target, false
		}
		// A selector by group may name any of its topics.
		byName := selector.Matches(labels.Set{"consumer": q.Name})
		byGroup := true
		requirements, _ := selector.Requirements()
		for _, r := range requirements {
			byGroup = byGroup && (r.Key() == "topic" || r.Matches(labels.Set{"cluster": q.Spec.Kafka.Cluster, "group": q.Spec.Kafka.Group}))
		}
		return m.External.Metric.Name, m.External.Target, byName || byGroup
	}
	return "", target, false
}

// metricNotes are what in an HPA's metric keeps it from following.
func metricNotes(name string, target autoscalingv2.MetricTarget, b *autoscalingv2.HorizontalPodAutoscalerBehavior) []string {
	var notes []string
	if target.Type != autoscalingv2.AverageValueMetricType {
		notes = append(notes, fmt.Sprintf("%s has target type %s, which compounds: give AverageValue", name, target.Type))
	}
	if name != metric.DesiredReplicas {
		return notes
	}
	if target.AverageValue != nil && target.AverageValue.AsApproximateFloat64() != 1 {
		notes = append(notes, fmt.Sprintf("%s has averageValue %s: give 1, it counts replicas", name, target.AverageValue))
	}
	if b == nil || b.ScaleUp == nil || b.ScaleUp.Tolerance == nil || !b.ScaleUp.Tolerance.IsZero() {
		notes = append(notes, "up to a tenth more replicas than there are is tolerated: set behavior.scaleUp.tolerance to 0")
	}
	return notes
}

var (
	goSelector    = regexp.MustCompile(`&LabelSelector\{MatchLabels:map\[string\]string\{([^}]*)\},MatchExpressions:\[\]LabelSelectorRequirement\{((?:LabelSelectorRequirement\{[^}]*\},?)*)\},\}`)
	goRequirement = regexp.MustCompile(`LabelSelectorRequirement\{Key:([^,]*),Operator:([^,]*),Values:\[([^\]]*)\],\}`)
)

// plainSelectors writes selectors as kubectl takes them, in a message of the HPA controller, which has them as Go does.
func plainSelectors(message string) string {
	return goSelector.ReplaceAllStringFunc(message, func(dump string) string {
		m := goSelector.FindStringSubmatch(dump)
		var terms []string
		for _, pair := range strings.Split(strings.TrimSuffix(m[1], ","), ",") {
			if key, value, ok := strings.Cut(pair, ": "); ok {
				terms = append(terms, key+"="+value)
			}
		}
		for _, r := range goRequirement.FindAllStringSubmatch(m[2], -1) {
			values := strings.Join(strings.Fields(r[3]), ",")
			switch metav1.LabelSelectorOperator(r[2]) {
			case metav1.LabelSelectorOpIn:
				terms = append(terms, fmt.Sprintf("%s in (%s)", r[1], values))
			case metav1.LabelSelectorOpNotIn:
				terms = append(terms, fmt.Sprintf("%s notin (%s)", r[1], values))
			case metav1.LabelSelectorOpExists:
				terms = append(terms, r[1])
			case metav1.LabelSelectorOpDoesNotExist:
				terms = append(terms, "!"+r[1])
			}
		}
		return strings.Join(terms, ",")
	})
}
