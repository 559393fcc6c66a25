package replay_test

import (
	"testing"
	"time"

	"swell/scaler/replay"
	"swell/scaler/series"
)

// BenchmarkYear is a year of 15-second steps on fluid packing, after four weeks of history.
func BenchmarkYear(b *testing.B) {
	for _, policy := range []string{"reactive", "swell"} {
		b.Run("policy="+policy, func(b *testing.B) {
			in := replay.Input{Trace: series.Series{Start: start, Step: time.Hour, Values: wave(3 * 365 * 24)}}
			in.Scenario, _ = replay.BuiltIn("core-300")
			in.Scenario.Demand.Play.Duration = 365 * 24 * time.Hour
			for b.Loop() {
				if _, err := replay.Run(in, []string{policy}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "year_s")
		})
	}
}
