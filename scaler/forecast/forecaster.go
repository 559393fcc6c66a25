package forecast

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"swell/scaler/series"
)

// Options of a Forecaster.
type Options struct {
	// Step of the rows: whole seconds, at most an hour. Default 1m.
	Step time.Duration
	// Location of the local wall clock. Default UTC.
	Location *time.Location
	// Holiday says whether a local date counts as a Sunday. Default: none does.
	Holiday func(date time.Time) bool
	// Horizons that are learned, each a multiple of Step, at most 48h; others up to the longest lie between them. Those
	// from 5m to 3h have regressions and cost 8 KiB each, others 3 KiB; all defaults together are 63 KiB at a step of 1m.
	// Default 1m, 5m, 15m, 30m, 60m, 2h, 24h as far as Step allows.
	Horizons []time.Duration
	// Leads over which maxima are learned, each a multiple of Step; the longest is learned as a horizon, too, if no horizon
	// is as long.
	// Default 5m, 15m, 30m, 60m as far as Step allows.
	Leads []time.Duration
	// Orders are the leads for which AtLead is learned, rounded up to whole rows, at most 48h; others up to the longest lie
	// between them, and shorter ones are taken for the shortest. Each costs 3 KiB. Default 2m, 6m.
	Orders []time.Duration
	// MinHistory is how much must have been seen before forecasts are Ready. Default 24h.
	MinHistory time.Duration
}

// largestLoad is above all that can be kept in a slot's code.
const largestLoad = 1e17

// keepDays is after how many days without a row everything is forgotten.
const keepDays = 8 * 7

func (o Options) withDefaults() Options {
	if o.Step == 0 {
		o.Step = time.Minute
	}
	if o.Location == nil {
		o.Location = time.UTC
	}
	if o.MinHistory == 0 {
		o.MinHistory = 24 * time.Hour
	}
	pick := func(minutes ...int) (out []time.Duration) {
		for _, m := range minutes {
			if d := time.Duration(m) * time.Minute; d >= o.Step && d%o.Step == 0 {
				out = append(out, d)
			}
		}
		return out
	}
	if o.Horizons == nil {
		o.Horizons = pick(1, 5, 15, 30, 60, 120, 24*60)
	}
	if o.Leads == nil {
		o.Leads = pick(5, 15, 30, 60)
	}
	if o.Orders == nil {
		o.Orders = []time.Duration{2 * time.Minute, 6 * time.Minute}
	}
	return o
}

// Validate names the field that cannot be used.
func (o Options) Validate() error {
	o = o.withDefaults()
	if o.Step < time.Second || o.Step > time.Hour || o.Step%time.Second != 0 {
		return fmt.Errorf("forecast: Step is %v; give whole seconds, at most an hour", o.Step)
	}
	for name, ds := range map[string][]time.Duration{"Horizons": o.Horizons, "Leads": o.Leads} {
		for _, d := range ds {
			if d <= 0 || d%o.Step != 0 || d > 48*time.Hour {
				return fmt.Errorf("forecast: %s has %v; give a multiple of the step %v, at most 48h", name, d, o.Step)
			}
		}
	}
	for _, d := range o.Orders {
		if d < 0 || d > 48*time.Hour {
			return fmt.Errorf("forecast: Orders has %v; give a lead of zero to 48h", d)
		}
	}
	if o.MinHistory < 0 {
		return fmt.Errorf("forecast: MinHistory is %v; give zero or more", o.MinHistory)
	}
	return nil
}

// Forecaster learns one series row by row. It is not safe for concurrent use.
type Forecaster struct {
	opts     Options
	step     int64 // seconds
	cal      calendar
	store    store
	recent   recentRows
	usual    decayed    // load
	day      decayed    // logarithm of load to the mean of four weeks, bounded
	horizons []*horizon // ascending
	peaks    []*peak    // by lead, ascending
	orders   []*order   // by lead, ascending
	parts    []int64    // horizons that peaks are made of, ascending

	open      openRow
	shown     preview
	perRow    float64 // samples in the last complete row
	started   bool
	seen      int64 // rows completed with a value
	firstRow  int64
	coarse    coarseStats
	straying  bool
	strayFrom int64 // row

	// cur is the last complete row's view of the world, and the others what was made from it.
	cur      view
	curMade  []made // by horizons
	partMade []made // by parts
	peakMade []made // by peaks
	// orderMade is by orders.
	orderMade []made
}

