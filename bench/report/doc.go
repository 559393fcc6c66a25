// Package report shows the figures of runs: a live line and a table for terminals, and a self-contained HTML page.
package report
