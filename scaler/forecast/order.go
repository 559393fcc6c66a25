package forecast

import "math"

const (
	numOrder      = 11 // features of an order's correction
	numNext       = 8  // the first of them, from which the next row is foretold
	numOrderScale = 11 // features of an order's local scale
	// orderSpan is how long an order is needed at least, in seconds: the largest row in it is what is forecast.
	orderSpan = 240
	// orderClip bounds logarithms in an order.
	orderClip = 1.0
	// An order's correction is averaged over fewer days than its scale: when and how steeply a load rises changes soon.
	orderHalfLife = 4 * daySeconds
	newsHalfLife  = 6 * daySeconds
	orderRobust   = 3.0
	orderReady    = daySeconds
)

// order forecasts the largest of the rows that what is ordered now serves first: those of orderSpan after a lead.
type order struct {
	f       *Forecaster
	lead    int64 // rows up to the first one served
	span    int64 // rows that count
	pending []pendingOrder
	correct regression // logarithm of the outcome to the horizon's point
	next    regression // logarithm of the next row to the last five minutes
	scale   scale
	tail    tail
	learned int64
	// What the next row's surprise says about the outcome: decayed sums of their product and of its square.
	newsOutcome, news decayed
	expected          float64 // logarithm of the row after the origin
	drift             float64 // how much the point's logarithm grows in a row
}

// pendingOrder is a forecast whose outcome is awaited.
type pendingOrder struct {
	row                   int64 // the first one served
	ok                    bool
	before, point, small  float32 // the point before it was corrected, and after
	fiveMinutes, foretold float32 // logarithms of the load of the last five minutes, and of the next row
	surprise              float32 // how far the next row's logarithm was from what was foretold
	slot                  int32
	local                 local
	x                     [numOrder]int16
	s                     [numOrderScale]int16
}

func newOrder(lead int64, f *Forecaster, pool []float32) (*order, []float32) {
	o := &order{f: f, lead: lead, span: f.rows(orderSpan)}
	o.pending = make([]pendingOrder, o.lead+o.span)
	o.correct, pool = newRegression(numOrder, pool)
	o.next, pool = newRegression(numNext, pool)
	o.scale.seconds = float64(f.step)
	o.scale.reg, pool = newRegression(numOrderScale, pool)
	return o, pool
}

// orderSize is how many numbers the regressions of an order hold.
func orderSize() int {
	return regressionSize(numOrder) + regressionSize(numNext) + regressionSize(numOrderScale)
}

// at is the place of the forecast that serves from a row on.
func (o *order) at(row int64) *pendingOrder {
	return &o.pending[floorMod(row, int64(len(o.pending)))]
}

// resolve learns from a row of load v, which was just completed.
func (o *order) resolve(row int64, v float64, coarse bool) {
	if p := o.at(row - 1 + o.lead); p.row == row-1+o.lead && p.ok {
		o.learnNext(p, v)
	}
	first := row + 1 - o.span
	p := o.at(first)
	top := o.f.recent.largest(first, row+1)
	if p.row != first || !p.ok || math.IsNaN(top) {
		return
	}
	c, step := float64(p.small), float64(o.f.step)
	y := bounded(math.Log((top+c)/(float64(p.before)+c)), logClip)
	r := math.Log((top + c) / (float64(p.point) + c))
	if !isNumber(y) || !isNumber(r) {
		return
	}
	weight := math.Pow(min((float64(p.before)+c)/(o.f.usual.value()+c), sizeMost), sizePower)
	if far := orderRobust * max(float64(p.local.scale), smallestError); math.Abs(y) > far {
		weight *= far / math.Abs(y)
	}
	var x [numOrder]float32
	unpackAll(x[:], p.x[:])
	o.correct.learn(x[:], y, weight, keepOf(step, orderHalfLife))
	keep := keepOf(step, newsHalfLife)
	o.newsOutcome.add(weight*float64(p.surprise)*bounded(r, orderClip), keep)
	o.news.add(weight*float64(p.surprise)*float64(p.surprise), keep)
	if p.local.scale > 0 {
		o.tail.add(r/float64(p.local.scale), keepOf(step, tailHalfLife), coarse)
	}
	var s [numOrderScale]float32
	unpackAll(s[:], p.s[:])
	o.scale.learn(r, p.local, s[:], int64(p.slot))
	o.learned++
	if o.learned%max(int64(solveSeconds/step), 1) == 0 {
		o.correct.solve()
		o.next.solve()
	}
}

// learnNext learns from the row after a forecast's origin.
func (o *order) learnNext(p *pendingOrder, v float64) {
	l := math.Log(v + float64(p.small))
	if !isNumber(l) {
		return
	}
	if o.ready() {
		p.surprise = float32(bounded(l-float64(p.foretold), orderClip))
	}
	var x [numNext]float32
	unpackAll(x[:], p.x[:numNext])
	o.next.learn(x[:], bounded(l-float64(p.fiveMinutes), orderClip), 1, keepOf(float64(o.f.step), orderHalfLife))
}

func (o *order) ready() bool { return float64(o.learned*o.f.step) >= orderReady }

