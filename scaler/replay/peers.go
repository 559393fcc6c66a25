package replay

import (
	"math"
	"time"
)

// karpenter reacts like reactive and returns nodes as soon as they are not needed, within its disruption budget.
type karpenter struct{ static }

const (
	// karpenterHold is consolidateAfter (0s by default), the 15 s that a command waits to be validated, and the five minutes for
	// which an HPA keeps pods by default: without them every fall within the noise would be consolidated.
	karpenterHold = 15 + 300
	// karpenterBudget is the default share of nodes that may be disrupted at once.
	karpenterBudget = 0.1
)

func (p *karpenter) scaleIn() (after int64, budget float64) { return karpenterHold, karpenterBudget }

func (p *karpenter) sees() bool { return true }

// scheduled holds a fixed number of balloons, more in busy hours: 5 of 2.5 pods, 8 in busy hours, for a fleet of 300 pods,
// and in proportion for others.
type scheduled struct {
	seen     int
	sum, n   float64
	location *time.Location
	holiday  func(time.Time) bool
}

const (
	scheduledChunk              = 2.5
	scheduledFew, scheduledMany = 5, 8
	scheduledFleet              = 300
	busyFrom, busyTo            = 8, 20 // local hours of working days
)

func (p *scheduled) observe(_ int64, pods int) {
	p.seen = pods
	p.sum, p.n = p.sum+float64(pods), p.n+1
}

func (p *scheduled) want(now int64) float64 {
	local := time.Unix(now, 0).In(p.location)
	balloons := float64(scheduledFew)
	workday := local.Weekday() != time.Saturday && local.Weekday() != time.Sunday && (p.holiday == nil || !p.holiday(local))
	if h := local.Hour(); workday && h >= busyFrom && h < busyTo {
		balloons = scheduledMany
	}
	fleet := p.sum / max(p.n, 1) / scheduledFleet
	return float64(p.seen) + math.Ceil(balloons*fleet)*scheduledChunk
}

// hourly is predictive scaling beside a reactive policy: a forecast for every hour, made anew every six hours from two
// weeks of hourly means, and launched a little before the hour.
type hourly struct {
	static
	hours     [hourlyKeep]float64 // means by hour since 1970, a ring; NaN is unknown
	hour      int64               // that is being filled
	sum, n    float64
	forecasts map[int64]float64
	made      int64 // the six hours in which they were made
}

const (
	hourlyKeep   = 15 * 24
	hourlyBuffer = 300 // seconds
	hourlyEvery  = 6
	hourlyAhead  = 48
)

func newHourly() *hourly {
	p := &hourly{forecasts: map[int64]float64{}}
	for i := range p.hours {
		p.hours[i] = math.NaN()
	}
	return p
}

func (p *hourly) observe(at int64, pods int) {
	p.static.observe(at, pods)
	for hour := floorDiv(at, 3600); p.hour < hour; p.hour++ {
		if p.hour == 0 {
			p.hour = hour - 1
		}
		mean := math.NaN()
		if p.n > 0 {
			mean = p.sum / p.n
		}
		p.hours[p.hour%hourlyKeep] = mean
		p.sum, p.n = 0, 0
	}
	p.sum, p.n = p.sum+float64(pods), p.n+1
}

// past is the mean of an hour that is complete and not older than two weeks.
func (p *hourly) past(hour int64) float64 {
	if hour >= p.hour || hour <= p.hour-hourlyKeep {
		return math.NaN()
	}
	return p.hours[hour%hourlyKeep]
}

// weekly is the mean of the same hour one and two weeks before.
func (p *hourly) weekly(hour int64) float64 {
	sum, n := 0.0, 0.0
	for _, v := range [...]float64{p.past(hour - 168), p.past(hour - 336)} {
		if !math.IsNaN(v) {
			sum, n = sum+v, n+1
		}
	}
	return sum / n
}

// forecast all hours of the next two days: the weekly mean at the level of the last day.
func (p *hourly) forecast() {
	clear(p.forecasts)
	is, was := 0.0, 0.0
	for h := p.hour - 24; h < p.hour; h++ {
		if a, b := p.past(h), p.weekly(h); !math.IsNaN(a) && !math.IsNaN(b) {
			is, was = is+a, was+b
		}
	}
	level := 1.0
	if was > 0 {
		level = is / was
	}
	for h := p.hour; h < p.hour+hourlyAhead; h++ {
		if v := p.weekly(h); !math.IsNaN(v) {
			p.forecasts[h] = v * level
		}
	}
}

func (p *hourly) want(now int64) float64 {
	if slot := now / 3600 / hourlyEvery; slot != p.made {
		p.made = slot
		p.forecast()
	}
	return max(p.static.want(now), p.forecasts[now/3600], p.forecasts[(now+hourlyBuffer)/3600])
}
