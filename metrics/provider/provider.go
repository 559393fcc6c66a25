// Package provider serves what swell knows of consumer groups as custom.metrics.k8s.io and
// external.metrics.k8s.io. A request reads memory only.
package provider

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/metrics/pkg/apis/custom_metrics"
	"k8s.io/metrics/pkg/apis/external_metrics"
	metrics "sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/metrics/consumers"
	"swell/metrics/lag"
)

// Names of the metrics.
const (
	Lag             = "kafka_consumergroup_lag"
	DesiredReplicas = "kafka_consumergroup_desired_replicas"
)

// Resource is what the object metrics describe.
var Resource = schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "queueconsumers"}

// Source is what is served.
type Source interface {
	// Get and All are the QueueConsumers' last results, Fresh whether one may still be served.
	Get(name types.NamespacedName) (consumers.Result, bool)
	All(namespace string) (map[types.NamespacedName]consumers.Result, error)
	Fresh(r consumers.Result) error
	// Ask is the lag of a group without a QueueConsumer.
	Ask(q consumers.Question) (lag.Sum, error)
}

// Provider serves both APIs.
type Provider struct {
	source Source
	clock  config.Clock
}

// New makes a provider over a source.
func New(source Source, clock config.Clock) *Provider { return &Provider{source: source, clock: clock} }

var _ metrics.MetricsProvider = (*Provider)(nil)

// ListAllExternalMetrics names the external metrics.
func (p *Provider) ListAllExternalMetrics() []metrics.ExternalMetricInfo {
	return []metrics.ExternalMetricInfo{{Metric: DesiredReplicas}, {Metric: Lag}}
}

// ListAllMetrics names the object metrics.
func (p *Provider) ListAllMetrics() []metrics.CustomMetricInfo {
	return []metrics.CustomMetricInfo{
		{GroupResource: Resource, Namespaced: true, Metric: DesiredReplicas},
		{GroupResource: Resource, Namespaced: true, Metric: Lag},
	}
}

// GetExternalMetric answers a selector that names a consumer, or a cluster and a group.
func (p *Provider) GetExternalMetric(_ context.Context, namespace string, selector labels.Selector, info metrics.ExternalMetricInfo) (*external_metrics.ExternalMetricValueList, error) {
	if info.Metric != Lag && info.Metric != DesiredReplicas {
		return nil, metrics.NewMetricNotFoundError(schema.GroupResource{Group: "external.metrics.k8s.io"}, info.Metric)
	}
	asked, err := parseSelector(selector)
	if err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("serve %s: %v", info.Metric, err))
	}
	value := external_metrics.ExternalMetricValue{MetricName: info.Metric, MetricLabels: asked}
	var at time.Time
	if consumer := asked[labelConsumer]; consumer != "" {
		r, err := p.result(types.NamespacedName{Namespace: namespace, Name: consumer}, info.Metric)
		if err != nil {
			return nil, err
		}
		value.Value, at = quantity(r, info.Metric), r.Oldest
	} else {
		if info.Metric == DesiredReplicas {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("serve %s: replicas are counted for a QueueConsumer: select it by label %s", info.Metric, labelConsumer))
		}
		sum, err := p.source.Ask(consumers.Question{Cluster: asked[labelCluster], Group: asked[labelGroup], Topics: asked[labelTopic]})
		if err != nil {
			return nil, unavailable(info.Metric, err)
		}
		value.Value, at = *resource.NewQuantity(sum.Lag, resource.DecimalSI), sum.Oldest
	}
	value.Timestamp = metav1.NewTime(p.clock.RealTime(at))
	return &external_metrics.ExternalMetricValueList{Items: []external_metrics.ExternalMetricValue{value}}, nil
}

// GetMetricByName answers for one QueueConsumer.
func (p *Provider) GetMetricByName(_ context.Context, name types.NamespacedName, info metrics.CustomMetricInfo, _ labels.Selector) (*custom_metrics.MetricValue, error) {
	if err := known(info); err != nil {
		return nil, err
	}
	r, err := p.result(name, info.Metric)
	if err != nil {
		return nil, err
	}
	value := p.objectValue(name, info.Metric, r)
	return &value, nil
}

