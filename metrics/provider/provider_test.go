package provider

import (
	"errors"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	metrics "sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"swell/api/config"
	"swell/metrics/consumers"
	"swell/metrics/lag"
)

// written is a source of results that a test writes down.
type written struct {
	results  map[types.NamespacedName]consumers.Result
	sum      lag.Sum
	readings []lag.Reading
	groups   []consumers.GroupView
	asked    []consumers.Question
	stale    error
	unknown  error
	unlisted error
}

func (k *written) Partitions(types.NamespacedName) ([]lag.Reading, lag.Rules, error) {
	return k.readings, lag.Rules{}, k.unknown
}
func (k *written) PartitionsOf(q consumers.Question) ([]lag.Reading, lag.Rules, error) {
	k.asked = append(k.asked, q)
	return k.readings, lag.Rules{}, k.unknown
}
func (k *written) Rates(q consumers.Question) (produce, consume float64, err error) {
	k.asked = append(k.asked, q)
	return 12.3456, 0.0001, k.unknown
}
func (k *written) Groups() []consumers.GroupView { return k.groups }

func (k *written) Get(n types.NamespacedName) (consumers.Result, bool) {
	r, ok := k.results[n]
	return r, ok
}
func (k *written) All(string) (map[types.NamespacedName]consumers.Result, error) {
	return k.results, k.unlisted
}
func (k *written) Fresh(consumers.Result) error { return k.stale }
func (k *written) Ask(q consumers.Question) (lag.Sum, error) {
	k.asked = append(k.asked, q)
	return k.sum, k.unknown
}

var at = time.Date(2026, 11, 20, 8, 41, 0, 0, time.UTC)

func result(lagNow int64, replicas int) consumers.Result {
	r := consumers.Result{Labels: map[string]string{"team": "shop"}, Cluster: "main", Group: "orders"}
	r.Lag, r.Replicas, r.Oldest = lagNow, replicas, at
	return r
}

func name(n string) types.NamespacedName { return types.NamespacedName{Namespace: "shop", Name: n} }

func selector(t *testing.T, s string) labels.Selector {
	t.Helper()
	parsed, err := labels.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestExternalMetric(t *testing.T) {
	src := &written{results: map[types.NamespacedName]consumers.Result{name("orders"): result(1200, 8)}, sum: lag.Sum{Lag: 77, Oldest: at}}
	p := New(src, config.Clock{})
	for _, tc := range []struct {
		metric, selector string
		want             int64
	}{
		{Lag, "consumer=orders", 1200},
		{DesiredReplicas, "consumer=orders", 8},
		{Lag, "cluster=main,group=orders", 77},
		{Lag, "cluster=main,group=orders,topic in (b,a)", 77},
	} {
		l, err := p.GetExternalMetric(t.Context(), "shop", selector(t, tc.selector), metrics.ExternalMetricInfo{Metric: tc.metric})
		if err != nil || len(l.Items) != 1 {
			t.Fatalf("%s %s: %+v, %v", tc.metric, tc.selector, l, err)
		}
		if v := l.Items[0]; v.Value.Value() != tc.want || !v.Timestamp.Time.Equal(at) || v.MetricName != tc.metric {
			t.Errorf("%s %s: %+v, want %d at %s", tc.metric, tc.selector, v, tc.want, at)
		}
	}
	if got := src.asked[1]; got.Topics != "a,b" {
		t.Errorf("asked %+v, want topics a,b", got)
	}
}

func TestTimestampIsTheMachinesTimeOfTheSample(t *testing.T) {
	real := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := config.Clock{Speed: 10, Real: real, Model: at.Add(-time.Minute)}
	p := New(&written{results: map[types.NamespacedName]consumers.Result{name("orders"): result(1, 1)}}, clock)
	l, err := p.GetExternalMetric(t.Context(), "shop", selector(t, "consumer=orders"), metrics.ExternalMetricInfo{Metric: Lag})
	if err != nil {
		t.Fatal(err)
	}
	if want := real.Add(6 * time.Second); !l.Items[0].Timestamp.Time.Equal(want) {
		t.Errorf("timestamp %s, want %s", l.Items[0].Timestamp, want)
	}
}

func TestUnknownIsAnErrorNeverANumber(t *testing.T) {
	lagUnknown := result(5, 3)
	lagUnknown.LagProblem, lagUnknown.Problem = "23 of 24 partitions are known", "23 of 24 partitions are known"
	ratesUnknown := result(5, 0)
	ratesUnknown.Problem = "rates are not known yet"
	src := &written{results: map[types.NamespacedName]consumers.Result{name("lost"): lagUnknown, name("young"): ratesUnknown, name("fine"): result(1, 1)}}
	p := New(src, config.Clock{})
	get := func(consumer, metric string) error {
		_, err := p.GetExternalMetric(t.Context(), "shop", selector(t, "consumer="+consumer), metrics.ExternalMetricInfo{Metric: metric})
		return err
	}
	for _, metric := range []string{Lag, DesiredReplicas} {
		if err := get("lost", metric); !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "23 of 24") || !strings.Contains(err.Error(), "shop/lost") {
			t.Errorf("%s: %v", metric, err)
		}
		if err := get("absent", metric); !apierrors.IsNotFound(err) {
			t.Errorf("%s of no object: %v", metric, err)
		}
	}
	if err := get("young", Lag); err != nil {
		t.Errorf("lag is known without rates: %v", err)
	}
	if err := get("young", DesiredReplicas); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("replicas without rates: %v", err)
	}
	info := metrics.CustomMetricInfo{GroupResource: Resource, Namespaced: true, Metric: Lag}
	if _, err := p.GetMetricBySelector(t.Context(), "shop", labels.Everything(), info, nil); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("a list with one unknown: %v", err)
	}
	src.unlisted = errors.New("the cache is stopped")
	if _, err := p.GetMetricBySelector(t.Context(), "shop", selector(t, "team=none"), info, nil); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("a list that may be partial: %v", err)
	}
	src.stale = errors.New("last sampled 1m ago")
	if err := get("fine", Lag); !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "1m ago") {
		t.Errorf("stale: %v", err)
	}
	src.unknown = errors.New("not sampled yet")
	_, err := p.GetExternalMetric(t.Context(), "shop", selector(t, "cluster=main,group=g"), metrics.ExternalMetricInfo{Metric: Lag})
	if !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "not sampled yet") {
		t.Errorf("a new group: %v", err)
	}
}

