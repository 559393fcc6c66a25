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

// purchase is one instance to be launched.
type purchase struct {
	group    *group
	node     int    // its index in this round
	floor    string // what it is bought for beside pods; empty is pods alone
	rejected []Alternative
}

// lookAhead is how many of the pods that wait are tried on a node to see what it would hold.
const lookAhead = 200

// placeWaiting gives what has no room on nodes that are up room on those that are on their way, and leaves the others in the
// order in which nodes are bought for them: within a priority those first that the fewest groups take, or others would have
// filled the only nodes that they can use, and then the large ones, since small ones fill what they leave.
func (r *round) placeWaiting() {
	waiting := r.unplaced
	r.unplaced = nil
	slices.SortStableFunc(waiting, func(a, b *need) int {
		return cmp.Or(cmp.Compare(priority(b.pod.Pod), priority(a.pod.Pod)), compareBool(a.promised, b.promised),
			cmp.Compare(r.w.takers(a.pod), r.w.takers(b.pod)), cmp.Compare(weight(b.pod), weight(a.pod)))
	})
	for _, n := range waiting {
		if !r.placeComing(n) {
			r.unplaced = append(r.unplaced, n)
		}
	}
}

// takers is how many groups' nodes take the pod while they hold nothing but daemons; one that is kept apart from others, or
// spread, comes before those that are not.
func (w *world) takers(p *pack.Pod) int {
	n, known := w.takersOf[p.Class()]
	if known {
		return n
	}
	for _, g := range w.groups {
		w.try(g, func(index int) {
			if fits, _ := w.full.Fits(p, w.full.Nodes()[index]); fits {
				n += 2
			}
		})
	}
	if len(p.Spec.TopologySpreadConstraints) == 0 && (p.Spec.Affinity == nil || p.Spec.Affinity.PodAffinity == nil && p.Spec.Affinity.PodAntiAffinity == nil) {
		n++
	}
	w.takersOf[p.Class()] = n
	return n
}

// weight is a pod's requests in thousandths of a core, 4 GiB counting as one core.
func weight(p *pack.Pod) int64 {
	cpu, memory := p.Requests()
	return max(1, cpu+memory>>22)
}

// buy opens nodes for what has no place, real pods first, and then for the floors of zones and groups. What is
// left in unplaced has no group that can take it.
func (r *round) buy() []purchase {
	type verdict struct {
		bought int
		why    []Alternative
	}
	hopeless := map[string]verdict{}
	var out []purchase
	var left []*need
	r.value(r.unplaced)
	for i, n := range r.unplaced {
		if r.placeComing(n) {
			continue
		}
		if v, seen := hopeless[n.pod.Class()]; seen && v.bought == len(out) {
			r.why[n], left = v.why, append(left, n)
			continue
		}
		g, why := r.choose(n, r.unplaced[i:])
		if g == nil {
			hopeless[n.pod.Class()] = verdict{len(out), why}
			r.why[n], left = why, append(left, n)
			continue
		}
		node := r.w.buy(g)
		out = append(out, purchase{group: g, node: node, rejected: why})
		r.assume(n, node)
	}
	r.unplaced = left
	return append(out, r.floors()...)
}

// buy adds one more node of a group.
func (w *world) buy(g *group) int {
	g.bought++
	return w.addTemplate(g, bought, fmt.Sprintf("new-%s-%d", g.Name, g.bought), nil)
}

// option is a group looked at for one pod.
type option struct {
	g     *group
	why   string // why not; empty is possible
	paid  bool   // for anyhow
	other bool   // not of the market that the pool wants next
	zone  int    // nodes that the pool has in its zone
	price float64
	rank  int // among those of nearly one price; the least is taken
}

// choose finds the group that a new node for the pod is bought in, and says of each other group why not.
func (r *round) choose(n *need, rest []*need) (*group, []Alternative) {
	if why := r.w.refusal(n); why != "" {
		return nil, []Alternative{{Reason: why}}
	}
	options := make([]option, 0, len(r.w.groups))
	fitting := map[*pool]map[nodegroups.Market]bool{}
	for _, g := range r.w.groups {
		o := option{g: g, zone: g.pool.inZone(g.Zone), why: r.misfit(g, n)}
		if o.why == "" {
			if fitting[g.pool] == nil {
				fitting[g.pool] = map[nodegroups.Market]bool{}
			}
			fitting[g.pool][g.Market] = true
		}
		options = append(options, o)
	}
	for i := range options {
		o := &options[i]
		if o.why == "" {
			o.other, o.why = o.g.pool.market(o.g.Market, fitting[o.g.pool])
			o.prepay()
		}
		if limit := o.g.limit(); o.why == "" && limit != "" {
			o.why = limit
		}
	}
	r.price(options, rest)
	slices.SortFunc(options, compareOptions)
	if len(options) == 0 || options[0].why != "" {
		return nil, alternatives(options, nil)
	}
	return options[0].g, alternatives(options[1:], &options[0])
}