// ForBalloons are the options of a forecaster that Balloons are sized by: rows of a minute, and orders for every lead up to
// a quarter of an hour. It holds at most 64 KiB.
func ForBalloons(location *time.Location, holiday func(date time.Time) bool) Options {
	return Options{
		Step: time.Minute, Location: location, Holiday: holiday, Leads: []time.Duration{},
		Orders: []time.Duration{2 * time.Minute, 6 * time.Minute, 15 * time.Minute},
	}
}

// openRow is the row that is being filled.
type openRow struct {
	row    int64
	sum, n float64
	newest time.Time
	value  float64 // the newest sample
}

// preview is what a row that is not complete shows before anything of it is observed.
type preview struct {
	row         int64
	mean, share float64
}

// New makes a Forecaster that has seen nothing.
func New(opts Options) (*Forecaster, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	f := &Forecaster{opts: opts, step: int64(opts.Step / time.Second)}
	f.reset()
	return f, nil
}

// reset forgets everything.
func (f *Forecaster) reset() {
	opts := f.opts
	*f = Forecaster{opts: opts, step: f.step, coarse: f.coarse}
	f.cal = calendar{loc: opts.Location, holiday: opts.Holiday}
	hs, parts := map[int64]bool{}, map[int64]bool{}
	longest := f.rows(spanSeconds[span3h])
	for _, d := range opts.Horizons {
		hs[int64(d/opts.Step)] = true
	}
	leads := map[int64]bool{}
	for _, d := range opts.Leads {
		l := int64(d / opts.Step)
		leads[l] = true
		longest = max(longest, l)
	}
	for _, l := range slices.Sorted(maps.Keys(leads)) {
		if len(hs) == 0 || l > slices.Max(slices.Collect(maps.Keys(hs))) {
			hs[l] = true
		}
		p := newPeak(l, f)
		f.peaks = append(f.peaks, p)
		for _, h := range p.parts() {
			parts[h] = true
		}
	}
	orders := map[int64]bool{}
	for _, d := range opts.Orders {
		l := f.rowsIn(d)
		orders[l] = true
		if len(hs) == 0 || l+1 > slices.Max(slices.Collect(maps.Keys(hs))) {
			hs[l+1] = true // how the point grows after the lead is asked for, too
		}
	}
	f.parts = slices.Sorted(maps.Keys(parts))
	f.recent = newRecent(max(longest, 2))
	f.place(slices.Sorted(maps.Keys(hs)), slices.Sorted(maps.Keys(orders)))
	f.curMade = make([]made, len(f.horizons))
	f.partMade = make([]made, len(f.parts))
	f.peakMade = make([]made, len(f.peaks))
	f.orderMade = make([]made, len(f.orders))
}

// place makes the horizons and orders, whose regressions share one pool of numbers.
func (f *Forecaster) place(horizons, orders []int64) {
	size := len(orders) * orderSize()
	for _, h := range horizons {
		size += regressionSize(numScale)
		if f.hasRegressions(h) {
			for _, n := range regFeatures {
				size += regressionSize(n)
			}
		}
	}
	pool := make([]float32, size)
	for _, h := range horizons {
		var z *horizon
		z, pool = newHorizon(h, f, pool)
		f.horizons = append(f.horizons, z)
	}
	for _, l := range orders {
		var o *order
		o, pool = newOrder(l, f, pool)
		f.orders = append(f.orders, o)
	}
}

