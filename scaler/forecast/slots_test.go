package forecast

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestACodeIsTheLoadToATwentiethPercent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := math.Pow(10, rapid.Float64Range(-5, 17).Draw(t, "log10 of the load"))
		if got := decode(encode(v)); math.Abs(got/v-1) > 0.0005 {
			t.Fatalf("%g comes back as %g", v, got)
		}
	})
	if c := encode(0); c == 0 || decode(c) != 0 {
		t.Fatal("no load is not kept as such")
	}
	if encode(math.NaN()) != 0 {
		t.Fatal("unknown has another code than 0")
	}
}

// A store's mean is the mean of the known rows, as far as its slots reach back.
func TestAStoresMeanIsThatOfItsRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		step := rapid.SampledFrom([]int64{60, 300, 900, 1800, 3600}).Draw(t, "step")
		begin := rapid.Int64Range(0, 1000).Draw(t, "begin") * step
		s := newStore(step, begin)
		n := rapid.Int64Range(1, 12*daySeconds/step).Draw(t, "rows")
		if n*step > 9*daySeconds {
			n = 9 * daySeconds / step
		}
		value := func(i int64) float64 {
			if i%97 < 3 {
				return math.NaN()
			}
			return float64(1 + i*i%1000)
		}
		for i := range n {
			s.add(begin+(i+1)*step, value(i))
		}
		slot := max(farSeconds, step) // both lengths end there
		from := (begin/slot + 1 + rapid.Int64Range(0, 20).Draw(t, "from")) * slot
		to := from + slot*rapid.Int64Range(1, 8).Draw(t, "slots")
		var want, count float64
		for at := from; at < to; at += step {
			if v := value((at - begin) / step); !math.IsNaN(v) && (at-begin)/step < n {
				want, count = want+v, count+1
			}
		}
		got := s.mean(float64(from), float64(to))
		if full := to <= s.near.next*s.near.length; !full || 2*count < float64((to-from)/step) {
			return // of a slot that is being filled nothing is said, and less than half is unknown
		}
		if step >= nearSeconds && count < float64((to-from)/step) {
			return // slots count alike, however much of them is known
		}
		if count == float64((to-from)/step) && (math.IsNaN(got) || math.Abs(got/(want/count)-1) > 0.001) {
			t.Fatalf("mean over [%d, %d) of %d rows of %d s: %v, want %v", from, to, n, step, got, want/count)
		}
	})
}

func TestForgottenSlotsAreUnknown(t *testing.T) {
	s := newStore(300, 0)
	for i := range int64(10 * 288) {
		s.add((i+1)*300, 5)
	}
	end := float64(10 * daySeconds)
	s.forget(9*daySeconds, 9*daySeconds+3600)
	for _, from := range []float64{9 * daySeconds, 9*daySeconds + 1800} {
		if got := s.near.mean(from, from+1800); !math.IsNaN(got) {
			t.Errorf("near, %v: %v", from, got)
		}
		if got := s.far.mean(from, from+1800); !math.IsNaN(got) {
			t.Errorf("far, %v: %v", from, got)
		}
	}
	if got := s.mean(end-7200, end); math.Abs(got-5) > 0.01 {
		t.Errorf("what was not forgotten is %v", got)
	}
}

func TestAStoreKeepsEightWeeks(t *testing.T) {
	for _, step := range []int64{60, 300, 1800, 3600} {
		s := newStore(step, 0)
		const days = 70
		for i := range days * daySeconds / step {
			s.add((i+1)*step, float64(i*step/daySeconds)) // the day's number
		}
		for _, back := range []int64{1, 7, 14, 56} {
			at := float64((days - back) * daySeconds)
			if got := s.mean(at, at+3600); math.Abs(got-float64(days-back)) > 0.1 {
				t.Errorf("step %d s, %d days back: %v, want %d", step, back, got, days-back)
			}
		}
		// A slot that lies partly in the span counts by its part.
		edge := float64((days - 1) * daySeconds)
		half := float64(s.near.length) / 2
		if got, want := s.mean(edge-half, edge+float64(s.near.length)), float64(days-1)-1./3; math.Abs(got-want) > 0.1 {
			t.Errorf("step %d s, a third in the day before: %v, want %v", step, got, want)
		}
	}
}
