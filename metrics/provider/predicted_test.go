package provider

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	metrics "sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"swell/api/config"
	"swell/api/v1alpha1"
)

// writtenBalloons are what a test writes down; others is what is wrong with the HPAs.
type writtenBalloons struct {
	all    []v1alpha1.Balloon
	others error
}

func (w *writtenBalloons) Get(_ context.Context, name types.NamespacedName) (*v1alpha1.Balloon, error) {
	for i := range w.all {
		if b := &w.all[i]; b.Name == name.Name && b.Namespace == name.Namespace {
			return b, nil
		}
	}
	return nil, ErrNoBalloon
}
func (w *writtenBalloons) In(_ context.Context, namespace string) (out []v1alpha1.Balloon, err error) {
	for _, b := range w.all {
		if b.Namespace == namespace {
			out = append(out, b)
		}
	}
	return out, nil
}
func (w *writtenBalloons) OthersDecide(context.Context, types.NamespacedName) error { return w.others }

// web is a Balloon that was made a day ago, whose last forecast is so old in model time; negative is none.
func web(clock config.Clock, pods string, age time.Duration) v1alpha1.Balloon {
	b := v1alpha1.Balloon{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", Labels: map[string]string{"team": "shop"},
		CreationTimestamp: metav1.NewTime(time.Now().Add(-24 * time.Hour))}, Spec: v1alpha1.BalloonSpec{Mode: v1alpha1.Enforce}}
	if age >= 0 {
		d, stamp := v1alpha1.Decimal(pods), metav1.NewTime(time.Now().Add(-clock.Wait(age)))
		b.Status.StartPods, b.Status.ForecastAt = &d, &stamp
	}
	return b
}

func (w *writtenBalloons) ask(t *testing.T, clock config.Clock) (value string, labels map[string]string, at time.Time, err error) {
	t.Helper()
	p := New(&written{}, clock)
	p.SetBalloons(w)
	l, err := p.GetExternalMetric(t.Context(), "shop", selector(t, "balloon=web"), metrics.ExternalMetricInfo{Metric: PredictedReplicas})
	if err != nil {
		return "", nil, at, err
	}
	if len(l.Items) != 1 || l.Items[0].MetricName != PredictedReplicas {
		t.Fatalf("%+v", l)
	}
	return l.Items[0].Value.String(), l.Items[0].MetricLabels, l.Items[0].Timestamp.Time, nil
}

func TestPredictionByAge(t *testing.T) {
	alone := errors.New("HPA web has no other metric to go by")
	now := time.Now()
	for _, clock := range []config.Clock{{}, {Speed: 10, Real: now.Add(-time.Hour), Model: now.Add(-time.Hour)}} {
		for _, c := range []struct {
			age    time.Duration
			others error
			want   string
			wrong  string
		}{
			{0, alone, "12500m", ""},
			{4 * time.Minute, alone, "12500m", ""},
			{6 * time.Minute, nil, "", "its last forecast is 6m"}, // held, whatever the HPA has besides
			{14 * time.Minute, nil, "", "5m0s the most"},
			{16 * time.Minute, nil, "0", ""},
			{16 * time.Minute, alone, "", "nothing is served in its place, since HPA web has no other metric"},
			{-1, nil, "0", ""},
			{-1, alone, "", "swell-scaler has not forecast for it yet"},
		} {
			w := &writtenBalloons{all: []v1alpha1.Balloon{web(clock, "12.5", c.age)}, others: c.others}
			value, l, at, err := w.ask(t, clock)
			switch {
			case c.wrong != "":
				if !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), c.wrong) || !strings.Contains(err.Error(), "shop/web") {
					t.Errorf("speed %g, %s old: %s, %v; want %q", clock.Speed, c.age, value, err, c.wrong)
				}
			case err != nil || value != c.want || l["balloon"] != "web" || (l["prediction"] == "None") != (c.want == "0"):
				t.Errorf("speed %g, %s old: %s %v, %v; want %s", clock.Speed, c.age, value, l, err, c.want)
			case c.want != "0" && !at.Equal(w.all[0].Status.ForecastAt.Time):
				t.Errorf("the value is stamped %s, want that of its forecast", at)
			}
		}
	}
}

func TestAForecastOfTheFutureIsNotServed(t *testing.T) {
	w := &writtenBalloons{all: []v1alpha1.Balloon{web(config.Clock{}, "12", 0)}}
	for ahead, served := range map[time.Duration]bool{4 * time.Minute: true, 6 * time.Minute: false, 48 * time.Hour: false} {
		stamp := metav1.NewTime(time.Now().Add(ahead))
		w.all[0].Status.ForecastAt = &stamp
		if v, _, _, err := w.ask(t, config.Clock{}); (err == nil) != served || !served && !strings.Contains(err.Error(), "see that the clocks") {
			t.Errorf("stamped %s ahead: %s, %v", ahead, v, err)
		}
	}
}

