package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"swell/nodegroups"
	"swell/scaler/pack"
)

// seller decides which nodes go.
type seller struct {
	r         *round
	busy      map[int]bool      // nodes that a waiting pod was just given
	buying    map[poolZone]bool // where this plan launches
	budget    map[poolZone]int  // nodes that may still start to drain
	up        map[*group]int    // nodes that are up and stay
	evictions *evictions
	kept      []Kept
}

// empty is a node that could go.
type empty struct {
	index    int
	used     int64
	pods     []*pack.Pod // those that move
	balloons int
	since    time.Time
}

// sell returns the nodes that nobody has needed for long enough. Each one that goes is taken out of the snapshot
// before the next is looked at, so that no two count on each other's room.
func (r *round) sell(launches []Launch, m Memory) ([]Termination, []Kept, Memory) {
	s := seller{r: r, busy: map[int]bool{}, up: map[*group]int{}, buying: map[poolZone]bool{}, budget: r.budgets(), evictions: newEvictions(r.w.budgets)}
	for n, index := range r.at {
		if n.balloon == nil {
			s.busy[index] = true
		}
	}
	for _, l := range launches {
		s.buying[poolZone{l.Pool, l.Zone}] = true
	}
	for _, l := range r.w.leaving {
		for _, n := range l.needs {
			s.evictions.take([]*pack.Pod{n.pod})
		}
		s.evictions.take(l.ends)
	}
	for _, st := range r.w.nodes {
		if st.kind == ready && st.group != nil {
			s.up[st.group]++
		}
	}
	unneeded := s.unneeded(m)
	next := Memory{UnneededSince: map[string]time.Time{}}
	var due []empty
	for _, e := range unneeded {
		st := r.w.nodes[e.index]
		next.UnneededSince[st.name] = e.since
		if after := st.group.pool.ScaleInAfter; r.w.now.Sub(e.since) < after {
			s.keep(e.index, fmt.Sprintf("unneeded since %s, and it goes after %s of that", e.since.UTC().Format("15:04:05"), after))
			continue
		}
		due = append(due, e)
	}
	if r.w.stale != "" {
		// What was not seen is not known to have lasted.
		clear(next.UnneededSince)
	}
	if len(due) == 0 {
		return nil, s.kept, next
	}
	s.placeSoon()
	return s.pick(due), s.kept, next
}

func (s *seller) keep(index int, why string) {
	st := s.r.w.nodes[index]
	s.kept = append(s.kept, Kept{Node: st.name, Group: st.group.Name, Pool: st.group.Pool, Reason: why})
}

