package report

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"time"

	"swell/bench/measure"
	"swell/scaler/report/plot"
)

//go:embed page.html
var files embed.FS

// tile is one of the figures at the top of the page.
type tile struct{ Name, Value, Other, Ratio string }

type faultRow struct{ Policy, Target, KilledAt, Down, Recovered string }

type page struct {
	Summary  measure.Summary
	Title    string
	When     string
	Policies []string
	Tiles    []tile
	Figures  []figure
	Faults   []faultRow
	Plots    plot.Plots
	Limits   string
	CSS      template.CSS
	Script   template.JS
}

// HTML is the page of a summary and its runs' time lines, in the order of the runs. It asks for nothing from anywhere.
func HTML(s measure.Summary, lines []measure.Timeline) ([]byte, error) {
	view := page{Summary: s, Title: "swell through a morning", When: when(s.RiseStart), Figures: figures(s.Runs), Tiles: tiles(s.Runs),
		Plots: buildPlots(s, lines), Limits: limits(s), CSS: plot.Style(), Script: plot.Script()}
	for _, r := range s.Runs {
		view.Policies = append(view.Policies, r.Policy)
		for _, f := range r.Faults {
			row := faultRow{r.Policy, f.Target, clockTime(f.KilledAt), quantity(&f.Down, "s"), "did not recover"}
			if f.Recovered != nil {
				row.Recovered = quantity(f.Recovered, "s")
			}
			view.Faults = append(view.Faults, row)
		}
	}
	parsed, err := template.ParseFS(files, "page.html")
	if err != nil {
		return nil, fmt.Errorf("making the report: %w", err)
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, view); err != nil {
		return nil, fmt.Errorf("making the report: %w", err)
	}
	return out.Bytes(), nil
}

// WriteHTML stores the page, whole or not at all.
func WriteHTML(path string, s measure.Summary, lines []measure.Timeline) error {
	body, err := HTML(s, lines)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("writing %s: %w; may this user write there?", path, err)
	}
	if err := os.WriteFile(path+".new", body, 0o644); err != nil {
		return fmt.Errorf("writing %s: %w; is there room on the disk?", path, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func when(rfc3339 string) string {
	t, err := time.Parse(time.RFC3339, rfc3339)
	if err != nil {
		return rfc3339
	}
	return t.Format("Monday 2 January 2006, 15:04 MST")
}

func tiles(runs []measure.Run) []tile {
	if len(runs) == 0 {
		return nil
	}
	var out []tile
	for _, t := range []struct {
		name, unit string
		value      func(measure.Run) *float64
	}{
		{"Pod wait p99", "s", func(r measure.Run) *float64 { return r.PodWaitP99 }},
		{"Unserved", "%", func(r measure.Run) *float64 { return r.Unserved }},
		{"Longest lag", "s", func(r measure.Run) *float64 { return r.LagSecondsMax }},
		{"Late messages", "", func(r measure.Run) *float64 { return whole(r.LateMessages) }},
		{"Cost", "$", func(r measure.Run) *float64 { return r.Cost }},
		{"Reaction p99", "ms", func(r measure.Run) *float64 { return r.ReactionP99 }},
	} {
		row := tile{Name: t.name, Value: quantity(t.value(runs[0]), t.unit)}
		if len(runs) > 1 {
			row.Other = runs[1].Policy + " " + quantity(t.value(runs[1]), t.unit)
			row.Ratio = ratio(t.value(runs[0]), t.value(runs[1]))
		}
		out = append(out, row)
	}
	return out
}
