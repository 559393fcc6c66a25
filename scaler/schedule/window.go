package schedule

import (
	"fmt"
	"time"

	"swell/api/v1alpha1"
)

// window is a stretch of local time on some days of the week. It belongs to the day that it begins on, which says whether
// it happens: one that began before midnight goes on into a holiday, and one of the holiday's own evening does not happen.
type window struct {
	name     string
	days     [7]bool
	from, to int // minutes of the local day; to may be up to two days
	room     Headroom
}

func compileWindow(w v1alpha1.Window, field string) (window, []Problem) {
	c := window{name: w.Name}
	var ps []Problem
	for i, d := range w.Days {
		if !c.addDays(string(d)) {
			ps = append(ps, Problem{fmt.Sprintf("%s.days[%d]", field, i), fmt.Sprintf("%q is neither a day nor a range", d),
				"give days such as Sat or Mon-Fri"})
		}
	}
	if len(w.Days) == 0 {
		ps = append(ps, Problem{field + ".days", "there are none", "give days such as Mon-Fri"})
	}
	var ok bool
	if c.from, ok = clock(string(w.From)); !ok || c.from == 24*60 {
		ps = append(ps, Problem{field + ".from", fmt.Sprintf("%q is not a time of day", w.From), `give a time from "00:00" to "23:59"`})
	}
	if c.to, ok = clock(string(w.To)); !ok {
		ps = append(ps, Problem{field + ".to", fmt.Sprintf("%q is not a time of day", w.To), `give a time from "00:00" to "24:00"`})
	}
	if c.to <= c.from {
		c.to += 24 * 60
	}
	room, bad := headroom(w.MinHeadroom, "window "+w.Name, field+".minHeadroom")
	c.room = room
	return c, append(ps, bad...)
}

// on is the window of a local date.
func (w *window) on(date time.Time) (from, to time.Time) {
	return begins(date, w.from), ends(date, w.to)
}

func (w *window) addDays(text string) bool {
	first, last := text, text
	if len(text) == len("Mon-Fri") && text[3] == '-' {
		first, last = text[:3], text[4:]
	}
	a, ok := weekday(first)
	if !ok {
		return false
	}
	b, ok := weekday(last)
	if !ok {
		return false
	}
	for d := a; ; d = (d + 1) % 7 {
		w.days[d] = true
		if d == b {
			return true
		}
	}
}

func weekday(s string) (time.Weekday, bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if s == d.String() || s == d.String()[:3] {
			return d, true
		}
	}
	return 0, false
}

// clock is minutes since midnight.
func clock(s string) (int, bool) {
	if s == "24:00" {
		return 24 * 60, true
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != 5 {
		return 0, false
	}
	return t.Hour()*60 + t.Minute(), true
}
