// Package render writes a capacity report as a page, as CSV, as JSON and as Markdown.
package render

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"swell/scaler/report"
)

// unknown stands where a figure is not known.
const unknown = "–"

// number writes a figure for people: three significant digits, thousands apart.
func number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return unknown
	case a >= 99.95 || v == math.Trunc(v):
		return thousands(strconv.FormatFloat(math.Round(v), 'f', 0, 64))
	case a >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 0.01:
		return strconv.FormatFloat(v, 'f', 2, 64)
	default:
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
}

func thousands(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "−", digits[1:]
	}
	var parts []string
	for len(digits) > 3 {
		parts = append([]string{digits[len(digits)-3:]}, parts...)
		digits = digits[:len(digits)-3]
	}
	return sign + strings.Join(append([]string{digits}, parts...), ",")
}

func money(m *report.Money) string {
	if m == nil {
		return unknown
	}
	return m.String()
}

// atLeast marks an amount that is a lower bound.
func atLeast(m *report.Money, lower bool) string {
	if m != nil && lower {
		return "≥ " + m.String()
	}
	return money(m)
}

func percent(v *float64) string {
	if v == nil {
		return unknown
	}
	return share(*v)
}

func share(v float64) string {
	switch a := math.Abs(v * 100); {
	case a >= 99.95 && a < 100:
		return strconv.FormatFloat(v*100, 'f', 2, 64) + " %"
	case a >= 10 || a == 0:
		return strings.Replace(strconv.FormatFloat(v*100, 'f', 1, 64), "-", "−", 1) + " %"
	}
	return strings.Replace(strconv.FormatFloat(v*100, 'f', 2, 64), "-", "−", 1) + " %"
}

// part of a whole in percent, a dash where it says nothing.
func part(of, whole *report.Money) string {
	if of == nil || whole == nil || *whole <= 0 {
		return unknown
	}
	return share(float64(*of) / float64(*whole))
}

// change against the period before: the difference and its share.
func change(r *report.Report) (text string, known bool) {
	if r.Before == nil || r.Before.Cost.Total == nil || r.Total.Cost.Total == nil {
		return "", false
	}
	now, before := *r.Total.Cost.Total, *r.Before.Cost.Total
	sign := "+"
	if now < before {
		sign = ""
	}
	text = sign + (now - before).String()
	if before > 0 {
		text += " (" + sign + share(float64(now-before)/float64(before)) + ")"
	}
	if r.Before.Cost.LowerBound || r.Total.Cost.LowerBound {
		text += ", of lower bounds,"
	}
	return text, true
}

// period in words, in the report's time zone.
func period(r *report.Report) string {
	from, to := r.From, r.To
	if midnight(from) && midnight(to) {
		last := to.AddDate(0, 0, -1)
		if last.Equal(from) {
			return from.Format("Monday 2 January 2006")
		}
		if from.Year() != last.Year() {
			return from.Format("2 January 2006") + " to " + last.Format("2 January 2006")
		}
		return from.Format("2 January") + " to " + last.Format("2 January 2006")
	}
	if from.Format(time.DateOnly) == to.Format(time.DateOnly) {
		return from.Format("2 January 2006, 15:04") + " to " + to.Format("15:04")
	}
	return from.Format("2 January 2006 15:04") + " to " + to.Format("2 January 2006 15:04")
}

func midnight(t time.Time) bool { return t.Hour() == 0 && t.Minute() == 0 && t.Second() == 0 }

// duration of the period for people.
func duration(r *report.Report) string {
	hours := r.To.Sub(r.From).Hours()
	if hours >= 48 {
		return number(hours/24) + " days"
	}
	if hours == 1 {
		return "1 hour"
	}
	return number(hours) + " hours"
}

func seconds(v *float64) string {
	if v == nil {
		return unknown
	}
	return number(*v) + " s"
}

// JSON writes the report as one document.
func JSON(w io.Writer, r *report.Report) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("writing the report as JSON: %w", err)
	}
	return nil
}