func TestObjectMetric(t *testing.T) {
	p := New(&written{results: map[types.NamespacedName]consumers.Result{name("b"): result(2, 2), name("a"): result(1, 1)}}, config.Clock{})
	info := metrics.CustomMetricInfo{GroupResource: Resource, Namespaced: true, Metric: DesiredReplicas}
	v, err := p.GetMetricByName(t.Context(), name("b"), info, nil)
	if err != nil || v.Value.Value() != 2 || v.DescribedObject.Kind != "QueueConsumer" || v.DescribedObject.Name != "b" {
		t.Errorf("%+v, %v", v, err)
	}
	l, err := p.GetMetricBySelector(t.Context(), "shop", selector(t, "team=shop"), info, nil)
	if err != nil || len(l.Items) != 2 || l.Items[0].DescribedObject.Name != "a" {
		t.Errorf("%+v, %v", l, err)
	}
	info.Metric = "other"
	if _, err := p.GetMetricByName(t.Context(), name("b"), info, nil); !apierrors.IsNotFound(err) {
		t.Errorf("another metric: %v", err)
	}
}

func TestSelectorsThatNameNothingSayWhatToGive(t *testing.T) {
	p := New(&written{}, config.Clock{})
	for s, want := range map[string]string{
		"":                                     "cluster and group, or consumer",
		"cluster=main,group=":                  "group is empty",
		"cluster=main,group=a,topic=":          "topic is empty",
		"cluster=main,group=a,topic=b,topic=c": "there twice",
		"cluster=main,group=a,late_after=30s":  "does not use it",
		"cluster=main":                         "cluster and group, or consumer",
		"group=orders":                         "give label cluster",
		"cluster=main,group in (a,b)":          "2 values",
		"cluster=main,group!=orders":           "operator",
		"cluster=main,group=a,partition=1":     `"partition"`,
		"consumer=orders,cluster=main":         "give it alone",
		"consumer":                             "0 values",
	} {
		_, err := p.GetExternalMetric(t.Context(), "shop", selector(t, s), metrics.ExternalMetricInfo{Metric: Lag})
		if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", s, err, want)
		}
	}
	_, err := p.GetExternalMetric(t.Context(), "shop", selector(t, "cluster=main,group=orders"), metrics.ExternalMetricInfo{Metric: DesiredReplicas})
	if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), "label consumer") {
		t.Errorf("replicas of a bare group: %v", err)
	}
}
