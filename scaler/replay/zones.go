package replay

import (
	"cmp"
	"math"
	"slices"
)

// Markets that nodes are bought in.
const (
	spotMarket     = "spot"
	onDemandMarket = "on-demand"
)

type boughtNode struct {
	market  string
	number  uint64
	readyAt int64
	goneAt  int64 // 0: no notice was given
}

// zone is one zone's nodes and pods.
type zone struct {
	index int
	nodes []boughtNode // the oldest first
	held  *window
	work  pods
}

// outage is a time without capacity in a zone and market.
type outage struct {
	zone     int
	market   string
	from, to int64
}

// cluster plays whole pods on whole nodes in zones.
type cluster struct {
	in       Input
	step     int64
	zones    []zone
	outages  []outage
	bought   uint64
	reclaim  float64 // probability a scan
	after    int64
	budget   float64
	foresees bool
	base     int // nodes of all zones that are on demand before any is spot
	hours    map[string]float64
	limited  bool // by MaxNodes
}

func newCluster(in Input, p policy, outages []outage) *cluster {
	s := in.Scenario
	c := &cluster{in: in, step: seconds(s.Scan), outages: outages, after: seconds(s.ScaleInAfter), budget: 1, hours: map[string]float64{}}
	if r, ok := p.(remover); ok {
		c.after, c.budget = r.scaleIn()
	}
	if f, ok := p.(forewarned); ok {
		c.foresees = f.sees()
	}
	c.reclaim = 1 - math.Pow(1-s.Spot.ReclaimedPerHour, s.Scan.Duration.Hours())
	for i := range s.Zones {
		c.zones = append(c.zones, zone{index: i, held: newMost(c.after)})
	}
	return c
}

// zonal plays a policy in zones.
func zonal(in Input, p policy, d demand, sp span, outages []outage) Result {
	s := in.Scenario
	c := newCluster(in, p, outages)
	learn(in, p, d, sp)
	delay := seconds(s.HPADelay)
	for t := sp.from; t < sp.to; t += c.step {
		seen := d.at(t - delay)
		p.observe(t-delay, seen)
		want := in.decide(p, t)
		now := d.at(t)
		for i := range c.zones {
			z := &c.zones[i]
			w := want / float64(s.Zones)
			if q, ok := p.(interface{ wantIn(int) float64 }); ok {
				w = q.wantIn(i)
			}
			w = max(math.Ceil(w-1e-9), float64(part(seen, i, s.Zones))) // whole pods
			c.lose(z, t)
			nodes := math.Ceil(w / float64(s.NodePods))
			c.limited = c.limited || nodes > float64(s.MaxNodes)
			c.follow(z, t, int(min(nodes, float64(s.MaxNodes))), t == sp.from)
			capacity := 0
			for _, n := range z.nodes {
				c.hours[n.market] += float64(c.step) / 3600
				if n.readyAt <= t {
					capacity += s.NodePods
				}
			}
			z.work.step(t, part(now, i, s.Zones), capacity, c.step)
		}
		in.progress(t, sp)
	}
	return c.result()
}

// lose reclaims spot nodes and takes away those whose notice has run out.
func (c *cluster) lose(z *zone, t int64) {
	notice := seconds(c.in.Scenario.Spot.Notice)
	z.nodes = slices.DeleteFunc(z.nodes, func(n boughtNode) bool { return n.goneAt != 0 && n.goneAt <= t })
	for i := range z.nodes {
		n := &z.nodes[i]
		if n.market == spotMarket && n.goneAt == 0 && draw(c.in.Seed, drawReclaim, n.number<<32|uint64(t/c.step)) < c.reclaim {
			n.goneAt = t + notice
		}
	}
}

// follow buys what is wanted and not there, and returns what was not wanted for long enough.
func (c *cluster) follow(z *zone, t int64, wanted int, atOnce bool) {
	held := z.held.add(t, wanted)
	have := 0
	for _, n := range z.nodes {
		if n.goneAt == 0 || !c.foresees {
			have++
		}
	}
	if have < wanted {
		c.buy(z, t, wanted-have, atOnce)
	}
	if surplus := have - held; surplus > 0 {
		c.sell(z, min(surplus, max(int(math.Ceil(c.budget*float64(len(z.nodes)))), 1)))
	}
}

