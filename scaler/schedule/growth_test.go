package schedule_test

import (
	"math"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"swell/api/v1alpha1"
	"swell/scaler/schedule"
	"swell/scaler/series"
)

const tokyo = "Asia/Tokyo"

// eightWeeks is demand until 29 November: 100 pods in office hours, 40 otherwise, half of that at weekends; with a launch on
// 3 November from 10:00 to 12:00, twice the usual in its first half hour and half as much again after that.
func eightWeeks(t *testing.T) series.Series {
	s := series.Series{Start: at(t, tokyo, "2026-10-05 00:00").UTC(), Step: time.Minute}
	launch := at(t, tokyo, "2026-11-05 10:00")
	for at := s.Start; at.Before(s.Start.AddDate(0, 0, 56)); at = at.Add(time.Minute) {
		local := at.In(launch.Location())
		v := 40.0
		if h := local.Hour(); h >= 9 && h < 18 {
			v = 100
		}
		if d := local.Weekday(); d == time.Saturday || d == time.Sunday {
			v /= 2
		}
		switch since := at.Sub(launch); {
		case since >= 0 && since < 30*time.Minute:
			v *= 2
		case since >= 0 && since < 2*time.Hour:
			v *= 1.5
		}
		s.Values = append(s.Values, v)
	}
	return s
}

// launchLike is an event of two hours, grown like the launch.
func launchLike(t *testing.T, from, factor, floor string) v1alpha1.DiurnalScheduleSpec {
	begin := at(t, tokyo, from)
	return v1alpha1.DiurnalScheduleSpec{TimeZone: tokyo, Events: []v1alpha1.Event{{Name: "launch", From: metav1.NewTime(begin), To: metav1.NewTime(begin.Add(2 * time.Hour)),
		MinHeadroom: v1alpha1.Headroom(floor), Growth: &v1alpha1.Growth{Like: metav1.NewTime(at(t, tokyo, "2026-11-05 10:00")), Factor: v1alpha1.Decimal(factor)}}}}
}

func TestGrowthIsThatOfThePastStretchOnWhatIsUsualNow(t *testing.T) {
	history := eightWeeks(t).At
	for _, c := range []struct {
		begin, factor, at string
		demand, want      float64
	}{
		{"2026-12-01 10:00", "1", "2026-12-01 09:59", 100, 0},
		{"2026-12-01 10:00", "1", "2026-12-01 10:00", 100, 100},   // twice the usual 100
		{"2026-12-01 10:00", "1", "2026-12-01 10:29", 100, 100},   //
		{"2026-12-01 10:00", "1", "2026-12-01 10:30", 100, 50},    //
		{"2026-12-01 10:00", "1", "2026-12-01 10:30", 130, 20},    // demand that has risen already is not asked for again
		{"2026-12-01 10:00", "1", "2026-12-01 10:30", 170, 0},     //
		{"2026-12-01 10:00", "1.5", "2026-12-01 10:00", 100, 150}, // half as much growth again
		{"2026-12-01 10:00", "", "2026-12-01 11:59", 100, 50},     //
		{"2026-12-01 10:00", "1", "2026-12-01 12:00", 100, 0},     //
		{"2026-12-01 20:00", "1", "2026-12-01 20:00", 40, 40},     // usual is that of the event's own time of day
		{"2026-12-05 10:00", "1", "2026-12-05 10:00", 50, 50},     // and of its day of the week: Saturday
	} {
		s := compile(t, launchLike(t, c.begin, c.factor, ""))
		h, problems := s.At(at(t, tokyo, c.at), history)
		if got := h.For(c.demand); len(problems) > 0 || math.Abs(got-c.want) > 1e-9 {
			t.Errorf("from %s × %s, at %s on %g pods: %g (%+v, %v), want %g", c.begin, c.factor, c.at, c.demand, got, h, problems, c.want)
		}
	}
}

func TestGrowthWithoutItsPastIsAProblemAndTheMinimum(t *testing.T) {
	whole := eightWeeks(t)
	hole := eightWeeks(t) // nothing is known of most of the launch
	for i := range hole.Values {
		if d := hole.Time(i).Sub(at(t, tokyo, "2026-11-05 10:10")); d >= 0 && d < 2*time.Hour {
			hole.Values[i] = math.NaN()
		}
	}
	young := whole.Slice(at(t, tokyo, "2026-11-05 08:00"), at(t, tokyo, "2026-11-06 08:00")) // but not what was usual
	for name, c := range map[string]struct {
		history schedule.Demand
		what    string
	}{
		"no history":      {nil, "there is no history of demand"},
		"a hole":          {hole.At, "is known for 2 of 24 five-minute steps"},
		"nothing usual":   {young.At, "what is usual at its own time of day is not known"},
		"long forgotten":  {whole.Slice(at(t, tokyo, "2026-11-20 00:00"), whole.End()).At, "is known for 0 of 24"},
		"too few to tell": {whole.Slice(at(t, tokyo, "2026-11-05 10:00"), at(t, tokyo, "2026-11-05 12:00")).At, "is not known"},
	} {
		for floor, want := range map[string]float64{"": 0, "25%": 25, "60": 60} {
			s := compile(t, launchLike(t, "2026-12-01 10:00", "1", floor))
			h, problems := s.At(at(t, tokyo, "2026-12-01 10:00"), c.history)
			if got := h.For(100); got != want {
				t.Errorf("%s: %g pods, want the %q of minHeadroom", name, got, floor)
			}
			if len(problems) != 1 || problems[0].Field != "spec.events[0].growth.like" || !strings.Contains(problems[0].What, c.what) || problems[0].Mend == "" {
				t.Errorf("%s: %v, want %q", name, problems, c.what)
			}
		}
	}
}

