// Package series holds a regular time series and reads and writes it as CSV.
//
// A row stamped t covers [t, t+Step). A value that is not known is NaN; it is never zero.
package series

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Series is one value a step, without holes in time.
type Series struct {
	// Start is the stamp of the first row, in UTC.
	Start time.Time
	// Step is the distance of two rows, above zero.
	Step time.Duration
	// Values, oldest first; NaN is unknown.
	Values []float64
}

// Len is the number of rows.
func (s Series) Len() int { return len(s.Values) }

// Time is the stamp of row i; i may lie outside the series.
func (s Series) Time(i int) time.Time { return s.Start.Add(time.Duration(i) * s.Step) }

// End is when the last row ends, and where the next would be stamped.
func (s Series) End() time.Time { return s.Time(len(s.Values)) }

// Index is the row that covers t; false where t is before the first or after the last.
func (s Series) Index(t time.Time) (int, bool) {
	if s.Step <= 0 || t.Before(s.Start) {
		return 0, false
	}
	i := int(t.Sub(s.Start) / s.Step)
	return i, i < len(s.Values)
}

// At is the value of the row that covers t; false where there is none or it is unknown.
func (s Series) At(t time.Time) (float64, bool) {
	i, ok := s.Index(t)
	if !ok || math.IsNaN(s.Values[i]) {
		return math.NaN(), false
	}
	return s.Values[i], true
}

// Slice is the rows stamped in [from, to). It shares the values with s.
func (s Series) Slice(from, to time.Time) Series {
	lo, hi := s.rowAtOrAfter(from), s.rowAtOrAfter(to)
	if hi < lo {
		hi = lo
	}
	return Series{Start: s.Time(lo), Step: s.Step, Values: s.Values[lo:hi:hi]}
}

func (s Series) rowAtOrAfter(t time.Time) int {
	d := t.Sub(s.Start)
	if d <= 0 || s.Step <= 0 {
		return 0
	}
	i := int((d + s.Step - 1) / s.Step)
	return min(i, len(s.Values))
}

// Filled is s with each stretch of unknown rows that is at most most long on a straight line between its neighbours, and how
// many rows that were. Longer stretches and those at the ends stay unknown.
func (s Series) Filled(most time.Duration) (filled Series, rows int) {
	filled = Series{Start: s.Start, Step: s.Step, Values: slices.Clone(s.Values)}
	known := -1 // the last row that is
	for i, v := range s.Values {
		if math.IsNaN(v) {
			continue
		}
		if n := i - known - 1; known >= 0 && n > 0 && time.Duration(n)*s.Step <= most {
			for k := known + 1; k < i; k++ {
				before := s.Values[known]
				filled.Values[k] = before + (v-before)*float64(k-known)/float64(i-known)
			}
			rows += n
		}
		known = i
	}
	return filled, rows
}

// Append adds one row and keeps at most keep rows, the newest; keep 0 keeps all.
func (s *Series) Append(v float64, keep int) {
	s.Values = append(s.Values, v)
	if over := len(s.Values) - keep; keep > 0 && over > 0 {
		s.Start = s.Time(over)
		copy(s.Values, s.Values[over:])
		s.Values = s.Values[:keep]
	}
}

// Resample is the mean over a coarser step that is a multiple of Step, on a grid of that step since 1970 UTC.
// Rows before the first full step and after the last are left out; a step of which less than half is known is unknown.
func (s Series) Resample(step time.Duration) (Series, error) {
	if s.Step <= 0 || step < s.Step || step%s.Step != 0 {
		return Series{}, fmt.Errorf("resampling to %v: it is not a multiple of the series' step %v; give one that is", step, s.Step)
	}
	n := int(step / s.Step)
	first := 0
	if off := floorMod(s.Start.UnixNano(), int64(step)); off != 0 {
		if off%int64(s.Step) != 0 {
			return Series{}, fmt.Errorf("resampling to %v: the series starts at %s, off that grid; cut it at a full step",
				step, s.Start.Format(time.RFC3339))
		}
		first = int((int64(step) - off) / int64(s.Step))
	}
	out := Series{Start: s.Time(first), Step: step}
	for i := first; i+n <= len(s.Values); i += n {
		out.Values = append(out.Values, mean(s.Values[i:i+n]))
	}
	return out, nil
}

func floorMod(a, b int64) int64 {
	if m := a % b; m >= 0 {
		return m
	} else {
		return m + b
	}
}

func mean(vs []float64) float64 {
	sum, n := 0.0, 0
	for _, v := range vs {
		if !math.IsNaN(v) {
			sum += v
			n++
		}
	}
	if 2*n < len(vs) {
		return math.NaN()
	}
	return sum / float64(n)
}