// sell returns up to n nodes; the oldest stay.
func (c *cluster) sell(z *zone, n int) {
	for i := len(z.nodes) - 1; i >= 0 && n > 0; i-- {
		if z.nodes[i].goneAt == 0 {
			z.nodes = slices.Delete(z.nodes, i, i+1)
			n--
		}
	}
}

// buy launches up to n nodes, spot as far as its share goes, in the other market where that is out.
func (c *cluster) buy(z *zone, t int64, n int, atOnce bool) {
	s := c.in.Scenario
	spot := 0
	for _, have := range z.nodes {
		if have.market == spotMarket {
			spot++
		}
	}
	usable := map[string]bool{
		onDemandMarket: atOnce || !c.out(z.index, onDemandMarket, t),
		spotMarket:     s.Spot.Share > 0 && (atOnce || !c.out(z.index, spotMarket, t)),
	}
	for ; n > 0; n-- {
		market, other := onDemandMarket, spotMarket
		if float64(spot+1) <= s.Spot.Share*float64(len(z.nodes)+1-part(c.base, z.index, len(c.zones)))+1e-9 {
			market, other = other, market
		}
		if !usable[market] {
			market = other
		}
		if !usable[market] {
			return
		}
		if market == spotMarket {
			spot++
		}
		c.bought++
		bought := boughtNode{market: market, number: c.bought, readyAt: t}
		if !atOnce {
			bought.readyAt += c.boot(c.bought)
		}
		z.nodes = append(z.nodes, bought)
	}
}

func (c *cluster) out(zone int, market string, t int64) bool {
	for _, o := range c.outages {
		if o.zone == zone && o.market == market && t >= o.from && t < o.to {
			return true
		}
	}
	return false
}

// boot is how long a node takes until its pods run, in seconds.
func (c *cluster) boot(number uint64) int64 {
	s := c.in.Scenario
	mu := math.Log(s.Boot.P50.Seconds())
	sigma := (math.Log(s.Boot.P95.Seconds()) - mu) / normal(0.95)
	return int64(math.Ceil(math.Exp(mu+sigma*normal(draw(c.in.Seed, drawBoot, number))) + s.PodStart.Seconds()))
}

func (c *cluster) result() Result {
	var all pods
	for i := range c.zones {
		all.join(&c.zones[i].work)
	}
	r := Result{AtMaxNodes: c.limited}
	r.fill(&all)
	r.pay(c.in.Scenario, c.hours)
	return r
}

// outagesOf are drawn from the seed, for all policies alike.
func outagesOf(in Input, d demand, sp span) []outage {
	s := in.Scenario
	var out []outage
	for z := range s.Zones {
		for k, m := range []string{onDemandMarket, spotMarket} {
			t := float64(sp.from)
			for i := uint64(0); s.Outages.PerWeek > 0; i++ {
				// Times between two are exponential.
				u := draw(in.Seed, drawOutage, uint64(z)<<40|uint64(k)<<32|i)
				t -= math.Log(u) * 7 * daySeconds / s.Outages.PerWeek
				if t >= float64(sp.to) {
					break
				}
				out = append(out, outage{z, m, int64(t), int64(t) + seconds(s.Outages.Lasting)})
			}
		}
	}
	if s.Outages.WorstHour {
		from := steepest(d, sp)
		out = append(out, outage{0, spotMarket, from, from + 3600})
	}
	slices.SortFunc(out, func(a, b outage) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.zone, b.zone), cmp.Compare(a.market, b.market))
	})
	return out
}

// steepest is the start of the hour in which the demand of a tenth of an hour grew most.
func steepest(d demand, sp span) int64 {
	best, from := math.Inf(-1), sp.from
	for t := sp.from; t+3600 < sp.to; t += 360 {
		if rise := float64(d.at(t+3600) - d.at(t)); rise > best {
			best, from = rise, t
		}
	}
	return from
}
