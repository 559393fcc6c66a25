package history_test

import (
	"math"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes/fake"

	"swell/scaler/forecast"
	"swell/scaler/history"
	"swell/scaler/series"
)

var start = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

func TestAMinuteWithoutASampleStaysUnknownInTheCheckpoint(t *testing.T) {
	w, err := history.NewWorkload(forecast.Options{Step: time.Minute}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		after time.Duration
		pods  float64
	}{{0, 10}, {20 * time.Second, 12}, {3*time.Minute + time.Second, 20}} {
		if err := w.Sample(start.Add(s.after), s.pods); err != nil {
			t.Fatal(err)
		}
	}
	got := w.Live().Values
	if len(got) != 4 || got[0] != 12 || !math.IsNaN(got[1]) || !math.IsNaN(got[2]) || got[3] != 20 {
		t.Fatalf("live samples %v: want 12, unknown, unknown, 20", got)
	}
}

func TestACheckpointComesBackAsItWasSaved(t *testing.T) {
	c := history.Checkpoints{Kube: fake.NewClientset(), Namespace: "swell-system"}
	none, err := c.Load(t.Context(), "shop", "web")
	if err != nil || none.Len() != 0 {
		t.Fatalf("a checkpoint that was never saved: %v, %v", none, err)
	}
	saved := series.Series{Start: start, Step: time.Minute, Values: []float64{1, math.NaN(), 3.25}}
	for range 2 { // created, then updated
		if err := c.Save(t.Context(), "shop", "web", saved); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.Load(t.Context(), "shop", "web")
	if err != nil {
		t.Fatal(err)
	}
	if !got.Start.Equal(start) || got.Step != time.Minute || got.Len() != 3 || got.Values[0] != 1 || !math.IsNaN(got.Values[1]) || got.Values[2] != 3.25 {
		t.Fatalf("loaded %+v: want %+v", got, saved)
	}
}