// unneeded are the nodes whose pods and balloons all fit elsewhere, each looked at for itself.
func (s *seller) unneeded(m Memory) []empty {
	var out []empty
	for index, st := range s.r.w.nodes[:s.r.w.baseNodes] {
		if st.cordoned && st.group != nil {
			s.keep(index, "it is cordoned, by another hand than swell's; uncordon it, or drain and terminate it")
		}
		if st.kind != ready || st.group == nil {
			continue
		}
		e, slack := s.slack(index)
		if !slack {
			continue
		}
		if why := s.needed(e); why != "" {
			s.keep(index, why)
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

// slack says whether little enough is on a node that it might go.
func (s *seller) slack(index int) (empty, bool) {
	e := empty{index: index}
	at := s.r.w.real.Nodes()[index]
	var cpu, memory int64
	for _, p := range at.Pods() {
		if !moves(p) {
			continue
		}
		e.pods = append(e.pods, p)
		c, m := p.Requests()
		cpu, memory = cpu+c, memory+m
	}
	e.balloons = len(s.r.balloonsOn(index))
	allCPU, allMemory := at.Allocatable()
	e.used = max(share(cpu, allCPU), share(memory, allMemory))
	p := s.r.w.nodes[index].group.pool
	return e, p.Consolidate || len(e.pods) == 0 || float64(e.used) < 1000*p.ScaleInBelow
}

// needed is why a node with slack is needed after all.
func (s *seller) needed(e empty) string {
	if why := s.nodeStays(e.index); why != "" {
		return why
	}
	if s.busy[e.index] {
		return "a pod that waits was just given a place on it"
	}
	for _, p := range e.pods {
		if why := s.podStays(p); why != "" {
			return "pod " + p.Key() + ": " + why
		}
	}
	if !s.vacate(e.index, false) {
		return "what is on it has no place on other nodes that are up"
	}
	return ""
}

// placeSoon gives a place to the balloons that will be wanted before a node that goes now could be had again, so that none
// goes that they need.
func (s *seller) placeSoon() {
	w := s.r.w
	for _, d := range w.demands {
		if d.Pod == nil && d.SoonPod == nil || d.Soon <= d.Want {
			continue
		}
		for _, n := range w.soon(d) {
			at := w.full.Find(n.pod, w.up)
			if at == nil {
				at = w.full.Find(n.pod, w.comingFor(n.pod))
			}
			if at == nil {
				break // they are alike: no node that is there is room for more of them
			}
			w.full.Assume(n.pod, at)
		}
	}
}

// soon makes up the balloons that are wanted soon and not now.
func (w *world) soon(d *demand) []*need {
	like := *d
	like.Pod = cmp.Or(d.Pod, d.SoonPod)
	out := w.virtual(&like, d.Soon-d.Want)
	for _, n := range out {
		n.pod.Name += "-soon"
		n.pod.UID += "-soon"
	}
	return out
}

// moves says whether a pod goes elsewhere when its node goes.
func moves(p *pack.Pod) bool {
	return p.DeletionTimestamp == nil && !isDaemon(p.Pod) && !isStatic(p.Pod)
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

// pick takes the due nodes one after the other.
func (s *seller) pick(due []empty) []Termination {
	var out []Termination
	for len(due) > 0 {
		slices.SortFunc(due, s.compare)
		e := due[0]
		due = due[1:]
		st := s.r.w.nodes[e.index]
		if why := s.spared(e); why != "" {
			s.keep(e.index, why)
			continue
		}
		s.budget[st.group.poolZone()]--
		s.evictions.take(e.pods)
		st.group.sold++
		s.up[st.group]--
		out = append(out, Termination{Node: st.name, InstanceID: st.instance.ID, Group: st.group.Name, Pool: st.group.Pool, DrainTimeout: st.group.pool.DrainTimeout, Placed: true,
			Reason: fmt.Sprintf("unneeded for %s: its pods use %.1f %% of it, and its %d pods and %d balloons fit on other nodes",
				s.r.w.now.Sub(e.since).Round(time.Second), float64(e.used)/10, len(e.pods), e.balloons)})
	}
	return out
}

// spared is why a node that is due stays; where it does not, what is on it has been moved.
func (s *seller) spared(e empty) string {
	st := s.r.w.nodes[e.index]
	key := st.group.poolZone()
	switch {
	case s.buying[key]:
		return "nodes are bought in its zone"
	case s.budget[key] <= 0:
		return "as many nodes of its zone drain as scaleIn.maxUnavailablePerZone allows"
	}
	if why := s.floor(st); why != "" {
		return why
	}
	if why := s.evictions.refuses(e.pods); why != "" {
		return why
	}
	if !s.vacate(e.index, true) {
		return "its place is needed for what other nodes hold that go, or for balloons that are wanted soon"
	}
	return ""
}

// compare is the order in which nodes go: last those that are not really returned, which take no eviction and no room from the
// others; of the rest those of a market that the pool has too much of, old images, the dearest (what is paid for anyhow last),
// then the emptiest and those unneeded for longest.
func (s *seller) compare(a, b empty) int {
	x, y := s.r.w.nodes[a.index], s.r.w.nodes[b.index]
	return cmp.Or(compareBool(!x.group.pool.sells(), !y.group.pool.sells()), compareBool(!spareMarket(x.group), !spareMarket(y.group)),
		compareBool(!x.instance.Outdated, !y.instance.Outdated),
		cmp.Compare(y.group.saved(), x.group.saved()), cmp.Compare(a.used, b.used), a.since.Compare(b.since), strings.Compare(x.name, y.name))
}

// spareMarket says whether the pool has more of the group's market than its policy asks for first.
func spareMarket(g *group) bool {
	spot, onDemand := g.pool.inMarket(nodegroups.Spot), g.pool.inMarket(nodegroups.OnDemand)
	if g.total() <= g.Prepaid {
		return false
	}
	if g.Market == nodegroups.Spot {
		return !g.pool.spotFits(spot, spot+onDemand)
	}
	return onDemand > g.pool.OnDemandBase && g.pool.spotFits(spot, spot+onDemand-1)
}

// floor is which floor forbids that a node goes; empty is none. What is on its way holds no floor: it may never come.
func (s *seller) floor(st *node) string {
	g, p := st.group, st.group.pool
	if g.sure() <= g.Min {
		return fmt.Sprintf("its group has its minimum of %d", g.Min)
	}
	inZone, onDemand := 0, 0
	for _, h := range p.groups {
		if h.Zone == g.Zone {
			inZone += s.up[h]
		}
		if h.Market == nodegroups.OnDemand {
			onDemand += s.up[h]
		}
	}
	if floor, why := p.floor(s.r.w.now, g.Zone); inZone <= floor {
		return fmt.Sprintf("zone %s has no more nodes up than the %d that %s asks for", g.Zone, floor, why)
	}
	if g.Market == nodegroups.Spot {
		return ""
	}
	spot := p.inMarket(nodegroups.Spot)
	switch {
	case onDemand <= p.OnDemandBase:
		return fmt.Sprintf("it is one of the on-demand base of %d", p.OnDemandBase)
	case !p.spotFits(spot, spot+onDemand-1):
		return fmt.Sprintf("without it more than %.4g %% of the nodes above the base would be spot", 100*p.SpotMax)
	}
	return ""
}

// budgets are how many nodes of each pool's zones may start to drain, those that drain already counted.
func (r *round) budgets() map[poolZone]int {
	out := r.unavailable()
	for _, l := range r.w.leaving {
		if l.group != nil {
			out[l.group.poolZone()]--
		}
	}
	return out
}

// unavailable is how many nodes of each pool's zones may drain at a time.
func (r *round) unavailable() map[poolZone]int {
	out, nodes := map[poolZone]int{}, map[poolZone]int{}
	share := map[poolZone]float64{}
	for _, g := range r.w.groups {
		key := g.poolZone()
		nodes[key] += g.alive
		share[key] = g.pool.MaxUnavailable
	}
	for key, n := range nodes {
		if share[key] > 0 {
			out[key] = max(1, int(share[key]*float64(n)+1e-9))
		}
	}
	return out
}
