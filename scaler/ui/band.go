package ui

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"
)

const (
	// bandWidth and bandHeight are the plot's own units; it is stretched to the place that it gets, and has no text in it.
	bandWidth  = 900.0
	bandHeight = 200.0
	// bandPast and bandAhead are how much of each side of now is drawn.
	bandPast  = time.Hour
	bandAhead = 2 * time.Hour
)

// Band is the plot of one Balloon: what was, the likely demand, the band up to the quantile, and the room that there is now.
type Band struct {
	// SVG is the drawing.
	SVG template.HTML
	// Ticks of the vertical axis, from the top.
	Ticks []string
	// Times of the horizontal axis, from the left.
	Times []time.Time
	// Says is the same in words.
	Says string
	// From is since when the past is known, where that is less than what is drawn.
	From time.Time
}

// unseenPast is the least past without a reading that is worth a word: readings are a minute apart.
const unseenPast = 3 * time.Minute

// drawBand draws a Balloon's plot as of now. Without a forecast there is none.
func drawBand(now time.Time, b Balloon) *Band {
	if len(b.Forecast) == 0 {
		return nil
	}
	room := b.room()
	top := room
	for _, p := range b.Forecast {
		top = max(top, p.Upper, p.Point)
	}
	for _, p := range b.Past {
		top = max(top, float64(p.Running))
		if p.Demand != nil {
			top = max(top, *p.Demand)
		}
	}
	top = niceAbove(top)
	c := canvas{now: now, top: top}
	var out strings.Builder
	fmt.Fprintf(&out, `<svg viewBox="0 0 %g %g" preserveAspectRatio="none" aria-hidden="true" focusable="false">`, bandWidth, bandHeight)
	var from time.Time
	if known := pastFrom(now, b); known.Sub(now.Add(-bandPast)) > unseenPast {
		from = known
		fmt.Fprintf(&out, `<rect class="before" x="0" y="0" width="%g" height="%g"/>`, c.x(from), bandHeight)
	}
	for _, share := range []float64{0, 0.5} {
		c.line(&out, "grid", 0, bandHeight*share, bandWidth, bandHeight*share)
	}
	c.line(&out, "grid", 0, bandHeight, bandWidth, bandHeight)
	var upper, likely, past, asked []string
	for _, p := range b.Forecast {
		upper = append(upper, c.at(p.At, p.Upper))
		likely = append(likely, c.at(p.At, p.Point))
	}
	edge := append([]string(nil), upper...)
	for i := len(likely) - 1; i >= 0; i-- {
		edge = append(edge, likely[i])
	}
	fmt.Fprintf(&out, `<polygon class="band" points="%s"/>`, strings.Join(edge, " "))
	fmt.Fprintf(&out, `<polyline class="upper" points="%s"/>`, strings.Join(upper, " "))
	fmt.Fprintf(&out, `<polyline class="likely" points="%s"/>`, strings.Join(likely, " "))
	for _, p := range b.Past {
		if p.At.Before(now.Add(-bandPast)) {
			continue
		}
		past = append(past, c.at(p.At, float64(p.Running)))
		if p.Demand != nil {
			asked = append(asked, c.at(p.At, *p.Demand))
		}
	}
	fmt.Fprintf(&out, `<polyline class="past" points="%s"/>`, strings.Join(append(past, c.at(now, float64(b.Running))), " "))
	if len(asked) > 0 {
		fmt.Fprintf(&out, `<polyline class="asked" points="%s"/>`, strings.Join(asked, " "))
	}
	c.line(&out, "room", c.x(now), c.y(room), bandWidth, c.y(room))
	c.line(&out, "now", c.x(now), 0, c.x(now), bandHeight)
	if b.Lead > 0 {
		x := c.x(now.Add(time.Duration(b.Lead * float64(time.Second))))
		c.line(&out, "lead", x, 0, x, bandHeight)
	}
	out.WriteString(`</svg>`)
	band := &Band{SVG: template.HTML(out.String()), Ticks: []string{number(top), number(top / 2), "0"}, Says: says(b, room), From: from}
	for at := -bandPast; at <= bandAhead; at += time.Hour {
		band.Times = append(band.Times, now.Add(at))
	}
	return band
}

// pastFrom is when the past that is known begins.
func pastFrom(now time.Time, b Balloon) time.Time {
	if len(b.Past) == 0 {
		return now
	}
	return b.Past[0].At
}

// room is how many of the workload's pods run or find a place held by balloons.
func (b Balloon) room() float64 {
	held := 0
	for _, z := range b.Zones {
		held += z.Held
	}
	return float64(b.Running) + float64(held)*b.Chunk
}

// says is the plot in one sentence.
func says(b Balloon, room float64) string {
	last, most := b.Forecast[len(b.Forecast)-1], b.Forecast[0]
	for _, p := range b.Forecast {
		if p.Upper > most.Upper {
			most = p
		}
	}
	text := fmt.Sprintf("%d pods run, and there is room for %s. In two hours it is likely %s, and in %s %% of cases no more than %s", b.Running, number(room),
		whole(last.Point), number(100*b.Quantile), whole(last.Upper))
	if !most.At.Equal(last.At) {
		text += fmt.Sprintf("; before that up to %s", whole(most.Upper))
	}
	return text + "."
}

// canvas maps times and pods to the drawing's units.
type canvas struct {
	now time.Time
	top float64
}

func (c canvas) x(t time.Time) float64 {
	share := float64(t.Sub(c.now)+bandPast) / float64(bandPast+bandAhead)
	return math.Round(10*bandWidth*min(max(share, 0), 1)) / 10
}

func (c canvas) y(pods float64) float64 {
	return math.Round(10*bandHeight*(1-min(max(pods/c.top, 0), 1))) / 10
}

func (c canvas) at(t time.Time, pods float64) string { return fmt.Sprintf("%g,%g", c.x(t), c.y(pods)) }

func (c canvas) line(out *strings.Builder, class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(out, `<line class="%s" x1="%g" y1="%g" x2="%g" y2="%g"/>`, class, x1, y1, x2, y2)
}

// niceAbove is the next of 1, 2, 4, 5, 8 or 10 times a power of ten, half of which is whole where it can be; at least 2.
func niceAbove(v float64) float64 {
	if !(v > 2) || math.IsInf(v, 0) {
		return 2
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10} {
		if m*power >= v {
			return m * power
		}
	}
	return 10 * power
}
