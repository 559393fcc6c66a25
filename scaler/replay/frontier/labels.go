package frontier

import (
	"fmt"
	"html"
	"slices"
	"strings"
)

// Sizes of a label in small text, and how far it keeps from its marker.
const (
	letterWide, letterHigh = 5.8, 8.0
	labelAway              = 3.0
)

type box struct{ left, top, right, bottom float64 }

func (b box) meets(o box) bool {
	return b.left < o.right && o.left < b.right && b.top < o.bottom && o.top < b.bottom
}

// labels writes the settings beside their points, those of the line on top first: where neither a marker nor another label
// stands. A point with no room around it has none; its title still says what it is.
func (c *canvas) labels(lines []Line, main string) {
	var taken []box
	for _, l := range lines {
		for _, q := range l.Points {
			x, y := c.x(q.Unserved), c.y(q.Cost)
			taken = append(taken, box{x - markerSize, y - markerSize, x + markerSize, y + markerSize})
		}
	}
	for _, l := range slices.Backward(lines) {
		for _, q := range l.Points {
			_, setting, ok := strings.Cut(q.Label, ":")
			if !ok {
				continue
			}
			places := around(c.x(q.Unserved), c.y(q.Cost), letterWide*float64(len(setting)))
			if l.Name == main {
				places[0], places[1] = places[1], places[0] // below, where no dearer line runs
			}
			for _, b := range places {
				if b.top < upper || b.bottom > lower || slices.ContainsFunc(taken, b.meets) {
					continue
				}
				taken = append(taken, b)
				fmt.Fprintf(c, `<text class="small" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`+"\n",
					(b.left+b.right)/2, b.bottom, html.EscapeString(setting))
				break
			}
		}
	}
}

// around are the places for a label of some width at a point, the best first.
func around(x, y, wide float64) []box {
	const m = markerSize + labelAway
	at := func(left, bottom float64) box { return box{left, bottom - letterHigh, left + wide, bottom} }
	return []box{
		at(x-wide/2, y-m), at(x-wide/2, y+m+letterHigh), at(x+m, y+letterHigh/2), at(x-m-wide, y+letterHigh/2),
		at(x+labelAway, y-m), at(x-labelAway-wide, y-m), at(x+labelAway, y+m+letterHigh), at(x-labelAway-wide, y+m+letterHigh),
	}
}
