package replay

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"swell/balloon"
	"swell/scaler/forecast"
)

const (
	// Quantile that swell is set to in all replays.
	Quantile      = 0.97
	minuteSeconds = 60
)

// swell asks the product's own forecaster, with the product's settings, and sizes balloons by the product's own arithmetic.
// As in the product demand is sampled once a minute, learned when the minute is over, and shown to the forecaster until then.
type swell struct {
	quantile   float64
	lead       time.Duration
	forecaster *forecast.Forecaster
	zones      []balloon.Zone
	state      balloon.State
	seen       int
	seenAt     int64
	minute     int64 // that is sampled
	sample     float64
}

func newSwell(in Input, quantile float64) (*swell, error) {
	s := in.Scenario
	p := &swell{quantile: quantile, lead: s.lead() + s.HPADelay.Duration + s.Scan.Duration, minute: -1}
	o := forecast.ForBalloons(in.Location, in.Holiday)
	// what is ordered rests on the horizons around its lead alone; the others would only take time
	o.Horizons = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute}
	for _, h := range []time.Duration{time.Hour, 2 * time.Hour, 24 * time.Hour, 48 * time.Hour} {
		if p.lead+5*time.Minute > o.Horizons[len(o.Horizons)-1] {
			o.Horizons = append(o.Horizons, h)
		}
	}
	f, err := forecast.New(o)
	if err != nil {
		return nil, fmt.Errorf("making swell's forecaster: %w", err)
	}
	p.forecaster = f
	for i := range max(s.Zones, 1) {
		p.zones = append(p.zones, balloon.Zone{Name: strconv.Itoa(i)})
	}
	return p, nil
}

// ask is the one place where the forecaster is asked.
func (p *swell) ask() forecast.Answer {
	passed := max(float64(p.seenAt-p.minute*minuteSeconds)/minuteSeconds, forecast.LeastShown)
	p.forecaster.Preview(time.Unix(p.minute*minuteSeconds, 0), p.sample, passed)
	return p.forecaster.AtLead(time.Unix(p.seenAt, 0), p.lead, p.quantile)
}

func (p *swell) observe(at int64, pods int) {
	p.seen, p.seenAt = pods, at
	minute := floorDiv(at, minuteSeconds)
	if minute == p.minute {
		return
	}
	if p.minute >= 0 {
		if err := p.forecaster.Observe(time.Unix(p.minute*minuteSeconds, 0), p.sample); err != nil {
			panic(err) // the runner feeds whole numbers in the order of time
		}
	}
	p.minute, p.sample = minute, float64(pods)
}

func (p *swell) want(now int64) float64 {
	answer := p.ask()
	in := balloon.Input{
		Now: time.Unix(now, 0), Chunk: 1, Max: math.MaxInt32, Share: 1, Demand: float64(p.seen), Upper: answer.Upper,
		Running: p.seen, Zones: p.zones, State: p.state,
	}
	if !answer.Ready {
		in.NotReady = answer.Reason
	}
	for i := range p.zones {
		p.zones[i].Pods = part(p.seen, i, len(p.zones))
	}
	d := balloon.Size(in)
	p.state = d.State
	for i, z := range d.Zones { // sorted by name, which is not by number from ten zones on
		p.zones[i].Name, p.zones[i].Balloons = z.Zone, z.Balloons
	}
	return float64(p.seen + d.Total)
}

func (p *swell) sees() bool { return true }

// wantIn is what is wanted in a zone, after want.
func (p *swell) wantIn(zone int) float64 {
	return float64(p.zones[zone].Pods + p.zones[zone].Balloons)
}

// part is a zone's part of n pods in equal shares; the first zones have what is left over.
func part(n, zone, zones int) int { return (n + zones - 1 - zone) / zones }
