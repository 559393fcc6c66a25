package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"os"
	"strings"
	"time"

	"swell/scaler/schedule"
)

//go:embed schedule.html
var previewPage string

const (
	plotWidth, panelHeight  = 1000, 200
	marginLeft, marginRight = 60, 16
	marginTop, panelGap     = 56, 46
	plotInner               = plotWidth - marginLeft - marginRight
	usualStep               = 15 * time.Minute
	previewCSS              = `rect{shape-rendering:crispEdges}.bg{fill:#fff}.ink{fill:#1c2430}.soft{fill:#5a6675}.grid{stroke:#dfe4ea}.room{fill:#5b8de4}.usual{fill:#ccd3da}.off{fill:#efe6c8}@media(prefers-color-scheme:dark){.bg{fill:#14181d}.ink{fill:#e6eaef}.soft{fill:#9aa7b5}.grid{stroke:#2c343d}.room{fill:#5b8de4}.usual{fill:#434d58}.off{fill:#37321d}}`
)

// panel is one plot of a unit.
type panel struct {
	unit       unit
	top, scale float64 // of the drawing
	most, step float64 // of the axis: most is a whole number of steps
	usual      bool    // the usual demand is drawn below the headroom
}

// writePlot writes the plot alone, or a page around it.
func (p *preview) writePlot(path string) error {
	var out bytes.Buffer
	out.WriteString(p.svg())
	if strings.HasSuffix(path, ".html") {
		page, err := template.New("page").Parse(previewPage)
		if err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
		type row struct{ From, To, Headroom, Pods, Why string }
		var rows []row
		for _, x := range p.shown() {
			rows = append(rows, row{p.stamp(x.From), p.until(x.From, x.To), asked(x.Headroom), x.inPods(), strings.Join(x.Why, ", ")})
		}
		plot := template.HTML(out.String()) // its texts are escaped where it is drawn
		out.Reset()
		if err := page.Execute(&out, struct {
			Title    string
			Plot     template.HTML
			Rows     []row
			Usual    bool
			Note     string
			Problems []string
		}{p.title(), plot, rows, p.Demand != nil, p.usualNote(), p.Problems}); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
	}
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		return fmt.Errorf("writing the plot: %w; give a path that can be written", err)
	}
	return nil
}

func (p *preview) title() string {
	return fmt.Sprintf("Headroom of %s, %s", strings.Join(p.Names, " and "), p.Location)
}

