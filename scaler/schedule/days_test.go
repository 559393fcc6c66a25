package schedule_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"swell/api/v1alpha1"
	"swell/scaler/schedule"
)

// on are the minutes of local dates, from midnight to midnight, in which something is asked for, as stretches of local time.
func on(t *testing.T, s *schedule.Schedule, zone, first, last string) string {
	t.Helper()
	end := at(t, zone, last+" 12:00").AddDate(0, 0, 1).Format(time.DateOnly)
	from, to := at(t, zone, first+" 00:00"), at(t, zone, end+" 00:00")
	stretches, problems := schedule.Stretches([]*schedule.Schedule{s}, from, to, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var out []string
	for _, x := range stretches {
		if len(x.Why) > 0 {
			out = append(out, x.From.In(s.Location()).Format("02 15:04 MST")+"–"+x.To.In(s.Location()).Format("02 15:04 MST"))
		}
	}
	return strings.Join(out, ", ")
}

func TestWindowsWhereTheClocksChange(t *testing.T) {
	for _, c := range []struct{ zone, from, to, date, want string }{
		{"Europe/Paris", "01:30", "03:30", "2026-03-29", "29 01:30 CET–29 03:30 CEST"},
		{"Europe/Paris", "02:30", "04:00", "2026-03-29", "29 03:00 CEST–29 04:00 CEST"},
		{"Europe/Paris", "01:00", "02:30", "2026-03-29", "29 01:00 CET–29 03:30 CEST"},
		{"Europe/Paris", "02:15", "02:45", "2026-03-29", "29 03:00 CEST–29 03:45 CEST"},
		{"Europe/Paris", "02:30", "04:00", "2026-10-25", "25 02:30 CEST–25 04:00 CET"},
		{"Europe/Paris", "01:00", "02:30", "2026-10-25", "25 01:00 CEST–25 02:30 CET"},
		{"Europe/Paris", "02:15", "02:45", "2026-10-25", "25 02:15 CEST–25 02:45 CET"},
		{"Europe/Paris", "01:00", "03:00", "2026-10-25", "25 01:00 CEST–25 03:00 CET"},
		{"America/New_York", "01:30", "02:30", "2026-03-08", "08 01:30 EST–08 03:30 EDT"},
		{"America/New_York", "01:30", "01:45", "2026-11-01", "01 01:30 EDT–01 01:45 EST"},
		// half an hour, and a midnight that is not there
		{"Australia/Lord_Howe", "02:00", "02:20", "2026-10-04", "04 02:30 +11–04 02:50 +11"},
		{"Africa/Cairo", "00:00", "24:00", "2026-04-24", "24 01:00 EEST–25 00:00 EEST"},
	} {
		s := compile(t, v1alpha1.DiurnalScheduleSpec{TimeZone: c.zone, Windows: []v1alpha1.Window{window("w", "Mon-Sun", c.from, c.to, "5")}})
		got := on(t, s, c.zone, c.date, c.date)
		if got != c.want {
			t.Errorf("%s to %s on %s in %s: %s, want %s", c.from, c.to, c.date, c.zone, got, c.want)
		}
	}
}

func TestOvernightWindowsBelongToTheDayTheyBeginOn(t *testing.T) {
	off := &v1alpha1.Holidays{Dates: []v1alpha1.DateRange{"2026-11-26"}} // a Thursday, as a Sunday
	for _, c := range []struct{ days, from, to, want string }{
		{"Wed", "22:00", "02:00", "25 22:00 UTC–26 02:00 UTC"},                            // into the day off: goes on to its end
		{"Thu", "22:00", "02:00", ""},                                                     // the day off's own evening: does not happen
		{"Sun", "22:00", "02:00", "23 00:00 UTC–23 02:00 UTC, 26 22:00 UTC–27 02:00 UTC"}, // the day off is a Sunday
		{"Thu-Fri", "00:00", "24:00", "27 00:00 UTC–28 00:00 UTC"},
		{"Wed-Thu", "08:00", "08:00", "25 08:00 UTC–26 08:00 UTC"}, // the same time is the next day's
		{"Tue", "23:00", "24:00", "24 23:00 UTC–25 00:00 UTC"},
		{"Sat", "00:00", "00:00", "28 00:00 UTC–29 00:00 UTC"},
	} {
		s := compile(t, v1alpha1.DiurnalScheduleSpec{TimeZone: "UTC", Holidays: off, Windows: []v1alpha1.Window{window("w", c.days, c.from, c.to, "5")}})
		if got := on(t, s, "UTC", "2026-11-23", "2026-11-28"); got != c.want {
			t.Errorf("%s %s to %s: %s, want %s", c.days, c.from, c.to, got, c.want)
		}
	}
}

func TestDaysOff(t *testing.T) {
	for name, c := range map[string]struct {
		off  v1alpha1.Holidays
		want string // of 23 to 30 November 2026, Monday to Monday: days of the month that are off
	}{
		"one country":        {v1alpha1.Holidays{Calendar: "JP"}, "23"},
		"several":            {v1alpha1.Holidays{Calendars: []v1alpha1.HolidayCalendar{"JP", "US"}}, "23 26"},
		"dates besides":      {v1alpha1.Holidays{Calendar: "JP", Dates: []v1alpha1.DateRange{"2026-11-24", "2026-11-27/2026-11-30"}}, "23 24 27 28 29 30"},
		"dates alone":        {v1alpha1.Holidays{Dates: []v1alpha1.DateRange{"2026-11-25"}}, "25"},
		"a day worked on":    {v1alpha1.Holidays{Calendar: "JP", Except: []v1alpha1.DateRange{"2026-11-23"}}, ""},
		"except before date": {v1alpha1.Holidays{Dates: []v1alpha1.DateRange{"2026-11-24/2026-11-27"}, Except: []v1alpha1.DateRange{"2026-11-25/2026-11-26"}}, "24 27"},
	} {
		s := compile(t, v1alpha1.DiurnalScheduleSpec{TimeZone: "Asia/Tokyo", Holidays: &c.off})
		var got []string
		for d := at(t, "Asia/Tokyo", "2026-11-23 00:00"); d.Day() != 1; d = d.AddDate(0, 0, 1) {
			if why, as := s.DayOff(d); why != "" {
				got = append(got, d.Format("2"))
				if as != time.Sunday {
					t.Errorf("%s: %s counts as %s", name, d, as)
				}
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v are off, want %s", name, got, c.want)
		}
	}
}

func TestHolidaysOfAPart(t *testing.T) {
	epiphany := at(t, "Europe/Berlin", "2026-01-06 12:00")
	for code, want := range map[string]bool{"DE": false, "DE-BE": false, "DE-BY": true} {
		is, err := schedule.Holidays(code)
		if err != nil {
			t.Fatal(err)
		}
		if is(epiphany) != want {
			t.Errorf("Epiphany in %s is %t", code, !want)
		}
	}
	if all := schedule.Countries(); !slices.IsSorted(all) || !slices.Contains(all, "CH-ZH") || !slices.Contains(all, "ZA") {
		t.Errorf("calendars %v", all)
	}
}
