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
// rounded up to whole rows; one between two that are learned lies between their answers.
func (f *Forecaster) Forecast(now time.Time, ahead time.Duration, tau float64) Answer {
	f.advance(now)
	h := f.rowsIn(ahead)
	a := f.answer(h)
	if a.Reason != "" {
		return a
	}
	i := f.around(h)
	if i == len(f.horizons) {
		return f.notReady(a, fmt.Sprintf("no horizon as long as %v is learned; add it to Horizons", ahead))
	}
	m := f.interpolate(h)
	exponent, count := f.exponent(i, tau)
	if before := f.horizons[max(i-1, 0)]; f.horizons[i].h != h && i > 0 {
		e, _ := f.exponent(i-1, tau)
		exponent = e + (exponent-e)*float64(h-before.h)/float64(f.horizons[i].h-before.h)
	}
	a = f.fill(a, m.point, above(m.point, m.small, exponent), count, tau)
	a.Experts = f.expertsAt(i, h)
	return a
}

// Curve is Forecast for several horizons.
func (f *Forecaster) Curve(now time.Time, horizons []time.Duration, tau float64) []Answer {
	out := make([]Answer, len(horizons))
	for i, h := range horizons {
		out[i] = f.Forecast(now, h, tau)
	}
	return out
}

// exponent of the τ-quantile of a learned horizon, and how many outcomes it rests on.
func (f *Forecaster) exponent(i int, tau float64) (exponent float64, count int32) {
	t := &f.horizons[i].tail
	return t.exponent(f.curMade[i].scale, tau, f.coarseNoise()), t.count
}

// ForecastAfter is Forecast with every row before now taken as complete, with a sample or without: for a series that
// ends at now.
func (f *Forecaster) ForecastAfter(now time.Time, horizon time.Duration, tau float64) Answer {
	f.completeBefore(now)
	return f.Forecast(now, horizon, tau)
}

// AtLead answers for what is ordered now and serves a lead from now: the largest row of the four minutes from then on,
// with its τ-quantile. Balloons are sized by it, not by MaxOver: what the rows before need was ordered when their own turn
// came, and a maximum over all of the lead pays for a load that has fallen by the time that anything ordered for it is
// there. The samples of the open row count, too. A lead beyond the longest of Orders is answered by Forecast.
func (f *Forecaster) AtLead(now time.Time, lead time.Duration, tau float64) Answer {
	f.advance(now)
	l := f.rowsIn(lead)
	i, _ := slices.BinarySearchFunc(f.orders, l, func(o *order, l int64) int { return cmp.Compare(o.lead, l) })
	if i == len(f.orders) {
		return f.Forecast(now, lead+orderSpan*time.Second/2, tau)
	}
	a := f.answer(l)
	if a.Reason != "" {
		return a
	}
	bound := func(i int) (point, upper float64) {
		m, o := f.orderMade[i], f.orders[i]
		fresh := o.fresh(&m)
		return above(m.point, m.small, fresh), above(m.point, m.small, fresh+o.tail.exponent(m.scale, tau, f.coarseNoise()))
	}
	point, upper := bound(i)
	if o := f.orders[i]; o.lead != l && i > 0 {
		before := f.orders[i-1]
		p0, u0 := bound(i - 1)
		w := float64(l-before.lead) / float64(o.lead-before.lead)
		point, upper = p0+(point-p0)*w, u0+(upper-u0)*w
	}
	a = f.fill(a, point, upper, f.orders[i].tail.count, tau)
	a.Experts = f.expertsAt(f.around(l), l)
	return a
}

// MaxOver answers for the largest row of the next lead, with its τ-quantile. The lead is rounded up to whole rows; one
// between two that are learned is taken on a straight line between their answers.
func (f *Forecaster) MaxOver(now time.Time, lead time.Duration, tau float64) Answer {
	f.advance(now)
	l := f.rowsIn(lead)
	a := f.answer(l)
	a.Target = a.Origin.Add(time.Duration(l*f.step) * time.Second)
	if a.Reason != "" {
		return a
	}
	i, _ := slices.BinarySearchFunc(f.peaks, l, func(p *peak, l int64) int { return cmp.Compare(p.lead, l) })
	if i == len(f.peaks) {
		return f.notReady(a, fmt.Sprintf("no lead as long as %v is learned; add it to Leads", lead))
	}
	bound := func(i int) (point, upper float64) {
		m, t := f.peakMade[i], &f.peaks[i].tail
		return m.point, above(m.point, m.small, t.exponent(m.scale, tau, f.coarseNoise()))
	}
	point, upper := bound(i)
	if p := f.peaks[i]; p.lead != l && i > 0 {
		before := f.peaks[i-1]
		p0, u0 := bound(i - 1)
		w := float64(l-before.lead) / float64(p.lead-before.lead)
		point, upper = p0+(point-p0)*w, u0+(upper-u0)*w
	}
	a = f.fill(a, point, upper, f.peaks[i].tail.count, tau)
	h := f.peaks[i].highest()
	a.Experts = f.expertsAt(f.around(h), h)
	return a
}

// expertsAt are what is behind a horizon's point, the heaviest first. For one between two learned horizons, i is the
// longer one's index and its weights stand for both.
func (f *Forecaster) expertsAt(i int, h int64) []Expert {
	z := f.horizons[i]
	v := f.cur
	a := f.aheadOf(&v, v.row+h)
	said := f.expertsOf(&v, &a, h)
	blended, _ := z.blend.point(&said, v.small)
	share := [numMembers]float64{memberBlend: 1}
	var out []Expert
	if len(z.regs) > 0 && float64(z.learned)*z.seconds() >= regressionReady {
		share = z.shares()
		x := z.featuresOf(&v, &a, blended)
		for k, r := range z.say(&x, 0) {
			if k != memberBlend {
				out = append(out, Expert{Name: memberNames[k], Weight: share[k], Forecast: (a.ref+v.small)*math.Exp(float64(r)) - v.small})
			}
		}
	}
	weights := z.blend.weights(&said)
	for k, x := range said {
		if !math.IsNaN(x) {
			out = append(out, Expert{Name: expertNames[k], Weight: weights[k] * share[memberBlend], Forecast: x})
		}
	}
	slices.SortStableFunc(out, func(x, y Expert) int { return cmp.Compare(y.Weight, x.Weight) })
	return out
}

// fill completes an answer that rests on count outcomes.
func (f *Forecaster) fill(a Answer, point, upper float64, count int32, tau float64) Answer {
	if math.IsNaN(point) || math.IsNaN(upper) {
		return f.notReady(a, "no expert has anything to go by")
	}
	a.Point, a.Upper, a.Ready = point, upper, true
	if need := int32(math.Ceil(tau / (1 - tau))); count < need {
		return f.notReady(a, fmt.Sprintf("%d outcomes are too few for the %g quantile, which needs %d", count, tau, need))
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
		return f.notReady(a, fmt.Sprintf("less than %gh of history yet", f.opts.MinHistory.Hours())) // the age would make a new message of each minute
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
