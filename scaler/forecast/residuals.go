package forecast

import (
	"math"
	"sort"
)

// residuals is the conformal step of one horizon or lead: it keeps log-residuals divided by their local scale.
type residuals struct {
	f *Forecaster
	// abs holds mean |r| in buckets of about 15 min, to find the same slot on earlier days.
	abs            *history
	bucketRows     int64
	bucket         int64
	bucketSum, cnt float64
	// recent is the decayed mean of |r|.
	recent, recentN, decay float64
	// ring is the window of r/s, oldest first from at; sorted is the same in order.
	ring   []ratio
	at     int
	sorted []float64
	coarse int
	stride int64
}

type ratio struct {
	z      float64
	coarse bool
}

const (
	slotShare    = 0.5  // a of the package comment
	recentShare  = 0.4  // b of it
	recentHalf   = 3600 // seconds
	scaleBound   = 5.0
	windowDays   = 28
	bucketLength = 900
)

func newResiduals(f *Forecaster) residuals {
	b := f.rows(bucketLength)
	days := int64(windowDays * 86400)
	r := residuals{
		f: f, bucketRows: b, bucket: math.MinInt64, abs: newHistory(int(days/(b*f.step)) + 1),
		decay: math.Exp2(-float64(f.step) / recentHalf), stride: f.rows(300),
	}
	r.ring = make([]ratio, 0, days/(r.stride*f.step))
	return r
}

// add learns from one outcome; v is NaN where the outcome is unknown.
func (r *residuals) add(row int64, v float64, m made) {
	x := math.NaN()
	if m.ok && !math.IsNaN(v) {
		x = math.Log((v + m.c) / (m.point + m.c))
	}
	r.addToSlot(row, math.Abs(x))
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return
	}
	r.recent, r.recentN = r.recent*r.decay+math.Abs(x), r.recentN*r.decay+1
	if m.scale > 0 && row%r.stride == 0 {
		r.push(ratio{x / m.scale, m.coarse})
	}
}

func (r *residuals) addToSlot(row int64, abs float64) {
	b := floorDiv(row, r.bucketRows)
	if r.bucket == math.MinInt64 {
		r.bucket, r.abs.first = b, b
	}
	for r.bucket < b {
		v := math.NaN()
		if r.cnt > 0 {
			v = r.bucketSum / r.cnt
		}
		r.abs.add(v)
		r.bucket++
		r.bucketSum, r.cnt = 0, 0
	}
	if !math.IsNaN(abs) && !math.IsInf(abs, 0) {
		r.bucketSum, r.cnt = r.bucketSum+abs, r.cnt+1
	}
}

func (r *residuals) push(x ratio) {
	if len(r.ring) < cap(r.ring) {
		r.ring = append(r.ring, x)
	} else {
		old := r.ring[r.at]
		i := sort.SearchFloat64s(r.sorted, old.z)
		r.sorted = append(r.sorted[:i], r.sorted[i+1:]...)
		if old.coarse {
			r.coarse--
		}
		r.ring[r.at] = x
		r.at = (r.at + 1) % len(r.ring)
	}
	i := sort.SearchFloat64s(r.sorted, x.z)
	r.sorted = append(r.sorted, 0)
	copy(r.sorted[i+1:], r.sorted[i:])
	r.sorted[i] = x.z
	if x.coarse {
		r.coarse++
	}
}

// scale is the local scale of the residual at a target row; 0 while nothing is known.
func (r *residuals) scale(l *lags, target int64) float64 {
	s, n := r.abs.total(r.abs.first, r.abs.next())
	if n == 0 {
		return 0
	}
	overall := max(s/n, 1e-4)
	bound := func(x float64) float64 { return min(max(x, overall/scaleBound), overall*scaleBound) }
	recent := overall
	if r.recentN > 0 {
		recent = bound(r.recent / r.recentN)
	}
	slot := overall
	var sum, cnt float64
	for d := 1; d <= 14; d++ {
		var row int64
		switch {
		case d <= 7:
			row = l.row[d-1]
		case d == 14:
			row = l.row[7]
		default:
			row = l.row[d-8] - 7*86400/r.f.step
		}
		b := floorDiv(row, r.bucketRows)
		s, n := r.abs.total(b-1, b+2)
		sum, cnt = sum+s, cnt+n
	}
	if cnt > 0 {
		slot = bound(sum / cnt)
	}
	return math.Pow(slot/overall, slotShare) * math.Pow(recent/overall, recentShare) * overall
}

// upper is the τ-quantile for a forecast that was just made.
func (r *residuals) upper(m made, tau float64) float64 {
	n := len(r.sorted)
	if n == 0 || m.scale == 0 {
		return m.point
	}
	rank := min(int(math.Ceil(float64(n+1)*tau)), n)
	x := m.scale * r.sorted[max(rank, 1)-1]
	if extra := r.f.coarseNoise() * float64(r.coarse) / float64(n); extra > 0 && tau > 0.5 {
		x = math.Copysign(1, x)*x*x + math.Pow(extra*normalQuantile(tau), 2)
		x = math.Copysign(math.Sqrt(math.Abs(x)), x)
	}
	return max((m.point+m.c)*math.Exp(min(x, 10))-m.c, 0)
}

func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }
