package lag

import "slices"

// recentWindows is how many windows back batches are looked for: two whole periods must have passed.
const recentWindows = 4

// batches is the rate of what comes in batches again and again, in messages a second: the mean of the whole periods, from the first poll
// of one batch to the first poll of the next, of which those that are above most count as they do. Zero where there are not two of
// them, or where the next batch is overdue. What comes once, in however many polls in a row, is a burst and no batch.
func batches(points []point) float64 {
	starts := batchStarts(points)
	if len(starts) < 3 {
		return 0
	}
	seconds, rates := make([]float64, len(starts)-1), make([]float64, len(starts)-1)
	for i := range rates {
		from, to := points[starts[i]], points[starts[i+1]]
		seconds[i] = to.at.Sub(from.at).Seconds()
		rates[i] = (to.produced - from.produced) / seconds[i]
	}
	since := points[len(points)-1].at.Sub(points[starts[len(rates)]].at).Seconds()
	if since > 1.5*slices.Max(seconds) {
		return 0
	}
	most := slices.Sorted(slices.Values(rates))[(len(rates)-1)/2]
	var produced, passed float64
	for i, rate := range rates {
		produced, passed = produced+min(rate, most)*seconds[i], passed+seconds[i]
	}
	return produced / passed
}

// batchStarts are the points after which batches begin: where more comes than twice what a quarter of all polls have, and came not before.
func batchStarts(points []point) (starts []int) {
	n := len(points) - 1
	if n < 4 {
		return nil
	}
	each := make([]float64, n)
	for i := range each {
		each[i] = (points[i+1].produced - points[i].produced) / points[i+1].at.Sub(points[i].at).Seconds()
	}
	low := 2 * slices.Sorted(slices.Values(each))[(n-1)/4]
	for i, rate := range each {
		if i > 0 && rate > low && each[i-1] <= low {
			starts = append(starts, i)
		}
	}
	return starts
}
