package plan

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// maxRounds bounds how often the launches are checked against the packing that they lead to.
const maxRounds = 20

// Make decides what to do at now. It changes nothing that it is given, and gives the same plan for the same
// content, whatever its order.
//
// The order keeps the loops from feeding each other: real pods are placed on the snapshot without balloons, then
// balloons give way and are sized, then those still wanted are placed, and only then are nodes bought for what
// found no place and returned where nobody needs them.
func Make(now time.Time, s Snapshot, p Policy, m Memory) (Plan, Memory) {
	var once Planner
	defer once.forget()
	return once.Make(now, s, p, m)
}

func (w *world) make(m Memory) (Plan, Memory) {
	r := w.settle()
	if len(r.bought) > 0 {
		r = w.improve(r)
	}
	out := r.plan()
	seen := w.nodesSeen(m.NodeSeen)
	out.Lost = w.stillLost(seen)
	out.Terminations, out.Kept, m = r.sell(out.Launches, m)
	m.NodeSeen = seen
	w.filter(&out)
	out.Problems = append(out.Problems, w.problems...)
	out.sort()
	return out, m
}

// settle buys until everything that can have a place has one. Each round packs anew with what was bought counted
// as booting, which is how the next plan will see it, so that the next plan buys nothing more.
func (w *world) settle() *round {
	var bought []purchase
	for range maxRounds {
		r := w.pack(bought)
		more := r.buy()
		if len(more) == 0 {
			return w.prune(r, bought)
		}
		bought = append(bought, more...)
	}
	// As it stands it has a place for everything; the next plan may find that it packs otherwise.
	r := w.pack(bought)
	r.bought = append(r.bought, r.buy()...)
	return r
}

// prune drops what was bought and stayed empty, if all is placed without it.
func (w *world) prune(r *round, bought []purchase) *round {
	var kept []purchase
	for _, b := range r.bought {
		if l := r.load[b.node]; b.floor != "" || l.pods+l.balloons > 0 {
			kept = append(kept, b)
		}
	}
	if len(kept) == len(bought) {
		return r
	}
	// Dropping one may free a limit for another; then nothing is dropped.
	s := w.pack(kept)
	if more := s.buy(); len(more) > 0 || len(s.unplaced) > len(r.unplaced) {
		s = w.pack(bought)
		s.buy()
	}
	return s
}

func (p *Plan) sort() {
	slices.SortFunc(p.Pops, comparePops)
	slices.SortFunc(p.Deletes, comparePops)
	slices.SortFunc(p.Launches, func(a, b Launch) int { return cmp.Compare(a.Group, b.Group) })
	slices.SortFunc(p.Creates, func(a, b BalloonChange) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Zone, b.Zone))
	})
	slices.SortFunc(p.Replacements, compareTerminations)
	slices.SortFunc(p.Terminations, compareTerminations)
	slices.SortFunc(p.Lost, compareTerminations)
	slices.SortFunc(p.Kept, func(a, b Kept) int { return cmp.Compare(a.Node, b.Node) })
	slices.SortFunc(p.Unplaced, func(a, b Unplaced) int { return cmp.Compare(a.Pod, b.Pod) })
	slices.SortFunc(p.Problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.What, b.What), cmp.Compare(a.Mend, b.Mend))
	})
	p.Problems = slices.Compact(p.Problems)
	slices.SortFunc(p.Suppressed, func(a, b Suppressed) int {
		return cmp.Or(cmp.Compare(a.Action, b.Action), cmp.Compare(a.Reason, b.Reason))
	})
}

func comparePops(a, b Pop) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}

func compareTerminations(a, b Termination) int {
	return cmp.Or(strings.Compare(a.Node, b.Node), strings.Compare(a.InstanceID, b.InstanceID))
}
