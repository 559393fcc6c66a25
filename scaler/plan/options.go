package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"swell/nodegroups"
	"swell/scaler/pack"
)

// zonePremium is how much more than the cheapest node of its pool a node may cost, for what it would hold, so that the zones of
// the pool are of one size.
const zonePremium = 0.25

// option is a group looked at for one pod.
type option struct {
	g     *group
	why   string // why not; empty is possible
	paid  bool   // for anyhow
	other bool   // not of the market that the pool wants next
	dear  bool   // more than the balance of zones is worth
	zone  int    // nodes that the pool has in its zone
	price float64
	rank  int // among those of nearly one price; the least is taken
}

// choose finds the group that a new node for the pod is bought in, and says of each other group why not: each pool's policy names
// one of its groups, and of these the cheapest is taken. A pool that only observes comes last, since nothing comes of its launch.
func (r *round) choose(n *need, rest []*need) (*group, []Alternative) {
	if why := r.w.refusal(n); why != "" {
		return nil, []Alternative{{Reason: why}}
	}
	options := r.options(n)
	r.price(options, rest)
	markDear(options)
	slices.SortFunc(options, compareOptions)
	best := map[*pool]*option{}
	var chosen *option
	for i := range options {
		o := &options[i]
		if o.why != "" || best[o.g.pool] != nil {
			continue
		}
		if best[o.g.pool] = o; chosen == nil || comparePools(o, chosen) < 0 {
			chosen = o
		}
	}
	if chosen == nil {
		return nil, alternatives(options, nil, nil)
	}
	return chosen.g, alternatives(options, chosen, best)
}

// options are all groups, looked at for a pod, not priced yet.
func (r *round) options(n *need) []option {
	out := make([]option, 0, len(r.w.groups))
	fitting := map[*pool]map[nodegroups.Market]bool{}
	for _, g := range r.w.groups {
		o := option{g: g, zone: g.pool.inZone(g.Zone), why: r.misfit(g, n)}
		if o.why == "" {
			if fitting[g.pool] == nil {
				fitting[g.pool] = map[nodegroups.Market]bool{}
			}
			fitting[g.pool][g.Market] = true
		}
		out = append(out, o)
	}
	for i := range out {
		o := &out[i]
		if o.why == "" {
			o.other, o.why = o.g.pool.market(o.g.Market, fitting[o.g.pool])
			o.prepay()
		}
		if limit := o.g.limit(); o.why == "" && limit != "" {
			o.why = limit
		}
	}
	return out
}

// compareOptions orders the options of one pool.
func compareOptions(a, b option) int {
	return cmp.Or(compareBool(a.why != "", b.why != ""), compareBool(!a.paid, !b.paid), compareBool(a.other, b.other), compareBool(a.dear, b.dear),
		cmp.Compare(a.zone, b.zone), cmp.Compare(a.price, b.price), cmp.Compare(a.rank, b.rank), strings.Compare(a.g.Name, b.g.Name))
}

// comparePools orders what the pools would buy.
func comparePools(a, b *option) int {
	return cmp.Or(compareBool(a.g.pool.observes != "", b.g.pool.observes != ""), compareBool(!a.paid, !b.paid), cmp.Compare(a.price, b.price),
		cmp.Compare(a.zone, b.zone), cmp.Compare(a.rank, b.rank), strings.Compare(a.g.Name, b.g.Name))
}

