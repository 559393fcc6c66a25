package replay

import (
	"fmt"
	"maps"
	"math"
	"slices"
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

// remover is a policy that returns nodes by rules of its own: after so many seconds in which they were not wanted, and at
// most a share of them a scan.
type remover interface {
	scaleIn() (after int64, budget float64)
}

// forewarned is a policy that replaces a spot node when its notice comes, not when it is gone.
type forewarned interface{ sees() bool }

// maker makes a policy with the number behind the colon, or its default.
type maker struct {
	def      float64 // NaN: the policy takes no number
	least    float64
	most     float64
	number   string // what the number is
	make     func(in Input, v float64) (policy, error)
	frontier []float64 // settings that show what it can do
}

const clairvoyantName = "clairvoyant"

var makers = map[string]maker{
	"reactive": {def: math.NaN(), make: func(Input, float64) (policy, error) { return &static{}, nil }},
	"static": {def: 5, least: 0, most: 1000, number: "a percentage from 0 to 1000", frontier: []float64{0, 2, 5, 10, 20, 40, 80},
		make: func(_ Input, v float64) (policy, error) { return &static{headroom: v / 100}, nil }},
	"scheduled": {def: math.NaN(), make: func(in Input, _ float64) (policy, error) {
		return &scheduled{location: in.Location, holiday: in.Holiday}, nil
	}},
	"rule": {def: 0.95, least: 0.01, most: 0.9999, number: "a quantile from 0.01 to 0.9999", frontier: []float64{0.8, 0.9, 0.95, 0.99},
		make: func(in Input, v float64) (policy, error) { return newRule(in.Scenario, v), nil }},
	"slope": {def: 2, least: 0, most: 100, number: "a number of deviations from 0 to 100", frontier: []float64{0, 1, 2, 3},
		make: func(in Input, v float64) (policy, error) { return newSlope(in.Scenario, v), nil }},
	"karpenter":     {def: math.NaN(), make: func(Input, float64) (policy, error) { return &karpenter{}, nil }},
	"hourly":        {def: math.NaN(), make: func(Input, float64) (policy, error) { return newHourly(), nil }},
	"swell":         {def: Quantile, least: 0.5, most: 0.999, number: "a quantile from 0.5 to 0.999", frontier: []float64{0.8, 0.9, 0.95, Quantile, 0.99, 0.995}, make: func(in Input, v float64) (policy, error) { return newSwell(in, v) }},
	clairvoyantName: {def: math.NaN()},
}

// PolicyNames are the policies that can be played, sorted.
func PolicyNames() []string { return slices.Sorted(maps.Keys(makers)) }

// Frontier are the policies with the settings that show what each can do, by the policy's name.
func Frontier() map[string][]string {
	out := map[string][]string{}
	for name, m := range makers {
		if m.frontier == nil {
			out[name] = []string{name}
		}
		for _, v := range m.frontier {
			out[name] = append(out[name], name+":"+strconv.FormatFloat(v, 'g', -1, 64))
		}
	}
	return out
}

// CheckPolicy says what is wrong with the text of a policy.
func CheckPolicy(text string) error {
	_, _, err := parsePolicy(text)
	return err
}

func parsePolicy(text string) (m maker, v float64, err error) {
	name, arg, has := strings.Cut(text, ":")
	m, ok := makers[name]
	if !ok {
		return m, 0, fmt.Errorf("the policy %q is not known; give one of %s", text, strings.Join(PolicyNames(), ", "))
	}
	if !has {
		return m, m.def, nil
	}
	if math.IsNaN(m.def) {
		return m, 0, fmt.Errorf("the policy %s takes no number; leave %q out", name, ":"+arg)
	}
	v, err = strconv.ParseFloat(arg, 64)
	if err != nil || !(v >= m.least && v <= m.most) {
		return m, 0, fmt.Errorf("the policy %q: %q is not %s; write it like %s:%g", text, arg, m.number, name, m.def)
	}
	return m, v, nil
}

// static holds a share of the demand as headroom at all times; without headroom it is cluster-autoscaler.
type static struct {
	headroom float64
	seen     int
}

func (p *static) observe(_ int64, pods int) { p.seen = pods }

func (p *static) want(int64) float64 { return float64(p.seen) * (1 + p.headroom) }

// slopeMargin is the age of what is seen and the wait for the next scan, in seconds.
const slopeMargin = 45

// slope carries the demand on along a straight line through the last quarter of an hour, where it rises.
type slope struct {
	z, ahead float64
	values   []float64 // the last quarter of an hour, a ring
	n        int
}

func newSlope(s Scenario, z float64) *slope {
	step := seconds(s.Scan)
	return &slope{z: z, ahead: (s.lead().Seconds() + slopeMargin) / float64(step), values: make([]float64, 900/step)}
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
