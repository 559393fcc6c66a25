package measure

import (
	"math"
	"slices"
)

// Quantile is the nearest-rank q-quantile: the smallest value that at least a share q of all values do not exceed; nil of none.
func Quantile(values []float64, q float64) *float64 {
	if len(values) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(q*float64(len(sorted)) - 1e-9))
	value := sorted[min(max(rank, 1), len(sorted))-1]
	return &value
}
