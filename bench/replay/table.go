package main

import (
	"fmt"
	"strings"
)

// The tables stand between these lines of the document.
const (
	tableBegin = "<!-- tables: written by make bench-replay -->"
	tableEnd   = "<!-- end of tables -->"
)

// split is a document before, between and after the lines that enclose its tables.
func split(doc string) (before, between, after string, err error) {
	head, rest, ok := strings.Cut(doc, tableBegin+"\n")
	between, tail, closed := strings.Cut(rest, tableEnd)
	if !ok || !closed {
		return "", "", "", fmt.Errorf("it has no place for the tables; put the lines %q and %q into it", tableBegin, tableEnd)
	}
	return head + tableBegin + "\n", between, tableEnd + tail, nil
}

// outdated are the lines of the core scenarios that were played which the document does not have.
func outdated(between string, played coreRuns) []string {
	has := map[string]bool{}
	for _, line := range strings.Split(between, "\n") {
		has[line] = true
	}
	var out []string
	for _, c := range played {
		if row := c.row(); !has[row] {
			out = append(out, row)
		}
	}
	return out
}
