package config

import (
	"fmt"
	"time"
)

// Clock maps the machine's time to the time that swell decides in. The zero value is the machine's
// own; a rehearsal may run a recorded day faster.
type Clock struct {
	// Speed is how much faster decided time runs; 0 and 1 are real time, 10 the most.
	Speed float64 `json:"speed,omitempty"`
	// Real and Model are one instant on both clocks; both zero is no shift.
	Real  time.Time `json:"real,omitzero"`
	Model time.Time `json:"model,omitzero"`
}

// Validate reports a clock that cannot be used.
func (c Clock) Validate() error {
	if c.Speed != 0 && !(c.Speed >= 1 && c.Speed <= 10) { // not a number is neither
		return fmt.Errorf("clock.speed is %g: give a number from 1 to 10, or leave it out", c.Speed)
	}
	if c.Real.IsZero() != c.Model.IsZero() {
		return fmt.Errorf("clock.real and clock.model are one instant on two clocks: give both or neither")
	}
	if c.Speed > 1 && c.Real.IsZero() {
		return fmt.Errorf("clock.speed is %g without an instant to count from: give clock.real and clock.model", c.Speed)
	}
	return nil
}

// Now is the present in model time.
func (c Clock) Now() time.Time { return c.At(time.Now()) }

// At is the model time of an instant of the machine's clock.
func (c Clock) At(real time.Time) time.Time {
	if c.Real.IsZero() {
		return real
	}
	return c.Model.Add(time.Duration(float64(real.Sub(c.Real)) * c.speed()))
}

// RealTime is the instant of the machine's clock at a model time.
func (c Clock) RealTime(model time.Time) time.Time {
	if c.Real.IsZero() {
		return model
	}
	return c.Real.Add(c.Wait(model.Sub(c.Model)))
}

// Wait is how long the machine must wait for d of model time to pass.
func (c Clock) Wait(d time.Duration) time.Duration { return time.Duration(float64(d) / c.speed()) }

func (c Clock) speed() float64 {
	if c.Speed == 0 {
		return 1
	}
	return c.Speed
}
