package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/nodegroups"
	"swell/scaler/pack"
)

// protections are annotations by which a pod forbids that its node is emptied.
var protections = map[string]string{
	"cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
	"karpenter.sh/do-not-disrupt":                    "true",
	"capacity.swell/do-not-disrupt":                  "true",
}

// seller decides which nodes go.
type seller struct {
	r      *round
	busy   map[int]bool    // nodes that a waiting pod was just given
	buying map[string]bool // pool/zone where this plan launches
	budget map[string]int  // pool/zone: nodes that may still start to drain
}

// empty is a node that could go.
type empty struct {
	index          int
	used           int64
	pods, balloons int
	since          time.Time
}

// sell returns the nodes that nobody has needed for long enough. Each one that goes is taken out of the snapshot
// before the next is looked at, so that no two count on each other's room.
func (r *round) sell(launches []Launch, m Memory) ([]Termination, Memory) {
	s := seller{r: r, busy: map[int]bool{}, buying: map[string]bool{}, budget: r.budgets()}
	for n, index := range r.at {
		if n.balloon == nil {
			s.busy[index] = true
		}
	}
	for _, l := range launches {
		s.buying[l.Pool+"/"+l.Zone] = true
	}
	unneeded := s.unneeded(m)
	next := Memory{UnneededSince: map[string]time.Time{}}
	var due []empty
	for _, e := range unneeded {
		st := r.w.nodes[e.index]
		next.UnneededSince[st.name] = e.since
		if r.w.now.Sub(e.since) >= st.group.pool.ScaleInAfter {
			due = append(due, e)
		}
	}
	if r.w.stale != "" {
		// What was not seen is not known to have lasted.
		clear(next.UnneededSince)
	}
	return s.pick(due), next
}

// unneeded are the nodes whose pods and balloons all fit elsewhere, each looked at for itself.
func (s *seller) unneeded(m Memory) []empty {
	var out []empty
	for index, st := range s.r.w.nodes[:s.r.w.baseNodes] {
		if st.kind != ready || st.group == nil || s.busy[index] {
			continue
		}
		e, ok := s.slack(index)
		if !ok || !s.vacate(index, false) {
			continue
		}
		e.since = s.r.w.now
		if t, known := m.UnneededSince[st.name]; known && t.Before(e.since) {
			e.since = t
		}
		out = append(out, e)
	}
	return out
}

// slack says whether little enough is on a node, and nothing that must stay.
func (s *seller) slack(index int) (empty, bool) {
	e := empty{index: index}
	at := s.r.w.real.Nodes()[index]
	var cpu, memory int64
	for _, p := range at.Pods() {
		if !moves(p) {
			continue
		}
		if mustStay(p) {
			return e, false
		}
		e.pods++
		c, m := p.Requests()
		cpu, memory = cpu+c, memory+m
	}
	e.balloons = len(s.r.held(index))
	allCPU, allMemory := at.Allocatable()
	e.used = max(share(cpu, allCPU), share(memory, allMemory))
	return e, float64(e.used) < 1000*s.r.w.nodes[index].group.pool.ScaleInBelow || e.pods == 0
}

// moves says whether a pod goes elsewhere when its node goes.
func moves(p *pack.Pod) bool {
	return p.DeletionTimestamp == nil && !isDaemon(p.Pod) && !isStatic(p.Pod)
}

func mustStay(p *pack.Pod) bool {
	for name, value := range protections {
		if p.Annotations[name] == value {
			return true
		}
	}
	return metav1.GetControllerOf(p.Pod) == nil || p.Refused() != ""
}

// vacate moves everything off a node onto nodes that are up, without a launch, and says whether that can be done.
// It is taken back unless keep is set and it could be done.
func (s *seller) vacate(index int, keep bool) (ok bool) {
	w := s.r.w
	st := w.nodes[index]
	real, full := w.real.Checkpoint(), w.full.Checkpoint()
	st.kind = closed
	defer func() {
		if !ok || !keep {
			w.real.Rollback(real)
			w.full.Rollback(full)
			st.kind = ready
		}
	}()
	pods, homeless := s.lift(index)
	for _, p := range pods {
		if at := w.full.Find(p, w.up); at != nil {
			w.assume(p, at.Index())
			continue
		}
		at := w.real.Find(p, func(n *pack.Node) (int64, bool) {
			if w.nodes[n.Index()].kind != ready {
				return 0, false
			}
			return s.r.cost(p, n.Index())
		})
		if at == nil {
			return false
		}
		victims, fits := s.r.yield(p, at.Index())
		if !fits {
			return false
		}
		w.assume(p, at.Index())
		for _, b := range victims {
			homeless = append(homeless, b.pod)
		}
	}
	for _, b := range homeless {
		at := w.full.Find(b, w.up)
		if at == nil {
			return false
		}
		w.full.Assume(b, at)
	}
	return true
}