// svg is a plot that needs nothing else, in light and dark.
func (p *preview) svg() string {
	panels, height := p.panels()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" font-family="system-ui,sans-serif" font-size="13" role="img" aria-label="%s"><style>%s</style>`,
		plotWidth, height, template.HTMLEscapeString(p.title()), previewCSS)
	fmt.Fprintf(&b, `<rect class="bg" width="%d" height="%.0f"/><text class="ink" x="%d" y="24" font-size="16" font-weight="600">%s</text>`,
		plotWidth, height, marginLeft, template.HTMLEscapeString(p.title()))
	for i := range panels {
		p.draw(&b, &panels[i])
	}
	if len(panels) == 0 {
		fmt.Fprintf(&b, `<text class="soft" x="%d" y="%d">Nothing is asked for.</text>`, marginLeft, marginTop)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (p *preview) panels() (panels []panel, height float64) {
	height = marginTop
	for _, u := range p.units() {
		one := panel{unit: u, top: height, usual: p.Demand != nil && u.name == "pods"}
		for _, x := range p.Stretches {
			if len(x.Why) == 0 {
				continue
			}
			v := u.value(x.From, x.To, x.Headroom)
			if usual, _ := p.pods(x.From, x.To, x.Headroom); one.usual && !math.IsNaN(usual) {
				v += usual
			}
			one.most = max(one.most, v)
		}
		if one.usual {
			if v, _ := p.pods(p.From, p.To, schedule.Headroom{}); !math.IsNaN(v) {
				one.most = max(one.most, v)
			}
		}
		if one.most > 0 {
			one.step = niceStep(one.most / 4)
			one.most = math.Ceil(one.most/one.step-1e-9) * one.step
			one.scale = panelHeight / one.most
			panels = append(panels, one)
			height += panelHeight + panelGap
		}
	}
	return panels, max(height, marginTop+panelGap)
}

func (p *preview) x(t time.Time) float64 {
	return marginLeft + plotInner*float64(t.Sub(p.From))/float64(p.To.Sub(p.From))
}

func (p *preview) draw(b *strings.Builder, one *panel) {
	bottom := one.top + panelHeight
	p.drawDays(b, one)
	for v := 0.0; v <= one.most*1.0001; v += one.step {
		y := bottom - v*one.scale
		fmt.Fprintf(b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text class="soft" x="%d" y="%.1f" text-anchor="end">%s</text>`,
			marginLeft, plotWidth-marginRight, y, y, marginLeft-8, y+4, amount(v))
	}
	if one.usual {
		for at := p.From; at.Before(p.To); at = at.Add(usualStep) {
			next := earlier(at.Add(usualStep), p.To)
			if v, _ := p.pods(at, next, schedule.Headroom{}); !math.IsNaN(v) {
				rect(b, "usual", p.x(at), p.x(next), bottom-v*one.scale, bottom)
			}
		}
	}
	p.drawLegend(b, one)
	for _, x := range p.Stretches {
		if len(x.Why) == 0 {
			continue
		}
		fmt.Fprintf(b, `<g><title>%s to %s: %s, %s</title>`, p.stamp(x.From), p.until(x.From, x.To), template.HTMLEscapeString(asked(x.Headroom)), template.HTMLEscapeString(strings.Join(x.Why, ", ")))
		for at := x.From; at.Before(x.To); {
			next := x.To
			if one.usual {
				next = earlier(at.Add(usualStep), x.To)
			}
			low, room := 0.0, one.unit.value(at, next, x.Headroom)
			if usual, _ := p.pods(at, next, x.Headroom); one.usual && !math.IsNaN(usual) {
				low = usual
			}
			rect(b, "room", p.x(at), p.x(next), bottom-(low+room)*one.scale, bottom-low*one.scale)
			at = next
		}
		b.WriteString("</g>")
	}
}

// drawLegend names the unit, and the colours that the panel has.
func (p *preview) drawLegend(b *strings.Builder, one *panel) {
	fmt.Fprintf(b, `<text class="soft" x="%d" y="%.1f">%s</text>`, marginLeft, one.top-10, one.unit.name)
	off := false
	p.eachDay(func(date time.Time) { off = off || p.notes(date) != "" })
	x := float64(marginLeft + 110)
	for _, l := range []struct {
		class, text string
		there       bool
	}{{"usual", "usual demand", one.usual}, {"room", "headroom", true}, {"off", "day off", off}} {
		if !l.there {
			continue
		}
		rect(b, l.class, x, x+12, one.top-20, one.top-8)
		fmt.Fprintf(b, `<text class="soft" x="%.1f" y="%.1f">%s</text>`, x+18, one.top-10, l.text)
		x += 130
	}
}

// drawDays shades days off, and names the days and, of a few, the hours.
func (p *preview) drawDays(b *strings.Builder, one *panel) {
	bottom := one.top + panelHeight
	n := 0
	p.eachDay(func(time.Time) { n++ })
	every, i := (n+9)/10, 0
	p.eachDay(func(date time.Time) {
		from := later(time.Date(date.Year(), date.Month(), date.Day(), 0, 0, 0, 0, p.Location), p.From)
		to := earlier(time.Date(date.Year(), date.Month(), date.Day()+1, 0, 0, 0, 0, p.Location), p.To)
		if note := strings.TrimSpace(p.notes(date)); note != "" {
			fmt.Fprintf(b, `<g><title>%s</title>`, template.HTMLEscapeString(note))
			rect(b, "off", p.x(from), p.x(to), one.top, bottom)
			b.WriteString("</g>")
		}
		fmt.Fprintf(b, `<line class="grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, p.x(from), p.x(from), one.top, bottom+6)
		if i%every == 0 {
			fmt.Fprintf(b, `<text class="soft" x="%.1f" y="%.1f">%s</text>`, p.x(from)+4, bottom+18, date.Format(dayForm))
		}
		i++
		if n <= 3 {
			p.drawHours(b, date, n*3, bottom)
		}
	})
}

// drawHours marks every so many hours that the clocks show on a date.
func (p *preview) drawHours(b *strings.Builder, date time.Time, every int, bottom float64) {
	for h := every; h < 24; h += every {
		at := time.Date(date.Year(), date.Month(), date.Day(), h, 0, 0, 0, p.Location)
		if x := p.x(at); !at.Before(p.From) && at.Before(p.To) && x > marginLeft+80 {
			fmt.Fprintf(b, `<line class="grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/><text class="soft" x="%.1f" y="%.1f" text-anchor="middle">%02d:00</text>`,
				x, x, bottom, bottom+6, x, bottom+18, h)
		}
	}
}

func rect(b *strings.Builder, class string, x1, x2, y1, y2 float64) {
	fmt.Fprintf(b, `<rect class="%s" x="%.2f" y="%.2f" width="%.2f" height="%.2f"/>`, class, x1, y1, x2-x1, max(y2-y1, 0))
}

// niceStep is 1, 2 or 5 times a power of ten, at least v.
func niceStep(v float64) float64 {
	for step := math.Pow(10, math.Floor(math.Log10(max(v, 0.1)))); ; step *= 10 {
		for _, m := range []float64{1, 2, 5} {
			if step*m >= v {
				return step * m
			}
		}
	}
}
