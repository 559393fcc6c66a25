package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"swell/nodegroups"
)

// readUnavailable marks the groups that cannot launch now. Capacity is a matter of zone, type and market: a group that
// was refused says the same of every other whose types it has all been refused.
func (w *world) readUnavailable(all []nodegroups.Unavailable) {
	byName := map[string]*group{}
	for _, g := range w.groups {
		byName[g.Name] = g
	}
	for _, u := range sortedUnavailable(w.now, all) {
		g := byName[u.Group]
		if g == nil {
			continue
		}
		text := fmt.Sprintf("unavailable until %s (%s: %s)", u.Until.UTC().Format("15:04:05"), u.Class, u.Reason)
		g.unavailable = cmp.Or(g.unavailable, text)
		if u.Class == nodegroups.BadTemplate {
			g.broken = "group " + g.Name + " is " + text
		}
	}
	w.spreadCapacity(byName, sortedUnavailable(w.now, all))
}

// sortedUnavailable are those that still hold, the last to end first.
func sortedUnavailable(now time.Time, all []nodegroups.Unavailable) []nodegroups.Unavailable {
	var out []nodegroups.Unavailable
	for _, u := range all {
		if u.Until.After(now) {
			out = append(out, u)
		}
	}
	slices.SortFunc(out, func(a, b nodegroups.Unavailable) int {
		return cmp.Or(b.Until.Compare(a.Until), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

// offer is what insufficient capacity is about.
type offer struct {
	zone, kind string
	market     nodegroups.Market
}

// spreadCapacity marks the groups that could only launch what others were refused.
func (w *world) spreadCapacity(byName map[string]*group, all []nodegroups.Unavailable) {
	refused := map[offer]nodegroups.Unavailable{} // the last to end
	for _, u := range all {
		g := byName[u.Group]
		if g == nil || u.Class != nodegroups.NoCapacity {
			continue
		}
		for _, t := range g.InstanceTypes {
			if o := (offer{g.Zone, t, g.Market}); refused[o].Group == "" {
				refused[o] = u
			}
		}
	}
	for _, g := range w.groups {
		if g.unavailable != "" || len(g.InstanceTypes) == 0 {
			continue
		}
		var first *nodegroups.Unavailable // one type that may be had again is enough
		for _, t := range g.InstanceTypes {
			u, no := refused[offer{g.Zone, t, g.Market}]
			if !no {
				first = nil
				break
			}
			if first == nil || u.Until.Before(first.Until) {
				first = &u
			}
		}
		if first != nil {
			g.unavailable = fmt.Sprintf("unavailable until %s: group %s was refused the same types in this zone and market (%s)",
				first.Until.UTC().Format("15:04:05"), first.Group, first.Reason)
		}
	}
}

// readTemplates marks the groups in which nothing can be bought, and those whose template says nothing of their nodes.
func (w *world) readTemplates() {
	for _, g := range w.groups {
		if g.broken == "" && g.Unusable != "" { // which the reading has told of
			g.broken = "nothing can be bought in group " + g.Name + ": " + g.Unusable
		}
		if _, known := g.Template.Allocatable[corev1.ResourceCPU]; known || g.broken != "" {
			continue
		}
		g.broken = "the template of group " + g.Name + " could not be read"
		w.problem("group "+g.Name, g.broken, "correct its launch template; nothing is bought in it and none of its nodes is returned until it can be read")
	}
}
