package plan

import (
	"math"
	"slices"

	"swell/scaler/pack"
)

// memoryUnit is as many bytes of memory as count as one core where nothing tells what either is worth.
const memoryUnit = 4 << 30

// worth is what a core and a unit of memory are worth where nodes are bought: prices an hour.
type worth struct{ core, memory float64 }

// even tells pods by size alone.
var even = worth{1, 1}

// shape is what a node costs an hour and gives, in cores and units of memory.
type shape struct{ price, cores, memory float64 }

// worthOf are the prices of a core and of memory at which what is asked for is worth most while no node gives more than it
// costs: the dual of buying the cheapest mix of shapes, in parts, that gives as much of both. A shape that is filled with what
// it is best for gives its price then, and a worse one less. Its corners are where two shapes give just their price, and where
// one resource is worth nothing.
func worthOf(shapes []shape, cores, memory float64) worth {
	best, found := even, math.Inf(-1)
	try := func(w worth) {
		if !(w.core >= 0 && w.memory >= 0) || math.IsInf(w.core+w.memory, 0) {
			return
		}
		for _, o := range shapes {
			if o.cores*w.core+o.memory*w.memory > o.price*(1+1e-9) {
				return
			}
		}
		if sum := cores*w.core + memory*w.memory; sum > found {
			best, found = w, sum
		}
	}
	for i, a := range shapes {
		try(worth{core: a.price / a.cores})
		try(worth{memory: a.price / a.memory})
		for _, b := range shapes[i+1:] {
			det := a.cores*b.memory - b.cores*a.memory
			try(worth{(a.price*b.memory - b.price*a.memory) / det, (a.cores*b.price - b.cores*a.price) / det})
		}
	}
	return best
}

// of a pod is what it asks for, at these prices; never nothing.
func (w worth) of(p *pack.Pod) float64 {
	cores, memory := asked(p)
	return max(w.core*cores+w.memory*memory, 1e-6*(w.core+w.memory))
}

// asked are a pod's requests in cores and units of memory.
func asked(p *pack.Pod) (cores, memory float64) {
	milliCPU, bytes := p.Requests()
	return float64(milliCPU) / 1000, float64(bytes) / memoryUnit
}

// value sets what resources are worth to what waits now, where they can be bought.
func (r *round) value(waiting []*need) {
	var cores, memory float64
	for _, n := range waiting {
		c, m := asked(n.pod)
		cores, memory = cores+c, memory+m
	}
	var shapes []shape
	anyActs := slices.ContainsFunc(r.w.groups, func(g *group) bool { return g.pool.observes == "" })
	for _, g := range r.w.groups {
		if g.pool.observes != "" && anyActs {
			continue
		}
		c, m := g.Template.Allocatable.Cpu().AsApproximateFloat64(), g.Template.Allocatable.Memory().AsApproximateFloat64()/memoryUnit
		if price := g.marginal(); price > 0 && !math.IsInf(price, 0) && c > 0 && m > 0 && g.limit() == "" {
			shapes = append(shapes, shape{price, c, m})
		}
	}
	r.worth = worthOf(shapes, cores, memory)
}