// GetMetricBySelector answers for the QueueConsumers that have the labels. One that is unknown makes all of
// them unknown: their sum would be too low.
func (p *Provider) GetMetricBySelector(_ context.Context, namespace string, selector labels.Selector, info metrics.CustomMetricInfo, _ labels.Selector) (*custom_metrics.MetricValueList, error) {
	if err := known(info); err != nil {
		return nil, err
	}
	all, err := p.source.All(namespace)
	if err != nil {
		return nil, unavailable(info.Metric, err)
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
		r := all[name]
		if err := p.servable(name, r, info.Metric); err != nil {
			return nil, err
		}
		list.Items = append(list.Items, p.objectValue(name, info.Metric, r))
	}
	return list, nil
}

func known(info metrics.CustomMetricInfo) error {
	if info.GroupResource.Resource != Resource.Resource || info.Metric != Lag && info.Metric != DesiredReplicas {
		return metrics.NewMetricNotFoundError(info.GroupResource, info.Metric)
	}
	return nil
}

// result is a QueueConsumer's result where the metric may be served from it.
func (p *Provider) result(name types.NamespacedName, metric string) (consumers.Result, error) {
	r, ok := p.source.Get(name)
	if !ok {
		return r, &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound,
			Message: fmt.Sprintf("serve %s: QueueConsumer %s is not there or not sampled yet: create it in the HPA's namespace, or wait for the next poll", metric, name)}}
	}
	return r, p.servable(name, r, metric)
}

// servable says why a metric must not be served from a result.
func (p *Provider) servable(name types.NamespacedName, r consumers.Result, metric string) error {
	problem := r.LagProblem
	if metric == DesiredReplicas {
		problem = r.Problem
	}
	if problem != "" {
		return unavailable(metric, fmt.Errorf("QueueConsumer %s: %s", name, problem))
	}
	if err := p.source.Fresh(r); err != nil {
		return unavailable(metric, fmt.Errorf("QueueConsumer %s: %w", name, err))
	}
	return nil
}

// unavailable makes the HPA hold: it must never read an unknown as a number.
func unavailable(metric string, err error) error {
	return apierrors.NewServiceUnavailable(fmt.Sprintf("serve %s: %v", metric, err))
}

func quantity(r consumers.Result, metric string) resource.Quantity {
	if metric == DesiredReplicas {
		return *resource.NewQuantity(int64(r.Replicas), resource.DecimalSI)
	}
	return *resource.NewQuantity(r.Lag, resource.DecimalSI)
}

func (p *Provider) objectValue(name types.NamespacedName, metric string, r consumers.Result) custom_metrics.MetricValue {
	return custom_metrics.MetricValue{
		DescribedObject: custom_metrics.ObjectReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: "QueueConsumer",
			Namespace: name.Namespace, Name: name.Name, UID: r.UID},
		Metric:    custom_metrics.MetricIdentifier{Name: metric},
		Timestamp: metav1.NewTime(p.clock.RealTime(r.Oldest)),
		Value:     quantity(r, metric),
	}
}

// Labels that a selector may name.
const (
	labelCluster  = "cluster"
	labelGroup    = "group"
	labelTopic    = "topic"
	labelConsumer = "consumer"
)

// parseSelector reads label = value requirements; topic may also be one of several.
func parseSelector(selector labels.Selector) (map[string]string, error) {
	requirements, selectable := selector.Requirements()
	if !selectable {
		return nil, fmt.Errorf("the selector selects nothing")
	}
	asked := map[string]string{}
	for _, r := range requirements {
		values := r.Values().UnsortedList()
		slices.Sort(values)
		switch r.Key() {
		case labelTopic:
		case labelCluster, labelGroup, labelConsumer:
			if len(values) != 1 {
				return nil, fmt.Errorf("selector label %s has %d values: give one", r.Key(), len(values))
			}
		default:
			return nil, fmt.Errorf("selector label %q is not known: give cluster, group and topic, or consumer", r.Key())
		}
		if op := r.Operator(); op != selection.Equals && op != selection.DoubleEquals && op != selection.In {
			return nil, fmt.Errorf("selector label %s has operator %q: give = or in", r.Key(), op)
		}
		if _, twice := asked[r.Key()]; twice {
			return nil, fmt.Errorf("selector label %s is there twice: give it once", r.Key())
		}
		asked[r.Key()] = strings.Join(values, ",")
	}
	if asked[labelConsumer] != "" {
		if len(asked) > 1 {
			return nil, fmt.Errorf("selector label consumer stands with others: give it alone, or cluster, group and topic")
		}
		return asked, nil
	}
	if asked[labelCluster] == "" || asked[labelGroup] == "" {
		return nil, fmt.Errorf("the selector names no group: give labels cluster and group, or consumer")
	}
	return asked, nil
}
