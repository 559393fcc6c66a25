package forecast

import (
	"math"
	"time"
)

// The load over the newest of these spans is compared with each base over the same span.
const (
	spanLast = iota
	span15m
	span1h
	span3h
	numSpans
)

var spanSeconds = [numSpans]int64{300, 900, 3600, 3 * 3600}

const (
	baseYesterday = iota
	baseLastWeek
	baseFourWeeks
	baseSevenDays
	baseSameKind
	baseEightWeeks
	numBases
)

const (
	// smallShare of the usual load is added to both sides of every ratio.
	smallShare = 0.005
	// usualHalfLife is over what the usual load is averaged, in seconds; a row counts as at most usualMost times as much.
	usualHalfLife = 7 * daySeconds
	usualMost     = 100.0
	// ratioClip bounds by how much a row's logarithm of load to base differs from the day's level, which it is added to with
	// dayHalfLife.
	ratioClip   = 1.5
	dayHalfLife = daySeconds
	// A row is stray whose load differs from its base by this factor more than the day's level does.
	strayFactor = 10.0
	// strayLongest is how long a stretch of stray rows may last to be forgotten, in seconds; a longer one is a new level.
	strayLongest = 3 * 3600
	// jumpMost is by how much one day may outgrow the others of its kind, as a factor.
	jumpMost = 3.0
	// smoothSeconds on both sides of a target are averaged on earlier days.
	smoothSeconds = 300
)

// bases are loads of the same slot on earlier days, NaN where nothing is known.
type bases [numBases]float64

// basesOf means what was seen at each lag; see the package comment.
func basesOf(m *moment, at *[numLags]float64) bases {
	var week, kind, four, plain, eight meanOf
	for i, v := range at {
		if i <= lastWeek {
			week.add(v)
			if m.same[i] {
				kind.add(v)
			}
		}
		if i < lastWeek {
			continue
		}
		if m.same[i] {
			eight.add(v)
		}
		if i < lastWeek+4 {
			plain.add(v)
			if m.same[i] {
				four.add(v)
			}
		}
	}
	b := bases{at[0], at[lastWeek], four.value(), week.value(), kind.value(), eight.value()}
	if math.IsNaN(b[baseFourWeeks]) && m.kind == sunday { // a holiday is like the last Sunday
		b[baseFourWeeks] = b[baseSameKind]
	}
	if math.IsNaN(b[baseFourWeeks]) {
		b[baseFourWeeks] = plain.value()
	}
	return b
}

// view is what all horizons share at one origin.
type view struct {
	row        int64   // the last complete row
	last       float64 // its load, or the newest known one of the last hour
	usual      float64 // decayed mean of the load
	small      float64 // c of the package comment
	level      [numSpans]float64
	slope      [2]float64                  // of the logarithm over 20 min and 1 h, a row
	ratio      [numBases][numSpans]float64 // logarithm of load to base
	hourBefore [numLags]float64            // load in the same hour of earlier days as the last one
	day        float64                     // decayed mean of the logarithm of load to the four weeks
}

// viewAt is the view from a row that was just added.
func (f *Forecaster) viewAt(row int64) view {
	v := view{row: row, last: math.NaN(), usual: f.usual.value()}
	v.small = smallShare * v.usual
	for back := int64(0); math.IsNaN(v.last) && back <= f.rows(3600); back++ {
		v.last = f.recent.mean(row-back, row-back+1)
	}
	m := f.cal.moment((row + 1) * f.step)
	for s, span := range spanSeconds {
		n := f.rows(span)
		v.level[s] = f.recent.mean(row+1-n, row+1)
		if s <= span15m && math.IsNaN(v.level[s]) {
			v.level[s] = v.last
		}
		var at [numLags]float64
		for i, u := range m.past {
			at[i] = f.store.mean(float64(u-n*f.step), float64(u))
		}
		if s == span1h {
			v.hourBefore = at
		}
		for b, base := range basesOf(&m, &at) {
			v.ratio[b][s] = math.Log((v.level[s] + v.small) / (base + v.small))
			if s > spanLast && math.IsNaN(v.level[s]) { // too little is known of a longer span
				v.ratio[b][s] = v.ratio[b][s-1]
			}
		}
		if s == spanLast {
			f.watch(row, v.ratio[baseFourWeeks][spanLast])
		}
	}
	v.day = f.day.value()
	for i, span := range [...]int64{1200, 3600} {
		v.slope[i] = f.slope(row, max(f.rows(span), 2), v.small)
	}
	return v
}

