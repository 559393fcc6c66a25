package plan

import (
	"cmp"
	"slices"
	"strings"
)

const (
	// improveWork bounds the improvement of one plan: packings tried, times the pods and balloons that wait.
	improveWork = 5_000
	// mostTries bounds the packings tried where little waits.
	mostTries = 200
	// mostImproved is how much may wait for a plan to be improved: of many nodes bought greedily few are not as they should be.
	mostImproved = 500
	// nearlySame is how much dearer a group may be that a launch is spread over.
	nearlySame = 0.1
)

// move replaces some of the nodes that were bought by cheaper ones, in the same pool, zone and market.
type move struct {
	out, in []*group
	saves   float64
}

// improve looks for a cheaper set of launches that places as much: nodes dropped, and few replaced by few. What greedy
// buying cannot see is that its first nodes need not be as they are once the last are known.
func (w *world) improve(r *round) *round {
	waiting := 0
	for _, l := range r.load {
		waiting += l.pods + l.balloons
	}
	if waiting > mostImproved {
		return r
	}
	tries := min(mostTries, improveWork/max(1, waiting))
	best, list, dirty := r, r.bought, false
	for {
		found := false
		for _, m := range w.moves(list) {
			tried := m.apply(list)
			if tries == 0 {
				break
			}
			dirty = true // from here on the packers are not as the best round left them
			if !w.may(tried, list) {
				continue
			}
			tries--
			s := w.pack(tried)
			if len(s.buy()) > 0 || len(s.unplaced) > len(best.unplaced) {
				continue
			}
			best, list, dirty, found = s, s.bought, false, true
			break
		}
		if !found {
			break
		}
	}
	if dirty {
		best = w.pack(list)
		best.buy()
	}
	return best
}

// moves are those that save, the most first.
func (w *world) moves(list []purchase) []move {
	type place struct {
		pool   *pool
		zone   string
		market string
	}
	count := map[*group]int{}
	for _, b := range list {
		if b.floor == "" {
			count[b.group]++
		}
	}
	rivals := map[place][]*group{}
	for _, g := range w.groups {
		if g.HourlyPrice > 0 && g.broken == "" && g.unavailable == "" {
			p := place{g.pool, g.Zone, string(g.Market)}
			rivals[p] = append(rivals[p], g)
		}
	}
	var out []move
	for _, p := range sortedPlaces(rivals, func(a, b place) int {
		return cmp.Or(strings.Compare(a.pool.Name, b.pool.Name), strings.Compare(a.zone, b.zone), strings.Compare(a.market, b.market))
	}) {
		out = append(out, movesAmong(rivals[p], count)...)
	}
	slices.SortStableFunc(out, func(a, b move) int { return cmp.Compare(b.saves, a.saves) })
	return out
}

func sortedPlaces[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compare)
	return keys
}

// mostMerged is how many nodes of one group are tried to be replaced by one.
const mostMerged = 4

func movesAmong(groups []*group, count map[*group]int) []move {
	var out []move
	add := func(least float64, gone, come []*group) {
		m := move{out: gone, in: come}
		for _, g := range gone {
			m.saves += g.HourlyPrice
		}
		least *= m.saves
		for _, g := range come {
			m.saves -= g.HourlyPrice
		}
		if m.saves > least+1e-9 {
			out = append(out, m)
		}
	}
	for i, g := range groups {
		if count[g] == 0 || g.total() <= g.Prepaid {
			continue
		}
		add(0, []*group{g}, nil)
		for j, h := range groups {
			swap := 0.0
			if g.pool.PriceCapacity { // the launch was spread over groups that cost nearly the same
				swap = nearlySame
			}
			add(swap, []*group{g}, []*group{h})
			for _, k := range groups[j:] {
				add(0, []*group{g}, []*group{h, k})
			}
			for n := 2; n <= min(mostMerged, count[g]); n++ {
				add(0, slices.Repeat([]*group{g}, n), []*group{h})
			}
			for _, k := range groups[i+1:] {
				if count[k] > 0 {
					add(0, []*group{g, k}, []*group{h})
				}
			}
		}
	}
	return out
}

// apply gives the purchases after the move.
func (m move) apply(list []purchase) []purchase {
	out := slices.Clone(list)
	var rejected []Alternative
	for _, g := range m.out {
		i := slices.IndexFunc(out, func(b purchase) bool { return b.group == g && b.floor == "" })
		rejected = out[i].rejected
		out = slices.Delete(out, i, i+1)
	}
	for _, g := range m.in {
		others := []Alternative{}
		for _, a := range rejected {
			if a.Group != g.Name {
				others = append(others, a)
			}
		}
		for _, h := range m.out {
			if h != g && !slices.ContainsFunc(others, func(a Alternative) bool { return a.Group == h.Name }) {
				others = append(others, Alternative{h.Name, "dearer for all that waits, with the other nodes that are bought"})
			}
		}
		slices.SortFunc(others, func(a, b Alternative) int { return strings.Compare(a.Group, b.Group) })
		out = append(out, purchase{group: g, rejected: others})
	}
	return out
}

// may says whether the limits allow the purchases, and the share of spot nodes is kept as well as by those before.
func (w *world) may(list, before []purchase) bool {
	w.reset()
	defer w.reset()
	spot := func(of []purchase) (ok map[*pool]bool, within bool) {
		ok = map[*pool]bool{}
		for _, g := range w.groups {
			g.bought = 0
		}
		for _, b := range of {
			if b.group.limit() != "" {
				return nil, false
			}
			b.group.bought++
		}
		for _, p := range w.pools {
			n, m := p.inMarket("spot"), p.inMarket("on-demand")
			ok[p] = p.spotFits(n, n+m) && m >= min(p.OnDemandBase, m+n)
		}
		return ok, true
	}
	was, _ := spot(before)
	is, within := spot(list)
	if !within {
		return false
	}
	for _, p := range w.pools {
		if was[p] && !is[p] {
			return false
		}
	}
	return true
}