// Observe takes a sample stamped t. Samples within one row are averaged; rows without one are unknown, as is NaN.
// A sample of a row that is already complete, and one that no load can be, is refused and not learned.
func (f *Forecaster) Observe(t time.Time, v float64) error {
	return f.observe(t, v, false)
}

func (f *Forecaster) observe(t time.Time, v float64, coarse bool) error {
	if v < 0 || v > largestLoad {
		return fmt.Errorf("observing %s: %g cannot be a load; leave the sample out, or give NaN", t.Format(time.RFC3339), v)
	}
	row := floorDiv(t.Unix(), f.step)
	if f.started && row-f.open.row > (keepDays*daySeconds/f.step) {
		f.reset() // nothing that is known is of use any more
	}
	if !f.started {
		f.started, f.firstRow = true, row
		f.store = newStore(f.step, row*f.step)
		f.open = openRow{row: row, value: math.NaN()}
	}
	if row < f.open.row {
		return fmt.Errorf("observing %s: its row is complete since %s; feed samples in the order of time",
			t.Format(time.RFC3339), time.Unix(f.open.row*f.step, 0).UTC().Format(time.RFC3339))
	}
	f.closeUntil(row)
	f.coarse.current = coarse
	if !math.IsNaN(v) {
		f.open.sum, f.open.n = f.open.sum+v, f.open.n+1
		f.open.newest, f.open.value = t, v
	}
	return nil
}

// LeastShown is the least share of its row that a sample stands for in Preview: it is the mean of some time before it was taken.
const LeastShown = 0.25

// Preview says what a row that is not complete shows so far: the mean of a share of it, above 0 to 1. Only AtLead counts that,
// nothing is learned from it, and what is observed of the row takes its place.
func (f *Forecaster) Preview(t time.Time, mean, share float64) {
	if mean >= 0 && mean <= largestLoad && share > 0 && share <= 1 {
		f.shown = preview{floorDiv(t.Unix(), f.step), mean, share}
	}
}

// soFar is the mean of the open row and how much of it has passed, 0 where nothing is known of it.
func (f *Forecaster) soFar() (mean, passed float64) {
	switch {
	case f.open.n > 0:
		return f.open.sum / f.open.n, min(f.open.n/max(f.perRow, f.open.n), 1)
	case f.shown.row == f.open.row:
		return f.shown.mean, f.shown.share
	}
	return math.NaN(), 0
}

// closeUntil completes all rows before row.
func (f *Forecaster) closeUntil(row int64) {
	for f.open.row < row {
		v := math.NaN()
		if f.open.n > 0 {
			v = f.open.sum / f.open.n
		}
		f.complete(f.open.row, v)
		f.perRow = f.open.n
		f.open.row++
		f.open.sum, f.open.n = 0, 0
	}
}

// complete learns from a row and forecasts from it.
func (f *Forecaster) complete(row int64, v float64) {
	f.recent.add(row, v)
	if !math.IsNaN(v) {
		f.seen++
		if most := usualMost * f.usual.value(); most > 0 {
			f.usual.add(min(v, most), keepOf(float64(f.step), usualHalfLife))
		} else {
			f.usual.add(v, keepOf(float64(f.step), usualHalfLife))
		}
	}
	if !f.coarse.current {
		f.learnLive(row)
	}
	f.store.add((row+1)*f.step, v)
	for _, z := range f.horizons {
		z.resolve(row, v, f.coarse.current)
	}
	for _, p := range f.peaks {
		p.resolve(row, f.coarse.current)
	}
	for _, o := range f.orders {
		o.resolve(row, v, f.coarse.current)
	}
	f.cur = f.viewAt(row)
	for i, z := range f.horizons {
		f.curMade[i] = z.make(&f.cur)
	}
	for i, h := range f.parts {
		f.partMade[i] = f.interpolate(h)
	}
	for i, p := range f.peaks {
		f.peakMade[i] = p.make(&f.cur)
	}
	for i, o := range f.orders {
		f.orderMade[i] = o.make(&f.cur)
	}
}