func TestAYoungBalloonIsAwaited(t *testing.T) {
	b := web(config.Clock{}, "", -1)
	b.CreationTimestamp = metav1.NewTime(time.Now().Add(-14 * time.Minute))
	b.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: metav1.ConditionFalse, Reason: "TooLittleHistory", Message: "3h of history is too little"}}
	w := &writtenBalloons{all: []v1alpha1.Balloon{b}}
	if _, _, _, err := w.ask(t, config.Clock{}); !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "3h of history is too little (TooLittleHistory)") {
		t.Errorf("%v", err)
	}
	w.all[0].CreationTimestamp = metav1.NewTime(time.Now().Add(-16 * time.Minute))
	if v, _, _, err := w.ask(t, config.Clock{}); err != nil || v != "0" {
		t.Errorf("%s, %v: the HPA's other metrics are to decide", v, err)
	}
}

func TestABalloonThatObservesAddsNothing(t *testing.T) {
	b := web(config.Clock{}, "12", 0)
	b.Spec.Mode = v1alpha1.Observe
	w := &writtenBalloons{all: []v1alpha1.Balloon{b}}
	if v, l, _, err := w.ask(t, config.Clock{}); err != nil || v != "0" || l["prediction"] != "None" {
		t.Errorf("%s %v, %v", v, l, err)
	}
	w.others = errors.New("HPA web has no other metric to go by")
	if v, _, _, err := w.ask(t, config.Clock{}); !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "it only observes") {
		t.Errorf("%s, %v", v, err)
	}
}

func TestPredictionSelectors(t *testing.T) {
	p := New(&written{}, config.Clock{})
	p.SetBalloons(&writtenBalloons{all: []v1alpha1.Balloon{web(config.Clock{}, "12", 0)}})
	ask := func(namespace, s string) error {
		_, err := p.GetExternalMetric(t.Context(), namespace, selector(t, s), metrics.ExternalMetricInfo{Metric: PredictedReplicas})
		return err
	}
	for _, s := range []string{"", "consumer=web", "balloon", "balloon!=web", "balloon in (web,api)", "balloon=web,consumer=a"} {
		if err := ask("shop", s); !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), "give label balloon") {
			t.Errorf("%q: %v", s, err)
		}
	}
	if err := ask("shop", "balloon in (web)"); err != nil {
		t.Error(err)
	}
	for namespace, s := range map[string]string{"shop": "balloon=other", "elsewhere": "balloon=web"} { // namespaces are kept apart
		if err := ask(namespace, s); !apierrors.IsNotFound(err) {
			t.Errorf("%s of %s: %v", s, namespace, err)
		}
	}
	if err := func() error {
		_, err := New(&written{}, config.Clock{}).GetExternalMetric(t.Context(), "shop", selector(t, "balloon=web"), metrics.ExternalMetricInfo{Metric: PredictedReplicas})
		return err
	}(); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("where nobody watches Balloons: %v", err)
	}
}

func TestPredictionOfAnObject(t *testing.T) {
	p := New(&written{}, config.Clock{})
	old := web(config.Clock{}, "9", 7*time.Minute)
	old.Name, old.Labels = "old", nil
	p.SetBalloons(&writtenBalloons{all: []v1alpha1.Balloon{web(config.Clock{}, "12", 0), old}})
	info := metrics.CustomMetricInfo{GroupResource: BalloonResource, Namespaced: true, Metric: PredictedReplicas}
	v, err := p.GetMetricByName(t.Context(), name("web"), info, labels.Everything())
	if err != nil || v.Value.Value() != 12 || v.DescribedObject.Kind != "Balloon" || v.DescribedObject.Name != "web" || v.DescribedObject.Namespace != "shop" {
		t.Errorf("%+v, %v", v, err)
	}
	l, err := p.GetMetricBySelector(t.Context(), "shop", selector(t, "team=shop"), info, labels.Everything())
	if err != nil || len(l.Items) != 1 || l.Items[0].Value.Value() != 12 {
		t.Errorf("%+v, %v", l, err)
	}
	if _, err := p.GetMetricBySelector(t.Context(), "shop", labels.Everything(), info, labels.Everything()); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("a list with one that is too old: %v", err)
	}
	if _, err := p.GetMetricByName(t.Context(), name("web"), info, selector(t, "a=b")); !apierrors.IsBadRequest(err) {
		t.Errorf("a metric selector: %v", err)
	}
	for _, wrong := range []metrics.CustomMetricInfo{{GroupResource: Resource, Metric: PredictedReplicas}, {GroupResource: BalloonResource, Metric: Lag}} {
		if _, err := p.GetMetricByName(t.Context(), name("web"), wrong, labels.Everything()); !apierrors.IsNotFound(err) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
