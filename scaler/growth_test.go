package scaler_test

import (
	"strings"
	"testing"
	"time"
)

const launchLikeLastWeeks = `
apiVersion: capacity.swell/v1alpha1
kind: DiurnalSchedule
metadata: {name: launches, namespace: shop}
spec:
  timeZone: UTC
  events:
  - {name: launch, from: "2026-03-02T09:00:00Z", to: "2026-03-02T12:00:00Z", growth: {like: "2026-02-23T09:00:00Z", factor: "2"}}
`

// Last Monday at nine demand doubled. An event that is to grow twice as much asks for 30 pods beside the usual 15, as soon as
// the past was read: twelve balloons of 2.5.
func TestAnEventGrowsLikeAPastOne(t *testing.T) {
	launch := monday.AddDate(0, 0, -7)
	past := fortnight(func(at time.Time) float64 {
		if !at.Before(launch) && at.Before(launch.Add(3*time.Hour)) {
			return 30
		}
		return 15
	})
	w := startAfter(t, fleet(1), 15, past, `{"schedules": ["launches"]}`)
	w.says("web", "SchedulesKnown", "False", "NoSuchSchedule", "no DiurnalSchedule launches in the namespace; create it or take it out")
	if why := w.balloon("web").Status.Why; !strings.HasSuffix(why, "; there is no DiurnalSchedule launches in the namespace") {
		t.Errorf("the why is %q", why)
	}
	w.apply(launchLikeLastWeeks)
	w.settled(12)
	w.says("web", "SchedulesKnown", "True", "Known", "")
	w.patch("web", `{"schedules": ["launches", "unread"]}`)
	w.apply(strings.NewReplacer("name: launches", "name: unread", "2026-02-23", "2025-02-23").Replace(launchLikeLastWeeks))
	w.says("web", "SchedulesKnown", "False", "CannotUse", "DiurnalSchedule unread: spec.events[0].growth.like: event launch: ")
}
