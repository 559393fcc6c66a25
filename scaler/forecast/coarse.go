package forecast

import (
	"math"
	"slices"
)

// mostNoise is the most that the minutes of a coarse history are given as the deviation of their logarithms from a smooth
// course, as they hide their own. What is learned from lines without noise trusts the last minute alone, and fails on live ones.
const mostNoise = 0.02

// coarseStats is what is known of a history whose rows are longer than the step.
type coarseStats struct {
	current bool // the open row comes from a coarse one
	sigma   float64
	m       int
	// live is the mean distance of a live row's logarithm from the middle of its neighbours.
	live decayed
}

const (
	// liveNoiseRows are needed before the noise of live rows stands for what coarse ones hide.
	liveNoiseRows     = 30
	liveNoiseHalfLife = daySeconds
	// ofDistance turns the mean |N(0, σ)| of three independent rows' distance into σ: √(2/π), and 1.5 times the variance.
	ofDistance = 0.7979 * 1.2247
)

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

// learnLive measures the noise of live rows by three that follow each other.
func (f *Forecaster) learnLive(row int64) {
	a, b, c := f.recent.mean(row-2, row-1), f.recent.mean(row-1, row), f.recent.mean(row, row+1)
	if d := math.Log(b) - (math.Log(a)+math.Log(c))/2; isNumber(d) {
		f.coarse.live.add(math.Abs(d), keepOf(float64(f.step), liveNoiseHalfLife))
	}
}

// hidden is the deviation of a fine row's logarithm by the roughness of coarse rows. Where their own course is rough, it is
// too much.
func (c *coarseStats) hidden() float64 { return c.sigma * math.Sqrt(float64(max(c.m-1, 0))) }

// coarseNoise is the deviation of a fine row's logarithm that coarse rows hide, beyond what they were given.
func (f *Forecaster) coarseNoise() float64 {
	if f.coarse.m < 2 {
		return 0
	}
	sigma := f.coarse.hidden()
	if f.coarse.live.n >= liveNoiseRows {
		sigma = f.coarse.live.value() / ofDistance
	}
	given := f.givenNoise()
	return math.Sqrt(max(sigma*sigma-given*given, 0))
}

// givenNoise is the deviation of what a row of the step is given.
func (f *Forecaster) givenNoise() float64 {
	return min(mostNoise/math.Sqrt(max(float64(f.step)/60, 1)), f.coarse.hidden())
}

// unevenness is a fixed number for a row, from a distribution of mean 0 and deviation 1 that is nearly normal.
func unevenness(row int64) float64 {
	h, sum := uint64(row), 0.0
	for range 4 { // each round is a step of splitmix64 (Steele, Lea and Flood, 2014)
		h += 0x9E3779B97F4A7C15
		x := (h ^ h>>30) * 0xBF58476D1CE4E5B9
		x = (x ^ x>>27) * 0x94D049BB133111EB
		sum += float64((x^x>>31)>>11) / (1 << 53)
	}
	return math.Sqrt(3) * (sum - 2)
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
