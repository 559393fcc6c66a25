package plan

import (
	"cmp"
	"fmt"
	"maps"
	"math"
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
	sharing     []*group // the groups of the same Auto Scaling group, itself included: they share Min and Max
	neighbours  []*group // the groups that share a subnet, itself included
	unavailable string   // why it cannot launch for a while; empty is that it can
	broken      string   // why it is neither bought in nor returned from until somebody has looked at it; empty is that it is not
	joinsHere   bool     // most of its instances are nodes of this cluster
	foreign     bool     // none of them is, and some had run before they were first seen
	alive       int      // instances that are not terminating
	size        int      // alive, or as many as were asked for
	leaving     int      // alive, but about to go
	missing     int      // asked for so long ago that they are not counted on
	templates   int64    // nodes made from the template so far
	base        int64    // those of them that are on their way already
	bought      int      // by this plan
	sold        int      // by this plan
}

type instance struct {
	nodegroups.Instance
	joined bool // it has a Node
}

// pool is one CapacityPool with its groups, and why what is planned for it is not done; empty is that it is.
type pool struct {
	Pool
	groups   []*group
	observes string // it only observes: what it would launch is planned and shown
	frozen   string // it is frozen altogether: nothing is bought in it
	unsold   string // no node is returned for being unneeded: it observes, or is frozen at least for that
}

// poolZone is a zone of a pool.
type poolZone struct{ pool, zone string }

func (g *group) poolZone() poolZone { return poolZone{g.Pool, g.Zone} }

// readGroups sorts pools and groups, and reports those that do not belong together.
func (w *world) readGroups(s Snapshot) {
	byName := map[string]*pool{}
	pools := slices.Clone(w.policy.Pools)
	slices.SortFunc(pools, func(a, b Pool) int { return strings.Compare(a.Name, b.Name) })
	for _, p := range pools {
		q := &pool{Pool: p, observes: p.onlyObserves(), frozen: p.frozenAt(w.now, false)}
		q.unsold = cmp.Or(q.observes, p.frozenAt(w.now, true))
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
		for _, i := range g.Instances {
			h.instances = append(h.instances, &instance{Instance: i})
		}
		slices.SortFunc(h.instances, func(a, b *instance) int { return strings.Compare(a.ID, b.ID) })
		if g.HourlyPrice <= 0 {
			w.problem("group "+g.Name, "has no known price", noPrice(g.Market)+"; until then it is bought last")
		}
		p.groups = append(p.groups, h)
		w.groups = append(w.groups, h)
	}
	w.shareGroups()
	w.readUnavailable(s.Unavailable)
	w.readTemplates()
	for _, p := range w.pools {
		if len(p.groups) == 0 {
			w.problem("pool "+p.Name, "has no groups", "tag the Auto Scaling groups with what spec.groups.tags asks for")
		}
	}
}

// noPrice is the mend of a price that is not known: only spot prices are read.
func noPrice(m nodegroups.Market) string {
	if m == nodegroups.Spot {
		return "allow ec2:DescribeSpotPriceHistory, or give the spot price of each of its types in prices of the scaler's configuration"
	}
	return "give the on-demand price of each of its types in prices of the scaler's configuration"
}