// prepay puts a node that is paid for anyhow before all others, whatever market the pool wants next.
func (o *option) prepay() {
	if o.g.prepaid() {
		o.paid, o.other, o.why = true, false, ""
	}
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// alternatives says of each option but the chosen one why it is not taken; best are those that the pools would buy.
func alternatives(options []option, chosen *option, best map[*pool]*option) []Alternative {
	var out []Alternative
	for i := range options {
		o := &options[i]
		switch own := best[o.g.pool]; {
		case o == chosen:
			continue
		case o.why != "":
			out = append(out, Alternative{o.g.Name, o.why})
		case o == own && o.g.pool.observes != "" && chosen.g.pool.observes == "":
			out = append(out, Alternative{o.g.Name, o.g.pool.observes})
		case o == own:
			out = append(out, Alternative{o.g.Name, o.behind(chosen)})
		default:
			out = append(out, Alternative{o.g.Name, o.behind(own)})
		}
	}
	slices.SortFunc(out, func(a, b Alternative) int { return strings.Compare(a.Group, b.Group) })
	return out
}

// behind is why another option goes before this one: of the same pool, or what another pool would buy.
func (o *option) behind(taken *option) string {
	same := o.g.pool == taken.g.pool
	switch {
	case taken.paid && !o.paid:
		return fmt.Sprintf("%s has on-demand instances that are paid for anyhow", taken.g.Name)
	case same && o.other:
		return fmt.Sprintf("%s, and %s can be had", o.g.Market, taken.g.Market)
	case same && !o.dear && o.zone > taken.zone:
		return fmt.Sprintf("zone %s has %d nodes, %s has %d", o.g.Zone, o.zone, taken.g.Zone, taken.zone)
	case o.price > taken.price:
		return fmt.Sprintf("dearer for what it would hold, at %.4g an hour", o.g.HourlyPrice)
	case o.zone > taken.zone:
		return fmt.Sprintf("as cheap, and its pool has %d nodes in zone %s; pool %s has %d in %s", o.zone, o.g.Zone, taken.g.Pool, taken.zone, taken.g.Zone)
	case o.rank > taken.rank:
		return "costs nearly the same, and the launch is spread over such groups"
	}
	return "as good, and later by name"
}

// market says whether a market is what the pool wants next, and if it may not be bought, why.
func (p *pool) market(m nodegroups.Market, fitting map[nodegroups.Market]bool) (other bool, why string) {
	spot, onDemand := p.inMarket(nodegroups.Spot), p.inMarket(nodegroups.OnDemand)
	spotFits := p.spotFits(spot+1, spot+onDemand+1)
	wantSpot := fitting[nodegroups.Spot] && spotFits // which it does not while the base is open
	switch {
	case m == nodegroups.Spot && !spotFits:
		return true, fmt.Sprintf("pool %s has %d spot nodes of %d, with a base of %d on-demand and at most %.4g %% spot above it",
			p.Name, spot, spot+onDemand, p.OnDemandBase, 100*p.SpotMax)
	case m == nodegroups.OnDemand && wantSpot && !p.Fallback:
		return true, fmt.Sprintf("pool %s does not fall back to on-demand", p.Name)
	}
	return (m == nodegroups.Spot) != wantSpot, ""
}

// misfit is why a new node of the group would not take the pod; empty is that it would.
func (r *round) misfit(g *group, n *need) string {
	why := ""
	r.w.try(g, func(index int) {
		_, why = r.w.full.Fits(n.pod, r.w.full.Nodes()[index])
	})
	if why != "" {
		return "does not fit: " + why
	}
	return ""
}

// try adds a node of the group for the time of do.
func (w *world) try(g *group, do func(index int)) {
	real, full, nodes, templates := w.real.Checkpoint(), w.full.Checkpoint(), len(w.nodes), g.templates
	do(w.addTemplate(g, bought, "trial-"+g.Name, nil))
	w.real.Rollback(real)
	w.full.Rollback(full)
	w.nodes, g.templates = w.nodes[:nodes], templates
}

// price sets what each possible option costs for what it would hold of the waiting pods. Where all that could be taken are of
// one size, one in each zone of a pool, the price alone is enough; else all are divided by what they would hold, since only
// prices of one unit can be compared.
func (r *round) price(options []option, rest []*need) {
	taken := leading(options)
	var ahead []*pack.Pod
	divided := differ(taken)
	if divided {
		ahead = r.ahead(rest)
	}
	for i := range options {
		options[i].price = options[i].g.marginal()
	}
	for _, o := range taken {
		if divided {
			o.price /= r.holds(o.g, ahead)
		}
	}
	level(options)
}

// leading are the options that their pools may buy next: of those that are possible the ones that are paid for, or else of the
// market that is wanted, or else the others.
func leading(options []option) []*option {
	class := func(o *option) int {
		switch {
		case o.paid:
			return 0
		case !o.other:
			return 1
		}
		return 2
	}
	first := map[*pool]int{}
	for i := range options {
		o := &options[i]
		if least, seen := first[o.g.pool]; o.why == "" && (!seen || class(o) < least) {
			first[o.g.pool] = class(o)
		}
	}
	var out []*option
	for i := range options {
		if o := &options[i]; o.why == "" && class(o) == first[o.g.pool] {
			out = append(out, o)
		}
	}
	return out
}

// differ says whether options differ in what a node holds: by its size, or where a pool has several in a zone by anything.
func differ(options []*option) bool {
	type place struct {
		pool *pool
		zone string
	}
	seen := map[place]bool{}
	for _, o := range options {
		p := place{o.g.pool, o.g.Zone}
		if seen[p] || !sameSize(o.g, options[0].g) {
			return true
		}
		seen[p] = true
	}
	return false
}

func sameSize(a, b *group) bool {
	x, y := a.Template.Allocatable, b.Template.Allocatable
	return x.Cpu().Cmp(*y.Cpu()) == 0 && x.Memory().Cmp(*y.Memory()) == 0
}

// markDear marks the options that cost more, for what they would hold, than the balance of their pool's zones is worth.
func markDear(options []option) {
	type choice struct {
		pool  *pool
		paid  bool
		other bool
	}
	of := func(o *option) choice { return choice{o.g.pool, o.paid, o.other} }
	least := map[choice]float64{}
	for i := range options {
		o := &options[i]
		if have, seen := least[of(o)]; o.why == "" && (!seen || o.price < have) {
			least[of(o)] = o.price
		}
	}
	for i := range options {
		o := &options[i]
		o.dear = o.why == "" && o.price > least[of(o)]*(1+zonePremium)
	}
}

// level makes the prices of a market's groups in a zone one where they are nearly the same and their pool spreads launches:
// then the group with the fewest nodes is taken, failures and interruptions counting like nodes on top of each that it has.
func level(options []option) {
	type place struct {
		pool  *pool
		zone  string
		paid  bool
		other bool
	}
	least := map[place]float64{}
	for _, o := range options {
		p := place{o.g.pool, o.g.Zone, o.paid, o.other}
		if have, seen := least[p]; o.why == "" && (!seen || o.price < have) {
			least[p] = o.price
		}
	}
	for i := range options {
		o := &options[i]
		cheapest, any := least[place{o.g.pool, o.g.Zone, o.paid, o.other}]
		if any && o.why == "" && o.g.pool.PriceCapacity && o.price <= cheapest*(1+nearlySame) {
			o.price = cheapest
			o.rank = (o.g.staying() + 1) * (1 + o.g.RecentFailures + o.g.RecentInterruptions)
		}
	}
}

// holds is what the waiting pods that one new node would take are worth.
func (r *round) holds(g *group, ahead []*pack.Pod) float64 {
	sum := 0.0
	r.w.try(g, func(index int) {
		at := r.w.full.Nodes()[index]
		for _, p := range ahead {
			if fits, _ := r.w.full.Fits(p, at); fits {
				r.w.full.Assume(p, at)
				sum += r.worth.of(p)
			}
		}
	})
	return max(sum, 1e-9)
}

// ahead are the waiting pods that are tried on a new node. Of those spread over zones a zone's share is tried, without the
// constraint: as things stand a node may take one of them alone, and takes more as nodes of the other zones do.
func (r *round) ahead(rest []*need) []*pack.Pod {
	zones := map[string]bool{}
	for _, g := range r.w.groups {
		zones[g.Zone] = true
	}
	var out []*pack.Pod
	seen := map[string]int{}
	for _, n := range rest {
		if len(out) == lookAhead {
			break
		}
		p := n.pod
		if free := r.w.unspread(n); free != nil {
			seen[p.Class()]++
			if (seen[p.Class()]-1)%len(zones) != 0 {
				continue
			}
			p = free
		}
		out = append(out, p)
	}
	return out
}

// unspread is a pod without its constraints over zones; nil where it has none.
func (w *world) unspread(n *need) *pack.Pod {
	if len(n.pod.Spec.TopologySpreadConstraints) == 0 {
		return nil
	}
	if p, known := w.unspreads[n]; known {
		return p
	}
	copied := *n.pod.Pod
	copied.UID = ""
	copied.Name += "@anywhere"
	copied.Spec.TopologySpreadConstraints = slices.DeleteFunc(slices.Clone(copied.Spec.TopologySpreadConstraints), func(c corev1.TopologySpreadConstraint) bool {
		return c.TopologyKey == corev1.LabelTopologyZone
	})
	var out *pack.Pod
	if len(copied.Spec.TopologySpreadConstraints) < len(n.pod.Spec.TopologySpreadConstraints) {
		out, _ = pack.NewPod(&copied) // it was read once already
	}
	w.unspreads[n] = out
	return out
}

// inZoneOptions are the pool's groups of a zone, with no pod in mind.
func (p *pool) inZoneOptions(zone string) []option {
	both := map[nodegroups.Market]bool{}
	for _, g := range p.groups {
		if g.Zone == zone {
			both[g.Market] = true
		}
	}
	var out []option
	for _, g := range p.groups {
		if g.Zone != zone {
			continue
		}
		o := option{g: g, price: g.marginal()}
		o.other, o.why = p.market(g.Market, both)
		o.prepay()
		if o.why == "" {
			o.why = g.limit()
		}
		out = append(out, o)
	}
	level(out)
	return out
}
