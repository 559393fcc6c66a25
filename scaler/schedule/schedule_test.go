package schedule_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"swell/api/v1alpha1"
	"swell/scaler/schedule"
)

func compile(t testing.TB, spec v1alpha1.DiurnalScheduleSpec) *schedule.Schedule {
	t.Helper()
	s, problems := schedule.Compile(spec)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return s
}

func at(t testing.TB, zone, local string) time.Time {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	x, err := time.ParseInLocation("2006-01-02 15:04", local, loc)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// ask is the headroom at a time of a schedule that needs no history.
func ask(t testing.TB, s *schedule.Schedule, at time.Time) schedule.Headroom {
	return askOver(t, s, at, at)
}

func askOver(t testing.TB, s *schedule.Schedule, from, to time.Time) schedule.Headroom {
	t.Helper()
	h, problems := s.Over(from, to, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return h
}

func window(name, days, from, to, room string) v1alpha1.Window {
	return v1alpha1.Window{Name: name, Days: []v1alpha1.DayRange{v1alpha1.DayRange(days)}, From: v1alpha1.ClockTime(from),
		To: v1alpha1.ClockTime(to), MinHeadroom: v1alpha1.Headroom(room)}
}

func TestTimeline(t *testing.T) {
	event := v1alpha1.Event{Name: "launch", From: metav1.NewTime(at(t, "Asia/Tokyo", "2026-12-01 09:00")),
		To: metav1.NewTime(at(t, "Asia/Tokyo", "2026-12-01 12:00")), MinHeadroom: "60"}
	s := compile(t, v1alpha1.DiurnalScheduleSpec{
		TimeZone: "Asia/Tokyo",
		Windows: []v1alpha1.Window{window("morning", "Mon-Fri", "08:30", "10:30", "20"), window("share", "Mon-Fri", "09:00", "09:30", "15%"),
			window("night", "Fri-Sat", "22:00", "02:00", "7"), window("sunday", "Sun", "00:00", "24:00", "3")},
		Holidays: &v1alpha1.Holidays{Calendar: "JP", TreatAs: "Sunday"},
		Events:   []v1alpha1.Event{event},
	})
	for _, c := range []struct {
		local string
		want  float64 // at a demand of 200 pods
		why   string
	}{
		{"2026-11-26 08:29", 0, ""},
		{"2026-11-26 08:30", 20, "window morning"},
		{"2026-11-26 09:10", 30, "window morning window share"},
		{"2026-11-26 09:30", 20, "window morning"},
		{"2026-11-26 10:30", 0, ""},
		{"2026-11-27 22:00", 7, "window night"},                               // Friday
		{"2026-11-28 01:59", 7, "window night"},                               // on into Saturday
		{"2026-11-28 02:00", 0, ""},                                           //
		{"2026-11-29 01:00", 7, "window night window sunday"},                 // Saturday's night
		{"2026-11-29 23:59", 3, "window sunday"},                              //
		{"2026-11-30 00:00", 0, ""},                                           //
		{"2026-11-23 09:00", 3, "window sunday"},                              // a Monday, Labour Thanksgiving Day
		{"2026-12-01 09:00", 60, "event launch window morning window share"},  //
		{"2026-12-01 11:59", 60, "event launch"}, {"2026-12-01 12:00", 0, ""}, //
	} {
		h := ask(t, s, at(t, "Asia/Tokyo", c.local))
		if got := h.For(200); got != c.want || strings.Join(h.Why, " ") != c.why {
			t.Errorf("%s: %v pods by %v, want %v by %s", c.local, got, h.Why, c.want, c.why)
		}
	}
	ahead := askOver(t, s, at(t, "Asia/Tokyo", "2026-11-26 08:20"), at(t, "Asia/Tokyo", "2026-11-26 08:31"))
	if ahead.Pods != 20 {
		t.Errorf("a window that begins within the lead is not seen: %+v", ahead)
	}
}

func TestClockChanges(t *testing.T) {
	s := compile(t, v1alpha1.DiurnalScheduleSpec{TimeZone: "Europe/Paris",
		Windows: []v1alpha1.Window{window("early", "Sun", "01:30", "03:30", "5"), window("work", "Mon-Sun", "08:00", "09:00", "9")}})
	for local, want := range map[string]float64{"07:59": 0, "08:00": 9, "08:59": 9, "09:00": 0} {
		for _, date := range []string{"2026-03-28", "2026-03-29", "2026-03-30", "2026-10-24", "2026-10-25", "2026-10-26"} {
			if got := ask(t, s, at(t, "Europe/Paris", date+" "+local)).Pods; got != want {
				t.Errorf("%s %s: %v, want %v", date, local, got, want)
			}
		}
	}
	count := func(from time.Time) (minutes int) {
		for i := range 24 * 60 {
			if ask(t, s, from.Add(time.Duration(i)*time.Minute)).Pods == 5 {
				minutes++
			}
		}
		return minutes
	}
	if a, b, c := count(at(t, "Europe/Paris", "2026-03-29 00:00")), count(at(t, "Europe/Paris", "2026-10-25 00:00")),
		count(at(t, "Europe/Paris", "2026-11-01 00:00")); a != 60 || b != 180 || c != 120 {
		t.Errorf("01:30 to 03:30 lasts %d, %d and %d minutes, want 60 in spring, 180 in autumn and 120", a, b, c)
	}
}

func TestProblemsNameTheField(t *testing.T) {
	now, later := metav1.NewTime(time.Unix(0, 0)), metav1.NewTime(time.Unix(3600, 0))
	_, ps := schedule.Compile(v1alpha1.DiurnalScheduleSpec{
		TimeZone: "UTC",
		Windows: []v1alpha1.Window{window("a", "Mon-Fry", "24:00", "25:00", "much"), {Name: "b", From: "08:00", To: "09:00", MinHeadroom: "1"},
			window("a", "Mon", "08:00", "09:00", "1")},
		Holidays: &v1alpha1.Holidays{Calendar: "XX", TreatAs: "Feast", Dates: []v1alpha1.DateRange{"2026-12-30", "2026-02-30"},
			Except: []v1alpha1.DateRange{"2026-12-30/2026-12-29"}},
		Events: []v1alpha1.Event{{Name: "e", From: now, To: now, MinHeadroom: "-3"}, {Name: "f", From: now, To: later},
			{Name: "g", From: now, To: later, MinHeadroom: "1", Curve: []v1alpha1.CurvePoint{{After: "5m", Headroom: "2"}, {After: "5m", Headroom: "2"}, {After: "1h", Headroom: "2"}}},
			{Name: "h", From: now, To: later, Growth: &v1alpha1.Growth{Like: metav1.NewTime(time.Unix(-3599, 0)), Factor: "0"}}},
	})
	var got []string
	for _, p := range ps {
		got = append(got, p.Field)
		if p.What == "" || p.Mend == "" {
			t.Errorf("%+v says too little", p)
		}
	}
	want := "[spec.holidays.calendar spec.holidays.dates[1] spec.holidays.except[0] spec.holidays.treatAs spec.windows[0].days[0] " +
		"spec.windows[0].from spec.windows[0].to spec.windows[0].minHeadroom spec.windows[1].days spec.windows[2].name " +
		"spec.events[0].minHeadroom spec.events[0].to spec.events[1] spec.events[2].curve spec.events[2].curve[1].after " +
		"spec.events[2].curve[2].after spec.events[3].growth.like spec.events[3].growth.factor]"
	if fmt.Sprint(got) != want {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if s, ps := schedule.Compile(v1alpha1.DiurnalScheduleSpec{TimeZone: "Mars/Olympus"}); s != nil || len(ps) != 1 || ps[0].Field != "spec.timeZone" {
		t.Errorf("got %v %v", s, ps)
	}
}

func TestHolidays(t *testing.T) {
	for country, date := range map[string]string{"JP": "2026-11-23", "US": "2026-11-26", "GB": "2026-12-25", "FR": "2026-07-14", "DE": "2026-10-03"} {
		is, err := schedule.Holidays(country)
		if err != nil {
			t.Fatal(err)
		}
		day := at(t, "UTC", date+" 12:00")
		if !is(day) || is(day.AddDate(0, 0, 3)) && country != "GB" {
			t.Errorf("%s: %s is %v", country, date, is(day))
		}
	}
	if _, err := schedule.Holidays("ZZ"); err == nil || !strings.Contains(err.Error(), "JP") {
		t.Errorf("got %v, want the known calendars", err)
	}
}

// schedules are all sorts at once, over the days that the clocks change on.
func drawSchedule(t *rapid.T) v1alpha1.DiurnalScheduleSpec {
	spec := v1alpha1.DiurnalScheduleSpec{TimeZone: rapid.SampledFrom([]string{"America/New_York", "Europe/Paris", "Australia/Lord_Howe", "UTC"}).Draw(t, "zone"),
		Holidays: &v1alpha1.Holidays{Dates: []v1alpha1.DateRange{"2026-03-07/2026-03-09", "2026-03-30"}, Except: []v1alpha1.DateRange{"2026-03-08"}, TreatAs: "Sat"}}
	days := []string{"Mon-Fri", "Sat-Mon", "Sun", "Sat", "Mon-Sun"}
	times := []string{"00:00", "01:00", "01:30", "02:00", "02:15", "02:45", "03:00", "08:30", "22:30", "23:59"}
	for i := range rapid.IntRange(0, 4).Draw(t, "windows") {
		to := rapid.SampledFrom(append(times, "24:00")).Draw(t, "to")
		spec.Windows = append(spec.Windows, window(fmt.Sprint("w", i), rapid.SampledFrom(days).Draw(t, "days"), rapid.SampledFrom(times).Draw(t, "from"), to,
			rapid.SampledFrom([]string{"4", "9", "20%", "35%"}).Draw(t, "room")))
	}
	from := time.Date(2026, 3, 8, 5, 0, 0, 0, time.UTC)
	spec.Events = []v1alpha1.Event{
		{Name: "flat", From: metav1.NewTime(from), To: metav1.NewTime(from.Add(3 * time.Hour)), MinHeadroom: "6"},
		{Name: "curve", From: metav1.NewTime(from.Add(time.Hour)), To: metav1.NewTime(from.Add(5 * time.Hour)),
			Curve: []v1alpha1.CurvePoint{{After: "30m", Headroom: "12"}, {After: "1h", Headroom: "50%"}, {After: "1h45m", Headroom: "2"}}}}
	return spec
}

func TestOverIsTheLargestAt(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := compile(t, drawSchedule(rt))
		from := time.Date(2026, 3, rapid.SampledFrom([]int{6, 27}).Draw(rt, "day"), 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 4*1440).Draw(rt, "from")) * time.Minute)
		n := rapid.IntRange(0, 2000).Draw(rt, "minutes")
		var want schedule.Headroom
		for i := range n + 1 {
			want = want.Max(ask(t, s, from.Add(time.Duration(i)*time.Minute)))
		}
		if got := askOver(t, s, from, from.Add(time.Duration(n)*time.Minute)); !reflect.DeepEqual(got, want) {
			rt.Fatalf("from %v over %d minutes: %+v, minute by minute %+v", from, n, got, want)
		}
	})
}

func TestStretchesAreWhatIsAskedMinuteByMinute(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := compile(t, drawSchedule(rt))
		from := time.Date(2026, 3, rapid.SampledFrom([]int{6, 27}).Draw(rt, "day"), 0, rapid.IntRange(0, 1440).Draw(rt, "from"), 0, 0, time.UTC)
		to := from.Add(4 * 24 * time.Hour)
		stretches, _ := schedule.Stretches([]*schedule.Schedule{s}, from, to, nil)
		at := from
		for _, x := range stretches {
			if !x.From.Equal(at) || !x.To.After(x.From) {
				rt.Fatalf("a stretch from %v to %v follows one to %v", x.From, x.To, at)
			}
			for ; at.Before(x.To); at = at.Add(time.Minute) {
				if h := ask(t, s, at); !reflect.DeepEqual(h, x.Headroom) {
					rt.Fatalf("at %v %+v is asked for, the stretch says %+v", at, h, x.Headroom)
				}
			}
		}
		if !at.Equal(to) {
			rt.Fatalf("the stretches end at %v, not at %v", at, to)
		}
	})
}
