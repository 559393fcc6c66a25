package replay

import (
	"errors"
	"fmt"
	"math"
	"time"

	"swell/scaler/series"
)

// demand is how many pods the load needs at a time, in unix seconds.
type demand interface{ at(t int64) int }

// traceDemand is a recorded load. A row's value stands at the middle of its step; between middles it is linear.
type traceDemand struct {
	rows        []float64
	start, step float64 // unix seconds
	scale       float64 // pods a unit
	noise       float64

	// The noise of the minute that was asked for last.
	minute int64
	factor float64
}

func (d *traceDemand) at(t int64) int {
	x := (float64(t)-d.start)/d.step - 0.5
	i := int(math.Floor(x))
	var v float64
	switch {
	case i < 0:
		v = d.rows[0]
	case i >= len(d.rows)-1:
		v = d.rows[len(d.rows)-1]
	default:
		v = d.rows[i] + (d.rows[i+1]-d.rows[i])*(x-float64(i))
	}
	if m := floorDiv(t, 60); m != d.minute || d.factor == 0 {
		d.minute, d.factor = m, 1+d.noise*minuteNoise(m)
	}
	return max(int(math.Ceil(v*d.scale*d.factor)), 0)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// span is what is played, and the history before it, in unix seconds; to is not played.
type span struct{ history, from, to int64 }

// ofTrace is a trace's demand and what of it is played: the first of its last third.
func ofTrace(s series.Series, d Demand, scan int64) (demand, span, error) {
	n := s.Len()
	if s.Step <= 0 || n < 30 {
		return nil, span{}, fmt.Errorf("%d rows are too few; give a trace of some weeks", n)
	}
	for i, v := range s.Values {
		if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
			return nil, span{}, fmt.Errorf("row %d (%s) is not known; fill it, or cut the trace there", i+1, s.Time(i).Format(time.RFC3339))
		}
	}
	third := s.Values[n-n/3:]
	sum := 0.0
	for _, v := range third {
		sum += v
	}
	if sum == 0 {
		return nil, span{}, fmt.Errorf("its last third is zero throughout; cut the trace where its load ends")
	}
	from, end := s.Time(n-n/3), s.End()
	if most := from.Add(d.Play.Duration); most.Before(end) {
		end = most
	}
	history := from.Add(-d.History.Duration)
	if history.Before(s.Start) {
		history = s.Start
	}
	if from.Unix()-history.Unix() < scan || end.Unix()-from.Unix() < 3600 {
		return nil, span{}, errors.New("its last third is shorter than an hour; give a longer trace")
	}
	return &traceDemand{
		rows: s.Values, start: float64(s.Start.Unix()), step: s.Step.Seconds(),
		scale: d.Mean / (sum / float64(len(third))), noise: *d.Noise,
	}, span{history.Unix(), from.Unix(), end.Unix()}, nil
}