// at is what was made for a horizon, which is one of the parts.
func (f *Forecaster) at(h int64) made {
	i, _ := slices.BinarySearch(f.parts, h)
	return f.partMade[i]
}

// around is the index of the first learned horizon that is not shorter than h.
func (f *Forecaster) around(h int64) int {
	i, _ := slices.BinarySearchFunc(f.horizons, h, func(z *horizon, h int64) int { return cmp.Compare(z.h, h) })
	return i
}

// interpolate makes a forecast for a horizon up to the longest that is learned. Between two of them the logarithm of
// point to reference and that of the scale lie on straight lines; before the first the line begins at the last load.
func (f *Forecaster) interpolate(h int64) made {
	i := f.around(h)
	after := f.curMade[i]
	if f.horizons[i].h == h {
		return after
	}
	before, from := made{ok: after.ok, point: f.cur.last, small: after.small, scale: after.scale}, int64(0)
	if i > 0 {
		before, from = f.curMade[i-1], f.horizons[i-1].h
	} else {
		before.ref = f.aheadOf(&f.cur, f.cur.row).ref
	}
	w := float64(h-from) / float64(f.horizons[i].h-from)
	c := f.cur.small
	m := made{ok: before.ok && after.ok, small: c, ref: f.aheadOf(&f.cur, f.cur.row+h).ref}
	ratio := func(m made) float64 { return math.Log((m.point + c) / (m.ref + c)) }
	m.point = max((m.ref+c)*math.Exp(ratio(before)*(1-w)+ratio(after)*w)-c, 0)
	if !isNumber(m.point) {
		m.point = before.point*(1-w) + after.point*w
	}
	m.scale = math.Pow(before.scale, 1-w) * math.Pow(after.scale, w)
	return m
}

// advance completes the rows that have ended by now. One without a sample is given one more step to get it.
func (f *Forecaster) advance(now time.Time) {
	if !f.started {
		return
	}
	end := floorDiv(now.Unix(), f.step) // the row that now lies in
	if end > f.open.row && f.open.n == 0 {
		end--
	}
	// Rows without end are not worth completing; the next sample starts anew.
	f.closeUntil(min(end, f.open.row+(keepDays*daySeconds/f.step)))
}

// completeBefore completes every row before the one now lies in.
func (f *Forecaster) completeBefore(now time.Time) {
	if row := floorDiv(now.Unix(), f.step); f.started && row > f.open.row {
		f.closeUntil(row)
	}
}

// Backfill feeds a history, whose step may be the forecaster's, a finer one or a coarser multiple of it; see the
// package comment for what becomes of coarse rows. Rows before the newest sample are skipped.
func (f *Forecaster) Backfill(s series.Series) error {
	if s.Step <= f.opts.Step {
		if s.Step <= 0 || f.opts.Step%s.Step != 0 {
			return fmt.Errorf("filling the history: the step %v does not divide %v; resample it", s.Step, f.opts.Step)
		}
		for i, v := range s.Values {
			if err := f.backfillRow(s.Time(i), v, false); err != nil {
				return err
			}
		}
		return nil
	}
	if s.Step%f.opts.Step != 0 {
		return fmt.Errorf("filling the history: the step %v is not a multiple of %v; resample it", s.Step, f.opts.Step)
	}
	m := int(s.Step / f.opts.Step)
	f.coarse.learn(s.Values, m)
	noise := f.givenNoise()
	for i := range s.Values {
		for j := range m {
			t := s.Time(i).Add(time.Duration(j) * f.opts.Step)
			v := between(s.Values, i, j, m) * (1 + noise*unevenness(t.Unix()/f.step))
			if err := f.backfillRow(t, v, true); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *Forecaster) backfillRow(t time.Time, v float64, coarse bool) error {
	if f.started && floorDiv(t.Unix(), f.step) < f.open.row {
		return nil
	}
	if err := f.observe(t, v, coarse); err != nil {
		return fmt.Errorf("filling the history: %w", err)
	}
	return nil
}