func compareOptions(a, b option) int {
	return cmp.Or(compareBool(a.why != "", b.why != ""), compareBool(!a.paid, !b.paid), compareBool(a.other, b.other), cmp.Compare(a.zone, b.zone),
		cmp.Compare(a.price, b.price), cmp.Compare(a.rank, b.rank), strings.Compare(a.g.Name, b.g.Name))
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

func alternatives(options []option, chosen *option) []Alternative {
	var out []Alternative
	for _, o := range options {
		why := o.why
		switch {
		case why != "":
		case chosen.paid && !o.paid:
			why = fmt.Sprintf("%s has on-demand instances that are paid for anyhow", chosen.g.Name)
		case o.other:
			why = fmt.Sprintf("%s, and %s can be had", o.g.Market, chosen.g.Market)
		case o.zone > chosen.zone:
			why = fmt.Sprintf("zone %s has %d nodes, %s has %d", o.g.Zone, o.zone, chosen.g.Zone, chosen.zone)
		case o.price > chosen.price:
			why = fmt.Sprintf("dearer for what it would hold, at %.4g an hour", o.g.HourlyPrice)
		case o.rank > chosen.rank:
			why = "costs nearly the same, and the launch is spread over such groups"
		default:
			why = "as good, and later by name"
		}
		out = append(out, Alternative{o.g.Name, why})
	}
	slices.SortFunc(out, func(a, b Alternative) int { return strings.Compare(a.Group, b.Group) })
	return out
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

// price sets what each possible option costs for what it would hold of the waiting pods. Where there is no
// choice within the zone and market, the price alone is enough.
func (r *round) price(options []option, rest []*need) {
	type place struct {
		other bool
		zone  string
	}
	rivals := map[place]int{}
	for _, o := range options {
		if o.why == "" {
			rivals[place{o.other, o.g.Zone}]++
		}
	}
	var ahead []*pack.Pod
	for i := range options {
		o := &options[i]
		o.price = o.g.marginal()
		switch {
		case o.why == "" && rivals[place{o.other, o.g.Zone}] > 1:
			if ahead == nil {
				ahead = r.ahead(rest)
			}
			o.price /= r.holds(o.g, ahead)
		}
	}
	level(options)
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
	held := 0.0
	r.w.try(g, func(index int) {
		at := r.w.full.Nodes()[index]
		for _, p := range ahead {
			if fits, _ := r.w.full.Fits(p, at); fits {
				r.w.full.Assume(p, at)
				held += r.worth.of(p)
			}
		}
	})
	return max(held, 1e-9)
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

// refusal is why a pod cannot be planned for at all.
func (w *world) refusal(n *need) string {
	if why := n.pod.Refused(); why != "" {
		return why
	}
	if len(w.groups) == 0 {
		return "there is no group to launch in"
	}
	return ""
}

// floors buys what zones and groups are to have at least.
func (r *round) floors() []purchase {
	r.problems = nil
	var out []purchase
	for _, g := range r.w.groups {
		for g.fewest() && g.stay() < g.Min {
			if why := g.limit(); why != "" {
				r.problems = append(r.problems, Problem{"group " + g.Name, fmt.Sprintf("has %d of at least %d instances: %s", g.stay(), g.Min, why), "lift the limit or lower the group's minimum"})
				break
			}
			out = append(out, purchase{group: g, floor: fmt.Sprintf("the group's minimum of %d", g.Min)})
			r.w.buy(g)
		}
	}
	for _, p := range r.w.pools {
		for _, zone := range p.zones() {
			out = append(out, r.zoneFloor(p, zone)...)
		}
	}
	return out
}

// fewest says whether no other zone of the Auto Scaling group that can take one more has fewer nodes.
func (g *group) fewest() bool {
	for _, h := range g.sharing {
		if h != g && h.limit() == "" && h.staying() < g.staying() {
			return false
		}
	}
	return true
}

func (r *round) zoneFloor(p *pool, zone string) []purchase {
	var out []purchase
	want, name := p.floor(r.w.now, zone)
	for have := p.inZone(zone); have < want; have++ {
		options := p.inZoneOptions(zone)
		slices.SortFunc(options, compareOptions)
		if len(options) == 0 || options[0].why != "" {
			r.problems = append(r.problems, Problem{"pool " + p.Name, fmt.Sprintf("has %d of at least %d nodes (%s) in %s: %s", have, want, name, zone, firstReason(options)),
				"lift the limit, or lower what is asked for"})
			break
		}
		g := options[0].g
		out = append(out, purchase{group: g, floor: fmt.Sprintf("%s of %d in %s", name, want, zone), rejected: alternatives(options[1:], &options[0])})
		r.w.buy(g)
	}
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

func firstReason(options []option) string {
	if len(options) == 0 {
		return "it has no group there"
	}
	return options[0].g.Name + ": " + options[0].why
}