// shareGroups finds the groups that are zones of one Auto Scaling group, and those that take addresses of the same subnets.
func (w *world) shareGroups() {
	byASG := map[string][]*group{}
	name := func(g *group) string { return cmp.Or(g.ASG, g.Name) }
	for _, g := range w.groups {
		byASG[name(g)] = append(byASG[name(g)], g)
	}
	for _, g := range w.groups {
		g.sharing = byASG[name(g)]
		for _, h := range w.groups {
			if g == h || slices.ContainsFunc(h.Subnets, func(s string) bool { return slices.Contains(g.Subnets, s) }) {
				g.neighbours = append(g.neighbours, h)
			}
		}
	}
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

// most is what the group may have after the plan, as far as limits go: a return counts as room once it was read back.
func (g *group) most() int { return g.total() + g.Returning }

// staying is what the group has after the plan and the interruptions.
func (g *group) staying() int { return g.total() - g.leaving - g.missing }

// zones of the pool's groups and of its holds, sorted.
func (p *pool) zones(now time.Time) []string {
	set := map[string]bool{}
	for _, g := range p.groups {
		set[g.Zone] = true
	}
	for _, h := range p.Holds {
		if h.Until.After(now) && h.Nodes > 0 {
			set[h.Zone] = true
		}
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
		if g.most() > 0 && g.HourlyPrice <= 0 {
			known = false
		}
		sum += float64(g.most()) * g.HourlyPrice
	}
	return sum, known
}

// spotFits says whether the pool may have this many spot nodes of so many.
func (p *pool) spotFits(spot, total int) bool {
	return float64(spot) <= p.SpotMax*float64(max(0, total-p.OnDemandBase))+1e-9
}

// all is what the Auto Scaling group may have after the plan, all its zones together.
func (g *group) all() int {
	n := 0
	for _, h := range g.sharing {
		n += h.most()
	}
	return n
}

// stay is what the Auto Scaling group has after the plan and the interruptions.
func (g *group) stay() int {
	n := 0
	for _, h := range g.sharing {
		n += h.staying()
	}
	return n
}

// sure is what the Auto Scaling group has for sure after the plan: of what it shows and what it says that it wants the
// lesser, since either may be old.
func (g *group) sure() int {
	n := 0
	for _, h := range g.sharing {
		n += min(h.alive, h.Desired) - h.sold - h.leaving
	}
	return n
}

// marginal is what one more node costs an hour: nothing while it is paid for anyhow. Unknown is dearer than anything.
func (g *group) marginal() float64 {
	switch {
	case g.prepaid():
		return 0
	case g.HourlyPrice <= 0:
		return math.Inf(1)
	}
	return g.HourlyPrice
}

// prepaid says whether one more node is paid for anyhow.
func (g *group) prepaid() bool { return g.Market == nodegroups.OnDemand && g.staying() < g.Prepaid }

// saved is what the return of a node saves an hour.
func (g *group) saved() float64 {
	if g.Market == nodegroups.OnDemand && g.staying() <= g.Prepaid {
		return 0
	}
	return g.HourlyPrice
}

// limit is why one more node of the group is not allowed now; empty is that it is.
func (g *group) limit() string {
	p := g.pool
	nodes, inZone := 0, 0
	for _, h := range p.groups {
		nodes += h.most()
		if h.Zone == g.Zone {
			inZone += h.most()
		}
	}
	switch {
	case g.unavailable != "":
		return g.unavailable
	case g.broken != "":
		return g.broken
	case p.frozen != "":
		return p.frozen
	case g.all() >= g.Max:
		return fmt.Sprintf("at the group's maximum of %d", g.Max)
	case p.MaxNodes > 0 && nodes >= p.MaxNodes:
		return fmt.Sprintf("pool %s is at its maximum of %d nodes", p.Name, p.MaxNodes)
	case p.MaxNodesPerZone > 0 && inZone >= p.MaxNodesPerZone:
		return fmt.Sprintf("pool %s is at its maximum of %d nodes in zone %s", p.Name, p.MaxNodesPerZone, g.Zone)
	case g.FreeAddresses != nil && g.addressesAsked()+g.addresses() > *g.FreeAddresses:
		return fmt.Sprintf("its subnets have %d free addresses, of which nodes on their way take %d, and one more node may take %d", *g.FreeAddresses, g.addressesAsked(), g.addresses())
	}
	return g.costLimit()
}

func (g *group) costLimit() string {
	p := g.pool
	if p.MaxHourlyCost <= 0 {
		return ""
	}
	cost, known := p.cost()
	switch {
	case g.HourlyPrice <= 0:
		return fmt.Sprintf("its price is not known, and pool %s has a limit of cost", p.Name)
	case !known:
		return fmt.Sprintf("the cost of pool %s is not known, and it has a limit", p.Name)
	case cost+g.HourlyPrice > p.MaxHourlyCost+1e-9:
		return fmt.Sprintf("pool %s costs %.4g an hour of at most %.4g", p.Name, cost, p.MaxHourlyCost)
	}
	return ""
}

// addresses is what one more node takes of the group's subnets.
func (g *group) addresses() int { return max(1, g.AddressesPerNode) }

// addressesAsked is what nodes on their way will still take of the group's subnets. A launch takes the first, the others go to
// the node as it starts.
func (g *group) addressesAsked() int {
	n := 0
	for _, h := range g.neighbours {
		n += (h.size - h.alive + h.bought) * h.addresses()
		for _, i := range h.instances {
			if i.Lifecycle.Counts() && !i.joined {
				n += h.addresses() - 1
			}
		}
	}
	return n
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
