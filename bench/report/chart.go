package report

import (
	"maps"
	"slices"
	"strings"
	"time"

	"swell/bench/measure"
	"swell/scaler/report/plot"
)

const (
	colorDemand = 0
	colorRun    = 1 // the first run's; the second has the next
	colorZone   = 3 // the first layer's
)

func buildPlots(s measure.Summary, lines []measure.Timeline) plot.Plots {
	out := plot.Plots{Charts: []plot.Chart{}, Bands: []plot.Band{}}
	axis := plot.Axis{Times: []float64{}}
	for _, l := range lines {
		if len(l.Points) > len(axis.Times) {
			axis.Times = nil
			for _, p := range l.Points {
				axis.Times = append(axis.Times, p.At)
			}
			axis.Start = l.Start
		}
	}
	out.Bands = append(out.Bands, bands(s, lines)...)
	if start, err := time.Parse(time.RFC3339, axis.Start); err == nil {
		axis.Start = start.Format("2006-01-02T15:04:05")
	}
	out.Axes = []plot.Axis{axis}
	if len(lines) == 0 {
		return out
	}
	add := func(id, title, unit, note string, value func(measure.Point) *float64) {
		out.Charts = append(out.Charts, plot.Chart{ID: id, Title: title, Unit: unit, Note: note, Series: perRun(lines, value)})
	}
	out.Charts = append(out.Charts, plot.Chart{ID: "load", Title: "Load", Unit: "messages/s", Note: "What the trace asks to be produced.",
		Series: []plot.Series{{Name: "due", Color: colorDemand, Values: column(lines[0], func(p measure.Point) *float64 { return p.Rate })}}})
	out.Charts = append(out.Charts, workloads(lines)...)
	add("pending", "Pods without a node", "pods", "Workload pods that exist and are not bound.", func(p measure.Point) *float64 {
		sum := 0.0
		for _, w := range p.Workloads {
			sum += float64(w.Pending)
		}
		return &sum
	})
	add("wait", "Longest wait of a pod without a node", "s", "In the trace's time.", func(p measure.Point) *float64 { return &p.OldestWait })
	add("lag", "Unread messages", "messages", "", func(p measure.Point) *float64 { return p.Lag })
	add("lag-age", "Age of the oldest unread message", "s", "In the trace's time.", func(p measure.Point) *float64 { return p.LagSeconds })
	add("balloons", "Balloons on nodes", "pods", "Low-priority pods that hold room and give way.", func(p measure.Point) *float64 {
		v := float64(p.Balloons)
		return &v
	})
	for i, l := range lines {
		out.Charts = append(out.Charts, nodes(i, l))
	}
	add("cost", "Cost so far", "$", "", func(p measure.Point) *float64 { return p.Cost })
	return out
}

func bands(s measure.Summary, lines []measure.Timeline) []plot.Band {
	var out []plot.Band
	for i, r := range s.Runs {
		if i >= len(lines) {
			break
		}
		start, err := time.Parse(time.RFC3339, lines[i].Start)
		if err != nil {
			continue
		}
		for _, f := range r.Faults {
			at, err := time.Parse(time.RFC3339, f.KilledAt)
			if err != nil {
				continue
			}
			from := at.Sub(start).Seconds()
			out = append(out, plot.Band{From: from, To: from + f.Down*max(1, s.Compression), Label: f.Target + " down"})
		}
	}
	return out
}

func workloads(lines []measure.Timeline) []plot.Chart {
	names := map[string]bool{}
	for _, l := range lines {
		for _, p := range l.Points {
			for name := range p.Workloads {
				names[name] = true
			}
		}
	}
	var out []plot.Chart
	for _, name := range slices.Sorted(maps.Keys(names)) {
		c := plot.Chart{ID: "workload-" + name, Title: "Demand and bound pods of " + name, Unit: "pods"}
		demand := column(lines[0], func(p measure.Point) *float64 { return p.Workloads[name].Demand })
		if slices.ContainsFunc(demand, func(v *float64) bool { return v != nil }) {
			c.Series = append(c.Series, plot.Series{Name: "demand", Color: colorDemand, Values: demand})
		}
		for i, l := range lines {
			c.Series = append(c.Series, plot.Series{Name: "bound, " + l.Policy, Color: colorRun + i, Dashed: i > 0, Values: column(l, func(p measure.Point) *float64 {
				v := float64(p.Workloads[name].Running)
				return &v
			})})
		}
		out = append(out, c)
	}
	return out
}

// nodes stacks a run's nodes by zone and market, spot first.
func nodes(run int, l measure.Timeline) plot.Chart {
	keys := map[string]bool{}
	for _, p := range l.Points {
		for key := range p.Nodes {
			keys[key] = true
		}
	}
	c := plot.Chart{ID: "nodes-" + l.Policy, Title: "Nodes by zone and market, " + l.Policy, Unit: "nodes", Stacked: true, Series: []plot.Series{}}
	sorted := slices.SortedFunc(maps.Keys(keys), func(a, b string) int {
		if x, y := strings.HasSuffix(a, "spot"), strings.HasSuffix(b, "spot"); x != y {
			return map[bool]int{true: -1, false: 1}[x]
		}
		return strings.Compare(a, b)
	})
	for i, key := range sorted {
		c.Series = append(c.Series, plot.Series{Name: shortKey(key), Color: colorZone + i, Values: column(l, func(p measure.Point) *float64 {
			v := float64(p.Nodes[key])
			return &v
		})})
	}
	return c
}

// shortKey shortens "ap-northeast-1a spot" to "1a spot".
func shortKey(key string) string {
	zone, market, _ := strings.Cut(key, " ")
	return zoneLetter(zone) + " " + market
}

func perRun(lines []measure.Timeline, value func(measure.Point) *float64) []plot.Series {
	var out []plot.Series
	for i, l := range lines {
		out = append(out, plot.Series{Name: l.Policy, Color: colorRun + i, Dashed: i > 0, Values: column(l, value)})
	}
	return out
}

func column(l measure.Timeline, value func(measure.Point) *float64) []*float64 {
	out := make([]*float64, len(l.Points))
	for i, p := range l.Points {
		out[i] = value(p)
	}
	return out
}
