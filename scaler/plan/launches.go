package plan

import (
	"fmt"
	"slices"
	"strings"

	"swell/nodegroups"
)

// plan puts what the round decided into words.
func (r *round) plan() Plan {
	out := Plan{Placed: map[string]string{}, Launches: r.launches(), Creates: r.creates}
	for n, index := range r.at {
		if n.balloon == nil && !n.leaves {
			out.Placed[n.pod.Key()] = r.w.nodes[index].name
		}
	}
	for _, p := range r.popped {
		out.Pops = append(out.Pops, Pop{Namespace: p.balloon.pod.Namespace, Name: p.balloon.pod.Name, Node: p.node,
			Reason: fmt.Sprintf("makes room for %s", p.by.pod.Key())})
	}
	for _, d := range r.deletes {
		out.Deletes = append(out.Deletes, Pop{Namespace: d.balloon.pod.Namespace, Name: d.balloon.pod.Name, Node: d.balloon.pod.At, Reason: d.why})
	}
	out.Virtual = r.virtualRooms()
	out.Replacements = r.replacements()
	r.explain(&out)
	return out
}

// virtualRooms counts the virtual balloons that have a place on nodes that are up, in the order of the demands.
func (r *round) virtualRooms() []VirtualRoom {
	placed := map[*demand]int{}
	for n, index := range r.at {
		if n.balloon != nil && n.balloon.demand != nil && n.balloon.demand.Virtual && r.w.nodes[index].kind == ready {
			placed[n.balloon.demand]++
		}
	}
	var out []VirtualRoom
	for _, d := range r.w.demands {
		if d.Virtual {
			out = append(out, VirtualRoom{Namespace: d.Namespace, Name: d.Name, Zone: d.Zone, Count: placed[d]})
		}
	}
	return out
}

// launches adds up the purchases by group.
func (r *round) launches() []Launch {
	byGroup := map[*group][]purchase{}
	for _, b := range r.bought {
		byGroup[b.group] = append(byGroup[b.group], b)
	}
	var out []Launch
	on := r.podsOnBought()
	for _, g := range r.w.groups {
		all := byGroup[g]
		if len(all) == 0 {
			continue
		}
		l := Launch{Group: g.Name, Pool: g.Pool, Zone: g.Zone, Market: g.Market, Count: len(all), Rejected: all[0].rejected, HourlyPrice: g.HourlyPrice, PodNames: on[g]}
		var floors []string
		for _, b := range all {
			l.Pods += r.load[b.node].pods
			l.Balloons += r.load[b.node].balloons
			if b.floor != "" && !slices.Contains(floors, b.floor) {
				floors = append(floors, b.floor)
			}
		}
		l.Reason = launchReason(l, floors)
		out = append(out, l)
	}
	return out
}

// namesShown are how many pods a launch names.
const namesShown = 5

// podsOnBought are the first pods by name that have their place on bought nodes of each group.
func (r *round) podsOnBought() map[*group][]string {
	of := map[int]*group{}
	for _, b := range r.bought {
		of[b.node] = b.group
	}
	out := map[*group][]string{}
	for n, index := range r.at {
		if g := of[index]; g != nil && n.balloon == nil {
			out[g] = append(out[g], n.pod.Key())
		}
	}
	for g, names := range out {
		slices.Sort(names)
		names = slices.Compact(names)
		out[g] = names[:min(namesShown, len(names))]
	}
	return out
}

func launchReason(l Launch, floors []string) string {
	var parts []string
	if l.Pods > 0 {
		parts = append(parts, fmt.Sprintf("%d pods", l.Pods))
	}
	if l.Balloons > 0 {
		parts = append(parts, fmt.Sprintf("%d balloons", l.Balloons))
	}
	var why []string
	if len(parts) > 0 {
		why = append(why, strings.Join(parts, " and ")+" have no place on nodes that are up or on their way")
	}
	if len(floors) > 0 {
		why = append(why, "to hold "+strings.Join(floors, " and "))
	}
	return strings.Join(why, "; ")
}

// replacements are the nodes about to be lost.
func (r *round) replacements() []Termination {
	var out []Termination
	budget := r.recommended()
	for _, l := range r.w.leaving {
		if l.notice == nil || l.inst.Lifecycle == nodegroups.Terminating {
			continue
		}
		t := Termination{Node: l.name, InstanceID: l.inst.ID, Group: l.group.Name, Pool: l.group.Pool, Deadline: l.notice.Deadline, DrainTimeout: l.group.pool.DrainTimeout, Placed: true}
		for _, n := range l.needs {
			if index, ok := r.at[n]; !ok || r.w.nodes[index].kind != ready {
				t.Placed = false
			}
		}
		t.Reason = fmt.Sprintf("%s; it holds %d pods", l.notice.Kind, len(l.needs)+len(l.ends))
		if t.Placed && t.Deadline.IsZero() && !l.begun {
			key := l.group.poolZone()
			if t.Placed = budget[key] > 0; t.Placed {
				budget[key]--
			} else {
				t.Reason += "; it waits, as many nodes of its zone drain as scaleIn.maxUnavailablePerZone allows"
			}
		}
		out = append(out, t)
	}
	return out
}

// recommended is how many nodes of each pool's zones, with a notice without a deadline, may start to drain: as many as may be
// returned there, and one where nothing may be, less those that drain already.
func (r *round) recommended() map[poolZone]int {
	out := r.unavailable()
	for _, g := range r.w.groups {
		out[g.poolZone()] = max(1, out[g.poolZone()])
	}
	for _, l := range r.w.leaving {
		if l.group != nil && l.begun {
			out[l.group.poolZone()]--
		}
	}
	return out
}

// explain says why what has no place has none: each pod, and balloons by what they belong to.
func (r *round) explain(out *Plan) {
	homeless := map[*demand]int{}
	for _, n := range r.unplaced {
		why, known := r.why[n]
		if !known {
			_, why = r.choose(n, nil)
		}
		if n.balloon == nil {
			out.Unplaced = append(out.Unplaced, Unplaced{Pod: n.pod.Key(), Reasons: why})
			continue
		}
		homeless[n.balloon.demand]++
		r.why[n] = why
	}
	for _, n := range r.unplaced {
		if n.balloon == nil || homeless[n.balloon.demand] == 0 {
			continue
		}
		d := n.balloon.demand
		out.Problems = append(out.Problems, Problem{"balloon " + d.Namespace + "/" + d.Name,
			fmt.Sprintf("has no place for %d of %d in %s: %s", homeless[d], d.Want, d.Zone, Listed(r.why[n])), "lift the limit that is named, or lower the Balloon's max"})
		delete(homeless, d)
	}
	out.Problems = append(out.Problems, r.problems...)
}

// Listed are the alternatives with their reasons, in words.
func Listed(all []Alternative) string {
	var parts []string
	for _, a := range all {
		if a.Group == "" {
			parts = append(parts, a.Reason)
			continue
		}
		parts = append(parts, a.Group+": "+a.Reason)
	}
	return strings.Join(parts, "; ")
}
