package replay

import (
	"fmt"
	"math"
	"time"

	"swell/balloon"
	"swell/scaler/forecast"
)

// Tuning is how swell is set in all replays.
type Tuning struct {
	// Quantile of the largest demand over the lead. Default 0.99.
	Quantile float64 `json:"quantile,omitempty"`
	// Hold is how long balloons stay that are not wanted any more, on top of the nodes' own. Default none.
	Hold time.Duration `json:"-"`
}

const forecastStep = time.Minute

// swell asks the product's own forecaster and sizes balloons by the product's own arithmetic.
type swell struct {
	tuning     Tuning
	lead       time.Duration
	forecaster *forecast.Forecaster
	zones      []balloon.Zone
	state      balloon.State
	seen       int
	seenAt     int64

	row    int64 // minute of the last answer
	answer forecast.Answer
}

// swellLead is what a forecast must reach over: the node's lead, the age of what is seen and the wait for the next scan,
// from the last complete row, which ended up to a row before what is seen.
func swellLead(s Scenario) time.Duration {
	lead := s.Lead.Duration + s.HPADelay.Duration + s.Scan.Duration
	return (lead + forecastStep - 1).Truncate(forecastStep) + XEXTRA
}

var XEXTRA = time.Duration(0)

func newSwell(in Input, t Tuning) (*swell, error) {
	lead := swellLead(in.Scenario)
	f, err := forecast.New(forecast.Options{
		Step: forecastStep, Location: in.Location, Holiday: in.Holiday, Leads: []time.Duration{lead},
		Horizons: []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute},
	})
	if err != nil {
		return nil, fmt.Errorf("making swell's forecaster: %w", err)
	}
	p := &swell{tuning: t, lead: lead, forecaster: f, zones: []balloon.Zone{{Name: "a"}}}
	return p, nil
}

func (p *swell) observe(at int64, pods int) {
	p.seen, p.seenAt = pods, at
	if err := p.forecaster.Observe(time.Unix(at, 0), float64(pods)); err != nil {
		panic(err) // times ascend and pods are not negative
	}
}

func (p *swell) want(now int64) float64 {
	if row := floorDiv(p.seenAt, 60); row != p.row {
		p.row, p.answer = row, p.forecaster.MaxOver(time.Unix(p.seenAt, 0), p.lead, p.tuning.Quantile)
	}
	in := balloon.Input{
		Now: time.Unix(now, 0), Chunk: 1, Max: math.MaxInt32, Share: 1, Demand: float64(p.seen), Upper: p.answer.Upper,
		Running: p.seen, Zones: p.zones, Hold: p.tuning.Hold, State: p.state,
	}
	if !p.answer.Ready {
		in.NotReady = p.answer.Reason
	}
	in.Zones[0].Pods = p.seen
	d := balloon.Size(in)
	p.state = d.State
	in.Zones[0].Balloons = d.Total
	return float64(p.seen + d.Total)
}
