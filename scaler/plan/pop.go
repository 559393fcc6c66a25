package plan

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"swell/scaler/pack"
)

// makeRoom finds the node where the fewest balloons must give way for a pod, those that are still wanted counting most.
func (r *round) makeRoom(n *need) bool {
	if len(r.w.balloons) == 0 {
		return false
	}
	tried := map[int]bool{}
	// The estimate looks at CPU and memory; where something else is missing too, the next best node is tried.
	for range 3 {
		at := r.w.real.FindAmong(n.pod, r.w.withBalloons(), func(m *pack.Node) (int64, bool) {
			if r.w.nodes[m.Index()].kind != ready || tried[m.Index()] {
				return 0, false
			}
			return r.cost(n.pod, m.Index())
		})
		if at == nil {
			return false
		}
		if r.popFor(n, at.Index()) {
			return true
		}
		tried[at.Index()] = true
	}
	return false
}

// withBalloons are the nodes that have balloons of the snapshot, as the real packer holds them.
func (w *world) withBalloons() []*pack.Node {
	if w.ballooned == nil {
		at := map[int]bool{}
		for pod := range w.balloons {
			if n := w.real.Node(pod.At); n != nil {
				at[n.Index()] = true
			}
		}
		for _, index := range slices.Sorted(maps.Keys(at)) {
			w.ballooned = append(w.ballooned, w.real.Nodes()[index])
		}
	}
	return w.ballooned
}

// cost ranks a node by the balloons below the pod's priority that must give way on it: wanted ones, then all, then how full it is.
func (r *round) cost(pod *pack.Pod, index int) (int64, bool) {
	at := r.w.full.Nodes()[index]
	balloons := r.balloonsOn(index)
	if len(balloons) == 0 {
		return 0, false
	}
	cpu, memory := pod.Requests()
	usedCPU, usedMemory := at.Requested()
	allCPU, allMemory := at.Allocatable()
	cpu, memory = cpu-(allCPU-usedCPU), memory-(allMemory-usedMemory)
	var wanted, all int64
	for _, v := range balloons {
		if priority(v.pod.Pod) >= priority(pod.Pod) {
			continue
		}
		if all > 0 && cpu <= 0 && memory <= 0 {
			break
		}
		c, m := v.pod.Requests()
		cpu, memory = cpu-c, memory-m
		all++
		if r.surplus(v.demand) <= 0 {
			wanted++
		}
	}
	return wanted<<40 | all<<20 | used(at), all > 0
}

// balloonsOn are the balloons on a node, in the order in which they give way: those that are more than wanted, then small ones.
func (r *round) balloonsOn(index int) []*balloon {
	var out []*balloon
	for _, p := range r.w.full.Nodes()[index].Pods() {
		if b := r.w.balloons[p]; b != nil {
			out = append(out, b)
		}
	}
	if len(out) > 1 {
		slices.SortFunc(out, r.compareBalloons)
	}
	return out
}

func (r *round) compareBalloons(a, b *balloon) int {
	aCPU, aMemory := a.pod.Requests()
	bCPU, bMemory := b.pod.Requests()
	return cmp.Or(cmp.Compare(max(0, r.surplus(b.demand)), max(0, r.surplus(a.demand))), cmp.Compare(aCPU, bCPU),
		cmp.Compare(aMemory, bMemory), strings.Compare(a.pod.Key(), b.pod.Key()))
}

// popFor sets a pod on a node and lets give way what is in its way there.
func (r *round) popFor(n *need, index int) bool {
	victims, ok := r.yield(n.pod, index)
	if !ok {
		return false
	}
	for _, b := range victims {
		if n.leaves {
			// The pod is still running elsewhere; the scheduler will put the balloon out when it comes.
			r.crowded = append(r.crowded, b)
			continue
		}
		r.popped = append(r.popped, popped{b, r.w.nodes[index].name, n})
		if b.demand != nil {
			r.alive[b.demand]--
		}
	}
	r.assume(n, index)
	return true
}

// yield takes as few balloons below the pod's priority off a node as let it fit, or none.
func (r *round) yield(pod *pack.Pod, index int) ([]*balloon, bool) {
	full := r.w.full
	at := full.Nodes()[index]
	mark := full.Checkpoint()
	fits, _ := full.Fits(pod, at)
	var off []*balloon
	for _, b := range r.balloonsOn(index) {
		if fits {
			break
		}
		if priority(b.pod.Pod) >= priority(pod.Pod) {
			continue
		}
		full.Remove(b.pod)
		off = append(off, b)
		fits, _ = full.Fits(pod, at)
	}
	if !fits {
		full.Rollback(mark)
		return nil, false
	}
	var victims []*balloon
	for _, b := range slices.Backward(off) {
		full.Assume(b.pod, at)
		if fits, _ := full.Fits(pod, at); !fits {
			full.Remove(b.pod)
			victims = append(victims, b)
		}
	}
	return victims, true
}
