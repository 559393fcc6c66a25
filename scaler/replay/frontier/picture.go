package frontier

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// Picture is an SVG file of lines: unserved share across, excess over clairvoyant upwards, both on logarithmic axes. It
// needs nothing from outside and follows the reader's light or dark setting. Of a line's settings that leave less than Floor
// unserved the cheapest is drawn.
type Picture struct {
	Title, Subtitle string
	Lines           []Line
	// Main is the name of the line that is drawn on top, and Limit the unserved share that is not to be passed; 0 is none.
	Main  string
	Limit float64
}

const (
	width, height             = 820, 480
	left, right, upper, lower = 70, 640, 64, 420
	leastExcess               = 0.005 // what is below is drawn on the lower edge
	markerSize                = 4.0
	labelHigh, rowHigh        = 4.0, 22
)

// styled are the policies in the order of their colours and markers, so that a policy looks the same in all pictures.
var styled = []string{"swell", "static", "rule", "slope", "reactive", "scheduled", "karpenter", "hourly", "clairvoyant"}

// colours tell on white and on black, and none is the limit's red.
var colours = []string{"#2f7ed8", "#d9822b", "#2e9d5b", "#a35bd6", "#c2478e", "#3aa6a6", "#8a8f98", "#b8860b", "#7d6b5d"}

// style of a line by its name; names that are not known come after those that are.
func style(name string, lines []Line) int {
	if k := slices.Index(styled, name); k >= 0 {
		return k
	}
	return len(styled) + slices.IndexFunc(lines, func(l Line) bool { return l.Name == name })
}

const css = `text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:16px;font-weight:600}.small{font-size:10px;fill:#666}` +
	`.grid{stroke:#ddd}.frame{stroke:#888;fill:none}.paper{fill:#fff}.limit{stroke:#c0392b;stroke-dasharray:5 4}.limit-text{fill:#c0392b}` +
	`@media (prefers-color-scheme:dark){text{fill:#ddd}.small{fill:#aaa}.grid{stroke:#333}.frame{stroke:#777}.paper{fill:#14161a}.limit{stroke:#ff7b6b}.limit-text{fill:#ff7b6b}}`

type canvas struct {
	strings.Builder
	most      float64 // unserved share at the left
	topExcess float64 // at the top
}

func (c *canvas) x(unserved float64) float64 {
	return left + (right-left)*(math.Log(c.most)-log(min(unserved, c.most)))/(math.Log(c.most)-math.Log(Floor))
}

func (c *canvas) y(cost float64) float64 {
	e := max(cost-1, leastExcess)
	return lower - (lower-upper)*(math.Log(e)-math.Log(leastExcess))/(math.Log(c.topExcess)-math.Log(leastExcess))
}