// lift takes what moves off a node.
func (s *seller) lift(index int) (pods, balloons []*pack.Pod) {
	w := s.r.w
	for _, p := range slices.Clone(w.full.Nodes()[index].Pods()) {
		switch {
		case p.Labels[BalloonLabel] != "":
			balloons = append(balloons, p)
		case moves(p):
			pods = append(pods, p)
			w.real.Remove(p)
		default:
			continue
		}
		w.full.Remove(p)
	}
	byKey := func(a, b *pack.Pod) int { return strings.Compare(a.Key(), b.Key()) }
	slices.SortFunc(pods, func(a, b *pack.Pod) int { return cmp.Or(cmp.Compare(priority(b.Pod), priority(a.Pod)), byKey(a, b)) })
	slices.SortFunc(balloons, byKey)
	return pods, balloons
}

// pick takes the due nodes one after the other: the emptiest first, then what the purchase policy can spare, then the dearest.
func (s *seller) pick(due []empty) []Termination {
	var out []Termination
	for len(due) > 0 {
		slices.SortFunc(due, s.compare)
		e := due[0]
		due = due[1:]
		st := s.r.w.nodes[e.index]
		key := st.group.Pool + "/" + st.zone
		if s.buying[key] || s.budget[key] <= 0 || !s.spare(st) || !s.vacate(e.index, true) {
			continue
		}
		s.budget[key]--
		st.group.sold++
		out = append(out, Termination{Node: st.name, InstanceID: st.instance.ID, Group: st.group.Name, Pool: st.group.Pool, DrainTimeout: st.group.pool.DrainTimeout, Placed: true,
			Reason: fmt.Sprintf("unneeded for %s: its pods use %.1f %% of it, and its %d pods and %d balloons fit on other nodes",
				s.r.w.now.Sub(e.since).Round(time.Second), float64(e.used)/10, e.pods, e.balloons)})
	}
	return out
}

func (s *seller) compare(a, b empty) int {
	x, y := s.r.w.nodes[a.index], s.r.w.nodes[b.index]
	return cmp.Or(cmp.Compare(a.used, b.used), compareBool(!spareMarket(x.group), !spareMarket(y.group)),
		cmp.Compare(y.group.HourlyPrice, x.group.HourlyPrice), strings.Compare(x.name, y.name))
}

// spareMarket says whether the pool has more of the group's market than its policy asks for first.
func spareMarket(g *group) bool {
	spot, onDemand := g.pool.inMarket(nodegroups.Spot), g.pool.inMarket(nodegroups.OnDemand)
	if g.Market == nodegroups.Spot {
		return !g.pool.spotFits(spot, spot+onDemand)
	}
	return onDemand > g.pool.OnDemandBase && g.pool.spotFits(spot, spot+onDemand-1)
}

// spare says whether the floors allow that a node goes.
func (s *seller) spare(st *node) bool {
	g, p := st.group, st.group.pool
	if min(g.alive, g.Desired)-g.sold-g.leaving <= g.Min {
		return false
	}
	if floor, _ := p.floor(s.r.w.now, g.Zone); p.inZone(g.Zone) <= floor {
		return false
	}
	if g.Market == nodegroups.Spot {
		return true
	}
	spot, onDemand := p.inMarket(nodegroups.Spot), p.inMarket(nodegroups.OnDemand)
	return onDemand > p.OnDemandBase && p.spotFits(spot, spot+onDemand-1)
}

// budgets are how many nodes of each pool's zones may start to drain, those that drain already counted.
func (r *round) budgets() map[string]int {
	out, nodes := map[string]int{}, map[string]int{}
	share := map[string]float64{}
	for _, g := range r.w.groups {
		key := g.Pool + "/" + g.Zone
		nodes[key] += g.alive
		share[key] = g.pool.MaxUnavailable
	}
	for _, key := range slices.Sorted(maps.Keys(nodes)) {
		out[key] = max(1, int(share[key]*float64(nodes[key])+1e-9))
	}
	for _, l := range r.w.leaving {
		if l.group != nil {
			out[l.group.Pool+"/"+l.group.Zone]--
		}
	}
	return out
}
