package history_test

import (
	"math"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
	"swell/scaler/forecast"
	"swell/scaler/history"
	"swell/scaler/series"
)

var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// player feeds a workload one reading a minute.
type player struct {
	*history.Workload
	t     *testing.T
	now   time.Time
	share float64
}

func newPlayer(t *testing.T, past ...series.Series) *player {
	t.Helper()
	w, err := history.NewWorkload(forecast.Options{}, past, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := monday
	if len(past) > 0 {
		now = past[len(past)-1].End()
	}
	return &player{Workload: w, t: t, now: now, share: 1}
}

func (p *player) take(pods float64, change func(*history.Reading)) history.Sample {
	r := history.Reading{At: p.now, Elapsed: time.Minute, Share: p.share, Replicas: int(math.Ceil(pods)),
		Demand: history.Demand{Pods: pods, Class: history.Known, Why: "the test"}}
	if change != nil {
		change(&r)
	}
	s := p.Take(r)
	p.now = p.now.Add(time.Minute)
	return s
}

func (p *player) minutes(n int, pods float64, change func(*history.Reading)) (last history.Sample) {
	for range n {
		last = p.take(pods, change)
	}
	return last
}

// recorded is what a checkpoint would have.
func (p *player) recorded() (series.Series, []history.Class) {
	r := &history.Record{}
	r.Add(p.Tail())
	return r.Minutes()
}

func TestPassingStatesAreNotLearned(t *testing.T) {
	for name, tc := range map[string]struct {
		class  history.Class
		change func(*history.Reading)
	}{
		"rollout": {history.Rollout, func(r *history.Reading) { r.Rollout = "3 of 10 pods are of an older template" }},
		"by hand": {history.ByHand, func(r *history.Reading) { r.ByHand = "kubectl set the replicas" }},
		"outage":  {history.Outage, func(r *history.Reading) { r.Demand.Pods, r.Replicas = 3, 100 }},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlayer(t)
			p.minutes(20, 100, nil)
			s := p.take(100, tc.change)
			if s.Class != tc.class || !math.IsNaN(s.Pods) || s.Why == "" {
				t.Fatalf("%+v: want %s with a reason", s, tc.class)
			}
			if s = p.minutes(28, 100, tc.change); s.Class != tc.class {
				t.Fatalf("%+v after 29 minutes: want %s", s, tc.class)
			}
			if s = p.minutes(2, 100, tc.change); s.Class != history.Known {
				t.Fatalf("%+v after half an hour: want it taken for how things are", s)
			}
			_, classes := p.recorded()
			if classes[19] != history.Known || classes[20] != tc.class || classes[48] != tc.class {
				t.Errorf("recorded %v", classes)
			}
		})
	}
}

func TestAnOutageEndsWithTheLoad(t *testing.T) {
	p := newPlayer(t)
	p.minutes(20, 100, nil)
	if s := p.take(2, func(r *history.Reading) { r.Replicas = 100 }); s.Class != history.Outage {
		t.Fatalf("%+v: want an outage", s)
	}
	if s := p.take(90, nil); s.Class != history.Known || s.Pods != 90 {
		t.Fatalf("%+v: want 90", s)
	}
	// pods that went with the load are a fall of the demand
	if s := p.take(5, nil); s.Class != history.Known {
		t.Fatalf("%+v with 5 replicas: want it known", s)
	}
}

func TestAFallThatTheForecastExpectsIsNoOutage(t *testing.T) {
	// a batch that runs for an hour every four
	load := func(at time.Time) float64 {
		if at.Hour()%4 == 0 {
			return 100
		}
		return 4
	}
	past := series.Series{Start: monday.AddDate(0, 0, -14), Step: 5 * time.Minute}
	for range 14 * 288 {
		past.Append(load(past.End()), 0)
	}
	p := newPlayer(t, past)
	unknown := 0
	for range 24 * 60 {
		if s := p.take(load(p.now), func(r *history.Reading) { r.Replicas = 100 }); s.Class != history.Known {
			unknown++
		}
	}
	if unknown > 6*10 { // half an hour each without a forecast
		t.Errorf("%d minutes of a day's six falls were taken for outages: want at most ten of each", unknown)
	}
}

func TestAClockThatIsSetIsNotBelievedAtOnce(t *testing.T) {
	p := newPlayer(t)
	p.minutes(20, 100, nil)
	p.now = p.now.Add(30 * time.Minute)
	if s := p.take(100, nil); s.Class != history.ClockJump || !strings.Contains(s.Why, "30m0s") {
		t.Fatalf("%+v half an hour ahead: want a jump", s)
	}
	p.now = p.now.Add(-30 * time.Minute)
	if s := p.take(100, nil); s.Class != history.ClockJump {
		t.Fatalf("%+v set back: want a jump", s)
	}
	if s := p.minutes(30, 100, nil); s.Class != history.Known {
		t.Fatalf("%+v half an hour later: want it believed", s)
	}
	p.now = p.now.Add(-10 * time.Minute)
	if s := p.minutes(9, 55, nil); s.Class != history.ClockJump {
		t.Fatalf("%+v: want minutes that were sampled left alone", s)
	}
	p.minutes(30, 100, nil)
	s, classes := p.recorded()
	for i, v := range s.Values {
		if classes[i] == history.Known && math.Abs(v-100) > 0.5 {
			t.Errorf("minute %d is %g: want 100 or nothing", i, v)
		}
	}
	if len(classes) > 120 || classes[25] != history.ClockJump {
		t.Errorf("recorded %v", classes)
	}
	p.now = p.now.AddDate(1, 0, 0)
	p.minutes(59, 100, nil)
	if got, _ := p.recorded(); got.Len() != s.Len() {
		t.Errorf("a year ahead for an hour: %d rows, want the %d of before", got.Len(), s.Len())
	}
}

