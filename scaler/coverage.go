package scaler

import (
	"time"

	"swell/scaler/forecast"
	"swell/scaler/history"
)

const (
	// servedFor is how long the order that a forecast is made for is judged by, as forecast.AtLead has it.
	servedFor = 4 * time.Minute
	// dueEvery bounds how often a forecast is noted.
	dueEvery = time.Minute
	// dueMost bounds how many wait; above it, with leads of hours, later ones are not noted.
	dueMost = 256
	// leastKnown samples judge a forecast; samples are a minute apart at most.
	leastKnown = 2
)

// due are forecasts of one workload whose time has not passed, oldest first. All times are model time.
type due struct{ list []expected }

// expected is one forecast: the most that demand may be between two times.
type expected struct {
	made, from, until time.Time
	upper, most       float64
	known             int
}

// expect notes what was forecast for a lead from now.
func (d *due) expect(now time.Time, lead time.Duration, a forecast.Answer) {
	if n := len(d.list); !a.Ready || n == dueMost || n > 0 && now.Sub(d.list[n-1].made) < dueEvery {
		return
	}
	from := now.Add(lead)
	d.list = append(d.list, expected{made: now, from: from, until: from.Add(servedFor), upper: a.Upper})
}

// take holds a sample against the forecasts of its time, and counts those whose time has passed. One that was sampled less than
// leastKnown times is not judged.
func (d *due) take(s history.Sample) (covered, missed int) {
	kept := d.list[:0]
	for _, e := range d.list {
		if s.At.Before(e.until) {
			if s.Class == history.Known && !s.At.Before(e.from) {
				e.most, e.known = max(e.most, s.Pods), e.known+1
			}
			kept = append(kept, e)
			continue
		}
		switch {
		case e.known < leastKnown:
		case e.most <= e.upper:
			covered++
		default:
			missed++
		}
	}
	d.list = kept
	return covered, missed
}
