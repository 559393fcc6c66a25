package scaler

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"swell/api/metric"
	"swell/scaler/forecast"
	"swell/scaler/history"
	"swell/scaler/series"
)

// hpaWorld is a workload on CPU at 50 %, scaled by an HPA as the HPA controller computes it: of the metrics the one that asks for
// most, a tenth of tolerance, and the largest of the last five minutes where fewer are asked for.
type hpaWorld struct {
	hpa      *autoscalingv2.HorizontalPodAutoscaler
	replicas int32
	recent   []recommendation
}

type recommendation struct {
	at   time.Time
	pods int32
}

func newHPAWorld(replicas int32) *hpaWorld {
	target, one := int32(50), resource.MustParse("1")
	h := &autoscalingv2.HorizontalPodAutoscaler{}
	h.Name = "web"
	h.Spec.MaxReplicas = 1000
	h.Spec.Metrics = []autoscalingv2.MetricSpec{
		{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceCPU,
			Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &target}}},
		{Type: autoscalingv2.ExternalMetricSourceType, External: &autoscalingv2.ExternalMetricSource{Metric: autoscalingv2.MetricIdentifier{Name: metric.PredictedReplicas},
			Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: &one}}}}
	return &hpaWorld{hpa: h, replicas: replicas}
}

// sync is one look of the HPA at a load, which is pods at their target, and at the prediction, NaN where nothing is served.
func (w *hpaWorld) sync(now time.Time, load, predicted float64) {
	within := func(ratio float64) bool { return math.Abs(ratio-1) <= 0.1 }
	use := int32(100 * load * 0.5 / float64(w.replicas)) // whole per cent, on the pods that there are
	want := w.replicas
	if ratio := float64(use) / 50; !within(ratio) {
		want = int32(math.Ceil(ratio * float64(w.replicas)))
	}
	w.hpa.Status.CurrentReplicas = w.replicas
	w.hpa.Status.CurrentMetrics = []autoscalingv2.MetricStatus{{Type: autoscalingv2.ResourceMetricSourceType,
		Resource: &autoscalingv2.ResourceMetricStatus{Name: corev1.ResourceCPU, Current: autoscalingv2.MetricValueStatus{AverageUtilization: &use}}}}
	if !math.IsNaN(predicted) {
		by := w.replicas
		if !within(predicted / float64(w.replicas)) {
			by = int32(math.Ceil(predicted))
		}
		want = max(want, by)
		average := resource.NewMilliQuantity(int64(math.Ceil(predicted*1000/float64(w.replicas))), resource.DecimalSI)
		w.hpa.Status.CurrentMetrics = append(w.hpa.Status.CurrentMetrics, autoscalingv2.MetricStatus{Type: autoscalingv2.ExternalMetricSourceType,
			External: &autoscalingv2.ExternalMetricStatus{Metric: autoscalingv2.MetricIdentifier{Name: metric.PredictedReplicas}, Current: autoscalingv2.MetricValueStatus{AverageValue: average}}})
	}
	w.recent = append(w.recent, recommendation{now, want})
	for now.Sub(w.recent[0].at) > 5*time.Minute {
		w.recent = w.recent[1:]
	}
	for _, r := range w.recent {
		want = max(want, r.pods)
	}
	w.replicas = max(want, 1)
}

// week is what became of a week: means by day of the learned demand, of the replicas, and of the replicas at 09:00.
type week struct{ demand, replicas, nine [7]float64 }

// podStart is how long the pods take to start.
const podStart = 5 * time.Minute

