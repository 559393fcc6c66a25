package balloon_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"swell/balloon"
)

// wanted is a point of a forecast.
type wanted struct {
	at   time.Time
	pods float64
}

// Room is given up only when nothing within the hold has asked for it, whatever the forecast does; and a forecast that
// swings faster than the hold moves no balloon after its first peak.
func TestRoomIsNotGivenUpForASwing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const slack = 0.011 // of a balloon, which makes none
		chunk := rapid.Float64Range(0.5, 5).Draw(t, "chunk")
		running := rapid.IntRange(0, 50).Draw(t, "running")
		now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
		var state balloon.State
		var seen []wanted
		zones := []balloon.Zone{{Name: "a", Pods: running}, {Name: "c"}}
		total := 0
		for range rapid.IntRange(2, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(1, 300).Draw(t, "seconds")) * time.Second)
			upper := rapid.Float64Range(0, 150).Draw(t, "upper")
			seen = append(seen, wanted{now, upper})
			d := balloon.Size(balloon.Input{Now: now, Chunk: chunk, Max: 1000, Share: 1, Upper: upper, Running: running, Zones: zones, State: state})
			for _, s := range seen {
				if needs := (s.pods - float64(running)) / chunk; d.Total < total && now.Sub(s.at) < balloon.DefaultHold && needs > float64(d.Total)+slack {
					t.Fatalf("%d balloons became %d although %.4g were wanted %s ago", total, d.Total, needs, now.Sub(s.at))
				}
			}
			state, total = d.State, d.Total
			for i, z := range d.Zones {
				zones[i].Balloons = z.Balloons
			}
		}
	})
}

func TestASwingFasterThanTheHoldMovesNothing(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var state balloon.State
	zones := []balloon.Zone{{Name: "a"}}
	for i := range 200 {
		upper := []float64{40, 10}[i%2]
		d := balloon.Size(balloon.Input{Now: now, Chunk: 2, Max: 100, Share: 1, Upper: upper, Running: 0, Zones: zones, State: state})
		if d.Total != 20 {
			t.Fatalf("step %d: %d balloons, want the 20 of the peak", i, d.Total)
		}
		state, zones[0].Balloons = d.State, d.Total
		now = now.Add(2 * balloon.DefaultHold / 5)
	}
}