func TestNonsenseIsInvalid(t *testing.T) {
	p := newPlayer(t)
	for _, v := range []float64{-1, math.Inf(1), 1e30} {
		if s := p.take(v, nil); s.Class != history.Invalid || !math.IsNaN(s.Pods) {
			t.Errorf("%g: %+v: want invalid", v, s)
		}
	}
}

func TestReplicasSetByHandAreSeen(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	entry := func(manager, subresource string, before time.Duration, fields string) metav1.ManagedFieldsEntry {
		at := metav1.NewTime(now.Add(-before))
		return metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, Time: &at, FieldsV1: metav1.NewFieldsV1(fields)}
	}
	const replicas, template = `{"f:spec":{"f:replicas":{}}}`, `{"f:spec":{"f:template":{}}}`
	h := hpa(10)
	for name, tc := range map[string]struct {
		managed []metav1.ManagedFieldsEntry
		want    string
	}{
		"nobody":            {nil, ""},
		"the HPA":           {[]metav1.ManagedFieldsEntry{entry("kube-controller-manager", "scale", time.Minute, replicas)}, ""},
		"kubectl scale":     {[]metav1.ManagedFieldsEntry{entry("kubectl", "scale", time.Minute, replicas)}, "kubectl"},
		"after the HPA":     {[]metav1.ManagedFieldsEntry{entry("argocd", "", time.Minute, replicas), entry("kube-controller-manager", "scale", time.Hour, replicas)}, "argocd"},
		"before the HPA":    {[]metav1.ManagedFieldsEntry{entry("argocd", "", 2*time.Minute, replicas), entry("kube-controller-manager", "scale", time.Minute, replicas)}, ""},
		"long ago":          {[]metav1.ManagedFieldsEntry{entry("kubectl", "scale", time.Hour, replicas)}, ""},
		"another field":     {[]metav1.ManagedFieldsEntry{entry("kubectl", "", time.Minute, template)}, ""},
		"no fields to read": {[]metav1.ManagedFieldsEntry{entry("kubectl", "", time.Minute, `{`)}, ""},
	} {
		if got := history.SetByHand(h, tc.managed, now); (got == "") != (tc.want == "") || !strings.HasPrefix(got, tc.want) {
			t.Errorf("%s: %q: want %q", name, got, tc.want)
		}
	}
}

func TestAQueueAsksForTheProduceRateOverThePodsRate(t *testing.T) {
	dec := func(s string) *v1alpha1.Decimal { d := v1alpha1.Decimal(s); return &d }
	queue := func(change func(*v1alpha1.QueueConsumer)) *v1alpha1.QueueConsumer {
		q := &v1alpha1.QueueConsumer{}
		q.Name, q.Spec.Utilization = "orders", "0.8"
		q.Status.SampledAt = &metav1.Time{Time: monday}
		q.Status.ProduceRate, q.Status.PerPodRate = dec("1000"), dec("50")
		if change != nil {
			change(q)
		}
		return q
	}
	if d := history.FromQueue(queue(nil), monday.Add(time.Minute), monday); d.Class != history.Known || d.Pods != 25 {
		t.Errorf("%+v: want 1000/(0.8·50) = 25", d)
	}
	if d := history.FromQueue(queue(func(q *v1alpha1.QueueConsumer) { q.Status.ProduceRate = dec("0") }), monday, monday); d.Class != history.Known || d.Pods != 0 {
		t.Errorf("%+v: want nothing produced to be zero", d)
	}
	for name, change := range map[string]func(*v1alpha1.QueueConsumer){
		"no sample": func(q *v1alpha1.QueueConsumer) { q.Status.SampledAt = nil },
		"no rate":   func(q *v1alpha1.QueueConsumer) { q.Status.ProduceRate = nil },
		"no μ":      func(q *v1alpha1.QueueConsumer) { q.Status.PerPodRate = nil },
		"μ zero":    func(q *v1alpha1.QueueConsumer) { q.Status.PerPodRate = dec("0") },
	} {
		if d := history.FromQueue(queue(change), monday, monday); d.Class == history.Known || !math.IsNaN(d.Pods) || !strings.Contains(d.Why, "orders") {
			t.Errorf("%s: %+v: want unknown", name, d)
		}
	}
	if d := history.FromQueue(queue(nil), monday.Add(4*time.Minute), monday); d.Class != history.NoMetric || !strings.Contains(d.Why, "4m0s") {
		t.Errorf("%+v: want unknown, since it is stale", d)
	}
}
