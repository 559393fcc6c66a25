package provider

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/metrics/pkg/apis/external_metrics"
	metrics "sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"swell/metrics/consumers"
)

// GetExternalMetric answers a selector that names a consumer, or a cluster and a group.
func (p *Provider) GetExternalMetric(ctx context.Context, namespace string, selector labels.Selector, info metrics.ExternalMetricInfo) (*external_metrics.ExternalMetricValueList, error) {
	if !Own(info.Metric) {
		if other := p.others.Load().External; other != nil {
			return other.GetExternalMetric(ctx, namespace, selector, info)
		}
		return nil, metrics.NewMetricNotFoundError(schema.GroupResource{Group: external_metrics.GroupName}, info.Metric)
	}
	if info.Metric == PredictedReplicas {
		return p.externalPrediction(ctx, namespace, selector)
	}
	a, err := parseSelector(info.Metric, selector)
	if err != nil {
		return nil, badRequest(info.Metric, err)
	}
	a.question.Namespace = namespace
	var items []external_metrics.ExternalMetricValue
	if a.consumer != "" {
		items, err = p.ofConsumer(types.NamespacedName{Namespace: namespace, Name: a.consumer}, info.Metric, a)
	} else {
		items, err = p.ofGroup(info.Metric, a)
	}
	if err != nil {
		return nil, err
	}
	return &external_metrics.ExternalMetricValueList{Items: items}, nil
}

func (p *Provider) external(metric string, l map[string]string, at time.Time, value resource.Quantity) external_metrics.ExternalMetricValue {
	return external_metrics.ExternalMetricValue{MetricName: metric, MetricLabels: l, Timestamp: metav1.NewTime(p.clock.RealTime(at)), Value: value}
}

func (p *Provider) ofConsumer(name types.NamespacedName, metric string, a asked) ([]external_metrics.ExternalMetricValue, error) {
	r, err := p.result(name, metric)
	if err != nil {
		return nil, err
	}
	if metric == PartitionLag {
		parts, err := p.partitions(name, r)
		return p.externalPartitions(parts, a), err
	}
	value, err := p.servable(name, metric, r)
	if err != nil {
		return nil, err
	}
	if metric == LateMessages {
		a.labels[labelLateCount] = lateCount(&r.Sum)
	}
	return []external_metrics.ExternalMetricValue{p.external(metric, a.labels, r.Oldest, value)}, nil
}

func (p *Provider) externalPartitions(parts []partitionLag, a asked) []external_metrics.ExternalMetricValue {
	items := make([]external_metrics.ExternalMetricValue, 0, len(parts))
	for _, one := range parts {
		items = append(items, p.external(PartitionLag, partitionLabels(a.labels, one.topic, one.partition), one.at, *resource.NewQuantity(one.messages, resource.DecimalSI)))
	}
	return items
}

func (p *Provider) ofGroup(metric string, a asked) ([]external_metrics.ExternalMetricValue, error) {
	q := a.question
	switch metric {
	case DesiredReplicas:
		return nil, badRequest(metric, fmt.Errorf("replicas are counted for a QueueConsumer: select it by label %s", labelConsumer))
	case PartitionLag:
		readings, rules, err := p.source.PartitionsOf(q)
		if err != nil {
			return nil, failure(metric, err)
		}
		parts, err := judgePartitions(fmt.Sprintf("group %q in Kafka cluster %q", q.Group, q.Cluster), readings, rules)
		return p.externalPartitions(parts, a), err
	}
	sum, err := p.source.Ask(q)
	if err != nil {
		return nil, failure(metric, err)
	}
	value, problem := sumValue(metric, &sum)
	switch metric {
	case ProduceRate, ConsumeRate:
		value, err = p.rate(metric, q)
	case LateMessages:
		a.labels[labelLateCount] = lateCount(&sum)
	}
	if err == nil && problem != "" {
		err = failure(metric, fmt.Errorf("group %q in Kafka cluster %q: %s", q.Group, q.Cluster, problem))
	}
	if err != nil {
		return nil, err
	}
	return []external_metrics.ExternalMetricValue{p.external(metric, a.labels, sum.Oldest, value)}, nil
}

func (p *Provider) rate(metric string, q consumers.Question) (resource.Quantity, error) {
	produce, consume, err := p.source.Rates(q)
	if err != nil {
		return resource.Quantity{}, failure(metric, err)
	}
	f := consume
	if metric == ProduceRate {
		f = produce
	}
	value, problem := milli(f, "")
	if problem != "" {
		return value, failure(metric, fmt.Errorf("group %q in Kafka cluster %q: %s", q.Group, q.Cluster, problem))
	}
	return value, nil
}
