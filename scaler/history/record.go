package history

import (
	"math"
	"slices"
	"time"

	"swell/scaler/series"
)

const (
	// MinuteStep and KeepMinutes are the fine part of a record, CoarseStep and KeepCoarse the long one.
	MinuteStep  = time.Minute
	KeepMinutes = 3 * 24 * time.Hour
	CoarseStep  = 5 * time.Minute
	KeepCoarse  = 8 * 7 * 24 * time.Hour

	mostShares    = 64
	minuteSeconds = int64(MinuteStep / time.Second)
	coarseSeconds = int64(CoarseStep / time.Second)
	perCoarse     = coarseSeconds / minuteSeconds
)

// Record is what is kept of a workload's demand: one minute for three days, five minutes for eight weeks, each row to 0.5 %
// or with the class of why it is unknown. It is the demand of all clusters: what was seen is divided by the share.
type Record struct {
	minutes, coarse rows
	shares          []shareRun
}

// shareRun is the share that samples were divided by, from a minute on.
type shareRun struct {
	from  int64 // minute
	share float64
}

// rows are regular; the first is numbered by unix time / step.
type rows struct {
	first int64
	codes []code
}

func (r *rows) end() int64 { return r.first + int64(len(r.codes)) }

func (r *rows) at(i int64) code {
	if i < r.first || i >= r.end() {
		return code(NoSample)
	}
	return r.codes[i-r.first]
}

// put writes row i and keeps the newest rows only; one that is older than all that may be kept is left out.
func (r *rows) put(i int64, c code, keep int) {
	switch {
	case len(r.codes) == 0:
		r.first, r.codes = i, append(r.codes, c)
	case i <= r.end()-int64(keep):
	case i >= r.end()+int64(keep):
		r.first, r.codes = i, append(r.codes[:0], c)
	case i < r.first:
		grown := make([]code, r.end()-i)
		copy(grown[r.first-i:], r.codes)
		r.first, r.codes = i, grown
		r.codes[0] = c
	case i < r.end():
		r.codes[i-r.first] = c
	default:
		for r.end() < i {
			r.codes = append(r.codes, code(NoSample))
		}
		r.codes = append(r.codes, c)
		if over := len(r.codes) - keep; over > 0 {
			r.first += int64(over)
			r.codes = slices.Delete(r.codes, 0, over)
		}
	}
}

const (
	keepMinuteRows = int(KeepMinutes / MinuteStep)
	keepCoarseRows = int(KeepCoarse / CoarseStep)
)

// Empty says that nothing was ever recorded.
func (r *Record) Empty() bool { return len(r.minutes.codes) == 0 && len(r.coarse.codes) == 0 }

// End is when the last row ends; zero for an empty record.
func (r *Record) End() time.Time {
	if r.Empty() {
		return time.Time{}
	}
	return time.Unix(max(r.minutes.end()*minuteSeconds, r.coarse.end()*coarseSeconds), 0).UTC()
}

// merge writes minutes that were sampled live. A row that somebody else has sampled stays.
func (r *Record) merge(t rows) {
	for i, c := range t.codes {
		row := t.first + int64(i)
		if r.minutes.at(row) == code(NoSample) {
			r.minutes.put(row, c, keepMinuteRows)
		}
	}
	if len(t.codes) > 0 {
		r.derive(t.first, t.end())
	}
}

// derive makes the coarse rows of complete stretches of the minutes [from, to), where they are not known yet.
func (r *Record) derive(from, to int64) {
	for slot := floorDiv(from, perCoarse); (slot+1)*perCoarse <= r.minutes.end() && slot*perCoarse < to; slot++ {
		r.deriveSlot(slot)
	}
}

func (r *Record) deriveSlot(slot int64) {
	if slot*perCoarse < r.minutes.first && r.coarse.at(slot) != code(NoSample) {
		return // some of its minutes are gone
	}
	var five [perCoarse]code
	for i := range five {
		five[i] = r.minutes.at(slot*perCoarse + int64(i))
	}
	if c := meanOf(five[:]); c != code(NoSample) || len(r.coarse.codes) == 0 || slot >= r.coarse.end() {
		r.coarse.put(slot, c, keepCoarseRows)
	}
}

// Fill takes a past from elsewhere, whose step is a minute or five, into rows that nobody sampled. It gives the number of
// rows that became known.
func (r *Record) Fill(s series.Series) int {
	target, keep, step := &r.coarse, keepCoarseRows, coarseSeconds
	if s.Step == MinuteStep {
		target, keep, step = &r.minutes, keepMinuteRows, minuteSeconds
	}
	before := target.end()
	filled := 0
	for i, v := range s.Values {
		row := floorDiv(s.Time(i).Unix(), step)
		c := codeOf(v)
		if c.known() && target.at(row) == code(NoSample) {
			target.put(row, c, keep)
			if row >= target.first && row < target.end() {
				filled++
			}
		}
	}
	if s.Step == MinuteStep && len(s.Values) > 0 {
		r.derive(floorDiv(s.Start.Unix(), minuteSeconds), max(before, target.end()))
	}
	return filled
}

// noteShare remembers which share samples were divided by, from a minute on.
func (r *Record) noteShare(from int64, share float64) {
	if n := len(r.shares); n > 0 && (r.shares[n-1].share == share || r.shares[n-1].from > from) {
		return
	}
	r.shares = append(r.shares, shareRun{from, share})
	if over := len(r.shares) - mostShares; over > 0 {
		r.shares = slices.Delete(r.shares, 0, over)
	}
}

// Share that a time's samples were divided by; NaN where none is recorded.
func (r *Record) Share(t time.Time) float64 {
	share, row := math.NaN(), floorDiv(t.Unix(), minuteSeconds)
	for _, s := range r.shares {
		if s.from > row {
			break
		}
		share = s.share
	}
	return share
}

// Minutes and Coarse are the two parts as series, with the class of each row.
func (r *Record) Minutes() (series.Series, []Class) { return r.minutes.series(MinuteStep) }

// Coarse is the long part.
func (r *Record) Coarse() (series.Series, []Class) { return r.coarse.series(CoarseStep) }

func (r *rows) series(step time.Duration) (series.Series, []Class) {
	s := series.Series{Start: time.Unix(r.first*int64(step/time.Second), 0).UTC(), Step: step}
	classes := make([]Class, len(r.codes))
	for i, c := range r.codes {
		s.Values = append(s.Values, c.value())
		classes[i] = c.class()
	}
	return s, classes
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// SharePart is the share that samples were divided by from a time on.
type SharePart struct {
	From  time.Time `json:"from"`
	Share float64   `json:"share"`
}

// Shares are all that are recorded, oldest first.
func (r *Record) Shares() []SharePart {
	var out []SharePart
	for _, s := range r.shares {
		out = append(out, SharePart{minuteTime(s.from), s.share})
	}
	return out
}
