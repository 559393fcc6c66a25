package history

import (
	"fmt"
	"math"
	"slices"
	"time"

	"swell/scaler/forecast"
	"swell/scaler/series"
)

// profileAfter is after how many minutes without a share's traffic the profile stands in for it: until then the forecast goes
// by the last known level.
const profileAfter = 45

// forecastFresh is how old the newest known row may be for the next one's forecast to be what is expected.
const forecastFresh = 10 * time.Minute

// Sample is what a reading was taken for.
type Sample struct {
	At time.Time
	// Demand is of all clusters.
	Demand
	// Share that it was divided by; NaN for what was of all clusters already.
	Share float64
}

// Workload is the demand of one guarded workload and the forecaster that learns it. It is not safe for concurrent use.
//
// The rows that no checkpoint has yet are its tail; it keeps no other part of its past but the forecaster's.
type Workload struct {
	forecaster *forecast.Forecaster
	profile    profile
	marks      marks
	sharing    sharing
	open       openRow
	fed        int64 // the first minute that was not fed to the forecaster
	hiddenFrom int64 // the minute since which the share hides the demand; 0 is not
	tail       rows
	tailShares []shareRun
	last       Sample
	jumped     bool // the clock was, since the row before the open one
}

// openRow is the minute that is being sampled.
type openRow struct {
	row     int64
	samples []code
	sum     float64
	known   int
}

// NewWorkload is a workload with the past of files, oldest first, and of a record, which may be nil. The forecaster's step is
// a minute.
func NewWorkload(o forecast.Options, files []series.Series, r *Record) (*Workload, error) {
	o.Step = MinuteStep
	f, err := forecast.New(o)
	if err != nil {
		return nil, fmt.Errorf("making a forecaster: %w", err)
	}
	w := &Workload{forecaster: f, profile: profile{location: o.Location}}
	if o.Location == nil {
		w.profile.location = time.UTC
	}
	for _, s := range files {
		if err := w.replay(s, nil); err != nil {
			return nil, err
		}
	}
	if r == nil || r.Empty() {
		return w, nil
	}
	coarse, classes := r.Coarse()
	if len(r.minutes.codes) > 0 {
		minutes, _ := r.Minutes()
		coarse = coarse.Slice(coarse.Start, minutes.Start)
	}
	if err := w.replay(coarse, classes); err != nil {
		return nil, err
	}
	minutes, classes := r.Minutes()
	if err := w.replay(minutes, classes); err != nil {
		return nil, err
	}
	if n := len(r.shares); n > 0 {
		w.sharing = sharing{begun: true, traffic: r.shares[n-1].share, asked: r.shares[n-1].share}
	}
	return w, nil
}

// replay learns a past. Classes, where there are any, are of the first rows of s.
func (w *Workload) replay(s series.Series, classes []Class) error {
	first := slices.IndexFunc(s.Values, func(v float64) bool { return !math.IsNaN(v) })
	if first < 0 {
		return nil
	}
	fed := series.Series{Start: s.Time(first), Step: s.Step, Values: make([]float64, 0, s.Len()-first)}
	for i := first; i < s.Len(); i++ {
		class := NoSample
		if !math.IsNaN(s.Values[i]) {
			class = Known
		} else if i < len(classes) {
			class = classes[i]
		}
		fed.Values = append(fed.Values, w.seen(s.Time(i), s.Values[i], class))
	}
	if err := w.forecaster.Backfill(fed); err != nil {
		return fmt.Errorf("learning the past from %s: %w", fed.Start.Format(time.RFC3339), err)
	}
	w.fed = max(w.fed, ceilDiv(fed.End().Unix(), minuteSeconds))
	return nil
}

// seen is what the forecaster is fed for a row: its value, or what the profile stands in with.
func (w *Workload) seen(t time.Time, pods float64, class Class) float64 {
	minute := floorDiv(t.Unix(), minuteSeconds)
	if !class.heldByProfile() {
		w.hiddenFrom = 0
		if class == Known {
			w.profile.add(t, pods)
		}
		return pods
	}
	if w.hiddenFrom == 0 {
		w.hiddenFrom = minute
	}
	if minute-w.hiddenFrom < profileAfter {
		return math.NaN()
	}
	return w.profile.at(t)
}

// Take takes a reading and says what it was taken for.
func (w *Workload) Take(r Reading) Sample {
	d, believed := w.marks.clock(r)
	if believed && floorDiv(r.At.Unix(), minuteSeconds) < w.open.row {
		d, believed = Unknown(ClockJump, fmt.Sprintf("the clock was set back: there are samples until %s already", minuteTime(w.open.row+1).Format(time.RFC3339))), false
	}
	if !believed {
		w.jumped = true
		w.last = Sample{At: r.At, Demand: d, Share: math.NaN()}
		return w.last
	}
	minute := floorDiv(r.At.Unix(), minuteSeconds)
	w.flush(minute)
	served, expected := 1.0, w.expected(r.At)
	if !r.AllClusters {
		served = min(w.sharing.traffic, r.Share) // traffic that is sent elsewhere is no outage
	}
	out := Sample{At: r.At, Share: math.NaN(), Demand: w.marks.of(r, expected*served)}
	if out.Class == Known {
		pods := out.Pods
		if !r.AllClusters {
			why := out.Why
			out.Demand = w.sharing.of(r.At, pods, r.Share, expected)
			out.Share = w.sharing.traffic
			if out.Class == Known {
				out.Why = join(why, out.Why)
				w.noteShare(minute)
			}
		}
		if out.Class == Known {
			w.marks.seen(pods)
		}
	}
	w.open.add(minute, out.Demand)
	w.last = out
	return out
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + ", " + b
}

