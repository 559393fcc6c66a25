package replay

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// policy says how much capacity is wanted. It is given what has happened, one thing after the other, and nothing else.
type policy interface {
	// observe takes the HPA's desired replicas of a time; in order, the history first.
	observe(at int64, pods int)
	// want is the capacity that is wanted at now, in pods. What was observed last is the newest that can be known.
	want(now int64) float64
}

// scaleInAfter is how long nodes of a policy stay that are not wanted, in seconds, where it is not the scenario's.
type holder interface{ scaleInAfter() int64 }

// newPolicy is a policy by what a user calls it, as in static:5.
func newPolicy(text string, in Input) (policy, error) {
	name, arg, has := strings.Cut(text, ":")
	number := func(def float64, ok func(float64) bool, want string) (float64, error) {
		if !has {
			return def, nil
		}
		v, err := strconv.ParseFloat(arg, 64)
		if err != nil || !ok(v) {
			return 0, fmt.Errorf("policy %q: %s is not %s; write it like %s:%g", text, arg, want, name, def)
		}
		return v, nil
	}
	switch name {
	case "reactive":
		return &static{}, nil
	case "static":
		v, err := number(5, func(v float64) bool { return v >= 0 && v <= 1000 }, "a percentage from 0 to 1000")
		return &static{headroom: v / 100}, err
	case "rule":
		v, err := number(0.95, func(v float64) bool { return v > 0 && v < 1 }, "a quantile above 0 and below 1")
		return newRule(in.Scenario, v), err
	case "slope":
		v, err := number(2, func(v float64) bool { return v >= 0 && v <= 100 }, "a number of deviations from 0 to 100")
		return newSlope(in.Scenario, v), err
	case "swell":
		v, err := number(0.99, func(v float64) bool { return v > 0 && v < 1 }, "a quantile above 0 and below 1")
		if err != nil {
			return nil, err
		}
		return newSwell(in, Tuning{Quantile: v, Hold: -1})
	}
	return nil, fmt.Errorf("policy %q is not known", text)
}

// static holds a share of the demand as headroom at all times; without headroom it is cluster-autoscaler.
type static struct {
	headroom float64
	seen     int
}

func (p *static) observe(_ int64, pods int) { p.seen = pods }

func (p *static) want(int64) float64 { return float64(p.seen) * (1 + p.headroom) }

// slope carries the demand on along a straight line.
type slope struct {
	z, ahead float64
	values   []float64 // the last quarter of an hour, a ring
	n        int
}

func newSlope(s Scenario, z float64) *slope {
	step := seconds(s.Scan)
	return &slope{z: z, ahead: float64(seconds(s.Lead)+45) / float64(step), values: make([]float64, 900/step)}
}

func (p *slope) observe(_ int64, pods int) {
	p.values[p.n%len(p.values)] = float64(pods)
	p.n++
}

func (p *slope) want(int64) float64 {
	n := min(len(p.values), p.n)
	if n == 0 {
		return 0
	}
	last := p.values[(p.n-1)%len(p.values)]
	if n < 3 {
		return last
	}
	var sx, sy, sxx, sxy float64
	for k := range n { // x is 0 at the newest, below zero before
		x, y := -float64(k), p.values[(p.n-1-k)%len(p.values)]
		sx, sy, sxx, sxy = sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	m := float64(n)
	b := (m*sxy - sx*sy) / (m*sxx - sx*sx)
	a := (sy - b*sx) / m
	rss := 0.0
	for k := range n {
		e := p.values[(p.n-1-k)%len(p.values)] - (a - b*float64(k))
		rss += e * e
	}
	return math.Max(a+max(b, 0)*p.ahead+p.z*math.Sqrt(rss/m), last)
}
