package scaler

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/scaler/forecast"
)

// lead of a minute and a half's pod start, with a median of so many pods; negative is no forecast.
func started(balloon *v1alpha1.Balloon, pods float64) size {
	return size{balloon: balloon, lead: lead{PodStart: 90 * time.Second}, share: 0.5, start: forecast.Answer{Upper: pods, Ready: pods >= 0}}
}

func TestStartPodsAreTheSharesAndStampedAtABoundedRate(t *testing.T) {
	begin := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for _, clock := range []config.Clock{{}, {Speed: 10, Real: begin, Model: begin}} {
		b := &v1alpha1.Balloon{}
		writes, stamped, now := 0, time.Time{}, begin
		for range 360 { // an hour of ticks, every ten seconds
			var status v1alpha1.BalloonStatus
			at := clock.RealTime(now)
			started(b, 30).startStatus(&status, clock, at)
			if status.StartPods == nil || *status.StartPods != "15.0" || status.PodStart.Duration != 90*time.Second || status.ForecastAt == nil {
				t.Fatalf("%+v", status)
			}
			if age := now.Sub(clock.At(status.ForecastAt.Time)); age > time.Minute+10*time.Second {
				t.Fatalf("speed %g: the stamp is %s old", clock.Speed, age)
			}
			if !status.ForecastAt.Time.Equal(stamped) {
				writes, stamped = writes+1, status.ForecastAt.Time
			}
			b.Status, now = status, now.Add(10*time.Second)
		}
		if writes < 55 || writes > 80 {
			t.Errorf("speed %g: %d stamps in an hour, want about one a minute", clock.Speed, writes)
		}
	}
}

func TestStartPodsChangeAtOnceAndAgeWhereThereIsNoForecast(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	pods, stamp := v1alpha1.Decimal("15.0"), metav1.NewTime(now)
	b := &v1alpha1.Balloon{Status: v1alpha1.BalloonStatus{StartPods: &pods, PodStart: &metav1.Duration{Duration: time.Minute}, ForecastAt: &stamp}}
	of := func(s size, mode v1alpha1.Mode) v1alpha1.BalloonStatus {
		var status v1alpha1.BalloonStatus
		b.Spec.Mode = mode
		s.startStatus(&status, config.Clock{}, now.Add(20*time.Second))
		return status
	}
	if s := of(started(b, 32), v1alpha1.Enforce); *s.StartPods != "16.0" || !s.ForecastAt.Time.Equal(now.Add(20*time.Second)) {
		t.Errorf("a forecast that changed: %+v", s)
	}
	if s := of(started(b, -1), v1alpha1.Enforce); s.StartPods == nil || *s.StartPods != "15.0" || !s.ForecastAt.Time.Equal(now) {
		t.Errorf("without a forecast: %+v, want the last one with its time", s)
	}
	failed := started(b, 32)
	failed.err = config.Clock{Speed: 99}.Validate()
	if s := of(failed, v1alpha1.Enforce); s.StartPods == nil || *s.StartPods != "15.0" || !s.ForecastAt.Time.Equal(now) {
		t.Errorf("a Balloon that cannot be sized: %+v, want the last forecast with its time", s)
	}
	if s := of(started(b, 32), v1alpha1.Observe); s.StartPods != nil || s.ForecastAt != nil {
		t.Errorf("a Balloon that observes: %+v, want nothing that could be served", s)
	}
}
