package main

import (
	"fmt"
	"time"

	"swell/bench/figure"
	"swell/scaler/forecast"
	"swell/scaler/series"
)

// scored is a load with what was reached on its last third, in %.
type scored struct {
	load
	wape, middle      []float64 // by points; middle is that of the middle third
	pinball, coverage []float64 // by bounds
}

func (l load) options() (o forecast.Options, err error) {
	o.Location, o.Holiday, err = l.Local()
	return o, err
}

// score back-tests a load's last third, by strict rolling origin, and its middle third for comparison.
func (l load) score(s series.Series) (scored, error) {
	r := scored{load: l}
	o, err := l.options()
	if err != nil {
		return r, err
	}
	for _, p := range l.points {
		last, middle, err := thirds(s, o, time.Duration(p.minutes)*time.Minute, 0.95)
		if err != nil {
			return r, fmt.Errorf("scoring %s: %w", l.Name, err)
		}
		r.wape, r.middle = append(r.wape, last.WAPE*100), append(r.middle, middle.WAPE*100)
	}
	for _, b := range l.bounds {
		last, _, err := thirds(s, o, time.Hour, b.tau)
		if err != nil {
			return r, fmt.Errorf("scoring %s: %w", l.Name, err)
		}
		r.pinball, r.coverage = append(r.pinball, last.Pinball*100), append(r.coverage, last.Coverage*100)
	}
	return r, nil
}

func thirds(s series.Series, o forecast.Options, horizon time.Duration, tau float64) (last, middle forecast.Score, err error) {
	rows, err := forecast.Backtest(s, o, horizon, tau, s.Len()/3)
	if err != nil {
		return last, middle, err
	}
	cut := s.Time(s.Len() - s.Len()/3)
	i := 0
	for i < len(rows) && rows[i].Target.Before(cut) {
		i++
	}
	return forecast.ScoreOf(rows[i:], tau), forecast.ScoreOf(rows[:i], tau), nil
}

// figures are what was reached, one value each.
func (r scored) figures() []figure.Figure {
	var out []figure.Figure
	add := func(metric string, value float64, labels ...string) {
		f := figure.Figure{Bench: "forecast", Metric: metric, Value: value, Unit: "%", Labels: map[string]string{"trace": r.Name}}
		for i := 0; i+1 < len(labels); i += 2 {
			f.Labels[labels[i]] = labels[i+1]
		}
		out = append(out, f)
	}
	for i, p := range r.points {
		h := fmt.Sprintf("%dm", p.minutes)
		add("wape", r.wape[i], "horizon", h, "third", "last")
		add("wape", r.middle[i], "horizon", h, "third", "middle")
	}
	for i, b := range r.bounds {
		add("pinball", r.pinball[i], "horizon", "60m", "third", "last", "quantile", fmt.Sprint(b.tau))
		add("coverage", r.coverage[i], "horizon", "60m", "third", "last", "quantile", fmt.Sprint(b.tau))
	}
	return out
}

// misses are the needed values that were not reached.
func (r scored) misses() []string {
	var out []string
	for i, p := range r.points {
		if r.wape[i] > p.needed {
			out = append(out, fmt.Sprintf("%s: WAPE %d minutes ahead is %.2f %%, needed is %g", r.Name, p.minutes, r.wape[i], p.needed))
		}
	}
	for i, b := range r.bounds {
		if r.pinball[i] > b.needed {
			out = append(out, fmt.Sprintf("%s: pinball at %g is %.3f %%, needed is %g", r.Name, b.tau, r.pinball[i], b.needed))
		}
		if least, most := coverageBar(b.tau); r.coverage[i] < least || r.coverage[i] > most {
			out = append(out, fmt.Sprintf("%s: coverage at %g is %.2f %%, needed is %g to %g", r.Name, b.tau, r.coverage[i], least, most))
		}
	}
	return out
}
