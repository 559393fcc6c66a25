package load

import (
	"fmt"
	"math"
	"time"
)

// Curve is a quantity over model time.
type Curve func(model time.Time) float64

// FromSeries is the curve of a regular series, times scale. A row covers [start+i·step, start+(i+1)·step);
// its value stands at the middle, with straight lines between middles and level ends. Every row must be known: of a series
// with gaps give the rows that are needed.
func FromSeries(start time.Time, step time.Duration, values []float64, scale float64) (Curve, error) {
	if step <= 0 {
		return nil, fmt.Errorf("making a curve: the step is %s: give one above zero", step)
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("making a curve: the series is empty: give at least one row")
	}
	for i, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
			was := fmt.Sprint(v)
			if math.IsNaN(v) {
				was = "unknown"
			}
			return nil, fmt.Errorf("making a curve: the row of %s (row %d) is %s: fill it, or give rows without it; a row is a number from zero up",
				start.Add(time.Duration(i)*step).Format(time.RFC3339), i, was)
		}
	}
	first := start.Add(step / 2)
	return func(t time.Time) float64 {
		x := float64(t.Sub(first)) / float64(step)
		if x <= 0 {
			return scale * values[0]
		}
		i := int(x)
		if i >= len(values)-1 {
			return scale * values[len(values)-1]
		}
		share := x - float64(i)
		return scale * (values[i]*(1-share) + values[i+1]*share)
	}, nil
}

// Between is the curve's integral over [from, to], in its unit times model seconds.
func (c Curve) Between(from, to time.Time) float64 {
	const step = time.Second
	sum := 0.0
	for at := from; at.Before(to); {
		next := at.Add(step)
		if next.After(to) {
			next = to
		}
		width := next.Sub(at)
		sum += c(at.Add(width/2)) * width.Seconds()
		at = next
	}
	return sum
}
