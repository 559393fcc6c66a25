package schedule

import (
	"fmt"
	"strings"
	"time"

	"swell/api/v1alpha1"
)

// daysOff are the days that count as another day of the week.
type daysOff struct {
	calendars     []func(date time.Time) string
	dates, except []dates
	treatAs       time.Weekday
}

// dates are local dates from first to last, both written 2026-12-30, which sorts as time does.
type dates struct{ first, last string }

func (d dates) has(day string) bool { return d.first <= day && day <= d.last }

func compileDaysOff(h *v1alpha1.Holidays) (*daysOff, []Problem) {
	if h == nil {
		return nil, nil
	}
	d, ps := &daysOff{treatAs: time.Sunday}, []Problem(nil)
	calendar := func(field string, code v1alpha1.HolidayCalendar) {
		names, err := holidayNames(string(code))
		if err != nil {
			ps = append(ps, Problem{field, fmt.Sprintf("there is no calendar %q", code), "give one of " + strings.Join(Countries(), ", ")})
			return
		}
		d.calendars = append(d.calendars, names)
	}
	if h.Calendar != "" {
		calendar("spec.holidays.calendar", h.Calendar)
	}
	for i, c := range h.Calendars {
		calendar(fmt.Sprintf("spec.holidays.calendars[%d]", i), c)
	}
	var bad []Problem
	d.dates, bad = compileDates("spec.holidays.dates", h.Dates)
	ps = append(ps, bad...)
	d.except, bad = compileDates("spec.holidays.except", h.Except)
	ps = append(ps, bad...)
	if h.TreatAs != "" {
		as, ok := weekday(h.TreatAs)
		if !ok {
			return d, append(ps, Problem{"spec.holidays.treatAs", fmt.Sprintf("%q is not a day", h.TreatAs), "give a day such as Sunday"})
		}
		d.treatAs = as
	}
	return d, ps
}

func compileDates(field string, given []v1alpha1.DateRange) (out []dates, ps []Problem) {
	for i, text := range given {
		first, last, isRange := strings.Cut(string(text), "/")
		if !isRange {
			last = first
		}
		_, e1 := time.Parse(time.DateOnly, first)
		_, e2 := time.Parse(time.DateOnly, last)
		switch at := fmt.Sprintf("%s[%d]", field, i); {
		case e1 != nil || e2 != nil:
			ps = append(ps, Problem{at, fmt.Sprintf("%q is neither a date nor a range of dates", text), "write 2026-12-30 or 2026-12-29/2027-01-03"})
		case isRange && last <= first:
			ps = append(ps, Problem{at, fmt.Sprintf("%q does not end after it begins", text), "give the first date, then the last"})
		default:
			out = append(out, dates{first, last})
		}
	}
	return out, ps
}

// name is why a local date is a day off; empty where it is none.
func (d *daysOff) name(date time.Time) string {
	if d == nil {
		return ""
	}
	day := date.Format(time.DateOnly)
	for _, e := range d.except {
		if e.has(day) {
			return ""
		}
	}
	for _, c := range d.calendars {
		if name := c(date); name != "" {
			return name
		}
	}
	for _, e := range d.dates {
		if e.has(day) {
			return "in dates"
		}
	}
	return ""
}

// weekday is what day of the week a local date counts as.
func (d *daysOff) weekday(date time.Time) time.Weekday {
	if d.name(date) != "" {
		return d.treatAs
	}
	return date.Weekday()
}
