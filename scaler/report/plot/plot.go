// Package plot is the plots of pages that ask for nothing from anywhere: their data, and the script and style to embed.
package plot

import (
	_ "embed"
	"html/template"
	"time"
)

//go:embed plot.js
var script string

//go:embed page.css
var style string

// Script draws the Plots that are the page's JSON element "data" into its figures with data-chart.
func Script() template.JS { return template.JS(script) }

// Style is of the page and its plots, for light and dark.
func Style() template.CSS { return template.CSS(style) }

// Plots are what the script reads.
type Plots struct {
	Axes   []Axis  `json:"axes"`
	Charts []Chart `json:"charts"`
	Bands  []Band  `json:"bands"`
}

// Axis is the times of some charts, which share a cursor.
type Axis struct {
	// Start is the wall clock at second 0, without a zone.
	Start string    `json:"start"`
	Times []float64 `json:"times"` // wall-clock seconds since Start, rising
	// Days says that each time is a day, which is told by its date alone.
	Days bool `json:"days,omitempty"`
}

// AxisOf wall-clock times.
func AxisOf(times []time.Time, days bool) Axis {
	a := Axis{Days: days, Times: []float64{}}
	wall := func(t time.Time) time.Time {
		return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
	}
	for i, t := range times {
		if i == 0 {
			a.Start = t.Format("2006-01-02T15:04:05")
		}
		a.Times = append(a.Times, wall(t).Sub(wall(times[0])).Seconds())
	}
	return a
}

// Chart is one plot.
type Chart struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Unit  string `json:"unit"`
	// Axis is the index of its axis.
	Axis    int  `json:"axis,omitempty"`
	Stacked bool `json:"stacked,omitempty"`
	// Bars are drawn in place of lines; each is as wide as the time to the next.
	Bars   bool     `json:"bars,omitempty"`
	Series []Series `json:"series"`
	Note   string   `json:"-"`
}

// Series is one line or layer; null is unknown and leaves a gap.
type Series struct {
	Name   string     `json:"name"`
	Color  int        `json:"color"` // index of the style's palette, 0 to 9
	Dashed bool       `json:"dashed,omitempty"`
	Values []*float64 `json:"values"`
}

// Band marks a stretch of the first axis in which something was down, in seconds since its start.
type Band struct {
	From  float64 `json:"from"`
	To    float64 `json:"to"`
	Label string  `json:"label"`
}
