package report

import (
	"fmt"

	"swell/scaler/report/digits"
)

// quantity is a figure with its unit, or a dash where it is unknown.
func quantity(v *float64, unit string) string {
	if v == nil {
		return digits.Unknown
	}
	switch unit {
	case "":
		return digits.Number(*v)
	case "%":
		return digits.Number(*v*100) + " %"
	case "$":
		return "$" + fmt.Sprintf("%.2f", *v)
	default:
		return digits.Number(*v) + " " + unit
	}
}

// ratio of two figures, a dash where it says nothing.
func ratio(a, b *float64) string {
	if a == nil || b == nil || *b == 0 {
		return digits.Unknown
	}
	return "× " + digits.Number(*a / *b)
}
