package forecast_test

import (
	"math"
	"runtime"
	"testing"
	"time"

	"swell/scaler/forecast"
)

// stateMost is the live state that a workload may have at a step of a minute, in bytes.
const stateMost = 64 << 10

// heapOf is the memory that live forecasters take each, from what the heap grows by.
func heapOf(t testing.TB, n int, build func(i int) *forecast.Forecaster) (each float64, all []*forecast.Forecaster) {
	t.Helper()
	all = make([]*forecast.Forecaster, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range all {
		all[i] = build(i)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	return float64(after.HeapAlloc-before.HeapAlloc) / float64(n), all
}

func TestTheStateOfAWorkloadIsBounded(t *testing.T) {
	first := feed(t, forecast.Options{}, swing(16, fiveMinutes, 1))
	each, all := heapOf(t, 50, func(int) *forecast.Forecaster { return first.Clone() })
	before := all[0].StateSize()
	counted := float64(before)
	t.Logf("a workload takes %.1f KiB of the heap, counted are %.1f", each/1024, counted/1024)
	if each > stateMost || counted > stateMost {
		t.Errorf("a workload takes %.1f KiB, counted are %.1f; it may be %d", each/1024, counted/1024, stateMost/1024)
	}
	if counted > each || counted < 0.9*each {
		t.Errorf("counted are %.1f KiB, the heap grew by %.1f a workload", counted/1024, each/1024)
	}
	// It does not grow with what is observed.
	now := day0.Add(16 * 24 * time.Hour)
	for i := range 3 * 1440 {
		if err := all[0].Observe(now.Add(time.Duration(i)*time.Minute), 100); err != nil {
			t.Fatal(err)
		}
	}
	if after := all[0].StateSize(); after != before {
		t.Errorf("three days of minutes took the state from %d bytes to %d", before, after)
	}
	runtime.KeepAlive(all)
}

func TestACloneSaysWhatItsOriginSays(t *testing.T) {
	s := swing(12, fiveMinutes, 2)
	f := feed(t, forecast.Options{}, s.Slice(s.Start, s.Time(11*288)))
	other, c := f.Clone(), f.Clone()
	for i := 11 * 288; i < s.Len(); i++ {
		for j := range 5 {
			at := s.Time(i).Add(time.Duration(j) * time.Minute)
			for k, one := range []*forecast.Forecaster{f, c, other} {
				v := s.Values[i]
				if k == 2 {
					v = 1e6 // what one learns must not reach the others
				}
				if err := one.Observe(at, v); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for _, h := range []time.Duration{time.Minute, 10 * time.Minute, time.Hour} {
		a, b := f.MaxOver(s.End(), h, 0.99), c.MaxOver(s.End(), h, 0.99)
		if x, y := f.AtLead(s.End(), h, 0.99), c.AtLead(s.End(), h, 0.99); x.Point != y.Point || x.Upper != y.Upper || math.IsNaN(x.Upper) {
			t.Fatalf("an order of %v: the origin says %v ≤ %v, its clone %v ≤ %v", h, x.Point, x.Upper, y.Point, y.Upper)
		}
		if a.Point != b.Point || a.Upper != b.Upper || math.IsNaN(a.Upper) {
			t.Fatalf("%v: the origin says %v ≤ %v, its clone %v ≤ %v", h, a.Point, a.Upper, b.Point, b.Upper)
		}
	}
}

// A tick of a minute for many workloads, each of which learns a row and is asked for a curve and what to order.
func BenchmarkTick(b *testing.B) {
	b.Run("workloads=2000", func(b *testing.B) {
		const workloads = 2000
		var origins []*forecast.Forecaster
		for seed := range uint64(4) {
			origins = append(origins, feed(b, forecast.Options{}, swing(35, fiveMinutes, seed)))
		}
		now := day0.Add(35 * 24 * time.Hour)
		each, all := heapOf(b, workloads, func(i int) *forecast.Forecaster { return origins[i%len(origins)].Clone() })
		curve := []time.Duration{time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour}
		steps, slowest := 0, time.Duration(0)
		for b.Loop() {
			for range 30 { // half an hour, in which each regression is solved once
				begun := time.Now()
				for i, f := range all {
					if err := f.Observe(now, 100+float64(i%50)); err != nil {
						b.Fatal(err)
					}
					for _, a := range f.Curve(now.Add(time.Minute), curve, 0.95) {
						if !a.Ready {
							b.Fatal(a.Reason)
						}
					}
					f.AtLead(now.Add(time.Minute), 4*time.Minute, 0.99)
				}
				slowest = max(slowest, time.Since(begun))
				now = now.Add(time.Minute)
				steps++
			}
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(steps*workloads), "step_us")
		b.ReportMetric(float64(slowest.Microseconds())/workloads, "slowest_step_us")
		b.ReportMetric(each/1024, "state_KiB")
	})
}
