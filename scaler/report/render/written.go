// Package render writes a capacity report as a page, as CSV, as JSON and as Markdown.
package render

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"swell/scaler/report"
	"swell/scaler/report/digits"
)

func money(m *report.Money) string {
	if m == nil {
		return digits.Unknown
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
		return digits.Unknown
	}
	return digits.Percent(*v)
}

// part of the total in percent.
func part(of, total *report.Money) string {
	if of == nil || total == nil || *total <= 0 {
		return "its price is not known"
	}
	return digits.Percent(float64(*of)/float64(*total)) + " of the total"
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
		text += " (" + sign + digits.Percent(float64(now-before)/float64(before)) + ")"
	}
	if r.Before.Cost.LowerBound || r.Total.Cost.LowerBound {
		text += ", as far as it is known,"
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
		return digits.Number(hours/24) + " days"
	}
	if hours == 1 {
		return "1 hour"
	}
	return digits.Number(hours) + " hours"
}

func seconds(v *float64) string {
	if v == nil {
		return digits.Unknown
	}
	return digits.Number(*v) + " s"
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
