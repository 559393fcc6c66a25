package config

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// instants within some decades of today, to the nanosecond.
func instants(name string) *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(1_000_000_000, 3_000_000_000).Draw(t, name+" s"), rapid.Int64Range(0, 999_999_999).Draw(t, name+" ns")).UTC()
	})
}

func clocks() *rapid.Generator[Clock] {
	return rapid.Custom(func(t *rapid.T) Clock {
		if rapid.Bool().Draw(t, "the machine's own") {
			return Clock{}
		}
		return Clock{Speed: rapid.OneOf(rapid.Float64Range(1, 10), rapid.SampledFrom([]float64{0, 1, 2, 10})).Draw(t, "speed"), Real: instants("real").Draw(t, "real"), Model: instants("model").Draw(t, "model")}
	})
}

// away is a time from a clock's instant; a rehearsal is over within weeks.
var away = rapid.Int64Range(-int64(30*24*time.Hour), int64(30*24*time.Hour))

func near(a, b time.Time, within time.Duration) bool { return a.Sub(b).Abs() <= within }

func TestAtAndRealTimeUndoEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := clocks().Draw(t, "clock")
		if err := c.Validate(); err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		d := time.Duration(away.Draw(t, "away"))
		real := c.Real.Add(d)
		// a float64 holds 30 days to 0.5 ns; ten times that on the faster clock
		if back := c.RealTime(c.At(real)); !near(back, real, 20) {
			t.Fatalf("machine time %s is model time %s, which is machine time %s", real, c.At(real), back)
		}
		model := c.Model.Add(d)
		if back := c.At(c.RealTime(model)); !near(back, model, 20) {
			t.Fatalf("model time %s is machine time %s, which is model time %s", model, c.RealTime(model), back)
		}
	})
}

func TestAWaitTakesTheMachineAsLongAsModelTimeNeeds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := clocks().Draw(t, "clock")
		real := c.Real.Add(time.Duration(away.Draw(t, "away")))
		d := time.Duration(rapid.Int64Range(0, int64(48*time.Hour)).Draw(t, "wait"))
		if passed := c.At(real.Add(c.Wait(d))).Sub(c.At(real)); (passed - d).Abs() > 40 {
			t.Fatalf("while the machine waits %s, %s of model time pass: want %s", c.Wait(d), passed, d)
		}
		if c.Wait(d) > d || c.Wait(d) < d/10 {
			t.Fatalf("waiting for %s takes %s at speed %g", d, c.Wait(d), c.Speed)
		}
	})
}

func TestModelTimeNeverRunsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := clocks().Draw(t, "clock")
		real := c.Real.Add(time.Duration(away.Draw(t, "away")))
		later := real.Add(time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "later")))
		if c.At(later).Before(c.At(real)) {
			t.Fatalf("%s comes before %s", c.At(later), c.At(real))
		}
	})
}

func TestAClockMapsItsInstantAndTheZeroClockNothing(t *testing.T) {
	real, model := time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC), time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	c := Clock{Speed: 10, Real: real, Model: model}
	for seconds, minutes := range map[int]int{0: 0, 60: 10, -6: -1} {
		if got, want := c.At(real.Add(time.Duration(seconds)*time.Second)), model.Add(time.Duration(minutes)*time.Minute); !got.Equal(want) {
			t.Errorf("%d s after the instant it is %s: want %s", seconds, got, want)
		}
	}
	if got := c.Wait(10 * time.Second); got != time.Second {
		t.Errorf("10 s are waited for in %s", got)
	}
	var own Clock
	if !own.At(real).Equal(real) || !own.RealTime(model).Equal(model) || own.Wait(time.Hour) != time.Hour {
		t.Error("the zero clock is not the machine's")
	}
	before := time.Now()
	if now := own.Now(); now.Before(before) || now.After(time.Now()) {
		t.Errorf("it is %s by the zero clock", now)
	}
}

func TestAClockThatCannotBeUsedSaysWhy(t *testing.T) {
	at := time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)
	for field, c := range map[string]Clock{
		"clock.speed is 0.5":                         {Speed: 0.5, Real: at, Model: at},
		"clock.speed is 11":                          {Speed: 11, Real: at, Model: at},
		"clock.speed is -1":                          {Speed: -1},
		"clock.speed is NaN":                         {Speed: math.NaN(), Real: at, Model: at},
		"give both or neither":                       {Real: at},
		"clock.speed is 10 without an instant":       {Speed: 10},
		"clock.real and clock.model are one instant": {Model: at},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%+v: %v: want %q", c, err, field)
		}
	}
}
