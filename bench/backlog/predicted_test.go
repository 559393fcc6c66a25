package backlog_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/bench/testbed/stack"
	"swell/scaler/series"
)

const predictedWeb = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: app, image: "registry.k8s.io/pause:3.10"}]
---
apiVersion: capacity.swell/v1alpha1
kind: Balloon
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  max: 4
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 1
  maxReplicas: 100
  metrics:
  - type: External
    external:
      metric: {name: kafka_consumergroup_lag, selector: {matchLabels: {cluster: main, group: web, topic: web}}}
      target: {type: AverageValue, averageValue: "60"}
  - type: External
    external:
      metric: {name: swell_predicted_replicas, selector: {matchLabels: {balloon: web}}}
      target: {type: AverageValue, averageValue: "1"}
`

// A scaler that is gone for good holds an HPA for a quarter of an hour, not for ever: the prediction that it left is served for
// five minutes, is an error for ten, in which nobody knows whether fewer pods are enough, and then the other metric decides.
func TestAScalerThatIsGoneDoesNotKeepPodsForLong(t *testing.T) {
	const pods = 15
	r := newRig(t, map[string]int{"web": 1}, nil)
	r.commitEnds(t, "web")
	r.produce(t, "web", 60*pods)
	if err := r.Apply(t.Context(), "web", []byte(predictedWeb)); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, "pods for the backlog", func() error { return r.webHas(t, pods) })
	if err := r.StartScaler(t.Context(), stack.ScalerOptions{Region: "ap-northeast-1", Files: []config.HistoryFile{
		{Namespace: namespace, Balloon: "web", File: r.steadyPast(t, pods)}}}); err != nil {
		t.Fatal(err)
	}
	last := r.forecast(t, time.Time{})
	r.Scaler.Kill()
	last = r.forecast(t, last.Add(-time.Second)) // one may have been written at the last moment
	r.commitEnds(t, "web")
	for r.Clock.Now().Before(r.Clock.At(last).Add(14 * time.Minute)) {
		if err := r.webHas(t, pods); err != nil {
			t.Fatalf("%s after the last forecast: %v", r.Clock.Now().Sub(r.Clock.At(last)), err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	r.eventually(t, "the backlog alone decides", func() error { return r.webHas(t, 1) })
	t.Logf("held for %s of model time after the last forecast", r.Clock.Now().Sub(r.Clock.At(last)).Truncate(time.Second))
	if err := r.Scaler.Restart(); err != nil {
		t.Fatal(err)
	}
	r.forecast(t, last)
}

func (r *rig) webHas(t *testing.T, want int) error {
	if got := r.replicas(t, "web"); got != want {
		return fmt.Errorf("%d replicas, want %d", got, want)
	}
	return nil
}

// steadyPast is a file of two weeks of steady demand.
func (r *rig) steadyPast(t *testing.T, pods float64) string {
	t.Helper()
	s := series.Series{Start: r.Clock.Now().UTC().AddDate(0, 0, -14).Truncate(5 * time.Minute), Step: 5 * time.Minute}
	for s.End().Before(r.Clock.Now()) {
		s.Append(pods, 0)
	}
	path := filepath.Join(r.Dir(), "past.csv")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(series.Write(file, s), file.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// forecast waits for one that is stamped after a time of the machine's, and returns its stamp.
func (r *rig) forecast(t *testing.T, after time.Time) (stamp time.Time) {
	t.Helper()
	r.eventually(t, "the Balloon has a forecast", func() error {
		var b v1alpha1.Balloon
		if err := r.objects.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "web"}, &b); err != nil {
			return err
		}
		if b.Status.ForecastAt == nil || b.Status.StartPods == nil || !b.Status.ForecastAt.Time.After(after) {
			return fmt.Errorf("status %+v", b.Status)
		}
		stamp = b.Status.ForecastAt.Time
		t.Logf("%s pods by %s", *b.Status.StartPods, stamp)
		return nil
	})
	return stamp
}
