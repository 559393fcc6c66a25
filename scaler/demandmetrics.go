package scaler

import (
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"swell/api/v1alpha1"
	"swell/scaler/history"
)

var (
	samplesTaken = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "swell_demand_samples_total",
		Help: "Samples of a workload's demand, by what they were taken for: Known, or why they are not learned."}, []string{"namespace", "balloon", "class"})
	demandPods = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "swell_demand_pods",
		Help: "Demand of a workload in all clusters, in pods; absent while it is unknown."}, []string{"namespace", "balloon"})
	checkpointsWritten = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "swell_history_checkpoints_total",
		Help: "Checkpoints of demand histories that were written, or failed."}, []string{"outcome"})
	backfillsDone = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "swell_history_backfills_total",
		Help: "Pasts that were read from where metrics are kept, or failed."}, []string{"outcome"})
	forecastChecks = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "swell_forecast_checks_total",
		Help: "Forecasts whose time has come, by outcome: covered, where the demand of the four minutes from then on stayed at or below the quantile, or missed."}, []string{"namespace", "balloon", "outcome"})
	registerDemand = sync.OnceFunc(func() {
		for _, o := range []string{outcome(nil), "failed"} { // a rate sees no counter's first count unless it stood at 0 before
			checkpointsWritten.WithLabelValues(o)
			backfillsDone.WithLabelValues(o)
		}
		metrics.Registry.MustRegister(samplesTaken, demandPods, checkpointsWritten, backfillsDone, forecastChecks)
	})
)

func count(b *v1alpha1.Balloon, w *workload, s history.Sample) {
	samplesTaken.WithLabelValues(b.Namespace, b.Name, s.Class.String()).Inc()
	covered, missed := w.due.take(s)
	forecastChecks.WithLabelValues(b.Namespace, b.Name, "covered").Add(float64(covered))
	forecastChecks.WithLabelValues(b.Namespace, b.Name, "missed").Add(float64(missed))
	if s.Class == history.Known {
		demandPods.WithLabelValues(b.Namespace, b.Name).Set(s.Pods)
	} else {
		demandPods.DeleteLabelValues(b.Namespace, b.Name)
	}
}

// forget drops the series of a Balloon that is gone.
func forget(key string) {
	namespace, name, _ := strings.Cut(key, "/")
	of := prometheus.Labels{"namespace": namespace, "balloon": name}
	samplesTaken.DeletePartialMatch(of)
	demandPods.DeletePartialMatch(of)
	forecastChecks.DeletePartialMatch(of)
}

func outcome(err error) string {
	if err != nil {
		return "failed"
	}
	return "done"
}

func countSave(err error) { checkpointsWritten.WithLabelValues(outcome(err)).Inc() }
func countFill(err error) { backfillsDone.WithLabelValues(outcome(err)).Inc() }
