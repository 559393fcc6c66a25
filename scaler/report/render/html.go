package render

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"time"

	"swell/scaler/report"
	"swell/scaler/report/digits"
	"swell/scaler/report/plot"
)

//go:embed page.html page.css page.js
var files embed.FS

// advice is a recommendation as the page shows it.
type advice struct {
	report.Recommendation
	Worth string // such as saves $12.34
	Month string
	More  bool // it costs
}

type page struct {
	Title, Period, Lead string
	Tiles               []tile
	Warnings            []string
	Advice, Further     []advice
	Plots               plot.Plots
	Tables              []table
	Definitions         []definition
	Limits              []string
	Made                string
	CSS                 template.CSS
	Script              template.JS
	Sorting             template.JS
}

// firstAdvice is how many recommendations are shown unfolded.
const firstAdvice = 4

// HTML writes the report as a page that asks for nothing from anywhere.
func HTML(w io.Writer, r *report.Report) error {
	css, err := files.ReadFile("page.css")
	if err != nil {
		return fmt.Errorf("writing the report's page: %w", err)
	}
	script, err := files.ReadFile("page.js")
	if err != nil {
		return fmt.Errorf("writing the report's page: %w", err)
	}
	view := page{Title: "Capacity, " + period(r), Period: period(r), Lead: lead(r), Tiles: tiles(r), Warnings: warnings(r), Plots: plots(r), Tables: tables(r),
		Definitions: definitions, Limits: r.Limits, Made: made(r), CSS: plot.Style() + template.CSS(css), Script: plot.Script(), Sorting: template.JS(script)}
	for i, c := range r.Recommended {
		a := advice{c, savesText(c), "", c.Saves < 0}
		if c.Saves.Cents() != c.Monthly.Cents() {
			a.Month = max(c.Monthly, -c.Monthly).String() + " in 30 days"
		}
		if i < firstAdvice {
			view.Advice = append(view.Advice, a)
		} else {
			view.Further = append(view.Further, a)
		}
	}
	parsed, err := template.ParseFS(files, "page.html")
	if err != nil {
		return fmt.Errorf("writing the report's page: %w", err)
	}
	if err := parsed.Execute(w, view); err != nil {
		return fmt.Errorf("writing the report's page: %w", err)
	}
	return nil
}

func lead(r *report.Report) string {
	return fmt.Sprintf("%s in time zone %s: %s node-hours, %s pod-hours.", duration(r), r.TimeZone, digits.Number(r.Total.Hours.Node), digits.Number(r.Total.Hours.Pods))
}

func made(r *report.Report) string {
	return fmt.Sprintf("From %s entries of the ledger, %s to %s, with %s samples; samples stand for %s of the period.", digits.Number(float64(r.Ledger.Entries)),
		r.Ledger.First.Format("2006-01-02 15:04"), r.Ledger.Last.Format("2006-01-02 15:04 UTC"), digits.Number(float64(r.Ledger.Samples)), digits.Percent(r.Watched))
}

// Colors of the palette by what they are used for, the same in every plot.
const (
	colorInk      = 0
	colorOnDemand = 2
	colorSpot     = 3
	colorAsked    = 1
	colorHeadroom = 5
	colorIdle     = 9
	colorBooting  = 4
	colorDark     = 0
)

// fewDays is the longest period whose costs are drawn by the hour.
const fewDays = 72 * time.Hour

