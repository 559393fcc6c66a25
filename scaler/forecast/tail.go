package forecast

import "math"

// tail is the distribution of residuals divided by their local scale, as a histogram that forgets.
type tail struct {
	bins   [numBins]float32
	total  float32
	coarse float32 // of total, from rows of a coarse history
	count  int32   // outcomes ever
}

const (
	numBins      = 112
	tailHalfLife = 14 * daySeconds
)

// binOf and ofBin map z to its bin: fine near 0, a tenth apart far from it.
func binOf(z float64) float64 { return math.Asinh(2*z)*12 + 44 }
func ofBin(b float64) float64 { return math.Sinh((b-44)/12) / 2 }

// add takes a residual by its scale; what is no number is not learned.
func (t *tail) add(z, keep float64, coarse bool) {
	if math.IsNaN(z) {
		return
	}
	d := float32(keep)
	for i := range t.bins {
		t.bins[i] *= d
	}
	t.total, t.coarse = t.total*d+1, t.coarse*d
	t.bins[int(min(max(binOf(z), 0), numBins-1))]++
	if coarse {
		t.coarse++
	}
	t.count++
}

// quantile is the value of rank (n+1)τ, on a straight line within its bin.
func (t *tail) quantile(tau float64) float64 {
	need := (float64(t.total) + 1) * tau
	below, z := 0.0, 0.0
	for i, c := range t.bins {
		if c == 0 {
			continue
		}
		if share := (need - below) / float64(c); share <= 1 {
			return ofBin(float64(i) + max(share, 0))
		}
		below += float64(c)
		z = ofBin(float64(i + 1))
	}
	return z
}

// exponent is how far the τ-quantile lies above the point, as a logarithm.
func (t *tail) exponent(scale, tau, coarseNoise float64) float64 {
	if t.total == 0 || scale == 0 {
		return 0
	}
	x := scale * t.quantile(tau)
	if extra := coarseNoise * float64(t.coarse/t.total); extra > 0 && tau > 0.5 {
		x = math.Copysign(x*x, x) + math.Pow(extra*normalQuantile(tau), 2)
		x = math.Copysign(math.Sqrt(math.Abs(x)), x)
	}
	return min(x, exponentMost)
}

// exponentMost keeps a bound finite.
const exponentMost = 10

// above is the load that lies an exponent above a point.
func above(point, small, exponent float64) float64 {
	return max((point+small)*math.Exp(exponent)-small, 0)
}

func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }
