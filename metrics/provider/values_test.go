package provider

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/metrics/pkg/apis/custom_metrics"
	"k8s.io/metrics/pkg/apis/external_metrics"
	metrics "sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"swell/api/config"
	"swell/metrics/consumers"
	"swell/metrics/lag"
)

// full is a result of which everything is known.
func full() consumers.Result {
	r := result(1200, 8)
	r.Late, r.LateExact, r.Seconds = 300, true, 42.1234
	r.Produce, r.Consume, r.RatesKnown = 10.5, 0.0001, true
	return r
}

func two() []lag.Reading {
	return []lag.Reading{{Topic: "orders", Partition: 0, At: at, Commit: 3, End: 10, Stable: 10}, {Topic: "orders", Partition: 1, At: at.Add(time.Second), Commit: 10, End: 10, Stable: 10}}
}

func TestEveryMetricOfAConsumer(t *testing.T) {
	p := New(&written{results: map[types.NamespacedName]consumers.Result{name("orders"): full()}, readings: two()}, config.Clock{})
	for metric, want := range map[string]string{Lag: "1200", LateMessages: "300", LagSeconds: "42124m", ProduceRate: "10500m", ConsumeRate: "1m", DesiredReplicas: "8", PartitionLag: "7 0"} {
		l, err := p.GetExternalMetric(t.Context(), "shop", selector(t, "consumer=orders"), metrics.ExternalMetricInfo{Metric: metric})
		if err != nil {
			t.Fatalf("%s: %v", metric, err)
		}
		if got := quantities(external(l)); got != want {
			t.Errorf("external %s: %s, want %s", metric, got, want)
		}
		info := metrics.CustomMetricInfo{GroupResource: Resource, Namespaced: true, Metric: metric}
		c, err := p.GetMetricBySelector(t.Context(), "shop", labels.Everything(), info, labels.Everything())
		if err != nil || quantities(custom(c)) != want {
			t.Errorf("list of %s: %+v, %v; want %s", metric, c, err, want)
		}
		if metric == PartitionLag {
			continue
		}
		if v, err := p.GetMetricByName(t.Context(), name("orders"), info, labels.Everything()); err != nil || v.Value.String() != c.Items[0].Value.String() {
			t.Errorf("object %s: %+v, %v", metric, v, err)
		}
		if _, err := p.GetMetricByName(t.Context(), name("orders"), info, selector(t, "topic=orders")); !apierrors.IsBadRequest(err) {
			t.Errorf("%s of one topic: %v", metric, err)
		}
	}
}

func external(l *external_metrics.ExternalMetricValueList) (values []string) {
	for _, v := range l.Items {
		values = append(values, canonical(v.Value.MilliValue()))
	}
	return values
}

func custom(l *custom_metrics.MetricValueList) (values []string) {
	for _, v := range l.Items {
		values = append(values, canonical(v.Value.MilliValue()))
	}
	return values
}

func canonical(milli int64) string {
	if milli%1000 == 0 {
		return fmt.Sprint(milli / 1000)
	}
	return fmt.Sprintf("%dm", milli)
}

func quantities(values []string) string { return strings.Join(values, " ") }

func TestPartitionsAreToldApart(t *testing.T) {
	src := &written{results: map[types.NamespacedName]consumers.Result{name("orders"): full()}, readings: two()}
	p := New(src, config.Clock{})
	l, err := p.GetExternalMetric(t.Context(), "shop", selector(t, "cluster=main,group=orders,topic in (orders)"), metrics.ExternalMetricInfo{Metric: PartitionLag})
	if err != nil || len(l.Items) != 2 {
		t.Fatalf("%+v, %v", l, err)
	}
	if got := l.Items[1]; got.MetricLabels["partition"] != "1" || got.MetricLabels["topic"] != "orders" || got.MetricLabels["group"] != "orders" || !got.Timestamp.Time.Equal(at.Add(time.Second)) {
		t.Errorf("%+v", got)
	}
	info := metrics.CustomMetricInfo{GroupResource: Resource, Namespaced: true, Metric: PartitionLag}
	if v, err := p.GetMetricByName(t.Context(), name("orders"), info, selector(t, "partition=1")); err != nil || v.Value.Value() != 0 || v.Metric.Selector.MatchLabels["partition"] != "1" {
		t.Errorf("one partition: %+v, %v", v, err)
	}
	for of, n := range map[string]string{"": "2 partitions", "partition=7": "0 partitions"} {
		if _, err := p.GetMetricByName(t.Context(), name("orders"), info, selector(t, of)); !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), n) {
			t.Errorf("%q of one object: %v", of, err)
		}
	}
	src.readings[1].Problem, src.readings[1].Since = "broker 2 (b:9092): EOF", at
	for _, s := range []string{"consumer=orders", "cluster=main,group=orders"} {
		_, err := p.GetExternalMetric(t.Context(), "shop", selector(t, s), metrics.ExternalMetricInfo{Metric: PartitionLag})
		if !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "orders/1: broker 2 (b:9092): EOF (since 2026-11-20T08:41:00Z)") {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestMetricsOfAGroupWithoutAConsumer(t *testing.T) {
	src := &written{sum: lag.Sum{Lag: 77, Known: 1, Total: 1, Oldest: at, Late: 5, Seconds: 1.5}}
	p := New(src, config.Clock{})
	for metric, want := range map[string]string{Lag: "77", LateMessages: "5", LagSeconds: "1500m", ProduceRate: "12346m", ConsumeRate: "1m"} {
		src.asked = nil
		l, err := p.GetExternalMetric(t.Context(), "shop", selector(t, "cluster=main,group=orders"), metrics.ExternalMetricInfo{Metric: metric})
		if err != nil || quantities(external(l)) != want || !l.Items[0].Timestamp.Time.Equal(at) {
			t.Fatalf("%s: %+v, %v; want %s", metric, l, err, want)
		}
		q := src.asked[len(src.asked)-1]
		if q.Namespace != "shop" || (q.LateAfter == consumers.DefaultLateAfter) != (metric == LateMessages) || q.Ages != (metric == LagSeconds) {
			t.Errorf("%s asked %+v", metric, q)
		}
		if l.Items[0].MetricLabels[labelLateCount] != map[string]string{LateMessages: "AtLeast"}[metric] {
			t.Errorf("%s is labelled %v", metric, l.Items[0].MetricLabels)
		}
	}
	src.sum.LateProblem, src.sum.SecondsProblem = "not looked up yet", "the timeline does not reach"
	for _, metric := range []string{LateMessages, LagSeconds} {
		if _, err := p.GetExternalMetric(t.Context(), "shop", selector(t, "cluster=main,group=orders"), metrics.ExternalMetricInfo{Metric: metric}); !apierrors.IsServiceUnavailable(err) {
			t.Errorf("an unknown %s: %v", metric, err)
		}
	}
}

func TestForbiddenIs403WithTheMend(t *testing.T) {
	refused := result(0, 0)
	refused.Reason, refused.Problem, refused.LagProblem = consumers.ReasonForbidden, "add it to namespaceRules", "add it to namespaceRules"
	src := &written{results: map[types.NamespacedName]consumers.Result{name("orders"): refused},
		unknown: fmt.Errorf("namespace shop: %w: add it to namespaceRules", consumers.ErrForbidden)}
	p := New(src, config.Clock{})
	for _, metric := range []string{Lag, LagSeconds, PartitionLag, ProduceRate} {
		for _, s := range []string{"consumer=orders", "cluster=main,group=orders"} {
			_, err := p.GetExternalMetric(t.Context(), "shop", selector(t, s), metrics.ExternalMetricInfo{Metric: metric})
			if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "add it to namespaceRules") {
				t.Errorf("%s %s: %v", metric, s, err)
			}
		}
	}
}

func TestAnUnknownClusterIsTheAskersMistake(t *testing.T) {
	p := New(&written{unknown: fmt.Errorf("selector label cluster is \"mian\": %w: give one of main", consumers.ErrUnknownCluster)}, config.Clock{})
	for _, metric := range []string{Lag, LateMessages, LagSeconds, PartitionLag, ProduceRate} {
		_, err := p.GetExternalMetric(t.Context(), "shop", selector(t, "cluster=mian,group=orders"), metrics.ExternalMetricInfo{Metric: metric})
		if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), "give one of main") {
			t.Errorf("%s: %v", metric, err)
		}
	}
}