func (w *Workload) noteShare(minute int64) {
	if n := len(w.tailShares); n == 0 || w.tailShares[n-1].share != w.sharing.traffic {
		w.tailShares = append(w.tailShares, shareRun{minute, w.sharing.traffic})
	}
}

func (o *openRow) add(row int64, d Demand) {
	o.row = row
	if d.Class == Known {
		o.sum, o.known = o.sum+d.Pods, o.known+1
		o.samples = append(o.samples, codeOf(d.Pods))
	} else {
		o.samples = append(o.samples, code(d.Class))
	}
}

// code of the row.
func (o *openRow) code() code {
	if o.known > 0 && 2*o.known >= len(o.samples) {
		return codeOf(o.sum / float64(o.known))
	}
	return meanOf(o.samples)
}

// flush completes the open row where it ends before a minute.
func (w *Workload) flush(minute int64) {
	if len(w.open.samples) == 0 || w.open.row >= minute {
		return
	}
	c := w.open.code()
	if gap := w.open.row - w.fed; w.jumped && w.fed > 0 && gap > 0 && gap <= int64(jumpSettleMost/MinuteStep) {
		for row := w.fed; row < w.open.row; row++ {
			w.tail.put(row, code(ClockJump), keepMinuteRows)
		}
	}
	w.jumped = false
	w.tail.put(w.open.row, c, keepMinuteRows)
	w.feed(w.open.row, c)
	w.open.samples, w.open.sum, w.open.known = w.open.samples[:0], 0, 0
}

// feed gives the forecaster a row as a checkpoint has it, so that who loads one forecasts the same.
func (w *Workload) feed(row int64, c code) {
	if row < w.fed {
		return
	}
	w.fed = row + 1
	t := minuteTime(row)
	// It refuses a row that it has completed without a sample: that stays unknown there.
	_ = w.forecaster.Observe(t, w.seen(t, c.value(), c.class()))
}

// expected demand of all clusters now; NaN is unknown. The next row's forecast goes by the newest known ones, which are of no
// use once they are old.
func (w *Workload) expected(now time.Time) float64 {
	profile := w.profile.at(now)
	if now.Sub(w.profile.newest) <= forecastFresh || math.IsNaN(profile) {
		if a := w.forecaster.Forecast(now, MinuteStep, 0.5); a.Ready {
			return a.Point
		}
	}
	return profile
}

// Last is the newest sample.
func (w *Workload) Last() Sample { return w.last }

// AtLead is the forecast of the demand of all clusters when what is ordered now serves, a lead from now, in pods, and its
// quantile.
func (w *Workload) AtLead(now time.Time, lead time.Duration, tau float64) forecast.Answer {
	minute := floorDiv(now.Unix(), minuteSeconds)
	w.flush(minute)
	if o := &w.open; o.row == minute && o.known > 0 && 2*o.known >= len(o.samples) {
		passed := max(w.last.At.Sub(minuteTime(minute)).Minutes(), forecast.LeastShown)
		w.forecaster.Preview(minuteTime(minute), o.sum/float64(o.known), min(passed, 1))
	}
	return w.forecaster.AtLead(now, lead, tau)
}

// Tail is the complete rows that no checkpoint has yet.
type Tail struct {
	rows   rows
	shares []shareRun
}

// Len is the number of rows.
func (t Tail) Len() int { return len(t.rows.codes) }

// Add writes a tail to a record. A row that somebody else has sampled stays.
func (r *Record) Add(t Tail) {
	r.merge(t.rows)
	for _, s := range t.shares {
		r.noteShare(s.from, s.share)
	}
}

// Tail is a copy of the rows to be saved.
func (w *Workload) Tail() Tail {
	return Tail{rows{w.tail.first, slices.Clone(w.tail.codes)}, slices.Clone(w.tailShares)}
}

// Saved says that a checkpoint has a tail.
func (w *Workload) Saved(t Tail) {
	n := min(max(t.rows.end()-w.tail.first, 0), int64(len(w.tail.codes)))
	w.tail = rows{w.tail.first + n, slices.Clone(w.tail.codes[n:])}
	if n := len(w.tailShares); n > 0 && len(t.shares) == n {
		w.tailShares = w.tailShares[n-1:] // the newest says that the next is no change
	}
}

// Adopt takes over what another workload has sampled since the past that w was made of. What it divided by a share that the past
// knows the traffic had not is unknown.
func (w *Workload) Adopt(other *Workload) {
	if w.sharing.begun && other.sharing.supposed && w.sharing.traffic != other.sharing.traffic {
		other.disbelieve()
	}
	for i, c := range other.tail.codes {
		w.feed(other.tail.first+int64(i), c)
	}
	if other.sharing.begun && (other.sharing.changing || !w.sharing.begun) {
		w.sharing = other.sharing
	}
	w.marks, w.open, w.last = other.marks, other.open, other.last
	w.tail, w.tailShares = other.tail, other.tailShares
}

// disbelieve makes unknown what was divided by a share that was only supposed.
func (w *Workload) disbelieve() {
	for _, codes := range [][]code{w.tail.codes, w.open.samples} {
		for i, c := range codes {
			if c.known() {
				codes[i] = code(ShareChange)
			}
		}
	}
	w.open.sum, w.open.known, w.tailShares, w.sharing = 0, 0, nil, sharing{}
	if w.last.Class == Known {
		w.last = Sample{At: w.last.At, Share: math.NaN(), Demand: Unknown(ShareChange, "it was sampled before the past was read, in which the traffic had another share")}
	}
}

func minuteTime(row int64) time.Time { return time.Unix(row*minuteSeconds, 0).UTC() }

func ceilDiv(a, b int64) int64 { return -floorDiv(-a, b) }
