package forecast

import (
	"fmt"
	"math"
	"time"

	"swell/scaler/series"
)

// Row is one target of a back-test.
type Row struct {
	Target, Origin          time.Time // stamps of the target row and of the last row that was used
	Actual, Forecast, Upper float64
	Ready                   bool // as the Answer was
}

// Score sums a back-test up. Shares are of the whole, 0.05 is 5 %.
type Score struct {
	Rows     int     `json:"rows"`
	WAPE     float64 `json:"wape"`      // Σ|actual − forecast| / Σ actual
	Coverage float64 `json:"coverage"`  // share of rows with actual ≤ upper
	Over     float64 `json:"over"`      // Σ upper / Σ actual − 1
	Unserved float64 `json:"unserved"`  // Σ (actual − upper)⁺ / Σ actual
	Pinball  float64 `json:"pinball"`   // mean pinball loss / mean actual
	NotReady int     `json:"not_ready"` // targets whose answer was not Ready, so that the newest value stands in or nothing does
}

// Backtest forecasts every row of s from row from on, by the rows up to one horizon before it, in one pass over s.
// Rows that are unknown are no targets. The horizon is a multiple of the series' step, which opts.Step is set to.
func Backtest(s series.Series, opts Options, horizon time.Duration, tau float64, from int) ([]Row, error) {
	opts.Step, opts.Horizons, opts.Leads, opts.Orders = s.Step, []time.Duration{horizon}, []time.Duration{}, []time.Duration{}
	return walk(s, opts, horizon, from, func(f *Forecaster, now time.Time) Answer {
		return f.Forecast(now, horizon, tau)
	}, func(i int) float64 { return s.Values[i] })
}

// BacktestMax is Backtest for the largest row of each lead, made of the horizons that opts names. A target is the last
// row of its lead.
func BacktestMax(s series.Series, opts Options, lead time.Duration, tau float64, from int) ([]Row, error) {
	opts.Step, opts.Leads, opts.Orders = s.Step, []time.Duration{lead}, []time.Duration{}
	n := int(lead / max(s.Step, 1))
	return walk(s, opts, lead, from, func(f *Forecaster, now time.Time) Answer {
		return f.MaxOver(now, lead, tau)
	}, func(i int) float64 {
		top := s.Values[i]
		for _, v := range s.Values[max(i-n+1, 0) : i+1] {
			if math.IsNaN(v) {
				return v
			}
			top = max(top, v)
		}
		return top
	})
}

func walk(s series.Series, opts Options, horizon time.Duration, from int,
	answer func(*Forecaster, time.Time) Answer, actual func(int) float64) ([]Row, error) {
	f, err := New(opts)
	if err != nil {
		return nil, fmt.Errorf("back-testing: %w", err)
	}
	h := int(horizon / s.Step)
	if from < h || from >= s.Len() {
		return nil, fmt.Errorf("back-testing from row %d of %d: give a longer series or a shorter horizon than %v", from, s.Len(), horizon)
	}
	rows := make([]Row, 0, s.Len()-from)
	for i, v := range s.Values[:s.Len()-h] {
		if err := f.Observe(s.Time(i), v); err != nil {
			return nil, fmt.Errorf("back-testing: %w", err)
		}
		f.completeBefore(s.Time(i + 1))
		if i+h < from {
			continue
		}
		if y := actual(i + h); !math.IsNaN(y) {
			a := answer(f, s.Time(i+1))
			rows = append(rows, Row{Target: s.Time(i + h), Origin: s.Time(i), Actual: y, Forecast: a.Point, Upper: a.Upper, Ready: a.Ready})
		}
	}
	return rows, nil
}

// ScoreOf sums rows up for the quantile tau. Rows without a forecast count as forecasts of nothing.
func ScoreOf(rows []Row, tau float64) Score {
	sc := Score{Rows: len(rows)}
	var actual, abs, upper, short, pin, covered float64
	for _, r := range rows {
		p, u := r.Forecast, r.Upper
		if math.IsNaN(p) || math.IsNaN(u) {
			p, u = 0, 0
		}
		if !r.Ready {
			sc.NotReady++
		}
		actual += r.Actual
		abs += math.Abs(r.Actual - p)
		upper += u
		if d := r.Actual - u; d > 0 {
			short += d
			pin += tau * d
		} else {
			covered++
			pin += (tau - 1) * d
		}
	}
	n := float64(len(rows))
	sc.WAPE, sc.Coverage, sc.Over = abs/actual, covered/n, upper/actual-1
	sc.Unserved, sc.Pinball = short/actual, pin/actual
	return sc
}
