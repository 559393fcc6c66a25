package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	balloons "swell/balloon"
	"swell/scaler/pack"
)

// demand is a BalloonDemand with the balloons that it has.
type demand struct {
	BalloonDemand
	existing []*balloon
}

// balloon is one balloon pod that exists.
type balloon struct {
	pod    *pack.Pod
	demand *demand // nil where the Balloon is not known
}

// dropped is a balloon that goes, and why.
type dropped struct {
	balloon *balloon
	why     string
}

// popped is a balloon that gives way.
type popped struct {
	balloon *balloon
	node    string
	by      *need
}

// readBalloons matches balloon pods with what is wanted, and sets the bound ones on the full packer.
func (w *world) readBalloons(s Snapshot, pods []*pack.Pod) {
	known, observed := map[string]bool{}, map[string]bool{}
	byKey := map[string]*demand{}
	for _, d := range sortedDemands(s.Balloons) {
		key := d.Namespace + "/" + d.Name
		known[key] = true
		observed[key] = observed[key] || d.Observe
		if byKey[key+"/"+d.Zone] != nil {
			w.problem("balloon "+key, fmt.Sprintf("is asked for twice in zone %s", d.Zone), "report this as a bug; the larger demand is used")
			continue
		}
		e := &demand{BalloonDemand: d}
		w.demands = append(w.demands, e)
		byKey[key+"/"+d.Zone] = e
	}
	for _, pod := range pods {
		b := &balloon{pod: pod}
		key := pod.Namespace + "/" + pod.Labels[BalloonLabel]
		at := w.full.Node(pod.At)
		if pod.At != "" && at == nil {
			continue
		}
		if observed[key] {
			w.observed[pod.Key()] = key
		}
		if known[key] {
			zone := w.zoneOf(pod)
			if b.demand = byKey[key+"/"+zone]; b.demand == nil {
				b.demand = &demand{BalloonDemand: BalloonDemand{Namespace: pod.Namespace, Name: pod.Labels[BalloonLabel], Zone: zone}}
				w.demands = append(w.demands, b.demand)
				byKey[key+"/"+zone] = b.demand
			}
			b.demand.existing = append(b.demand.existing, b)
		}
		if at == nil {
			w.pending = append(w.pending, b)
			continue
		}
		w.balloons[pod] = b
		w.full.Assume(pod, at)
	}
	slices.SortFunc(w.demands, func(a, b *demand) int { return compareDemands(a.BalloonDemand, b.BalloonDemand) })
}

func sortedDemands(in []BalloonDemand) []BalloonDemand {
	out := slices.Clone(in)
	slices.SortFunc(out, func(a, b BalloonDemand) int {
		return cmp.Or(compareDemands(a, b), cmp.Compare(b.Want, a.Want))
	})
	return out
}

func compareDemands(a, b BalloonDemand) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name), strings.Compare(a.Zone, b.Zone))
}

// zoneOf is the zone that a balloon pod is in or pinned to; empty is none.
func (w *world) zoneOf(p *pack.Pod) string {
	if at := w.full.Node(p.At); at != nil {
		return w.nodes[at.Index()].zone
	}
	return balloons.PinnedZone(p.Pod)
}

// surplus is how many of the demand's balloons are more than wanted.
func (r *round) surplus(d *demand) int {
	if d == nil {
		return 0
	}
	if d.Virtual {
		return r.alive[d] // what is held in memory needs no pod
	}
	return r.alive[d] - d.Want
}

// sizeBalloons deletes what is more than wanted, asks for what is less, and gives the balloons without a place.
// On a stale snapshot it leaves them all as they are.
func (r *round) sizeBalloons() []*need {
	gone := map[*balloon]bool{}
	for _, p := range r.popped {
		gone[p.balloon] = true
	}
	var out []*need
	for _, d := range r.w.demands {
		if r.w.stale != "" {
			continue
		}
		r.shrink(d, gone)
		if d.Virtual {
			out = append(out, r.w.virtual(d, d.Want)...)
			continue
		}
		r.renew(d, gone)
		if missing := d.Want - r.alive[d]; missing > 0 && d.Pod != nil {
			r.creates = append(r.creates, BalloonChange{Namespace: d.Namespace, Name: d.Name, Zone: d.Zone, Count: missing, Pod: d.Pod})
			out = append(out, r.w.virtual(d, missing)...)
		}
	}
	var homeless []*need
	for _, b := range append(slices.Clone(r.w.pending), r.crowded...) {
		if !gone[b] {
			homeless = append(homeless, &need{pod: b.pod, balloon: b})
		}
	}
	return append(homeless, out...)
}

