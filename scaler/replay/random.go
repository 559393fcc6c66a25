package replay

import "math"

// mix64 is one step of SplitMix64 from a state: Steele, Lea and Flood, Fast splittable pseudorandom number generators,
// OOPSLA 2014, with the constants of Vigna's public-domain code.
func mix64(state uint64) uint64 {
	z := state + 0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// unit maps 64 bits to [0, 1).
func unit(bits uint64) float64 { return float64(bits>>11) / (1 << 53) }

// minuteNoise is z(m): nearly normal, with mean 0 and deviation 1, and the same for a minute in every run.
func minuteNoise(minute int64) float64 {
	sum := 0.0
	for j := range int64(4) {
		sum += unit(mix64(uint64(4*minute + j)))
	}
	return math.Sqrt(3) * (sum - 2)
}

// draw is a uniform number of (0, 1) that depends on nothing but the seed, what it is for and its number, so that one
// policy's draws do not shift another's.
func draw(seed int64, what, number uint64) float64 {
	bits := mix64(mix64(mix64(uint64(seed))^what) ^ number)
	return (float64(bits>>11) + 0.5) / (1 << 53)
}

// normal is the standard normal quantile of u.
func normal(u float64) float64 { return math.Sqrt2 * math.Erfinv(2*u-1) }
