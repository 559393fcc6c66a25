package forecast

import (
	"fmt"
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
	// Horizons that are learned, each a multiple of Step. Default 5m, 30m, 60m as far as Step allows.
	Horizons []time.Duration
	// Leads over which maxima are learned, each a multiple of Step.
	// Default 1m, 2m, 3m, 5m, 10m, 15m, 30m, 60m as far as Step allows.
	Leads []time.Duration
	// MinHistory is how much must have been seen before forecasts are Ready. Default 24h.
	MinHistory time.Duration
}

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
		o.Horizons = pick(5, 30, 60)
	}
	if o.Leads == nil {
		o.Leads = pick(1, 2, 3, 5, 10, 15, 30, 60)
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
	if o.MinHistory < 0 {
		return fmt.Errorf("forecast: MinHistory is %v; give zero or more", o.MinHistory)
	}
	return nil
}

// Forecaster learns one series row by row. It is not safe for concurrent use.
type Forecaster struct {
	opts   Options
	step   int64 // seconds
	smooth int64 // rows on each side
	cal    calendar
	hist   *history
	blends []*blend // by horizon, ascending
	peaks  []*peak  // by lead, ascending

	open     openRow
	started  bool
	seen     int64 // rows completed with a value
	firstRow int64
	coarse   coarseStats

	// cur is the last complete row's view of the world.
	cur      origin
	curLags  map[int64]*lags
	curMade  []made
	curSaid  [][numExperts]float64
	peakMade []made
}

// openRow is the row that is being filled.
type openRow struct {
	row    int64
	sum, n float64
	newest time.Time
	value  float64 // the newest sample
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
	*f = Forecaster{opts: opts, step: f.step, smooth: 600 / f.step, coarse: f.coarse, curLags: map[int64]*lags{}}
	f.cal = calendar{loc: opts.Location, holiday: opts.Holiday, kinds: map[int64]dayKind{}}
	f.hist = newHistory(int(keepDays * 86400 / f.step))
	hs := map[int64]bool{}
	for _, d := range opts.Horizons {
		hs[int64(d/opts.Step)] = true
	}
	for _, d := range opts.Leads {
		for _, h := range peakHorizons(int64(d / opts.Step)) {
			hs[h] = true
		}
	}
	var sorted []int64
	for h := range hs {
		sorted = append(sorted, h)
	}
	slices.Sort(sorted)
	for _, h := range sorted {
		f.blends = append(f.blends, newBlend(h, f))
	}
	leads := slices.Clone(opts.Leads)
	slices.Sort(leads)
	for _, d := range slices.Compact(leads) {
		f.peaks = append(f.peaks, newPeak(int64(d/opts.Step), f))
	}
	f.curMade = make([]made, len(f.blends))
	f.curSaid = make([][numExperts]float64, len(f.blends))
	f.peakMade = make([]made, len(f.peaks))
}

// rows in a span of seconds, at least one.
func (f *Forecaster) rows(seconds int64) int64 { return max(seconds/f.step, 1) }

// Observe takes a sample stamped t. Samples within one row are averaged; rows without one are unknown, as is NaN.
// A sample of a row that is already complete, and one that no load can be, is refused and not learned.
func (f *Forecaster) Observe(t time.Time, v float64) error {
	return f.observe(t, v, false)
}

func (f *Forecaster) observe(t time.Time, v float64, coarse bool) error {
	if v < 0 || math.IsInf(v, 0) {
		return fmt.Errorf("observing %s: %g cannot be a load; leave the sample out, or give NaN", t.Format(time.RFC3339), v)
	}
	row := floorDiv(t.Unix(), f.step)
	if f.started && row-f.open.row > int64(f.hist.keep) {
		f.reset() // nothing that is known is of use any more
	}
	if !f.started {
		f.started, f.firstRow = true, row
		f.hist.first = row
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

// closeUntil completes all rows before row.
func (f *Forecaster) closeUntil(row int64) {
	for f.open.row < row {
		v := math.NaN()
		if f.open.n > 0 {
			v = f.open.sum / f.open.n
		}
		f.complete(f.open.row, v)
		f.open.row++
		f.open.sum, f.open.n = 0, 0
	}
}

// complete learns from a row and forecasts from it.
func (f *Forecaster) complete(row int64, v float64) {
	f.hist.add(v)
	if !math.IsNaN(v) {
		f.seen++
	}
	for _, b := range f.blends {
		b.resolve(row, v, f.coarse.current)
	}
	for _, p := range f.peaks {
		p.resolve(row, v, f.coarse.current)
	}
	f.cur = f.originAt(row)
	c := f.cur.week * 0.005
	clear(f.curLags)
	for i, b := range f.blends {
		said := &f.curSaid[i]
		f.experts(&f.cur, b.h, said)
		m := made{point: b.point(said), c: c}
		m.ok = !math.IsNaN(m.point) && c > 0
		m.scale = b.res.scale(f.lagsAt(row+b.h), row+b.h)
		f.curMade[i] = m
		b.pending[(row+b.h)%int64(len(b.pending))] = pendingBlend{row + b.h, *said, m}
	}
	for i, p := range f.peaks {
		f.peakMade[i] = p.make(row, c)
	}
}

func (f *Forecaster) lagsAt(row int64) *lags {
	if l, ok := f.curLags[row]; ok {
		return l
	}
	l := f.lagsOf(row)
	f.curLags[row] = &l
	return &l
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
	f.closeUntil(min(end, f.open.row+int64(f.hist.keep)))
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
	for i := range s.Values {
		for j := range m {
			t := s.Time(i).Add(time.Duration(j) * f.opts.Step)
			if err := f.backfillRow(t, between(s.Values, i, j, m), true); err != nil {
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