// shrink deletes a demand's surplus: pending balloons, then crowded ones, then those on the emptiest nodes, so that nodes come free.
func (r *round) shrink(d *demand, gone map[*balloon]bool) {
	surplus := r.surplus(d)
	if surplus <= 0 {
		return
	}
	stay := r.alive[d] - surplus
	type ranked struct {
		b    *balloon
		rank int64
	}
	var left []ranked
	for _, b := range d.existing {
		if gone[b] {
			continue
		}
		rank := int64(-1)
		if at := r.w.full.NodeOf(b.pod); at != nil {
			rank = used(r.w.real.Nodes()[at.Index()])
		}
		left = append(left, ranked{b, rank})
	}
	slices.SortFunc(left, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), strings.Compare(a.b.pod.Key(), b.b.pod.Key()))
	})
	for _, l := range left[:min(surplus, len(left))] {
		r.drop(l.b, gone, fmt.Sprintf("%d are wanted in %s, and there are %d", stay, d.Zone, len(d.existing)))
	}
}

// renewAtOnce is the share of a Balloon's pods in a zone that one plan makes anew; at least one.
const renewAtOnce = 0.25

// renew deletes balloons that were made like nothing that would be made now, a part of them at a time: others are
// created in their room by the same plan. Room is given up for that only while all others have theirs.
func (r *round) renew(d *demand, gone map[*balloon]bool) {
	if d.Pod == nil {
		return
	}
	old := func(b *balloon) bool {
		return b.pod.Annotations[balloons.HashAnnotation] != d.Pod.Annotations[balloons.HashAnnotation]
	}
	placed := r.alive[d] >= d.Want
	for _, b := range d.existing {
		placed = placed && (gone[b] || old(b) || b.pod.At != "")
	}
	most := max(1, int(renewAtOnce*float64(d.Want)))
	for _, b := range d.existing {
		if most > 0 && !gone[b] && old(b) && (placed || b.pod.At == "") {
			most--
			r.drop(b, gone, "its Balloon or the workload's pod template has changed; another takes its place")
		}
	}
}

func (r *round) drop(b *balloon, gone map[*balloon]bool, why string) {
	gone[b] = true
	r.w.full.Remove(b.pod)
	r.alive[b.demand]--
	r.deletes = append(r.deletes, dropped{b, why})
}

// virtual makes up the balloon pods that are still to be created.
func (w *world) virtual(d *demand, count int) []*need {
	var out []*need
	for i := range count {
		copied := *d.Pod
		copied.UID, copied.Spec.NodeName = "", ""
		copied.Namespace, copied.Name = d.Namespace, fmt.Sprintf("%s-%s-new-%d", d.Name, d.Zone, i+1)
		pod, err := pack.NewPod(&copied)
		if err != nil {
			w.problem("balloon "+d.Namespace+"/"+d.Name, err.Error(), "correct the workload's affinity; the balloons are not planned")
			return nil
		}
		out = append(out, &need{pod: pod, balloon: &balloon{pod: pod, demand: d}})
	}
	return out
}

func (r *round) placeBalloons(needs []*need) {
	for _, n := range needs {
		if at := r.w.full.Find(n.pod, r.w.up); at != nil {
			r.assume(n, at.Index())
			continue
		}
		// What nobody is known to want buys nothing, and neither does a balloon that waits for room to come free, or one on a
		// snapshot that may be wrong.
		if d := n.balloon.demand; !r.placeComing(n) && d != nil && !d.Patient && r.w.stale == "" {
			r.unplaced = append(r.unplaced, n)
		}
	}
}
