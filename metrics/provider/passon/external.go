package passon

import (
	"context"
	"fmt"
	"net/url"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/metrics/pkg/apis/external_metrics"
	metrics "sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
)

// External asks another server of external.metrics.k8s.io.
type External struct {
	server *server
	names  names
}

var _ metrics.ExternalMetricsProvider = (*External)(nil)

// NewExternal makes a client; nothing is dialled yet.
func NewExternal(o Options) (*External, error) {
	s, err := newServer(external_metrics.GroupName, o)
	if err != nil {
		return nil, err
	}
	return &External{server: s, names: names{server: s, versions: []string{"v1beta1"}}}, nil
}

// Run keeps the names up to date until the context ends.
func (e *External) Run(ctx context.Context) { e.names.run(ctx) }

// GetExternalMetric asks for the values that a selector chooses.
func (e *External) GetExternalMetric(ctx context.Context, namespace string, selector labels.Selector, info metrics.ExternalMetricInfo) (*external_metrics.ExternalMetricValueList, error) {
	query := url.Values{}
	if !selector.Empty() {
		query.Set("labelSelector", selector.String())
	}
	object, err := e.server.get(ctx, e.names.best(), []string{"namespaces", namespace, info.Metric}, query)
	if err != nil {
		return nil, err
	}
	list, ok := object.(*external_metrics.ExternalMetricValueList)
	if !ok {
		return nil, e.server.failed(fmt.Errorf("its answer is a %T", object))
	}
	return list, nil
}

// ListAllExternalMetrics are the names as they were read last.
func (e *External) ListAllExternalMetrics() []metrics.ExternalMetricInfo {
	var all []metrics.ExternalMetricInfo
	for _, r := range e.names.known() {
		all = append(all, metrics.ExternalMetricInfo{Metric: r.Name})
	}
	return all
}
