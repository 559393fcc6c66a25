package plan

import (
	"math"

	"swell/scaler/pack"
)

// round is one packing of everything, with what was bought so far counted as on its way.
type round struct {
	w        *world
	bought   []purchase
	at       map[*need]int     // index of the node that a need was given
	full     map[string]uint64 // classes without a place on nodes that are up, with their chances then
	load     map[int]load      // of nodes that are not up yet
	unplaced []*need           // real pods, then balloons
	why      map[*need][]Alternative
	popped   []popped
	creates  []BalloonChange
	deletes  []dropped
	alive    map[*demand]int // balloons that exist and were not popped or deleted
	problems []Problem
	worth    worth
	crowded  []*balloon // balloons that the scheduler will put out for pods of leaving nodes
}

// load counts what needs a node.
type load struct{ pods, balloons int }

// pack places real pods, lets balloons give way, sizes them and places them.
func (w *world) pack(bought []purchase) *round {
	w.reset()
	r := &round{w: w, at: map[*need]int{}, full: map[string]uint64{}, load: map[int]load{}, alive: map[*demand]int{}, why: map[*need][]Alternative{}}
	for _, b := range bought {
		b.node = w.buy(b.group)
		r.bought = append(r.bought, b)
	}
	for _, d := range w.demands {
		r.alive[d] = len(d.existing)
	}
	for _, nominated := range []bool{true, false} {
		for _, n := range w.needs {
			if (n.pod.Status.NominatedNodeName != "") == nominated {
				r.placeReal(n)
			}
		}
	}
	r.placeBeside()
	r.placeWaiting()
	r.placeBalloons(r.sizeBalloons())
	return r
}

// placeBeside tries again for pods that must be beside others, which the queue may have put before those.
func (r *round) placeBeside() {
	for moved := true; moved; {
		moved = false
		waiting := r.unplaced
		r.unplaced = nil
		for _, n := range waiting {
			if n.pod.Beside() && (r.placeUp(n) || r.makeRoom(n)) {
				moved = true
				continue
			}
			r.unplaced = append(r.unplaced, n)
		}
	}
}

// placeReal gives a real pod room that is free, else room that balloons hold.
func (r *round) placeReal(n *need) {
	if r.placeNominated(n) {
		return
	}
	if !r.placeUp(n) && !r.makeRoom(n) {
		r.unplaced = append(r.unplaced, n)
	}
}

// placeNominated keeps a nominated pod where the scheduler is making room for it.
func (r *round) placeNominated(n *need) bool {
	name := n.pod.Status.NominatedNodeName
	if name == "" {
		return false
	}
	at := r.w.real.Node(name)
	if at == nil || r.w.nodes[at.Index()].kind != ready {
		return false
	}
	if fits, _ := r.w.real.Fits(n.pod, at); !fits {
		return false
	}
	return r.popFor(n, at.Index())
}

// placeUp uses the nodes that are up. A pod alike that found none since there was room is not looked for again.
func (r *round) placeUp(n *need) bool {
	class, chances := n.pod.Class(), r.w.full.Chances(n.pod)
	if at, tried := r.full[class]; tried && at == chances {
		return false
	}
	at := r.w.full.Find(n.pod, r.w.up)
	if at == nil {
		r.full[class] = chances
		return false
	}
	r.assume(n, at.Index())
	return true
}

// placeComing uses the nodes that are not up yet, each filled before the next.
func (r *round) placeComing(n *need) bool {
	at := r.w.full.FindAmong(n.pod, r.w.comingNodes(), r.w.comingFor(n.pod))
	if at == nil {
		return false
	}
	r.assume(n, at.Index())
	return true
}

// placeShown uses the nodes that are only shown, since the pools that they are bought in only observe: for pods that no other
// pool takes. Any other would wait for a node that does not come.
func (r *round) placeShown(n *need) bool {
	at := r.w.full.FindAmong(n.pod, r.w.comingNodes(), func(m *pack.Node) (int64, bool) {
		st := r.w.nodes[m.Index()]
		return st.order, st.shown()
	})
	if at == nil {
		return false
	}
	r.assume(n, at.Index())
	return true
}

func (r *round) assume(n *need, index int) {
	if n.balloon == nil {
		r.w.assume(n.pod, index)
	} else {
		r.w.full.Assume(n.pod, r.w.full.Nodes()[index])
	}
	r.at[n] = index
	if r.w.nodes[index].kind == ready {
		return
	}
	l := r.load[index]
	if n.balloon == nil {
		l.pods++
	} else {
		l.balloons++
	}
	r.load[index] = l
}

// comingNodes are the nodes that are not up yet: joining ones, and those made from templates, which stand last.
func (w *world) comingNodes() []*pack.Node {
	all := w.full.Nodes()
	made := all[w.registered:]
	if len(w.joins) == 0 {
		return made
	}
	out := make([]*pack.Node, 0, len(w.joins)+len(made))
	for _, index := range w.joins {
		out = append(out, all[index])
	}
	return append(out, made...)
}

// up ranks nodes that are up, the least allocated first, as the scheduler does.
func (w *world) up(n *pack.Node) (int64, bool) {
	if w.nodes[n.Index()].kind != ready {
		return 0, false
	}
	return used(n), true
}

// comingFor ranks nodes that are not up yet for a pod: those first whose memory for a core is nearest to the pod's, in steps of
// a factor of two, so that nodes which were bought for their shape are there for those who need it; then in a fixed order.
func (w *world) comingFor(p *pack.Pod) pack.Rank {
	pod := memoryPerCore(p.Requests())
	return func(n *pack.Node) (int64, bool) {
		st := w.nodes[n.Index()]
		return int64(math.Abs(pod-memoryPerCore(n.Allocatable()))+0.5)<<48 + st.order, st.kind == booting || st.kind == bought && !st.shown()
	}
}

// memoryPerCore is the binary logarithm of bytes for a thousandth of a core.
func memoryPerCore(milliCPU, bytes int64) float64 {
	return math.Log2(float64(max(1, bytes)) / float64(max(1, milliCPU)))
}

// used is the larger share of CPU and memory that is requested, in thousandths.
func used(n *pack.Node) int64 {
	cpu, memory := n.Requested()
	allCPU, allMemory := n.Allocatable()
	return max(share(cpu, allCPU), share(memory, allMemory))
}

func share(part, all int64) int64 {
	if all <= 0 {
		return 1000
	}
	return int64(1000 * (float64(part) / float64(all)))
}
