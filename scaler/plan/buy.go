package plan

import (
	"cmp"
	"fmt"
	"slices"

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
// filled the only nodes that they can use, then those that mind where others are, and then the large ones, since small ones fill
// what they leave.
func (r *round) placeWaiting() {
	waiting := r.unplaced
	r.unplaced = nil
	slices.SortStableFunc(waiting, func(a, b *need) int {
		return cmp.Or(cmp.Compare(priority(b.pod.Pod), priority(a.pod.Pod)), compareBool(a.promised, b.promised),
			cmp.Compare(r.w.takers(a.pod), r.w.takers(b.pod)), compareBool(!minds(a.pod), !minds(b.pod)), cmp.Compare(even.of(b.pod), even.of(a.pod)))
	})
	for _, n := range waiting {
		if !r.placeComing(n) {
			r.unplaced = append(r.unplaced, n)
		}
	}
}

// takers is how many groups' new nodes would take the pod if no other pod were in its way. Where the plan sets others does not
// matter, so that one answer for a class is good for the whole plan.
func (w *world) takers(p *pack.Pod) int {
	n, known := w.takersOf[p.Class()]
	if known {
		return n
	}
	for _, g := range w.groups {
		w.try(g, func(index int) {
			if w.full.FitsAlone(p, w.full.Nodes()[index]) {
				n++
			}
		})
	}
	w.takersOf[p.Class()] = n
	return n
}

// minds says whether a pod's place depends on where other pods are.
func minds(p *pack.Pod) bool {
	a := p.Spec.Affinity
	return len(p.Spec.TopologySpreadConstraints) > 0 || a != nil && (a.PodAffinity != nil || a.PodAntiAffinity != nil)
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
		if (g == nil || g.pool.observes != "") && r.placeShown(n) {
			continue
		}
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
			out = append(out, purchase{group: g, node: r.w.buy(g), floor: fmt.Sprintf("the group's minimum of %d", g.Min)})
		}
	}
	for _, p := range r.w.pools {
		for _, zone := range p.zones(r.w.now) {
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
		out = append(out, purchase{group: g, floor: fmt.Sprintf("%s of %d in %s", name, want, zone), rejected: alternatives(options, &options[0], map[*pool]*option{p: &options[0]}), node: r.w.buy(g)})
	}
	return out
}

func firstReason(options []option) string {
	if len(options) == 0 {
		return "it has no group there"
	}
	return options[0].g.Name + ": " + options[0].why
}
