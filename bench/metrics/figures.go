package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"time"

	"swell/bench/figure"
)

// labels say what a figure is of.
type labels map[string]string

// with is the labels and more of them, given as name, value, name, value…
func (l labels) with(pairs ...any) labels {
	all := maps.Clone(l)
	if all == nil {
		all = labels{}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		all[fmt.Sprint(pairs[i])] = fmt.Sprint(pairs[i+1])
	}
	return all
}

// record takes figures as they are measured, and holds them against what is promised.
type record struct {
	out, progress io.Writer
	figures       []figure.Figure
	missed        int
	err           error
}

// add writes a figure as one JSON line.
func (r *record) add(metric, unit string, value float64, l labels) {
	f := figure.Figure{Bench: "metrics", Metric: metric, Value: value, Unit: unit, Labels: l}
	r.figures = append(r.figures, f)
	if err := json.NewEncoder(r.out).Encode(f); err != nil && r.err == nil {
		r.err = fmt.Errorf("write a figure: %w", err)
	}
}

// say tells what is going on.
func (r *record) say(format string, args ...any) {
	fmt.Fprintf(r.progress, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// atMost holds a value against its limit.
func (r *record) atMost(what string, value, limit float64) {
	r.judge(what, value, "at most", limit, value <= limit)
}

// atLeast holds a value against its limit.
func (r *record) atLeast(what string, value, limit float64) {
	r.judge(what, value, "at least", limit, value >= limit)
}

func (r *record) judge(what string, value float64, side string, limit float64, met bool) {
	verdict := "met"
	if !met {
		verdict = "MISSED"
		r.missed++
	}
	r.say("  target %s: %s is %.4g, %s %.4g is promised", verdict, what, value, side, limit)
}
