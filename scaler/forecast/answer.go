package forecast

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// Expert is one forecast that went into a blend.
type Expert struct {
	Name     string  `json:"name"`
	Weight   float64 `json:"weight"` // share of the blend, 0 to 1
	Forecast float64 `json:"forecast"`
}

// Answer is a forecast for one row, or for the largest of several.
type Answer struct {
	// Origin is when the last complete row ended: nothing after it was used.
	Origin time.Time
	// Target is the stamp of the row that is forecast; for a maximum the end of its lead.
	Target time.Time
	Point  float64
	// Upper is the asked quantile.
	Upper float64
	// Experts behind the point, the heaviest first; for a maximum those of its highest row.
	Experts []Expert
	// Ready is false where there was too little to learn from; Point and Upper are then the newest known value, or NaN
	// where there is none.
	Ready  bool
	Reason string
}

// Forecast answers for the row that lies a horizon after the last complete one, with its τ-quantile. The horizon is
// rounded up to whole rows; one between two that are learned is taken on a straight line between their answers.
func (f *Forecaster) Forecast(now time.Time, horizon time.Duration, tau float64) Answer {
	f.advance(now)
	h := max((int64(horizon/time.Second)+f.step-1)/f.step, 1)
	a := f.answer(h)
	if a.Reason != "" {
		return a
	}
	if len(f.blends) == 0 {
		return f.notReady(a, "no horizon is learned")
	}
	at := func(i int) (float64, float64, []float64) {
		b := f.blends[i]
		return f.curMade[i].point, b.res.upper(f.curMade[i], tau), b.res.sorted
	}
	i, _ := slices.BinarySearchFunc(f.blends, h, func(b *blend, h int64) int { return int(b.h - h) })
	if i == len(f.blends) {
		return f.notReady(a, fmt.Sprintf("no horizon as long as %v is learned; add it to Horizons", horizon))
	}
	a = f.between(a, i, h, tau, func(i int) int64 { return f.blends[i].h }, at)
	a.Experts = f.expertsOf(i)
	return a
}

// ForecastAfter is Forecast with every row before now taken as complete, with a sample or without: for a series that
// ends at now.
func (f *Forecaster) ForecastAfter(now time.Time, horizon time.Duration, tau float64) Answer {
	f.completeBefore(now)
	return f.Forecast(now, horizon, tau)
}

// MaxOver answers for the largest row of the next lead, with its τ-quantile. The lead is rounded up to whole rows; one
// between two that are learned is taken on a straight line between their answers.
func (f *Forecaster) MaxOver(now time.Time, lead time.Duration, tau float64) Answer {
	f.advance(now)
	l := max((int64(lead/time.Second)+f.step-1)/f.step, 1)
	a := f.answer(l)
	a.Target = a.Origin.Add(time.Duration(l*f.step) * time.Second)
	if a.Reason != "" {
		return a
	}
	i, _ := slices.BinarySearchFunc(f.peaks, l, func(p *peak, l int64) int { return int(p.lead - l) })
	if i == len(f.peaks) {
		return f.notReady(a, fmt.Sprintf("no lead as long as %v is learned; add it to Leads", lead))
	}
	at := func(i int) (float64, float64, []float64) {
		p := f.peaks[i]
		return f.peakMade[i].point, p.res.upper(f.peakMade[i], tau), p.res.sorted
	}
	a = f.between(a, i, l, tau, func(i int) int64 { return f.peaks[i].lead }, at)
	a.Experts = f.expertsOf(f.peaks[i].highest())
	return a
}

// expertsOf are the experts of one blend, the heaviest first.
func (f *Forecaster) expertsOf(blend int) []Expert {
	es := f.blends[blend].weights(&f.curSaid[blend])
	slices.SortStableFunc(es, func(x, y Expert) int { return cmp.Compare(y.Weight, x.Weight) })
	return es
}

// between fills the answer for n rows from the learned spans i-1 and i around it.
func (f *Forecaster) between(a Answer, i int, n int64, tau float64, span func(int) int64,
	at func(int) (float64, float64, []float64)) Answer {
	point, upper, window := at(i)
	if span(i) != n && i > 0 {
		p0, u0, _ := at(i - 1)
		w := float64(n-span(i-1)) / float64(span(i)-span(i-1))
		point, upper = p0+(point-p0)*w, u0+(upper-u0)*w
	}
	if math.IsNaN(point) || math.IsNaN(upper) {
		return f.notReady(a, "no expert has anything to go by")
	}
	a.Point, a.Upper, a.Ready = point, upper, true
	if need := int(math.Ceil(tau / (1 - tau))); len(window) < need {
		return f.notReady(a, fmt.Sprintf("%d outcomes are too few for the %g quantile, which needs %d", len(window), tau, need))
	}
	return a
}

func (f *Forecaster) answer(h int64) Answer {
	a := Answer{Point: math.NaN(), Upper: math.NaN()}
	if !f.started {
		return f.notReady(a, "nothing was observed yet")
	}
	a.Origin = time.Unix(f.open.row*f.step, 0).UTC()
	a.Target = time.Unix((f.open.row-1+h)*f.step, 0).UTC()
	age := time.Duration((f.open.row-f.firstRow)*f.step) * time.Second
	switch {
	case age < f.opts.MinHistory:
		return f.notReady(a, fmt.Sprintf("%v of history is too little, %v is needed", age, f.opts.MinHistory))
	case float64(f.seen) < 0.25*float64(f.open.row-f.firstRow) && f.seen*f.step < int64(f.opts.MinHistory/time.Second):
		return f.notReady(a, "most of the history is unknown")
	case math.IsNaN(f.cur.last):
		return f.notReady(a, "nothing is known of the last hour")
	}
	return a
}

func (f *Forecaster) notReady(a Answer, reason string) Answer {
	v := f.open.value
	if !f.started {
		v = math.NaN()
	}
	a.Point, a.Upper, a.Ready, a.Reason = v, v, false, reason
	return a
}
