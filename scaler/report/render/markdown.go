package render

import (
	"fmt"
	"io"
	"strings"

	"swell/scaler/report"
	"swell/scaler/report/digits"
)

// mostRows of a table in Markdown: it is a summary.
const mostRows = 10

// Markdown writes the summary: for a wiki, or a pull request.
func Markdown(w io.Writer, r *report.Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Capacity, %s\n\n", period(r))
	fmt.Fprintf(&b, "%s, time zone %s. From %s ledger entries; samples stand for %s of the period.\n\n", duration(r), r.TimeZone, digits.Number(float64(r.Ledger.Entries)), digits.Percent(r.Watched))
	b.WriteString("| | |\n|---|---:|\n")
	for _, t := range tiles(r) {
		value := t.Value
		if t.Other != "" {
			value += " (" + t.Other + ")"
		}
		fmt.Fprintf(&b, "| %s | %s |\n", cellText(t.Name), cellText(value))
	}
	for _, line := range warnings(r) {
		fmt.Fprintf(&b, "\n**%s**\n", line)
	}
	b.WriteString("\n## What to change\n\n")
	if len(r.Recommended) == 0 {
		b.WriteString("Nothing whose price is known would have changed the cost by a thousandth.\n")
	}
	for i, c := range r.Recommended {
		if i == mostRows {
			fmt.Fprintf(&b, "- and %d more\n", len(r.Recommended)-i)
			break
		}
		fmt.Fprintf(&b, "- %s: %s, %s. %s. %s.\n", c.Of, c.Change, savesText(c), c.Arithmetic, c.Risk)
	}
	for _, t := range tables(r) {
		if !t.Summary {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s", t.Title, markdownTable(t))
	}
	b.WriteString("\n## What these figures cannot say\n\n")
	for _, l := range r.Limits {
		fmt.Fprintf(&b, "- %s\n", l)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("writing the report as Markdown: %w", err)
	}
	return nil
}

func markdownTable(t table) string {
	var b strings.Builder
	head, rule := "|", "|"
	for _, c := range t.Columns {
		head += " " + cellText(c.Name) + " |"
		if c.Number {
			rule += "---:|"
		} else {
			rule += "---|"
		}
	}
	b.WriteString(head + "\n" + rule + "\n")
	for i, row := range t.Rows {
		if i == mostRows {
			fmt.Fprintf(&b, "\nand %d more\n", len(t.Rows)-i)
			break
		}
		b.WriteString("|")
		for _, c := range row {
			b.WriteString(" " + cellText(c.Text) + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// cellText is text that stays in its cell and is no markup of Markdown's.
func cellText(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;", "*", `\*`, "`", "'").Replace(s)
}

func savesText(c report.Recommendation) string {
	if c.Saves < 0 {
		return "costs " + (-c.Saves).String() + " more"
	}
	return "saves " + c.Saves.String()
}