// make forecasts from a view.
func (o *order) make(v *view) made {
	f, c := o.f, v.small
	row := v.row + o.lead
	before := f.interpolate(o.lead)
	a := f.aheadOf(v, row)
	growth := f.growthOf(&a, v)
	p := pendingOrder{row: row, before: float32(before.point), small: float32(c), slot: int32(a.moment.local)}
	point := math.Log(before.point + c)
	x := o.features(&p, v, point, &growth)
	p.foretold = p.fiveMinutes + float32(bounded(o.next.predict(x[:]), orderClip))
	m := made{point: before.point, small: c, ref: before.ref}
	if o.ready() {
		m.point = max(math.Exp(point+bounded(o.correct.predict(x[:]), orderClip))-c, 0)
	}
	m.ok = before.ok && isNumber(m.point) && c > 0
	p.ok, p.point = m.ok, float32(m.point)
	o.expected = float64(p.foretold)
	o.drift = math.Log(f.interpolate(o.lead+1).point+c) - point
	if m.ok {
		o.scaleOf(&p, v, &a, before.scale, m.point, &growth)
	}
	m.scale = float64(p.local.scale)
	*o.at(row) = p
	return m
}

// features of a forecast whose point has a logarithm: the course of the last hour by the levels of its last minutes, the
// point against them, and what earlier days grew by.
func (o *order) features(p *pendingOrder, v *view, point float64, growth *growth) (x [numOrder]float32) {
	c := float64(p.small)
	var level [7]float64
	for i, seconds := range [...]int64{60, 120, 300, 600, 900, 1800, 3600} {
		x := o.f.recent.mean(v.row+1-o.f.rows(seconds), v.row+1)
		if math.IsNaN(x) {
			x = v.last
		}
		level[i] = math.Log(x + c)
	}
	p.fiveMinutes = float32(level[2])
	w := filler{out: x[:]}
	w.put(1)
	for i := range level[1:] {
		w.put(level[i] - level[i+1])
	}
	w.put(point - level[2])
	w.put(growth.mean - (point - level[3]))
	w.put(growth.lastWeek - (point - level[3]))
	w.put(level[0] - point)
	packAll(p.x[:], x[:])
	return x
}

// scaleOf a forecast: beside what is known of errors, how much earlier days grew at this time, and how unlike.
func (o *order) scaleOf(p *pendingOrder, v *view, a *ahead, horizon, point float64, growth *growth) {
	k, ok := o.scale.known(a.moment.local)
	if !ok {
		return
	}
	c := v.small
	rise := math.Log((point + c) / (v.level[span15m] + c))
	sin, cos := math.Sincos(2 * math.Pi * float64(a.moment.local) / daySeconds)
	off := 0.0
	if a.moment.kind != workingDay {
		off = 1
	}
	var s [numOrderScale]float32
	w := filler{out: s[:]}
	for _, x := range [numOrderScale]float64{1, k.slot, k.recent, k.log(horizon), math.Log((point + c) / (v.usual + c)),
		k.log(growth.spread), k.log(growth.most), k.log(max(rise, 0)), sin, cos, off} {
		w.put(x)
	}
	packAll(p.s[:], s[:])
	p.local = o.scale.of(k, s[:])
}

// fresh is by how much the open row moves a forecast, as a logarithm: its surprise so far, and that the rows that are
// served come later as it fills.
func (o *order) fresh(m *made) float64 {
	f := o.f
	mean, passed := f.soFar()
	if passed == 0 || o.news.value() == 0 || !o.ready() {
		return 0
	}
	surprise := bounded(math.Log(mean+m.small)-o.expected, orderClip)
	x := bounded(o.newsOutcome.value()/o.news.value(), 1)*surprise*math.Sqrt(passed) + bounded(o.drift, orderClip)*passed
	if !isNumber(x) {
		return 0
	}
	return x
}

// growth is what the days of the last week grew by from an origin to its target, as logarithms.
type growth struct{ mean, lastWeek, spread, most float64 }

// growthOf the days before a target; NaN and zero where nothing is known.
func (f *Forecaster) growthOf(a *ahead, v *view) growth {
	g := growth{lastWeek: math.NaN()}
	around := float64(smoothSeconds / f.step * f.step)
	const span = 600
	origin := f.cal.moment((v.row + 1) * f.step)
	var sum, squares meanOf
	for i := range lastWeek + 1 {
		from, to := float64(origin.past[i]), float64(a.moment.past[i])
		x := finite(math.Log((f.store.mean(to-around, to+float64(f.step)+around) + v.small) / (f.store.mean(from-span, from) + v.small)))
		if math.IsNaN(x) {
			continue
		}
		x = bounded(x, orderClip)
		sum.add(x)
		squares.add(x * x)
		g.most = max(g.most, x)
		if i == lastWeek {
			g.lastWeek = x
		}
	}
	g.mean = sum.value()
	if n := sum.n; n > 1 {
		g.spread = math.Sqrt(max(squares.value()-g.mean*g.mean, 0) * n / (n - 1))
	}
	return g
}