func TestAFewUnknownMinutesOfThePastTakeTheirNeighboursGrowth(t *testing.T) {
	history := eightWeeks(t)
	for i := range history.Values {
		if d := history.Time(i).Sub(at(t, tokyo, "2026-11-05 10:25")); d >= 0 && d < 10*time.Minute {
			history.Values[i] = math.NaN()
		}
	}
	s := compile(t, launchLike(t, "2026-12-01 10:00", "1", ""))
	for local, want := range map[string]float64{"10:24": 200, "10:25": 200, "10:30": 200, "10:35": 150} {
		h, problems := s.At(at(t, tokyo, "2026-12-01 "+local), history.At)
		if len(problems) > 0 || h.Level != want {
			t.Errorf("%s: %+v, %v; want a level of %g", local, h, problems, want)
		}
	}
}

func TestAnotherEventIsNotTakenForUsual(t *testing.T) {
	history := eightWeeks(t)
	spec := launchLike(t, "2026-12-03 10:00", "1", "") // a Thursday, four weeks after the launch
	for _, by := range []int{7, 14, 21} {              // sales on the Thursdays between
		from := at(t, tokyo, "2026-11-05 09:00").AddDate(0, 0, by)
		for i := range history.Values {
			if d := history.Time(i).Sub(from); d >= 0 && d < 4*time.Hour {
				history.Values[i] *= 3
			}
		}
		spec.Events = append(spec.Events, v1alpha1.Event{Name: from.Format("Jan 2"), From: metav1.NewTime(from), To: metav1.NewTime(from.Add(4 * time.Hour)), MinHeadroom: "1"})
	}
	s := compile(t, spec)
	h, problems := s.At(at(t, tokyo, "2026-12-03 10:00"), history.At)
	if len(problems) > 0 || h.Level != 200 {
		t.Errorf("%+v, %v; want a level of 200, the sales left out", h, problems)
	}
}

func TestGrowthFromCoarseHistory(t *testing.T) {
	coarse, err := eightWeeks(t).Resample(30 * time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	s := compile(t, launchLike(t, "2026-12-01 10:00", "1", ""))
	h, problems := s.Over(at(t, tokyo, "2026-12-01 10:00"), at(t, tokyo, "2026-12-01 11:00"), coarse.At)
	if len(problems) > 0 || h.Level != 200 {
		t.Errorf("%+v, %v; want a level of 200", h, problems)
	}
}

func TestCurve(t *testing.T) {
	begin := at(t, tokyo, "2026-12-01 10:00")
	s := compile(t, v1alpha1.DiurnalScheduleSpec{TimeZone: tokyo, Events: []v1alpha1.Event{{Name: "sale", From: metav1.NewTime(begin), To: metav1.NewTime(begin.Add(2 * time.Hour)),
		Curve: []v1alpha1.CurvePoint{{After: "10m", Headroom: "30"}, {After: "30m", Headroom: "20%"}, {After: "1h", Headroom: "5"}}}}})
	for minutes, want := range map[int]float64{-1: 0, 0: 0, 9: 0, 10: 30, 29: 30, 30: 40, 59: 40, 60: 5, 119: 5, 120: 0} {
		if got := ask(t, s, begin.Add(time.Duration(minutes)*time.Minute)).For(200); got != want {
			t.Errorf("after %d minutes: %g, want %g", minutes, got, want)
		}
	}
	if got := askOver(t, s, begin, begin.Add(10*time.Minute)).For(200); got != 30 {
		t.Errorf("a step within the lead: %g, want 30", got)
	}
}

func TestGrowthIsANumberOrAProblemWhateverTheHistory(t *testing.T) {
	begin := at(t, tokyo, "2026-12-01 10:00")
	rapid.Check(t, func(rt *rapid.T) {
		kinds := rapid.SliceOfN(rapid.IntRange(0, 6), 50, 50).Draw(rt, "kinds")
		history := func(t time.Time) (float64, bool) {
			switch kinds[int(t.Unix()/300)%len(kinds)] {
			case 0:
				return math.NaN(), true
			case 1:
				return math.Inf(1), true
			case 2:
				return -5, true
			case 3:
				return 0, true
			case 4:
				return 0, false
			case 5:
				return 1e12, true
			}
			return float64(t.Unix()%97) + 1, true
		}
		s := compile(t, launchLike(t, "2026-12-01 10:00", rapid.SampledFrom([]string{"0.5", "1", "100"}).Draw(rt, "factor"), rapid.SampledFrom([]string{"", "7"}).Draw(rt, "floor")))
		from := begin.Add(time.Duration(rapid.IntRange(-60, 130).Draw(rt, "from")) * time.Minute)
		h, problems := s.Over(from, from.Add(time.Duration(rapid.IntRange(0, 60).Draw(rt, "lead"))*time.Minute), history)
		if !(h.Level >= 0) || math.IsInf(h.Level, 0) || len(problems) > 0 && h.Level > 0 {
			rt.Fatalf("%+v, %v", h, problems)
		}
		if got := h.For(10); !(got >= 0) || math.IsInf(got, 0) {
			rt.Fatalf("%+v is %g pods", h, got)
		}
	})
}
