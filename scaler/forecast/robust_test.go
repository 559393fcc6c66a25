package forecast_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"swell/scaler/forecast"
	"swell/scaler/series"
)

const fiveMinutes = 5 * time.Minute

func parisOptions(t *testing.T) forecast.Options {
	t.Helper()
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	return forecast.Options{Step: fiveMinutes, Location: paris, Horizons: []time.Duration{30 * time.Minute, time.Hour}}
}

// changed is s with the rows of some hours, begun on day d at hour h in UTC, put through a function.
func changed(s series.Series, d, h int, hours float64, to func(float64) float64) series.Series {
	out := series.Series{Start: s.Start, Step: s.Step, Values: append([]float64(nil), s.Values...)}
	rows := int(time.Hour / s.Step)
	from := d*24*rows + h*rows
	for i := from; i < min(from+int(hours*float64(rows)), s.Len()); i++ {
		out.Values[i] = to(out.Values[i])
	}
	return out
}

func wapeOf(t *testing.T, s series.Series, o forecast.Options, fromDay, toDay float64) float64 {
	t.Helper()
	return wapeAt(t, s, o, time.Hour, fromDay, toDay)
}

func wapeAt(t *testing.T, s series.Series, o forecast.Options, horizon time.Duration, fromDay, toDay float64) float64 {
	t.Helper()
	day := float64(24 * time.Hour / s.Step)
	rows, err := forecast.Backtest(s.Slice(s.Start, s.Time(int(toDay*day))), o, horizon, 0.95, int(fromDay*day))
	if err != nil {
		t.Fatal(err)
	}
	return forecast.ScoreOf(rows, 0.95).WAPE
}

func TestAPoisonedHourIsForgotten(t *testing.T) {
	o := parisOptions(t)
	s := swing(30, fiveMinutes, 11)
	for name, to := range map[string]func(float64) float64{
		"an outage":        func(float64) float64 { return 0 },
		"100 times":        func(v float64) float64 { return 100 * v },
		"nothing known":    func(float64) float64 { return math.NaN() },
		"a stuck sensor":   func(float64) float64 { return 1e9 },
		"nearly an outage": func(v float64) float64 { return v / 50 },
	} {
		t.Run(name, func(t *testing.T) {
			poisoned := changed(s, 21, 9, 1, to)                          // a Monday, when the load is steep
			for _, h := range []time.Duration{time.Hour, 4 * time.Hour} { // with regressions, and the blend alone
				// From the first origin after it, at the same hour of the next day, and of the next week.
				first := 21 + 10./24 + h.Hours()/24 + 1./288
				for _, w := range [][2]float64{{first, 22}, {22 + 8./24, 22 + 12./24}, {28 + 8./24, 28 + 12./24}} {
					clean, got := wapeAt(t, s, o, h, w[0], w[1]), wapeAt(t, poisoned, o, h, w[0], w[1])
					if got > 1.5*clean {
						t.Errorf("%v ahead, days %.2f to %.2f: WAPE %.2f %%, without the poisoned hour %.2f %%", h, w[0], w[1], got*100, clean*100)
					}
				}
			}
		})
	}
}

func TestALevelShiftIsFollowed(t *testing.T) {
	o := parisOptions(t)
	s := swing(30, fiveMinutes, 12)
	for name, factor := range map[string]float64{"thrice": 3, "thirty times": 30, "a tenth": 0.1} {
		t.Run(name, func(t *testing.T) {
			shifted := changed(s, 21, 12, 1000, func(v float64) float64 { return factor * v })
			// From three hours after it, on the next day, and a week later, when the four weeks have it at noon.
			for _, w := range []struct{ from, to, most float64 }{{21 + 15./24, 21 + 23./24, 3}, {22, 23, 2}, {28, 29, 2.5}} {
				clean, got := wapeOf(t, s, o, w.from, w.to), wapeOf(t, shifted, o, w.from, w.to)
				if got > w.most*clean {
					t.Errorf("days %.2f to %.2f: WAPE %.2f %%, without the shift %.2f %%", w.from, w.to, got*100, clean*100)
				}
			}
		})
	}
}

// daily is a load without noise that depends on the local wall clock alone, across both clock changes of a year in Paris.
func daily(start time.Time, days int) series.Series {
	paris, _ := time.LoadLocation("Europe/Paris")
	s := series.Series{Start: start, Step: fiveMinutes}
	for i := range days * 288 {
		l := s.Time(i).In(paris)
		x := float64(l.Hour()) + float64(l.Minute())/60
		s.Values = append(s.Values, 100+80*math.Sin((x-9)/24*2*math.Pi)+40*math.Exp(-(x-9)*(x-9)))
	}
	return s
}

