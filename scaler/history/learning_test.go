package history

import (
	"math"
	"testing"
	"time"

	"swell/scaler/forecast"
	"swell/scaler/series"
)

// fullRecord is all that a record keeps: eight weeks of a daily load with some unrest, and three days in minutes.
func fullRecord(end time.Time) *Record {
	load := func(t time.Time) float64 {
		x := float64(t.Unix())
		return 100 + 50*math.Sin(x/86400*2*math.Pi) + 3*math.Sin(x/977) + 2*math.Sin(x/313)
	}
	r := &Record{}
	for _, part := range []struct{ keep, step time.Duration }{{KeepMinutes, MinuteStep}, {KeepCoarse, CoarseStep}} {
		s := series.Series{Start: end.Add(-part.keep), Step: part.step}
		for s.End().Before(end) {
			s.Values = append(s.Values, load(s.End()))
		}
		r.Fill(s)
	}
	return r
}

// BenchmarkNewWorkload is how long a full record takes to learn after a restart.
func BenchmarkNewWorkload(b *testing.B) {
	r := fullRecord(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))
	for b.Loop() {
		if _, err := NewWorkload(forecast.Options{Location: time.UTC}, nil, r); err != nil {
			b.Fatal(err)
		}
	}
}
