package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// unknown stands where a figure is not known.
const unknown = "–"

// number writes a figure for people: three significant digits, thousands apart.
func number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return unknown
	case a >= 1000:
		return thousands(int64(math.Round(v)))
	case a >= 100 || v == math.Trunc(v):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 0.01:
		return strconv.FormatFloat(v, 'f', 2, 64)
	default:
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
}

func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "−", digits[1:]
	}
	var parts []string
	for len(digits) > 3 {
		parts = append([]string{digits[len(digits)-3:]}, parts...)
		digits = digits[:len(digits)-3]
	}
	return sign + strings.Join(append([]string{digits}, parts...), ",")
}

// quantity is a figure with its unit, or a dash where it is unknown.
func quantity(v *float64, unit string) string {
	if v == nil {
		return unknown
	}
	switch unit {
	case "":
		return number(*v)
	case "%":
		return number(*v*100) + " %"
	case "$":
		return "$" + fmt.Sprintf("%.2f", *v)
	default:
		return number(*v) + " " + unit
	}
}

// ratio of two figures, a dash where it says nothing.
func ratio(a, b *float64) string {
	if a == nil || b == nil || *b == 0 {
		return unknown
	}
	return "× " + number(*a / *b)
}
