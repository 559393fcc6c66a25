// Package schedule says what headroom a DiurnalSchedule asks for at a time: windows of the local week, holidays that
// count as another day, and one-off events. Overlapping ones take the maximum.
package schedule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"swell/api/v1alpha1"
)

// Problem is a field that cannot be used, and the mend.
type Problem struct {
	Field, What, Mend string
}

func (p Problem) String() string { return p.Field + ": " + p.What + "; " + p.Mend }

// Headroom is room above demand: the larger of a number of pods and a share of demand.
type Headroom struct {
	Pods  float64
	Share float64  // of demand; 0.15 is 15 %
	Why   []string // the windows and events that ask for it, sorted
}

// For is the headroom in pods at a demand in pods.
func (h Headroom) For(demand float64) float64 { return max(h.Pods, h.Share*demand, 0) }

// Max is the larger of both, for pods and for share.
func (h Headroom) Max(o Headroom) Headroom {
	why := append(slices.Clone(h.Why), o.Why...)
	slices.Sort(why)
	return Headroom{max(h.Pods, o.Pods), max(h.Share, o.Share), slices.Compact(why)}
}

// Schedule is a DiurnalSchedule that was checked.
type Schedule struct {
	loc     *time.Location
	windows []window
	events  []event
	holiday func(time.Time) bool
	treatAs time.Weekday
}

type window struct {
	name     string
	days     [7]bool
	from, to int // minutes of the local day; to may be up to two days
	room     Headroom
}

type event struct {
	name     string
	from, to time.Time
	room     Headroom
}

// Compile checks a schedule. A window or event that cannot be used is left out and is among the problems; with an
// unknown time zone there is no schedule.
func Compile(spec v1alpha1.DiurnalScheduleSpec) (*Schedule, []Problem) {
	var ps []Problem
	loc, err := time.LoadLocation(spec.TimeZone)
	if err != nil || spec.TimeZone == "" || spec.TimeZone == "Local" {
		return nil, []Problem{{"spec.timeZone", fmt.Sprintf("%q is not a time zone", spec.TimeZone), "give an IANA name such as Asia/Tokyo"}}
	}
	s := &Schedule{loc: loc, treatAs: time.Sunday}
	if h := spec.Holidays; h != nil {
		if s.holiday, err = Holidays(h.Calendar); err != nil {
			ps = append(ps, Problem{"spec.holidays.calendar", fmt.Sprintf("there is no calendar %q", h.Calendar),
				"give one of " + strings.Join(Countries(), ", ")})
		}
		if h.TreatAs != "" {
			d, ok := weekday(h.TreatAs)
			if !ok {
				ps = append(ps, Problem{"spec.holidays.treatAs", fmt.Sprintf("%q is not a day", h.TreatAs), "give a day such as Sunday"})
			} else {
				s.treatAs = d
			}
		}
	}
	for i, w := range spec.Windows {
		c, bad := compileWindow(w, fmt.Sprintf("spec.windows[%d]", i))
		ps = append(ps, bad...)
		if len(bad) == 0 {
			s.windows = append(s.windows, c)
		}
	}
	for i, e := range spec.Events {
		field := fmt.Sprintf("spec.events[%d]", i)
		room, bad := headroom(e.MinHeadroom, "event "+e.Name, field)
		if !e.To.After(e.From.Time) {
			bad = append(bad, Problem{field + ".to", "it is not after from", "give a later time"})
		}
		ps = append(ps, bad...)
		if len(bad) == 0 {
			s.events = append(s.events, event{e.Name, e.From.Time, e.To.Time, room})
		}
	}
	return s, ps
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
	room, bad := headroom(w.MinHeadroom, "window "+w.Name, field)
	c.room = room
	return c, append(ps, bad...)
}

func (w *window) addDays(text string) bool {
	first, last, isRange := strings.Cut(text, "-")
	a, ok := weekday(first)
	if !ok {
		return false
	}
	b := a
	if isRange {
		if b, ok = weekday(last); !ok {
			return false
		}
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

func headroom(h v1alpha1.Headroom, why, field string) (Headroom, []Problem) {
	num, percent := strings.CutSuffix(string(h), "%")
	v, err := strconv.ParseFloat(num, 64)
	if err != nil || !(v >= 0 && v < 1e9) {
		return Headroom{}, []Problem{{field + ".minHeadroom", fmt.Sprintf("%q is neither pods nor a share", h),
			`give pods such as "20" or a share of demand such as "15%"`}}
	}
	if percent {
		return Headroom{Share: v / 100, Why: []string{why}}, nil
	}
	return Headroom{Pods: v, Why: []string{why}}, nil
}

// At is the headroom asked for at t.
func (s *Schedule) At(t time.Time) Headroom { return s.Over(t, t) }

// Over is the largest headroom asked for at any time from from to to, both included.
func (s *Schedule) Over(from, to time.Time) Headroom {
	var out Headroom
	for _, e := range s.events {
		if e.from.After(to) || !e.to.After(from) {
			continue
		}
		out = out.Max(e.room)
	}
	first := from.In(s.loc)
	for day := -1; ; day++ {
		// Noon is on its own date whatever the clocks do.
		date := time.Date(first.Year(), first.Month(), first.Day()+day, 12, 0, 0, 0, s.loc)
		if midnight(date).After(to) && day > 0 {
			return out
		}
		out = s.day(date, from, to, out)
	}
}

func (s *Schedule) day(date, from, to time.Time, out Headroom) Headroom {
	wd := date.Weekday()
	if s.holiday != nil && s.holiday(date) {
		wd = s.treatAs
	}
	for _, w := range s.windows {
		if !w.days[wd] {
			continue
		}
		begin, end := local(date, w.from), local(date, w.to)
		if begin.After(to) || !end.After(from) {
			continue
		}
		out = out.Max(w.room)
	}
	return out
}

func midnight(date time.Time) time.Time { return local(date, 0) }

// local is wall-clock time on a date; a time that the clocks skip is as long after midnight as it would have been.
func local(date time.Time, minutes int) time.Time {
	return time.Date(date.Year(), date.Month(), date.Day(), 0, minutes, 0, 0, date.Location())
}
