// Package digits writes figures for people, the same on every page and in every table.
package digits

import (
	"math"
	"strconv"
	"strings"
)

// Unknown stands where a figure is not known.
const Unknown = "–"

// minus is as wide as a plus, which a hyphen is not.
const minus = "−"

// Number is a figure of three significant digits, its thousands apart; Unknown where it is no number.
func Number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return Unknown
	case a >= 99.95 || v == math.Trunc(v):
		return Thousands(strconv.FormatFloat(math.Round(v), 'f', 0, 64))
	case a >= 9.995:
		return signed(strconv.FormatFloat(v, 'f', 1, 64))
	case a >= 0.01:
		return signed(strconv.FormatFloat(v, 'f', 2, 64))
	default:
		return signed(strconv.FormatFloat(v, 'g', 2, 64))
	}
}

// Thousands sets the thousands of a whole number apart: digits with or without a sign before them.
func Thousands(whole string) string {
	digits, negative := strings.CutPrefix(whole, "-")
	var parts []string
	for len(digits) > 3 {
		parts = append([]string{digits[len(digits)-3:]}, parts...)
		digits = digits[:len(digits)-3]
	}
	out := strings.Join(append([]string{digits}, parts...), ",")
	if negative && digits != "0" {
		return minus + out
	}
	return out
}

// Percent is a share in percent, with one or two digits after the point.
func Percent(share float64) string {
	p, places := share*100, 2
	if a := math.Abs(p); a >= 10 && (a < 99.95 || a >= 100) || a == 0 {
		places = 1
	}
	return signed(strconv.FormatFloat(p, 'f', places, 64)) + " %"
}

func signed(text string) string {
	if rest, negative := strings.CutPrefix(text, "-"); negative {
		return minus + rest
	}
	return text
}