// livedBy plays a week after two of history. learn says what demand is learned in a minute.
func livedBy(t *testing.T, fed bool, learn func(*autoscalingv2.HorizontalPodAutoscaler) history.Demand) week {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	load := func(at time.Time) float64 {
		hour := float64(at.Hour()) + float64(at.Minute())/60
		rise, fall := 1/(1+math.Exp(-(hour-9)*40)), 1/(1+math.Exp(-(hour-18)*2)) // steep in the morning, slow in the evening
		return (40 + 60*(rise-fall)) * (1 + 0.02*random.NormFloat64())
	}
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	past := series.Series{Start: start.AddDate(0, 0, -14), Step: time.Minute}
	for past.End().Before(start) {
		past.Values = append(past.Values, load(past.End()))
	}
	h, err := history.NewWorkload(forecast.Options{Step: time.Minute}, []series.Series{past}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w, out, predicted := newHPAWorld(40), week{}, math.NaN()
	for minute := range 7 * 24 * 60 {
		now := start.Add(time.Duration(minute) * time.Minute)
		if a := h.Forecast(now, podStart, 0.5); fed && a.Ready {
			predicted = a.Upper
		}
		for range 4 { // every 15 s
			w.sync(now, load(now), predicted)
			out.replicas[minute/1440] += float64(w.replicas) / 5760
			now = now.Add(15 * time.Second)
		}
		if minute%1440 == 9*60-1 {
			out.nine[minute/1440] = float64(w.replicas)
		}
		learned := learn(w.hpa)
		out.demand[minute/1440] += learned.Pods / 1440
		if s := h.Take(history.Reading{At: now.Add(-15 * time.Second), Elapsed: time.Minute, Demand: learned, Share: 1, Replicas: int(w.replicas)}); s.Class != history.Known {
			t.Fatalf("minute %d: %s", minute, s.Why)
		}
	}
	return out
}

func mean(of []float64) float64 {
	sum := 0.0
	for _, v := range of {
		sum += v
	}
	return sum / float64(len(of))
}

func TestAPredictionThatIsFedBackForAWeekLeavesTheLevelUnchanged(t *testing.T) {
	learn := func(h *autoscalingv2.HorizontalPodAutoscaler) history.Demand {
		d := history.FromHPA(h, history.Scaled{Replicas: int(h.Status.CurrentReplicas), Ready: int(h.Status.CurrentReplicas)})
		if d.Class != history.Known {
			t.Fatal(d.Why)
		}
		return d
	}
	without, with := livedBy(t, false, learn), livedBy(t, true, learn)
	t.Logf("learned demand by day, without the metric %.1f, with it %.1f", without.demand, with.demand)
	t.Logf("replicas by day, without the metric %.1f, with it %.1f", without.replicas, with.replicas)
	t.Logf("replicas at 09:00, without the metric %.0f, with it %.0f", without.nine, with.nine)
	for day := range 7 {
		if with.nine[day] < 1.1*without.nine[day] {
			t.Errorf("day %d: %.0f replicas at 09:00 and %.0f without the metric: it starts nothing ahead", day+1, with.nine[day], without.nine[day])
		}
		if d := with.demand[day]/without.demand[day] - 1; math.Abs(d) > 0.02 {
			t.Errorf("day %d: the learned demand is %+.1f %% of what it is without the metric", day+1, 100*d)
		}
	}
	first, last := mean(with.replicas[:3])/mean(without.replicas[:3]), mean(with.replicas[4:])/mean(without.replicas[4:])
	t.Logf("with the metric there are %.3f times the replicas on the first three days and %.3f times on the last", first, last)
	if math.Abs(last-first) > 0.02 {
		t.Errorf("the replicas drift from %.3f to %.3f times those without the metric", first, last)
	}
	// the same with a demand that takes the metric for demand: this test would see a ratchet
	ratchet := livedBy(t, true, func(h *autoscalingv2.HorizontalPodAutoscaler) history.Demand {
		d := learn(h)
		d.Pods = max(d.Pods, float64(h.Status.CurrentReplicas))
		return d
	})
	t.Logf("where replicas are learned: demand %.1f, replicas %.1f", ratchet.demand, ratchet.replicas)
	if ratchet.demand[6] < 1.1*with.demand[6] {
		t.Errorf("learning replicas gives a demand of %.1f in place of %.1f: nothing would be seen of a ratchet", ratchet.demand[6], with.demand[6])
	}
}
