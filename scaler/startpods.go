package scaler

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/api/v1alpha1"
)

// renewEvery is how often, in model time, a forecast that has not changed is stamped anew, so that who serves it knows that it
// is of now. It must be well within the age that swell_predicted_replicas is served to.
const renewEvery = 45 * time.Second

// startStatus says what swell_predicted_replicas is to serve: a forecast that is ready, or the last that was, which ages. A
// Balloon that only observes has none.
func (s size) startStatus(status *v1alpha1.BalloonStatus, clock config.Clock, at time.Time) {
	if s.balloon.Spec.Mode == v1alpha1.Observe {
		return
	}
	old := s.balloon.Status
	status.StartPods, status.PodStart, status.ForecastAt = old.StartPods, old.PodStart, old.ForecastAt
	if s.err != nil || !s.start.Ready {
		return
	}
	pods := decimal(s.start.Upper * s.share)
	if pods == nil {
		return
	}
	if old.StartPods != nil && *old.StartPods == *pods && old.ForecastAt != nil && clock.At(at).Sub(clock.At(old.ForecastAt.Time)) < renewEvery {
		return
	}
	stamp := metav1.NewTime(at.Truncate(time.Second))
	status.StartPods, status.PodStart, status.ForecastAt = pods, &metav1.Duration{Duration: s.lead.PodStart}, &stamp
}
