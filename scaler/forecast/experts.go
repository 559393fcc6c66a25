package forecast

import "math"

var lagDays = [...]int{1, 2, 3, 4, 5, 6, 7, 14, 21, 28}

const (
	numBases   = 5
	numWindows = 3
	numExperts = numBases*numWindows + 4
)

var expertNames = [numExperts]string{
	"yesterday/15m", "yesterday/1h", "yesterday/3h",
	"last-week/15m", "last-week/1h", "last-week/3h",
	"four-weeks/15m", "four-weeks/1h", "four-weeks/3h",
	"seven-days/15m", "seven-days/1h", "seven-days/3h",
	"same-kind/15m", "same-kind/1h", "same-kind/3h",
	"last", "mean-15m", "trend-20m", "trend-1h",
}

// bases are means over the lags, NaN where nothing is known.
type bases [numBases]float64

// lags holds, for one instant, the row numbers of the same slot on earlier days and whether each day is of its kind.
type lags struct {
	row  [len(lagDays)]int64
	same [len(lagDays)]bool
}

func (f *Forecaster) lagsOf(row int64) lags {
	var l lags
	unix := row * f.step
	kind := f.cal.kind(unix)
	for i, d := range lagDays {
		u := f.cal.daysBefore(unix, d)
		l.row[i] = floorDiv(u, f.step)
		l.same[i] = f.cal.kind(u) == kind
	}
	return l
}

// basesOver is each base's mean over rows [row-before, row+after] of earlier days.
func (f *Forecaster) basesOver(l *lags, before, after int64) bases {
	var at [len(lagDays)]float64
	for i, r := range l.row {
		at[i] = f.hist.mean(r-before, r+after+1)
	}
	var week, kind, four meanOf
	for i := range 7 {
		week.add(at[i])
		if l.same[i] {
			kind.add(at[i])
		}
	}
	for i := 6; i < len(at); i++ {
		four.add(at[i])
	}
	return bases{at[0], at[6], four.value(), week.value(), kind.value()}
}

type meanOf struct{ sum, n float64 }

func (m *meanOf) add(v float64) {
	if !math.IsNaN(v) {
		m.sum, m.n = m.sum+v, m.n+1
	}
}

func (m *meanOf) value() float64 {
	if m.n == 0 {
		return math.NaN()
	}
	return m.sum / m.n
}

// origin is what all horizons share at one instant: levels, slopes and the ratio of load to each base.
type origin struct {
	row          int64 // the last complete row
	last, recent float64
	slope        [2]float64 // of the logarithm, a row
	ratio        [numBases][numWindows]float64
	week         float64 // mean of the last seven days
}

func (f *Forecaster) originAt(row int64) origin {
	o := origin{row: row}
	end := row + 1
	o.last = f.hist.at(row)
	for back := int64(1); math.IsNaN(o.last) && back <= f.rows(3600); back++ {
		o.last = f.hist.at(row - back)
	}
	o.recent = f.hist.mean(end-f.rows(900), end)
	if math.IsNaN(o.recent) {
		o.recent = o.last
	}
	if s, n := f.hist.total(end-f.rows(7*86400), end); n > 0 {
		o.week = s / n
	}
	for i, span := range [...]int64{1200, 3600} {
		o.slope[i] = f.slope(row, max(f.rows(span), 2), o.week)
	}
	l := f.lagsOf(row)
	for w, span := range [numWindows]int64{900, 3600, 3 * 3600} {
		n := f.rows(span)
		level := f.hist.mean(end-n, end)
		b := f.basesOver(&l, n-1, 0)
		for k := range b {
			o.ratio[k][w] = level / b[k]
		}
	}
	return o
}

// slope is how much the logarithm grew a row, between the older and the newer half of the last n rows.
func (f *Forecaster) slope(row, n int64, week float64) float64 {
	half := max(n/2, 1)
	c := week * 0.005
	newer, older := f.hist.mean(row+1-half, row+1), f.hist.mean(row+1-2*half, row+1-half)
	s := math.Log((newer+c)/(older+c)) / float64(half)
	if math.IsNaN(s) || math.IsInf(s, 0) {
		return math.NaN()
	}
	return s
}

// experts fills what each expert says of row o.row+h; NaN where it has nothing to say.
func (f *Forecaster) experts(o *origin, h int64, out *[numExperts]float64) {
	l := f.lagsOf(o.row + h)
	b := f.basesOver(&l, f.smooth, f.smooth)
	for k := range b {
		for w := range numWindows {
			out[k*numWindows+w] = finite(b[k] * o.ratio[k][w])
		}
	}
	i := numBases * numWindows
	out[i], out[i+1] = o.last, o.recent
	for j, span := range [...]int64{1200, 3600} {
		n := float64(max(f.rows(span), 2))
		// The slope's sum over h rows as it fades; and the newer half's mean lies a quarter of the span back.
		faded := n / math.Ln2 * (1 - math.Exp2(-float64(h)/n))
		out[i+2+j] = finite(o.last * math.Exp(min(max(o.slope[j]*faded, -2), 2)))
	}
}

func finite(v float64) float64 {
	if math.IsInf(v, 0) {
		return math.NaN()
	}
	return v
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
