package forecast

import "time"

// calendar finds the same local time on earlier days, and what kind of day one is.
type calendar struct {
	loc     *time.Location
	holiday func(date time.Time) bool
	// kinds of the days that were asked for last, by local day number mod their count.
	kinds [64]struct {
		day  int32 // + 1; 0 is none
		kind dayKind
	}
}

type dayKind uint8

const (
	workingDay dayKind = iota
	saturday
	sunday // and holidays
)

const daySeconds = 86400

func (c *calendar) offset(unix int64) int64 {
	_, off := time.Unix(unix, 0).In(c.loc).Zone()
	return int64(off)
}

// lagDays are the days back of the same slots that bases are made of.
var lagDays = [...]int{1, 2, 3, 4, 5, 6, 7, 14, 21, 28, 35, 42, 49, 56}

const (
	numLags  = len(lagDays)
	lastWeek = 6 // index of 7 days in lagDays
)

// moment is a target or an origin, with the same local wall-clock times on earlier days.
type moment struct {
	unix  int64
	local int64 // seconds since local midnight
	kind  dayKind
	past  [numLags]int64 // unix
	same  [numLags]bool  // the day is of the moment's kind
}

// moment of an instant; a local time that a clock change skips or repeats is taken at the same distance from it.
func (c *calendar) moment(unix int64) moment {
	off := c.offset(unix)
	m := moment{unix: unix, local: floorMod(unix+off, daySeconds), kind: c.kind(unix, off)}
	for i, d := range lagDays {
		u := unix - int64(d)*daySeconds
		before := c.offset(u)
		m.past[i] = u + off - before
		m.same[i] = c.kind(u, before) == m.kind
	}
	return m
}

func (c *calendar) kind(unix, offset int64) dayKind {
	day := floorDiv(unix+offset, daySeconds)
	e := &c.kinds[floorMod(day, int64(len(c.kinds)))]
	if e.day == int32(day)+1 {
		return e.kind
	}
	t := time.Unix(unix, 0).In(c.loc)
	k := workingDay
	switch {
	case t.Weekday() == time.Sunday || c.holiday != nil && c.holiday(t):
		k = sunday
	case t.Weekday() == time.Saturday:
		k = saturday
	}
	e.day, e.kind = int32(day)+1, k
	return k
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func floorMod(a, b int64) int64 { return a - floorDiv(a, b)*b }