func TestNoAmountIsNotServed(t *testing.T) {
	for _, f := range []float64{math.NaN(), math.Inf(1), -1, 1e300} {
		if v, problem := milli(f, ""); problem == "" {
			t.Errorf("%g is served as %s", f, v.String())
		}
	}
}

// other is a server behind swell-metrics.
type other struct{ external, custom []string }

func (o *other) GetExternalMetric(context.Context, string, labels.Selector, metrics.ExternalMetricInfo) (*external_metrics.ExternalMetricValueList, error) {
	return nil, errors.New("from the other")
}
func (o *other) ListAllExternalMetrics() (all []metrics.ExternalMetricInfo) {
	for _, n := range o.external {
		all = append(all, metrics.ExternalMetricInfo{Metric: n})
	}
	return all
}
func (o *other) GetMetricByName(context.Context, types.NamespacedName, metrics.CustomMetricInfo, labels.Selector) (*custom_metrics.MetricValue, error) {
	return nil, errors.New("from the other")
}
func (o *other) GetMetricBySelector(context.Context, string, labels.Selector, metrics.CustomMetricInfo, labels.Selector) (*custom_metrics.MetricValueList, error) {
	return nil, errors.New("from the other")
}
func (o *other) ListAllMetrics() (all []metrics.CustomMetricInfo) {
	for _, n := range o.custom {
		resource, metric, _ := strings.Cut(n, "/")
		all = append(all, metrics.CustomMetricInfo{GroupResource: schema.ParseGroupResource(resource), Metric: metric})
	}
	return all
}

func TestOwnNamesWinOverThoseThatArePassedOn(t *testing.T) {
	p := New(&written{results: map[types.NamespacedName]consumers.Result{name("orders"): full()}}, config.Clock{})
	pods := metrics.CustomMetricInfo{GroupResource: schema.GroupResource{Resource: "pods"}, Metric: Lag}
	_, before := p.GetExternalMetric(t.Context(), "shop", selector(t, "a=b"), metrics.ExternalMetricInfo{Metric: "queue_depth"})
	_, beforeToo := p.GetMetricByName(t.Context(), name("orders"), pods, nil)
	for _, err := range []error{before, beforeToo} {
		var status apierrors.APIStatus
		if !errors.As(err, &status) || status.Status().Code != http.StatusNotFound {
			t.Errorf("with nobody to pass on to: %v", err)
		}
	}
	o := &other{external: []string{"queue_depth", Lag}, custom: []string{"pods/" + Lag, Resource.String() + "/" + Lag, Resource.String() + "/theirs"}}
	p.SetPassOn(PassOn{External: o, Custom: o})
	if _, err := p.GetExternalMetric(t.Context(), "shop", selector(t, "a=b"), metrics.ExternalMetricInfo{Metric: "queue_depth"}); err == nil || err.Error() != "from the other" {
		t.Errorf("%v", err)
	}
	if l, err := p.GetExternalMetric(t.Context(), "shop", selector(t, "consumer=orders"), metrics.ExternalMetricInfo{Metric: Lag}); err != nil || l.Items[0].Value.Value() != 1200 {
		t.Errorf("an own name: %v, %v", l, err)
	}
	if _, err := p.GetMetricByName(t.Context(), name("orders"), pods, nil); err == nil || err.Error() != "from the other" {
		t.Errorf("another object's metric of the same name: %v", err)
	}
	if _, err := p.GetMetricBySelector(t.Context(), "shop", labels.Everything(), pods, nil); err == nil || err.Error() != "from the other" {
		t.Errorf("a list: %v", err)
	}
	var names []string
	for _, one := range p.ListAllExternalMetrics() {
		names = append(names, one.Metric)
	}
	if want := append(slices.Clone(own), "queue_depth"); !slices.Equal(names, want) {
		t.Errorf("external names %v, want %v", names, want)
	}
	if all := p.ListAllMetrics(); len(all) != len(own)+2 {
		t.Errorf("object metrics %v, want swell's own and the two that are not", all)
	}
}