// watch adds a row's logarithm of load to base to the day's level, and looks whether it strays.
func (f *Forecaster) watch(row int64, x float64) {
	if !isNumber(x) || math.IsNaN(f.recent.mean(row, row+1)) {
		return
	}
	day := f.day.value()
	limit := math.Log(strayFactor)
	if f.straying { // it ends well below where it begins, or noise would end it
		limit /= 2
	}
	f.forgetStray(row, math.Abs(x-day) > limit)
	f.day.add(day+bounded(x-day, ratioClip), keepOf(float64(f.step), dayHalfLife))
}

// forgetStray makes a short stretch of stray rows unknown once it has ended: an outage or a spike is not what the same
// slot will see again, nor what the level is.
func (f *Forecaster) forgetStray(row int64, stray bool) {
	switch {
	case stray && !f.straying:
		f.straying, f.strayFrom = true, row
	case !stray && f.straying:
		f.straying = false
		if (row-f.strayFrom)*f.step <= strayLongest {
			f.store.forget(f.strayFrom*f.step, row*f.step)
			f.recent.forget(f.strayFrom, row)
		}
	}
}

// slope is how much the logarithm grew a row, between the older and the newer half of the last n rows.
func (f *Forecaster) slope(row, n int64, small float64) float64 {
	half := max(n/2, 1)
	newer, older := f.recent.mean(row+1-half, row+1), f.recent.mean(row+1-2*half, row+1-half)
	return finite(math.Log((newer+small)/(older+small)) / float64(half))
}

// ahead is a target's bases, and the reference that its forecasts are ratios to.
type ahead struct {
	moment moment
	bases  bases
	ref    float64
}

// aheadOf a row.
func (f *Forecaster) aheadOf(v *view, row int64) ahead {
	a := ahead{moment: f.cal.moment(row * f.step)}
	around := float64(smoothSeconds / f.step * f.step)
	var at [numLags]float64
	for i, u := range a.moment.past {
		at[i] = f.store.mean(float64(u)-around, float64(u+f.step)+around)
	}
	tame(&a.moment, &at, &v.hourBefore, v.small)
	a.bases = basesOf(&a.moment, &at)
	a.ref = v.last
	for _, b := range [...]int{baseFourWeeks, baseSameKind, baseSevenDays, baseYesterday} {
		if r := a.bases[b] * math.Exp(v.ratio[b][span1h]); isNumber(r) {
			a.ref = r
			break
		}
	}
	return a
}

// tame bounds what earlier days grew by between the hour before and the target: by at most jumpMost more or less than the
// median of the days of the target's kind did. A shift of the level or an outage would else be seen again on all days
// that average over it.
func tame(m *moment, at, hour *[numLags]float64, small float64) {
	var growth [numLags]float64
	n := 0
	for i, same := range m.same {
		g := (at[i] + small) / (hour[i] + small)
		if !same || math.IsNaN(g) {
			continue
		}
		k := n
		for ; k > 0 && growth[k-1] > g; k-- {
			growth[k] = growth[k-1]
		}
		growth[k] = g
		n++
	}
	if n < 3 {
		return
	}
	middle := growth[n/2]
	for i := range at {
		if !math.IsNaN(hour[i]) && m.same[i] {
			at[i] = min(max(at[i], (hour[i]+small)*middle/jumpMost-small), (hour[i]+small)*middle*jumpMost-small)
		}
	}
}

// rows in a span of seconds, at least one.
func (f *Forecaster) rows(seconds int64) int64 { return max(seconds/f.step, 1) }

// rowsIn a time, rounded up, at least one.
func (f *Forecaster) rowsIn(d time.Duration) int64 {
	return max((int64(d/time.Second)+f.step-1)/f.step, 1)
}

func isNumber(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// finite is v, or NaN where it is infinite.
func finite(v float64) float64 {
	if math.IsInf(v, 0) {
		return math.NaN()
	}
	return v
}
