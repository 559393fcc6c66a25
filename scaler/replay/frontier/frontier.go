// Package frontier compares what policies pay at the same unserved share.
package frontier

import (
	"cmp"
	"math"
	"slices"
)

// Floor is the least unserved share that is told apart from none: shares are compared by their logarithm.
const Floor = 1e-6

// Point is what one setting of a policy reached.
type Point struct {
	// Label is the setting, as in static:5.
	Label    string
	Unserved float64 // share
	Cost     float64 // as a multiple of clairvoyant
	Named    bool    // drawn in any case
}

// Line is a policy under one setting after another.
type Line struct {
	Name   string
	Unit   string // of its settings, for a legend; may be empty
	Points []Point
}

func log(unserved float64) float64 { return math.Log(max(unserved, Floor)) }

// CostAt is what a line pays at an unserved share, linear in its logarithm between two points. Where all of its points
// leave less unserved it is its cheapest. False: none of its points leaves as little.
func (l Line) CostAt(unserved float64) (float64, bool) {
	ps := slices.SortedFunc(slices.Values(l.Points), func(a, b Point) int {
		return cmp.Or(cmp.Compare(log(a.Unserved), log(b.Unserved)), cmp.Compare(a.Cost, b.Cost))
	})
	x := log(unserved)
	if len(ps) == 0 || log(ps[0].Unserved) > x {
		return math.NaN(), false
	}
	least := math.Inf(1)
	for i, p := range ps {
		if log(p.Unserved) <= x {
			least = min(least, p.Cost) // whoever leaves less unserved may be had, too
			continue
		}
		before := ps[i-1]
		w := (x - log(before.Unserved)) / (log(p.Unserved) - log(before.Unserved))
		return min(least, before.Cost+(p.Cost-before.Cost)*w), true
	}
	return least, true
}

// Comparison of a point with others' lines.
type Comparison struct {
	Point Point
	// Best is the name of the line that pays least at the point's unserved share, and Cost what it pays; empty where no
	// line goes as far.
	Best string
	Cost float64
	// Ratio of the point's excess over clairvoyant to the best line's.
	Ratio float64
}

// Compare finds the cheapest of the others at a point's unserved share.
func Compare(p Point, others []Line) Comparison {
	c := Comparison{Point: p, Cost: math.NaN(), Ratio: math.NaN()}
	for _, l := range others {
		if cost, ok := l.CostAt(p.Unserved); ok && (c.Best == "" || cost < c.Cost) {
			c.Best, c.Cost = l.Name, cost
		}
	}
	if c.Best != "" {
		c.Ratio = (p.Cost - 1) / (c.Cost - 1)
	}
	return c
}

// GeometricMean of ratios; NaN where one is not a number above zero.
func GeometricMean(ratios []float64) float64 {
	sum := 0.0
	for _, r := range ratios {
		sum += math.Log(r)
	}
	return math.Exp(sum / float64(len(ratios)))
}
