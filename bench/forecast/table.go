package main

import (
	"fmt"
	"strings"
)

// The tables stand between these lines of the document.
const (
	tableBegin = "<!-- tables: written by make bench-forecast -->"
	tableEnd   = "<!-- end of tables -->"

	pointHead = "| trace | ahead | simple | needed | reached | beyond | middle third |\n|---|---|---|---|---|---|---|"
	boundHead = "| trace | τ | simple | needed | reached | beyond | coverage, % |\n|---|---|---|---|---|---|---|"
)

// pointRows are a load's lines of the table of WAPE.
func (r scored) pointRows() []string {
	var out []string
	for i, p := range r.points {
		beyond := "–"
		if p.beyond > 0 {
			beyond = fmt.Sprint(p.beyond)
		}
		out = append(out, fmt.Sprintf("| %s | %d min | %g | %g | %s | %s | %.2f |", r.Name, p.minutes, p.simple, p.needed,
			reached(r.wape[i], p.beyond, "%.2f"), beyond, r.middle[i]))
	}
	return out
}

// boundRows are a load's lines of the table of pinball.
func (r scored) boundRows() []string {
	var out []string
	for i, b := range r.bounds {
		out = append(out, fmt.Sprintf("| %s | %g | %g | %g | %s | %g | %.1f |", r.Name, b.tau, b.simple, b.needed,
			reached(r.pinball[i], b.beyond, "%.3f"), b.beyond, r.coverage[i]))
	}
	return out
}

// reached is a value, in bold where it is beyond.
func reached(v, beyond float64, format string) string {
	text := fmt.Sprintf(format, v)
	if v <= beyond {
		return "**" + text + "**"
	}
	return text
}

// tables are both tables as they stand in the document.
func tables(all []scored) string {
	var points, bounds []string
	for _, r := range all {
		points, bounds = append(points, r.pointRows()...), append(bounds, r.boundRows()...)
	}
	return "WAPE, %:\n\n" + pointHead + "\n" + strings.Join(points, "\n") +
		"\n\nThe quantile 60 minutes ahead, pinball loss in % of the mean load:\n\n" + boundHead + "\n" + strings.Join(bounds, "\n") + "\n"
}

// split is a document before, between and after the lines that enclose its tables.
func split(doc string) (before, between, after string, err error) {
	head, rest, ok := strings.Cut(doc, tableBegin+"\n")
	between, tail, closed := strings.Cut(rest, tableEnd)
	if !ok || !closed {
		return "", "", "", fmt.Errorf("it has no place for the tables; put the lines %q and %q into it", tableBegin, tableEnd)
	}
	return head + tableBegin + "\n", between, tableEnd + tail, nil
}

// outdated are the lines of the loads that were scored which the document's tables do not have.
func outdated(between string, all []scored) []string {
	has := map[string]bool{}
	for _, line := range strings.Split(between, "\n") {
		has[line] = true
	}
	var out []string
	for _, r := range all {
		for _, line := range append(r.pointRows(), r.boundRows()...) {
			if !has[line] {
				out = append(out, line)
			}
		}
	}
	return out
}
