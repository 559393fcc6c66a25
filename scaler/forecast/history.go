package forecast

import (
	"math"
	"time"
)

// history keeps rows by their absolute number (unix time / step) with running sums, so that any window's mean costs
// two reads.
type history struct {
	first    int64 // number of the first row kept
	sum, cnt []float64
	keep     int
}

func newHistory(keep int) *history { return &history{keep: keep, sum: []float64{0}, cnt: []float64{0}} }

func (h *history) len() int    { return len(h.sum) - 1 }
func (h *history) next() int64 { return h.first + int64(h.len()) }

// add appends the row after the last; NaN is unknown.
func (h *history) add(v float64) {
	n := h.len()
	s, c := h.sum[n], h.cnt[n]
	if !math.IsNaN(v) {
		s, c = s+v, c+1
	}
	h.sum, h.cnt = append(h.sum, s), append(h.cnt, c)
	if h.len() >= 2*h.keep {
		h.compact()
	}
}

func (h *history) compact() {
	drop := h.len() - h.keep
	s0, c0 := h.sum[drop], h.cnt[drop]
	for i := drop; i < len(h.sum); i++ {
		h.sum[i-drop], h.cnt[i-drop] = h.sum[i]-s0, h.cnt[i]-c0
	}
	h.sum, h.cnt = h.sum[:h.keep+1], h.cnt[:h.keep+1]
	h.first += int64(drop)
}

// total is the sum and the number of known rows in [a, b).
func (h *history) total(a, b int64) (sum, n float64) {
	lo, hi := max(a-h.first, 0), min(b-h.first, int64(h.len()))
	if hi <= lo {
		return 0, 0
	}
	return h.sum[hi] - h.sum[lo], h.cnt[hi] - h.cnt[lo]
}

// mean of the known rows in [a, b); NaN where less than half are known.
func (h *history) mean(a, b int64) float64 {
	s, n := h.total(a, b)
	if n == 0 || 2*n < float64(b-a) {
		return math.NaN()
	}
	return max(s/n, 0)
}

func (h *history) at(i int64) float64 { return h.mean(i, i+1) }

// calendar finds the same local time on earlier days, and what kind of day one is.
type calendar struct {
	loc     *time.Location
	holiday func(date time.Time) bool
	// kinds by local day number.
	kinds map[int64]dayKind
}

type dayKind uint8

const (
	workingDay dayKind = iota
	saturday
	sunday // and holidays
)

func (c *calendar) offset(unix int64) int64 {
	_, off := time.Unix(unix, 0).In(c.loc).Zone()
	return int64(off)
}

// daysBefore is the same local wall-clock time some days earlier.
func (c *calendar) daysBefore(unix int64, days int) int64 {
	u := unix - int64(days)*86400
	return u + c.offset(unix) - c.offset(u)
}

func (c *calendar) kind(unix int64) dayKind {
	day := (unix + c.offset(unix)) / 86400
	if k, ok := c.kinds[day]; ok {
		return k
	}
	if len(c.kinds) > 200 {
		clear(c.kinds)
	}
	t := time.Unix(unix, 0).In(c.loc)
	k := workingDay
	switch {
	case t.Weekday() == time.Sunday || c.holiday != nil && c.holiday(t):
		k = sunday
	case t.Weekday() == time.Saturday:
		k = saturday
	}
	c.kinds[day] = k
	return k
}
