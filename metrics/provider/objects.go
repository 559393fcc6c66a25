package provider

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/metrics/pkg/apis/custom_metrics"
	metrics "sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"swell/api/v1alpha1"
	"swell/metrics/consumers"
)

// GetMetricByName answers for one QueueConsumer.
func (p *Provider) GetMetricByName(ctx context.Context, name types.NamespacedName, info metrics.CustomMetricInfo, of labels.Selector) (*custom_metrics.MetricValue, error) {
	if !isOwnObject(info) {
		if other := p.others.Load().Custom; other != nil {
			return other.GetMetricByName(ctx, name, info, of)
		}
		return nil, metrics.NewMetricNotFoundError(info.GroupResource, info.Metric)
	}
	if info.Metric == PredictedReplicas {
		return p.objectPrediction(ctx, name, of)
	}
	r, err := p.result(name, info.Metric)
	if err != nil {
		return nil, err
	}
	values, err := p.objectValues(name, info.Metric, r, of)
	if err != nil {
		return nil, err
	}
	if len(values) != 1 {
		return nil, badRequest(info.Metric, fmt.Errorf("%d partitions of QueueConsumer %s are selected: give one by metric labels %s and %s", len(values), name, labelTopic, labelPartition))
	}
	return &values[0], nil
}

// GetMetricBySelector answers for the QueueConsumers that have the labels. One that is unknown makes all of
// them unknown: their sum would be too low.
func (p *Provider) GetMetricBySelector(ctx context.Context, namespace string, selector labels.Selector, info metrics.CustomMetricInfo, of labels.Selector) (*custom_metrics.MetricValueList, error) {
	if !isOwnObject(info) {
		if other := p.others.Load().Custom; other != nil {
			return other.GetMetricBySelector(ctx, namespace, selector, info, of)
		}
		return nil, metrics.NewMetricNotFoundError(info.GroupResource, info.Metric)
	}
	if info.Metric == PredictedReplicas {
		return p.objectPredictions(ctx, namespace, selector, of)
	}
	all, err := p.source.All(namespace)
	if err != nil {
		return nil, failure(info.Metric, err)
	}
	var names []types.NamespacedName
	for name, r := range all {
		if selector.Matches(labels.Set(r.Labels)) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) })
	list := &custom_metrics.MetricValueList{}
	for _, name := range names {
		values, err := p.objectValues(name, info.Metric, all[name], of)
		if err != nil {
			return nil, err
		}
		list.Items = append(list.Items, values...)
	}
	return list, nil
}

// objectValues are a metric of one QueueConsumer: one value, or those of the partitions that are selected.
func (p *Provider) objectValues(name types.NamespacedName, metric string, r consumers.Result, of labels.Selector) ([]custom_metrics.MetricValue, error) {
	if metric == PartitionLag {
		return p.objectPartitions(name, r, of)
	}
	if of != nil && !of.Empty() {
		return nil, badRequest(metric, fmt.Errorf("it has no labels that a metric selector could match: leave the selector out"))
	}
	value, err := p.servable(name, metric, r)
	if err != nil {
		return nil, err
	}
	return []custom_metrics.MetricValue{p.objectValue(name, metric, r, r.Oldest, value)}, nil
}

func (p *Provider) objectPartitions(name types.NamespacedName, r consumers.Result, of labels.Selector) ([]custom_metrics.MetricValue, error) {
	parts, err := p.partitions(name, r)
	if err != nil {
		return nil, err
	}
	var values []custom_metrics.MetricValue
	for _, one := range parts {
		l := partitionLabels(nil, one.topic, one.partition)
		if of != nil && !of.Matches(labels.Set(l)) {
			continue
		}
		v := p.objectValue(name, PartitionLag, r, one.at, *resource.NewQuantity(one.messages, resource.DecimalSI))
		v.Metric.Selector = &metav1.LabelSelector{MatchLabels: l}
		values = append(values, v)
	}
	return values, nil
}

// servable is a metric's value, or why it must not be served from a result.
func (p *Provider) servable(name types.NamespacedName, metric string, r consumers.Result) (resource.Quantity, error) {
	value, problem := resultValue(metric, &r)
	if problem != "" {
		return value, unknownResult(metric, name, r.Reason, problem)
	}
	if err := p.source.Fresh(r); err != nil {
		return value, failure(metric, fmt.Errorf("QueueConsumer %s: %w", name, err))
	}
	return value, nil
}

func (p *Provider) objectValue(name types.NamespacedName, metric string, r consumers.Result, at time.Time, value resource.Quantity) custom_metrics.MetricValue {
	return custom_metrics.MetricValue{
		DescribedObject: custom_metrics.ObjectReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: "QueueConsumer",
			Namespace: name.Namespace, Name: name.Name, UID: r.UID},
		Metric:    custom_metrics.MetricIdentifier{Name: metric},
		Timestamp: metav1.NewTime(p.clock.RealTime(at)),
		Value:     value,
	}
}
