package provider

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
	metrics "sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"swell/api/metric"
	"swell/api/v1alpha1"
)

// Names of the metrics.
const (
	Lag             = metric.Lag
	LateMessages    = metric.LateMessages
	LagSeconds      = metric.LagSeconds
	ProduceRate     = metric.ProduceRate
	ConsumeRate     = metric.ConsumeRate
	DesiredReplicas = metric.DesiredReplicas
	PartitionLag    = metric.PartitionLag
	// PredictedReplicas is of Balloons, all others are of QueueConsumers.
	PredictedReplicas = metric.PredictedReplicas
)

// own are all of them, sorted.
var own = []string{ConsumeRate, DesiredReplicas, Lag, LagSeconds, LateMessages, PartitionLag, ProduceRate, PredictedReplicas}

// Resource and BalloonResource are what the object metrics describe.
var (
	Resource        = schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "queueconsumers"}
	BalloonResource = schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "balloons"}
)

// PassOn is who answers for metrics that are not swell's own; nil: nobody.
type PassOn struct {
	External metrics.ExternalMetricsProvider
	Custom   metrics.CustomMetricsProvider
}

// SetPassOn changes who answers for metrics that are not swell's own.
func (p *Provider) SetPassOn(others PassOn) { p.others.Store(&others) }

// Own says that a metric is one of swell's.
func Own(metric string) bool { return slices.Contains(own, metric) }

// isOwnObject says that an object metric is swell's; the group of the resource may be left out.
func isOwnObject(info metrics.CustomMetricInfo) bool {
	r, of := info.GroupResource, describedBy(info.Metric)
	return r.Resource == of.Resource && (r.Group == "" || r.Group == of.Group) && Own(info.Metric)
}

// describedBy is what an own object metric describes.
func describedBy(metric string) schema.GroupResource {
	if metric == PredictedReplicas {
		return BalloonResource
	}
	return Resource
}

// ListAllExternalMetrics names the external metrics: swell's own, then those that are passed on.
func (p *Provider) ListAllExternalMetrics() []metrics.ExternalMetricInfo {
	var all []metrics.ExternalMetricInfo
	for _, name := range own {
		all = append(all, metrics.ExternalMetricInfo{Metric: name})
	}
	if other := p.others.Load().External; other != nil {
		for _, one := range other.ListAllExternalMetrics() {
			if !Own(one.Metric) {
				all = append(all, one)
			}
		}
	}
	return all
}

// ListAllMetrics names the object metrics: swell's own, then those that are passed on.
func (p *Provider) ListAllMetrics() []metrics.CustomMetricInfo {
	var all []metrics.CustomMetricInfo
	for _, name := range own {
		all = append(all, metrics.CustomMetricInfo{GroupResource: describedBy(name), Namespaced: true, Metric: name})
	}
	if other := p.others.Load().Custom; other != nil {
		for _, one := range other.ListAllMetrics() {
			if !isOwnObject(one) {
				all = append(all, one)
			}
		}
	}
	return all
}
