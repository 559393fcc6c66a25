package lag

import "slices"

const (
	// learnedKept is how many samples of μ are kept.
	learnedKept = 60
	// declaredWeight is how many samples the declared μ weighs as much as.
	declaredWeight = 6
)

// learned is μ as it was seen.
type learned struct {
	samples []float64
	// known is μ as an earlier run or another replica had learned it, in place of what was declared; zero: nothing.
	known float64
}

func (l *learned) observe(rate float64) {
	l.samples = append(l.samples, rate)
	if n := len(l.samples) - learnedKept; n > 0 {
		l.samples = append(l.samples[:0], l.samples[n:]...)
	}
}

// resume goes on from an earlier estimate. It was drawn towards what was declared already, and is not a second time.
func (l *learned) resume(rate float64) { *l = learned{known: rate} }

// estimate is the samples' median, drawn the more the fewer there are towards what was learned before, or declared.
func (l *learned) estimate(declared float64) float64 {
	if l.known > 0 {
		declared = l.known
	}
	n := len(l.samples)
	if n == 0 {
		return declared
	}
	sorted := slices.Sorted(slices.Values(l.samples))
	median := (sorted[(n-1)/2] + sorted[n/2]) / 2
	return (float64(n)*median + declaredWeight*declared) / float64(n+declaredWeight)
}