// plots of a report: costs by day, or by hour where those are few, and what nodes were used for by hour.
func plots(r *report.Report) plot.Plots {
	var days, hours []time.Time
	for _, d := range r.Days {
		t, _ := time.Parse(time.DateOnly, d.Day)
		days = append(days, t)
	}
	for _, h := range r.Hours() {
		hours = append(hours, h.At)
	}
	out := plot.Plots{Axes: []plot.Axis{plot.AxisOf(hours, false), plot.AxisOf(days, true)}, Charts: []plot.Chart{}, Bands: lost(r, hours)}
	out.Charts = append(out.Charts, costs(r)...)
	cores := func(pick func(report.Hours) *float64) []*float64 {
		var list []*float64
		for _, h := range r.Hours() {
			list = append(list, mean(h, pick(h.Hours)))
		}
		return list
	}
	out.Charts = append(out.Charts, plot.Chart{ID: "cores", Title: "Cores of all nodes", Unit: "cores", Stacked: true, Note: "Mean of each hour.", Series: []plot.Series{
		{Name: "asked", Color: colorAsked, Values: cores(func(h report.Hours) *float64 { return &h.Asked.Cores })},
		{Name: "headroom", Color: colorHeadroom, Values: cores(func(h report.Hours) *float64 { return &h.Held.Cores })},
		{Name: "idle", Color: colorIdle, Values: cores(func(h report.Hours) *float64 { return &h.Idle.Cores })}}})
	used := cores(func(h report.Hours) *float64 {
		if h.Used == nil {
			return nil
		}
		return &h.Used.Cores
	})
	if slices.ContainsFunc(used, func(v *float64) bool { return v != nil }) {
		out.Charts = append(out.Charts, plot.Chart{ID: "used", Title: "Cores asked for and used", Unit: "cores", Series: []plot.Series{
			{Name: "asked", Color: colorAsked, Values: cores(func(h report.Hours) *float64 { return &h.Asked.Cores })}, {Name: "used", Color: colorOnDemand, Dashed: true, Values: used}}})
	}
	out.Charts = append(out.Charts, daily(r)...)
	return withSomething(out)
}

// lost are the gaps of the ledger beside the hours.
func lost(r *report.Report, hours []time.Time) []plot.Band {
	out := []plot.Band{}
	for _, g := range r.Ledger.Gaps {
		if len(hours) > 0 && g.To.After(r.From) && g.From.Before(r.To) {
			out = append(out, plot.Band{From: max(0, g.From.Sub(hours[0]).Seconds()), To: g.To.Sub(hours[0]).Seconds(), Label: fmt.Sprintf("%d entries of the ledger were lost", g.Entries)})
		}
	}
	return out
}

// mean of an hour of what is summed over the time that samples stand for; unknown where none does.
func mean(h report.Hour, sum *float64) *float64 {
	if sum == nil || h.Watched == 0 {
		return nil
	}
	v := *sum / h.Watched
	return &v
}

// costs by market and by what they were for.
func costs(r *report.Report) []plot.Chart {
	byMarket := plot.Chart{ID: "cost", Title: "Cost by market", Unit: "$ a day", Axis: 1, Bars: true}
	byUse := plot.Chart{ID: "uses", Title: "Cost by use", Unit: "$ a day", Axis: 1, Bars: true}
	var rows []report.Row
	var markets []map[string]*report.Money
	if r.To.Sub(r.From) <= fewDays {
		byMarket.Unit, byMarket.Axis, byUse.Unit, byUse.Axis = "$ an hour", 0, "$ an hour", 0
		for _, h := range r.Hours() {
			rows, markets = append(rows, h.Row), append(markets, h.Markets)
		}
	} else {
		for _, d := range r.Days {
			rows, markets = append(rows, d.Row), append(markets, d.Markets)
		}
	}
	names := map[string]bool{}
	for _, m := range markets {
		for k := range m {
			names[k] = true
		}
	}
	for i, name := range slices.Sorted(maps.Keys(names)) {
		s := plot.Series{Name: name, Color: colorOnDemand + i}
		for _, m := range markets {
			s.Values = append(s.Values, dollars(m[name]))
		}
		byMarket.Series = append(byMarket.Series, s)
	}
	for _, use := range []struct {
		name  string
		color int
		of    func(report.Cost) *report.Money
	}{
		{"asked", colorAsked, func(c report.Cost) *report.Money { return c.Asked }},
		{"headroom", colorHeadroom, func(c report.Cost) *report.Money { return c.Headroom }},
		{"idle", colorIdle, func(c report.Cost) *report.Money { return c.Idle }},
		{"booting", colorBooting, func(c report.Cost) *report.Money { return c.Booting }},
		{"not sampled", colorDark, func(c report.Cost) *report.Money { return c.NotSampled }},
	} {
		s := plot.Series{Name: use.name, Color: use.color}
		any := use.name != "not sampled"
		for _, row := range rows {
			m := use.of(row.Cost)
			any = any || m != nil && *m > 0
			s.Values = append(s.Values, dollars(m))
		}
		if any {
			byUse.Series = append(byUse.Series, s)
		}
	}
	return []plot.Chart{byMarket, byUse}
}

