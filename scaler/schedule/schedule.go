// Package schedule says what headroom a DiurnalSchedule asks for at a time: windows of the local week, holidays that
// count as another day, and one-off events. Overlapping ones take the maximum.
package schedule

import (
	"fmt"
	"math"
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

// Headroom is room above demand: the largest of a number of pods, of a share of demand, and of what is missing to a level
// of demand.
type Headroom struct {
	Pods  float64
	Share float64 // of demand; 0.15 is 15 %
	// Level is a demand in pods that is expected, by the growth of an event; zero is none.
	Level float64
	Why   []string // the windows and events that ask for it, sorted
}

// For is the headroom in pods at a demand in pods, both of all clusters.
func (h Headroom) For(demand float64) float64 {
	return max(h.Pods, h.Share*demand, h.Level-demand, 0)
}

// Max is the larger of both, for pods, share and level.
func (h Headroom) Max(o Headroom) Headroom {
	why := append(slices.Clone(h.Why), o.Why...)
	slices.Sort(why)
	return Headroom{max(h.Pods, o.Pods), max(h.Share, o.Share), max(h.Level, o.Level), slices.Compact(why)}
}

// Schedule is a DiurnalSchedule that was checked. It is not safe for concurrent use.
type Schedule struct {
	loc     *time.Location
	windows []window
	events  []event
	off     *daysOff
}

// Compile checks a schedule. A window or event that cannot be used is left out and is among the problems; with an
// unknown time zone there is no schedule.
func Compile(spec v1alpha1.DiurnalScheduleSpec) (*Schedule, []Problem) {
	loc, err := time.LoadLocation(spec.TimeZone)
	if err != nil || spec.TimeZone == "" || spec.TimeZone == "Local" {
		return nil, []Problem{{"spec.timeZone", fmt.Sprintf("%q is not a time zone", spec.TimeZone), "give an IANA name such as Asia/Tokyo"}}
	}
	s := &Schedule{loc: loc}
	var ps []Problem
	s.off, ps = compileDaysOff(spec.Holidays)
	names := map[string]bool{}
	twice := func(kind, name, field string) []Problem {
		if names[kind+name] {
			return []Problem{{field + ".name", fmt.Sprintf("the %s %q is there twice", kind, name), "rename one of them"}}
		}
		names[kind+name] = true
		return nil
	}
	for i, w := range spec.Windows {
		field := fmt.Sprintf("spec.windows[%d]", i)
		c, bad := compileWindow(w, field)
		bad = append(bad, twice("window", w.Name, field)...)
		ps = append(ps, bad...)
		if len(bad) == 0 {
			s.windows = append(s.windows, c)
		}
	}
	for i, e := range spec.Events {
		field := fmt.Sprintf("spec.events[%d]", i)
		c, bad := compileEvent(e, field)
		bad = append(bad, twice("event", e.Name, field)...)
		ps = append(ps, bad...)
		if len(bad) == 0 {
			s.events = append(s.events, c)
		}
	}
	return s, ps
}

func headroom(h v1alpha1.Headroom, why, field string) (Headroom, []Problem) {
	num, percent := strings.CutSuffix(string(h), "%")
	v, err := strconv.ParseFloat(num, 64)
	switch {
	case err != nil || !(v >= 0):
		return Headroom{}, []Problem{{field, fmt.Sprintf("%q is neither pods nor a share", h), `give pods such as "20" or a share of demand such as "15%"`}}
	case percent && v > 1000 || v > 100000:
		return Headroom{}, []Problem{{field, fmt.Sprintf("%q is more than can be meant", h), "give at most 1000%, or at most 100000 pods"}}
	case percent:
		return Headroom{Share: v / 100, Why: []string{why}}, nil
	}
	return Headroom{Pods: v, Why: []string{why}}, nil
}

// Location is the schedule's time zone.
func (s *Schedule) Location() *time.Location { return s.loc }

// DayOff is why a local date counts as another day of the week, and as which; empty where it counts as what it is.
func (s *Schedule) DayOff(date time.Time) (why string, as time.Weekday) {
	local := date.In(s.loc)
	why = s.off.name(noon(local.Year(), local.Month(), local.Day(), s.loc))
	if why == "" {
		return "", local.Weekday()
	}
	return why, s.off.treatAs
}

// At is the headroom asked for at t. Demand is what an event's growth is read from; it may be nil where none is known.
func (s *Schedule) At(t time.Time, demand Demand) (Headroom, []Problem) { return s.Over(t, t, demand) }

// Over is the largest headroom asked for at any time from from to to, both included. The problems are of events whose past
// is not known: they fall back to their minHeadroom.
func (s *Schedule) Over(from, to time.Time, demand Demand) (Headroom, []Problem) {
	var out Headroom
	var ps []Problem
	for i := range s.events {
		e := &s.events[i]
		if !e.reaches(from, to) {
			continue
		}
		out = out.Max(e.over(from, to))
		if e.growth == nil {
			continue
		}
		level, bad := s.levels(e, from, to, demand)
		ps = append(ps, bad...)
		if !math.IsNaN(level) {
			out = out.Max(Headroom{Level: level, Why: []string{"event " + e.name}})
		}
	}
	s.eachWindow(from, to, func(w *window, begin, end time.Time) {
		if !begin.After(to) && end.After(from) {
			out = out.Max(w.room)
		}
	})
	return out, ps
}

// eachWindow gives the windows of all days that may reach into from to to.
func (s *Schedule) eachWindow(from, to time.Time, give func(w *window, begin, end time.Time)) {
	first := from.In(s.loc)
	for day := -1; ; day++ {
		date := noon(first.Year(), first.Month(), first.Day()+day, s.loc)
		if day > 0 && begins(date, 0).After(to) {
			return
		}
		wd := s.off.weekday(date)
		for i := range s.windows {
			if w := &s.windows[i]; w.days[wd] {
				begin, end := w.on(date)
				give(w, begin, end)
			}
		}
	}
}
