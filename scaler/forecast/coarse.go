package forecast

import (
	"math"
	"slices"
)

// coarseStats is what is known of a history whose rows are longer than the step.
type coarseStats struct {
	current bool // the open row comes from a coarse one
	sigma   float64
	m       int
}

// learn measures the noise of coarse rows: how far each is from the straight line through its neighbours.
func (c *coarseStats) learn(vs []float64, m int) {
	var ds []float64
	for i := 1; i+1 < len(vs); i++ {
		d := math.Log(vs[i]) - (math.Log(vs[i-1])+math.Log(vs[i+1]))/2
		if !math.IsNaN(d) && !math.IsInf(d, 0) {
			ds = append(ds, math.Abs(d))
		}
	}
	if len(ds) == 0 {
		return
	}
	slices.Sort(ds)
	// The median of |N(0, σ)| is 0.6745 σ; the difference of three independent rows has 1.5 times their variance.
	c.sigma = ds[len(ds)/2] / 0.6745 / math.Sqrt(1.5)
	c.m = m
}

// coarseNoise is the deviation of a fine row's logarithm that coarse rows hide.
func (f *Forecaster) coarseNoise() float64 {
	if f.coarse.m < 2 {
		return 0
	}
	return f.coarse.sigma * math.Sqrt(float64(f.coarse.m-1))
}

// between is the value at the middle of the j-th of m parts of row i, on the line between the rows' middles.
// Where the neighbour is unknown the row's own value stands.
func between(vs []float64, i, j, m int) float64 {
	at := (float64(j)+0.5)/float64(m) - 0.5 // from the row's middle, in rows
	k := i + 1
	if at < 0 {
		k, at = i-1, -at
	}
	if k < 0 || k >= len(vs) || math.IsNaN(vs[k]) {
		return vs[i]
	}
	return vs[i]*(1-at) + vs[k]*at
}
