package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"swell/nodegroups"
)

// group is one Auto Scaling group with what the plan does to it.
type group struct {
	nodegroups.Group
	index       int
	pool        *pool
	instances   []*instance
	unavailable string // why it cannot launch now; empty is that it can
	alive       int    // instances that are not terminating
	size        int    // alive, or as many as were asked for
	leaving     int    // alive, but about to go
	templates   int64  // nodes made from the template so far
	base        int64  // those of them that are on their way already
	bought      int    // by this plan
	sold        int    // by this plan
}

type instance struct {
	nodegroups.Instance
	joined bool // it has a Node
}

// pool is one CapacityPool with its groups.
type pool struct {
	Pool
	groups []*group
}

// readGroups sorts pools and groups, and reports those that do not belong together.
func (w *world) readGroups(s Snapshot) {
	byName := map[string]*pool{}
	pools := slices.Clone(w.policy.Pools)
	slices.SortFunc(pools, func(a, b Pool) int { return strings.Compare(a.Name, b.Name) })
	for _, p := range pools {
		q := &pool{Pool: p}
		byName[p.Name] = q
		w.pools = append(w.pools, q)
	}
	groups := slices.Clone(s.Groups)
	slices.SortFunc(groups, func(a, b nodegroups.Group) int { return strings.Compare(a.Name, b.Name) })
	for _, g := range groups {
		p := byName[g.Pool]
		if p == nil {
			w.problem("group "+g.Name, fmt.Sprintf("names the pool %q, which does not exist", g.Pool), "make the CapacityPool or correct the group's tags")
			continue
		}
		h := &group{Group: g, index: len(w.groups), pool: p, alive: g.Alive(), size: max(g.Alive(), g.Desired)}
		h.unavailable = unavailable(w.now, g.Name, s.Unavailable)
		for _, i := range g.Instances {
			h.instances = append(h.instances, &instance{Instance: i})
		}
		slices.SortFunc(h.instances, func(a, b *instance) int { return strings.Compare(a.ID, b.ID) })
		if g.HourlyPrice <= 0 {
			w.problem("group "+g.Name, "has no known price", "allow pricing:GetProducts and ec2:DescribeSpotPriceHistory, or give the price; until then it is bought last")
		}
		p.groups = append(p.groups, h)
		w.groups = append(w.groups, h)
	}
	for _, p := range w.pools {
		if len(p.groups) == 0 {
			w.problem("pool "+p.Name, "has no groups", "tag the Auto Scaling groups with what spec.groups.tags asks for")
		}
	}
}

// unavailable is the reason that ends last.
func unavailable(now time.Time, group string, all []nodegroups.Unavailable) string {
	var until time.Time
	why := ""
	for _, u := range all {
		if u.Group != group || !u.Until.After(now) {
			continue
		}
		text := fmt.Sprintf("unavailable until %s (%s: %s)", u.Until.UTC().Format("15:04:05"), u.Class, u.Reason)
		if c := u.Until.Compare(until); c > 0 || c == 0 && text < why {
			until, why = u.Until, text
		}
	}
	return why
}

// instanceOf finds the instance that a Node is.
func (w *world) instanceOf(providerID string) (*group, *instance) {
	if providerID == "" {
		return nil, nil
	}
	if w.byProvider == nil {
		w.byProvider = map[string]owned{}
		for _, g := range w.groups {
			for _, i := range g.instances {
				w.byProvider[i.ProviderID] = owned{g, i}
			}
		}
	}
	o := w.byProvider[providerID]
	return o.group, o.instance
}

type owned struct {
	group    *group
	instance *instance
}

// total is what the group has after the plan, about-to-go ones included.
func (g *group) total() int { return g.size + g.bought - g.sold }

// staying is what the group has after the plan and the interruptions.
func (g *group) staying() int { return g.total() - g.leaving }

// zones of the pool's groups, sorted.
func (p *pool) zones() []string {
	set := map[string]bool{}
	for _, g := range p.groups {
		set[g.Zone] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// inZone is how many nodes of the pool stay in a zone.
func (p *pool) inZone(zone string) int {
	n := 0
	for _, g := range p.groups {
		if g.Zone == zone {
			n += g.staying()
		}
	}
	return n
}

// inMarket is how many nodes of the pool stay in a market.
func (p *pool) inMarket(m nodegroups.Market) int {
	n := 0
	for _, g := range p.groups {
		if g.Market == m {
			n += g.staying()
		}
	}
	return n
}

// cost an hour of everything that the pool has; not known if a group with nodes has no price.
func (p *pool) cost() (sum float64, known bool) {
	known = true
	for _, g := range p.groups {
		if g.total() > 0 && g.HourlyPrice <= 0 {
			known = false
		}
		sum += float64(g.total()) * g.HourlyPrice
	}
	return sum, known
}

// spotFits says whether the pool may have this many spot nodes of so many.
func (p *pool) spotFits(spot, total int) bool {
	return float64(spot) <= p.SpotMax*float64(max(0, total-p.OnDemandBase))+1e-9
}

// limit is why one more node of the group is not allowed now; empty is that it is.
func (g *group) limit() string {
	p := g.pool
	nodes := 0
	for _, h := range p.groups {
		nodes += h.total()
	}
	switch {
	case g.unavailable != "":
		return g.unavailable
	case g.total() >= g.Max:
		return fmt.Sprintf("at the group's maximum of %d", g.Max)
	case p.MaxNodes > 0 && nodes >= p.MaxNodes:
		return fmt.Sprintf("pool %s is at its maximum of %d nodes", p.Name, p.MaxNodes)
	case p.MaxHourlyCost <= 0:
		return ""
	case g.HourlyPrice <= 0:
		return fmt.Sprintf("its price is not known, and pool %s has a limit of cost", p.Name)
	}
	cost, known := p.cost()
	switch {
	case !known:
		return fmt.Sprintf("the cost of pool %s is not known, and it has a limit", p.Name)
	case cost+g.HourlyPrice > p.MaxHourlyCost+1e-9:
		return fmt.Sprintf("pool %s costs %.4g an hour of at most %.4g", p.Name, cost, p.MaxHourlyCost)
	}
	return ""
}

// floor is how many nodes of the pool a zone has at least, and why.
func (p *pool) floor(now time.Time, zone string) (nodes int, why string) {
	nodes, why = p.MinNodesPerZone, "minNodesPerZone"
	for _, h := range p.Holds {
		if h.Zone == zone && h.Until.After(now) && h.Nodes > nodes {
			nodes, why = h.Nodes, "a hold"
		}
	}
	return nodes, why
}