func TestClockChangesDoNotShiftTheDay(t *testing.T) {
	o := parisOptions(t)
	for name, start := range map[string]time.Time{ // the clocks change on day 21, a Sunday
		"a missing hour":  time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC),
		"a repeated hour": time.Date(2026, 10, 4, 0, 0, 0, 0, time.UTC),
	} {
		t.Run(name, func(t *testing.T) {
			s := daily(start, 26)
			local := wapeOf(t, s, o, 21.3, 23.3)
			o := o
			o.Location = time.UTC
			if utc := wapeOf(t, s, o, 21.3, 23.3); local > 0.01 || local > utc/2 {
				t.Errorf("WAPE after the change %.2f %%, in UTC %.2f %%", local*100, utc*100)
			}
		})
	}
}

func TestADayOfHistoryIsUsefulAndAnHourIsNot(t *testing.T) {
	o := parisOptions(t)
	s := swing(2, fiveMinutes, 13)
	rows, err := forecast.Backtest(s, o, time.Hour, 0.95, 25*12)
	if err != nil {
		t.Fatal(err)
	}
	var last []forecast.Row
	for _, r := range rows {
		v, _ := s.At(r.Origin)
		last = append(last, forecast.Row{Actual: r.Actual, Forecast: v, Upper: v})
	}
	got, persistence := forecast.ScoreOf(rows, 0.95), forecast.ScoreOf(last, 0.95)
	if got.WAPE > 0.75*persistence.WAPE || got.NotReady > 0 || got.Coverage < 0.85 {
		t.Errorf("on the second day %+v, where the last value scores %+v", got, persistence)
	}
	f := feed(t, o, s.Slice(s.Start, s.Start.Add(time.Hour)))
	a := f.ForecastAfter(s.Start.Add(time.Hour), time.Hour, 0.95)
	if now := s.Values[11]; a.Ready || a.Upper != now || a.Point != now || !strings.Contains(a.Reason, "of history yet") {
		t.Errorf("after an hour: %+v, want the load of now, %v, and a reason", a, now)
	}
}

func TestHorizonsFromOneStepToADay(t *testing.T) {
	s := swing(21, fiveMinutes, 14)
	o := parisOptions(t)
	o.Horizons = nil
	f := feed(t, o, s.Slice(s.Start, s.Time(20*288)))
	now := s.Time(20 * 288)
	for h := fiveMinutes; h <= 24*time.Hour; h += 5 * fiveMinutes {
		a := f.ForecastAfter(now, h, 0.95)
		truth, ok := s.At(a.Target)
		if !a.Ready || !ok || !a.Target.Equal(now.Add(h-fiveMinutes)) {
			t.Fatalf("%v ahead: %+v", h, a)
		}
		if off := math.Abs(a.Point/truth - 1); off > 0.25 {
			t.Errorf("%v ahead: %.1f, it came to %.1f", h, a.Point, truth)
		}
		if a.Upper < a.Point {
			t.Errorf("%v ahead: the 0.95 quantile %.1f lies below the point %.1f", h, a.Upper, a.Point)
		}
	}
	if a := f.ForecastAfter(now, 25*time.Hour, 0.95); a.Ready || !strings.Contains(a.Reason, "add it to Horizons") {
		t.Errorf("beyond the longest horizon: %+v", a)
	}
}

func TestAHolidayIsLikeASunday(t *testing.T) {
	o := parisOptions(t)
	s := swing(30, fiveMinutes, 15)
	from, to := s.Time(22*288), s.Time(23*288) // a Tuesday, on which the load is a Sunday's
	holiday := changed(s, 22, 0, 24, func(v float64) float64 { return 0.6 * v })
	without := wapeOf(t, holiday, o, 22, 23)
	o.Holiday = func(d time.Time) bool {
		return !d.Before(from.Add(-2*time.Hour)) && d.Before(to) && d.Weekday() == time.Tuesday
	}
	with := wapeOf(t, holiday, o, 22, 23)
	if after, plain := wapeOf(t, holiday, o, 29, 30), wapeOf(t, s, parisOptions(t), 29, 30); with > 0.85*without || after > 1.15*plain {
		t.Errorf("WAPE on the holiday %.2f %%, %.2f %% if it is not known; a week later %.2f %%, where there was none %.2f %%",
			with*100, without*100, after*100, plain*100)
	}
}

func TestHorizonsBetweenTwoLieBetweenThem(t *testing.T) {
	s := daily(day0, 20) // without noise: what lies between must be as good as what is learned
	o := parisOptions(t)
	worst := func(o forecast.Options) float64 {
		f := feed(t, o, s.Slice(s.Start, s.Time(18*288)))
		worst := 0.0
		for i := 18 * 288; i < s.Len()-12; i++ {
			if err := f.Observe(s.Time(i), s.Values[i]); err != nil {
				t.Fatal(err)
			}
			a := f.ForecastAfter(s.Time(i+1), 45*time.Minute, 0.9)
			truth, _ := s.At(a.Target)
			worst = max(worst, math.Abs(a.Point/truth-1))
		}
		return worst
	}
	between := worst(o)
	o.Horizons = []time.Duration{45 * time.Minute}
	if learned := worst(o); between > max(1.5*learned, 0.02) {
		t.Errorf("between two horizons the worst error is %.2f %%, of the same horizon if it is learned %.2f %%", between*100, learned*100)
	}
}
