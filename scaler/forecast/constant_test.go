package forecast_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"swell/scaler/forecast"
	"swell/scaler/series"
)

var begin = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// A load that never moves has residuals of exactly nothing, which have no logarithm.
func TestALoadThatNeverMovesIsForecastAsItIs(t *testing.T) {
	for name, level := range map[string]float64{"30 pods": 30, "a tenth of one": 0.1} {
		t.Run(name, func(t *testing.T) {
			s := series.Series{Start: begin, Step: fiveMinutes}
			for range 14 * 24 * 12 {
				s.Append(level, 0)
			}
			f, err := forecast.New(forecast.Options{Step: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Backfill(s); err != nil {
				t.Fatal(err)
			}
			for m := range 3 * 60 {
				if err := f.Observe(s.End().Add(time.Duration(m)*time.Minute), level); err != nil {
					t.Fatal(err)
				}
			}
			now := s.End().Add(3 * time.Hour)
			for _, a := range []forecast.Answer{f.MaxOver(now, 3*time.Minute, 0.99), f.AtLead(now, 170*time.Second, 0.99), f.Forecast(now, time.Hour, 0.95)} {
				if !a.Ready || math.Abs(a.Point-level) > 0.01*level || !(a.Upper >= a.Point*(1-1e-6)) || a.Upper > 1.05*level {
					t.Errorf("point %g, upper %g, ready %t: want %g and a bound close to it", a.Point, a.Upper, a.Ready, level)
				}
			}
		})
	}
}

// Whatever is fed, answers are numbers or say that they are not ready.
func TestNoLoadMakesAForecastThatIsNoNumber(t *testing.T) {
	load := rapid.OneOf(rapid.Just(0.0), rapid.Just(1e-12), rapid.Just(1e17), rapid.Just(math.NaN()), rapid.Just(30.0), rapid.Float64Range(0, 1e4))
	rapid.Check(t, func(t *rapid.T) {
		f, err := forecast.New(forecast.Options{Step: 15 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		now := begin
		for range rapid.IntRange(1, 6).Draw(t, "stretches") {
			level, noise := load.Draw(t, "level"), rapid.SampledFrom([]float64{0, 0, 0.5}).Draw(t, "noise")
			for i := range rapid.IntRange(1, 4*24*5).Draw(t, "rows") {
				_ = f.Observe(now, min(level*(1+noise*math.Sin(float64(i))), 1e17)) // what cannot be a load is refused
				now = now.Add(15 * time.Minute)
			}
			for _, a := range []forecast.Answer{f.MaxOver(now, time.Hour, 0.99), f.Forecast(now, time.Hour, 0.5), f.Forecast(now, 24*time.Hour, 0.999)} {
				if a.Ready && (math.IsNaN(a.Point) || math.IsNaN(a.Upper) || math.IsInf(a.Point, 0) || math.IsInf(a.Upper, 0) || a.Upper < 0) {
					t.Fatalf("ready with %v and %v", a.Point, a.Upper)
				}
			}
		}
	})
}
