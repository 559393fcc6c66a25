package report

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// ZoneLoss is what the loss of a zone at its busiest sampled moment would have meant.
type ZoneLoss struct {
	Zone string    `json:"zone"`
	At   time.Time `json:"at"`
	// Pods on the zone's nodes then, and how many of them would have found no room in the other zones, balloons given up.
	Pods    int `json:"pods"`
	Waiting int `json:"waiting"`
	// WaitSeconds is how long those would have waited for nodes: the p95 of boots in the other zones; null where none is known.
	WaitSeconds *float64 `json:"waitSeconds"`
	// Nodes that would have to be held in the other zones for none to wait, and what they would have cost over the period.
	Nodes int    `json:"nodesToHold"`
	Cost  *Money `json:"costToHold"` // null is unknown
	// ByPool are the parts.
	ByPool []PoolLoss `json:"byPool"`
}

// PoolLoss is one pool's part in the loss of a zone.
type PoolLoss struct {
	Pool    string  `json:"pool"`
	Pods    int     `json:"pods"`
	Waiting int     `json:"waiting"`
	Cores   float64 `json:"coresLacking"`
	Memory  float64 `json:"memoryGiBLacking"`
	Nodes   int     `json:"nodesToHold"`
	// Hourly is the mean price of one node of the pool in the other zones; null is unknown.
	Hourly *float64 `json:"meanHourly"`
}

// zoneLosses are the zones in the order of the pods that would have waited.
func (p *period) zoneLosses() []ZoneLoss {
	busiest := map[string]*sample{}
	most := map[string]int{}
	for n := range p.books.samples {
		s := &p.books.samples[n]
		if s.at.Before(p.from) || !s.at.Before(p.to) {
			continue
		}
		pods := map[string]int{}
		for _, w := range s.work {
			if w.cell >= 0 && p.books.cells[w.cell].pool != "" {
				pods[p.books.cells[w.cell].zone] += int(w.pods)
			}
		}
		for zone, n := range pods {
			if zone != "" && n > most[zone] {
				most[zone], busiest[zone] = n, s
			}
		}
	}
	out := []ZoneLoss{}
	for zone, s := range busiest {
		out = append(out, p.lose(zone, s))
	}
	slices.SortFunc(out, func(a, b ZoneLoss) int { return cmp.Or(cmp.Compare(b.Waiting, a.Waiting), cmp.Compare(a.Zone, b.Zone)) })
	return out
}

// losing is one pool while a zone's loss is added up.
type losing struct {
	asked, free, each res // in the zone; elsewhere; of one node elsewhere
	nodes, pods       int
	paid              charge
}

func (p *period) lose(zone string, s *sample) ZoneLoss {
	out := ZoneLoss{Zone: zone, At: s.at, ByPool: []PoolLoss{}}
	pools := map[string]*losing{}
	pool := func(name string) *losing {
		if pools[name] == nil {
			pools[name] = &losing{}
		}
		return pools[name]
	}
	for _, w := range s.work {
		// nodes of no pool are not swell's to replace
		if w.cell >= 0 && p.books.cells[w.cell].zone == zone && p.books.cells[w.cell].pool != "" {
			l := pool(p.books.cells[w.cell].pool)
			l.asked, l.pods = l.asked.plus(w.asked), l.pods+int(w.pods)
		}
	}
	for _, u := range s.cells {
		c := p.books.cells[u.cell]
		if l := pool(c.pool); c.zone != zone {
			l.free = l.free.plus(u.allocatable.minus(u.asked).atLeastZero())
			l.each, l.nodes = l.each.plus(u.allocatable), l.nodes+u.nodes
		}
	}
	for _, i := range p.books.instances {
		if l := pools[i.Pool]; l != nil && i.Zone != zone {
			l.paid.add(i.charged(p))
		}
	}
	total, known := Money(0), true
	for name, l := range pools {
		part := l.part(name)
		out.Pods, out.Waiting, out.Nodes = out.Pods+part.Pods, out.Waiting+part.Waiting, out.Nodes+part.Nodes
		if mean, ok := l.paid.mean(); part.Nodes > 0 && ok {
			total += Money(int64(part.Nodes) * mean * int64(p.to.Sub(p.from).Seconds()))
		} else if part.Waiting > 0 {
			known = false
		}
		if part.Pods > 0 {
			out.ByPool = append(out.ByPool, part)
		}
	}
	if known {
		out.Cost = &total
	}
	slices.SortFunc(out.ByPool, func(a, b PoolLoss) int { return cmp.Or(cmp.Compare(b.Waiting, a.Waiting), cmp.Compare(a.Pool, b.Pool)) })
	out.WaitSeconds = p.bootElsewhere(zone)
	return out
}

func (l *losing) part(name string) PoolLoss {
	out := PoolLoss{Pool: name, Pods: l.pods}
	lacking := l.asked.minus(l.free).atLeastZero()
	out.Cores, out.Memory = lacking.cores, lacking.memory
	if lacking.isZero() || l.pods == 0 {
		return out
	}
	out.Waiting = min(l.pods, int(math.Ceil(lacking.largestOf(l.asked)*float64(l.pods)-1e-9)))
	if l.nodes > 0 {
		out.Nodes = int(math.Ceil(lacking.largestOf(l.each.times(1/float64(l.nodes))) - 1e-9))
	}
	if mean, ok := l.paid.mean(); ok {
		hourly := float64(mean) / 1e6
		out.Hourly = &hourly
	}
	return out
}

// bootElsewhere is the p95 of boots in all zones but one.
func (p *period) bootElsewhere(zone string) *float64 {
	var seconds []float64
	for _, i := range p.books.instances {
		if i.Zone != zone && !i.Seen && i.ReadyAt != nil && !i.launched.Before(p.from) && i.launched.Before(p.to) {
			seconds = append(seconds, i.ReadyAt.Sub(i.launched).Seconds())
		}
	}
	if len(seconds) == 0 {
		return nil
	}
	slices.Sort(seconds)
	v := quantileOf(seconds, 0.95)
	return &v
}
