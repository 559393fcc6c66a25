package passon

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/metrics/pkg/apis/custom_metrics"
	metrics "sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
)

// Custom asks another server of custom.metrics.k8s.io.
type Custom struct {
	server *server
	names  names
}

var _ metrics.CustomMetricsProvider = (*Custom)(nil)

// NewCustom makes a client; nothing is dialled yet.
func NewCustom(o Options) (*Custom, error) {
	s, err := newServer(custom_metrics.GroupName, o)
	if err != nil {
		return nil, err
	}
	return &Custom{server: s, names: names{server: s, versions: []string{"v1beta2", "v1beta1"}}}, nil
}

// Run keeps the names up to date until the context ends.
func (c *Custom) Run(ctx context.Context) { c.names.run(ctx) }

// GetMetricByName asks for a metric of one object.
func (c *Custom) GetMetricByName(ctx context.Context, name types.NamespacedName, info metrics.CustomMetricInfo, of labels.Selector) (*custom_metrics.MetricValue, error) {
	list, err := c.list(ctx, c.segments(name, info), values(nil, of))
	if err != nil {
		return nil, err
	}
	if len(list.Items) != 1 {
		return nil, c.server.failed(fmt.Errorf("it gave %d values of %s for one %s", len(list.Items), info.Metric, info.GroupResource))
	}
	return &list.Items[0], nil
}

// GetMetricBySelector asks for a metric of the objects that have the labels.
func (c *Custom) GetMetricBySelector(ctx context.Context, namespace string, selector labels.Selector, info metrics.CustomMetricInfo, of labels.Selector) (*custom_metrics.MetricValueList, error) {
	return c.list(ctx, c.segments(types.NamespacedName{Namespace: namespace, Name: "*"}, info), values(selector, of))
}

// segments are the path of objects; a namespace is described by a path of its own.
func (c *Custom) segments(name types.NamespacedName, info metrics.CustomMetricInfo) []string {
	resource := info.GroupResource.String()
	switch {
	case name.Namespace != "":
		return []string{"namespaces", name.Namespace, resource, name.Name, info.Metric}
	case resource == "namespaces" && name.Name != "*":
		return []string{"namespaces", name.Name, "metrics", info.Metric}
	}
	return []string{resource, name.Name, info.Metric}
}

func values(selector, of labels.Selector) url.Values {
	query := url.Values{}
	if selector != nil && !selector.Empty() {
		query.Set("labelSelector", selector.String())
	}
	if of != nil && !of.Empty() {
		query.Set("metricLabelSelector", of.String())
	}
	return query
}

// list asks in the version that the server had; where the names were never read, in the older one too.
func (c *Custom) list(ctx context.Context, segments []string, query url.Values) (*custom_metrics.MetricValueList, error) {
	object, err := c.server.get(ctx, c.names.best(), segments, query)
	if err != nil && c.unknownVersion(ctx, err) {
		object, err = c.server.get(ctx, c.names.best(), segments, query)
	}
	if err != nil {
		return nil, err
	}
	list, ok := object.(*custom_metrics.MetricValueList)
	if !ok {
		return nil, c.server.failed(fmt.Errorf("its answer is a %T", object))
	}
	return list, nil
}

// unknownVersion says that the server was asked before it was known which version it has, and that this is known now.
func (c *Custom) unknownVersion(ctx context.Context, err error) bool {
	if !apierrors.IsNotFound(err) || len(c.names.known()) > 0 {
		return false
	}
	before := c.names.best()
	return c.names.refresh(ctx) == nil && c.names.best() != before
}

// ListAllMetrics are the names as they were read last.
func (c *Custom) ListAllMetrics() []metrics.CustomMetricInfo {
	var all []metrics.CustomMetricInfo
	for _, r := range c.names.known() {
		resource, metric, ok := strings.Cut(r.Name, "/")
		if ok {
			all = append(all, metrics.CustomMetricInfo{GroupResource: schema.ParseGroupResource(resource), Namespaced: r.Namespaced, Metric: metric})
		}
	}
	return all
}