// SVG draws.
func (p Picture) SVG() string {
	c := &canvas{most: 0.01, topExcess: 0.1}
	shown := make([]Line, len(p.Lines))
	for i, l := range p.Lines {
		shown[i] = l.worthwhile()
	}
	for _, l := range shown {
		for _, q := range l.Points {
			c.most, c.topExcess = max(c.most, q.Unserved*1.1), max(c.topExcess, (q.Cost-1)*1.1)
		}
	}
	fmt.Fprintf(c, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s"><style>%s</style>`+"\n",
		width, height, html.EscapeString(p.Title), css)
	fmt.Fprintf(c, `<rect class="paper" width="%d" height="%d"/>`+"\n", width, height)
	fmt.Fprintf(c, `<text class="title" x="%d" y="26">%s</text><text x="%d" y="46">%s</text>`+"\n", left, html.EscapeString(p.Title), left, html.EscapeString(p.Subtitle))
	c.axes()
	if p.Limit > 0 {
		x := c.x(p.Limit)
		fmt.Fprintf(c, `<line class="limit" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/><text class="limit-text" x="%.1f" y="%d">limit: swell is to leave at most %s unserved</text>`+"\n",
			x, upper, x, lower, x+5, lower-8, percent(p.Limit))
	}
	lines := slices.SortedStableFunc(slices.Values(shown), func(a, b Line) int {
		main := func(l Line) int { // on top is drawn last
			if l.Name == p.Main {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(main(a), main(b)), cmp.Compare(a.Name, b.Name))
	})
	for i, l := range lines {
		k := style(l.Name, p.Lines)
		c.line(l, colours[k%len(colours)], k, l.Name == p.Main)
		c.legend(l, colours[k%len(colours)], k, len(lines)-1-i, l.Name == p.Main)
	}
	c.labels(lines, p.Main)
	c.WriteString("</svg>\n")
	return c.String()
}

// worthwhile leaves out settings that leave no less unserved than a cheaper one which leaves none.
func (l Line) worthwhile() Line {
	least := math.Inf(1)
	for _, q := range l.Points {
		if q.Unserved <= Floor {
			least = min(least, q.Cost)
		}
	}
	l.Points = slices.DeleteFunc(slices.Clone(l.Points), func(q Point) bool { return !q.Named && q.Unserved <= Floor && q.Cost > least })
	return l
}

func percent(share float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.4f", share*100), "0"), ".") + " %"
}

func (c *canvas) axes() {
	for e := -1; e >= -6; e-- {
		u := math.Pow10(e)
		if u > c.most {
			continue
		}
		x, text := c.x(u), percent(u)
		if u <= Floor*1.001 {
			text = "≤ " + text
		}
		fmt.Fprintf(c, `<line class="grid" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n",
			x, upper, x, lower, x, lower+18, text)
	}
	for _, e := range []float64{0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10} {
		if e > c.topExcess {
			break
		}
		y, text := c.y(1+e), "+"+percent(e)
		if e == leastExcess {
			text = "≤ " + text
		}
		fmt.Fprintf(c, `<line class="grid" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			left, y, right, y, left-6, y+labelHigh, text)
	}
	fmt.Fprintf(c, `<rect class="frame" x="%d" y="%d" width="%d" height="%d"/>`+"\n", left, upper, right-left, lower-upper)
	fmt.Fprintf(c, `<text x="%d" y="%d" text-anchor="middle">unserved share of the pod-seconds demanded; less is to the right</text>`+"\n", (left+right)/2, lower+40)
	fmt.Fprintf(c, `<text transform="translate(14 %d) rotate(-90)" text-anchor="middle">cost above clairvoyant</text>`+"\n", (upper+lower)/2)
}

// line draws one policy: its settings as points in the order of their cost, and a line through them.
func (c *canvas) line(l Line, colour string, shape int, main bool) {
	ps := slices.SortedFunc(slices.Values(l.Points), func(a, b Point) int { return cmp.Compare(a.Cost, b.Cost) })
	stroke := 1.5
	if main {
		stroke = 3
	}
	if len(ps) > 1 {
		fmt.Fprintf(c, `<polyline fill="none" stroke="%s" stroke-width="%g" points="`, colour, stroke)
		for _, q := range ps {
			fmt.Fprintf(c, "%.1f,%.1f ", c.x(q.Unserved), c.y(q.Cost))
		}
		c.WriteString(`"/>` + "\n")
	}
	for _, q := range ps {
		x, y := c.x(q.Unserved), c.y(q.Cost)
		fmt.Fprintf(c, `<g><title>%s: unserved %s, cost %.4f × clairvoyant</title>`, html.EscapeString(q.Label), percent(q.Unserved), q.Cost)
		c.marker(x, y, colour, shape)
		c.WriteString("</g>\n")
	}
}

func (c *canvas) marker(x, y float64, colour string, shape int) {
	m := markerSize
	switch shape % 4 {
	case 0:
		fmt.Fprintf(c, `<circle cx="%.1f" cy="%.1f" r="%g" fill="%s"/>`, x, y, m, colour)
	case 1:
		fmt.Fprintf(c, `<rect x="%.1f" y="%.1f" width="%g" height="%g" fill="%s"/>`, x-m, y-m, 2*m, 2*m, colour)
	case 2:
		fmt.Fprintf(c, `<path d="M%.1f %.1fl%g %gl%g %gl%g %gz" fill="%s"/>`, x, y-m-1, m+1, m+1, -m-1, m+1, -m-1, -m-1, colour)
	default:
		fmt.Fprintf(c, `<path d="M%.1f %.1fl%g %gh%gz" fill="%s"/>`, x, y-m-1, m+1, 2*m, -2*m-2, colour)
	}
}

func (c *canvas) legend(l Line, colour string, shape, row int, main bool) {
	x, y := float64(right+24), float64(upper+14+row*rowHigh)
	c.marker(x, y, colour, shape)
	weight := ""
	if main {
		weight = ` font-weight="700"`
	}
	unit := ""
	if l.Unit != "" && len(l.Points) > 1 {
		unit = fmt.Sprintf(`<tspan class="small"> %s</tspan>`, html.EscapeString(l.Unit))
	}
	fmt.Fprintf(c, `<text x="%.1f" y="%.1f"%s>%s%s</text>`+"\n", x+12, y+labelHigh, weight, html.EscapeString(l.Name), unit)
}