func dollars(m *report.Money) *float64 {
	if m == nil {
		return nil
	}
	v := float64(m.Cents()) / 100
	return &v
}

// daily are forecasts, boots and what AWS did.
func daily(r *report.Report) []plot.Chart {
	day := func(value func(report.Day) *float64) []*float64 {
		var list []*float64
		for _, d := range r.Days {
			list = append(list, value(d))
		}
		return list
	}
	hundred := func(v *float64) *float64 {
		if v == nil {
			return nil
		}
		p := *v * 100
		return &p
	}
	count := func(v float64) *float64 { return &v }
	boot := func(d report.Day, v float64) *float64 {
		if d.Boots.Count == 0 {
			return nil
		}
		return &v
	}
	return []plot.Chart{
		{ID: "forecast", Title: "Forecasts missed", Unit: "% of the time", Axis: 1, Note: "Share of the time in which demand was above the upper forecast, beside what its quantile allows.", Series: []plot.Series{
			{Name: "above the forecast", Color: colorOnDemand, Values: day(func(d report.Day) *float64 { return above(hundred(d.Forecast.Coverage)) })},
			{Name: "allowed", Color: colorInk, Dashed: true, Values: day(func(d report.Day) *float64 { return above(hundred(d.Forecast.Promised)) })}}},
		{ID: "boots", Title: "Boots", Unit: "s", Axis: 1, Note: "From launch to a Ready node.", Series: []plot.Series{
			{Name: "half within", Color: colorAsked, Values: day(func(d report.Day) *float64 { return boot(d, d.Boots.P50) })},
			{Name: "95 % within", Color: colorOnDemand, Values: day(func(d report.Day) *float64 { return boot(d, d.Boots.P95) })}}},
		{ID: "aws", Title: "Refused and taken by AWS", Unit: "times", Axis: 1, Bars: true, Series: []plot.Series{
			{Name: "no capacity", Color: colorOnDemand, Values: day(func(d report.Day) *float64 { return count(float64(d.Shortfalls)) })},
			{Name: "spot notices", Color: colorSpot, Values: day(func(d report.Day) *float64 { return count(float64(d.Interrupted)) })}}},
	}
}

func above(v *float64) *float64 {
	if v == nil {
		return nil
	}
	rest := 100 - *v
	return &rest
}

// leastTimes of a plot: with fewer there is nothing to see that the tables do not say.
const leastTimes = 3

// leastKnown of a line: one value alone is no course of anything.
const leastKnown = 2

// withSomething leaves out charts that know nothing, or too little.
func withSomething(p plot.Plots) plot.Plots {
	p.Charts = slices.DeleteFunc(p.Charts, func(c plot.Chart) bool {
		return len(p.Axes[c.Axis].Times) < leastTimes || !slices.ContainsFunc(c.Series, func(s plot.Series) bool {
			known := 0
			for _, v := range s.Values {
				if v != nil {
					known++
				}
			}
			return known >= leastKnown || known > 0 && c.Bars
		})
	})
	return p
}

// definition of a word that the page uses.
type definition struct{ Name, Meaning string }

var definitions = []definition{
	{"Cost", "Of each instance: whole seconds from AWS's time of launch to its end, at least 60, at its price an hour."},
	{"Asked", "What pods with a node request, daemons included, as a share of what their nodes can give: half by cores, half by memory."},
	{"Headroom", "The same of balloons: low-priority pods that hold room and give way."},
	{"Idle", "What nodes can give beyond both."},
	{"Booting", "Instances that have no Ready node yet."},
	{"Not sampled", "What was paid while no sample stands, as the scaler was away."},
	{"Avoided waiting", "Pod-hours of demand without a place: the recorded demand is played with the places that balloons asked for and without. A place serves after the lead time, and ten minutes longer than it is asked for."},
	{"Forecast off by", "Sum of |demand − forecast| over the sum of demand, when the forecast's time had come (the weighted absolute percentage error, WAPE)."},
	{"Coverage", "Share of the time in which demand was at most the upper forecast that was made for it. Promised is what the Balloon's quantile aims at."},
	{"Saved by spot", "What the same instances would have cost on demand, less what they did."},
	{"Fallback extra", "What on-demand instances that were bought as spot could not be had cost more than spot of their type and zone in the period."},
}
