package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"swell/nodegroups"
)

// joinsWithin is how long an instance of a group is waited for until it is a Ready node.
func (w *world) joinsWithin(g *group) time.Duration {
	if d := w.policy.JoinWithinOf[g.Name]; d > 0 {
		return d
	}
	return w.joinWithin
}

// mayJoin says whether an instance may still become a Ready node and is counted on.
func (w *world) mayJoin(g *group, i nodegroups.Instance) bool {
	return i.LaunchedAt.IsZero() || w.now.Sub(i.LaunchedAt) < w.joinsWithin(g)
}

// findLost is what has not joined in time and is returned: instances without a Node, and those whose Node was never Ready. A
// node that was Ready once is not among them: what broke there is no matter of its boot, and it may hold pods.
func (w *world) findLost(s Snapshot) []Termination {
	nodes := map[string]*corev1.Node{}
	for _, n := range s.Nodes {
		nodes[n.Spec.ProviderID] = n
	}
	notices := w.notices(s)
	var out []Termination
	for _, g := range w.groups {
		for _, i := range g.instances {
			if !i.Lifecycle.Counts() || w.mayJoin(g, i.Instance) || notices[i.ID] != nil {
				continue
			}
			t := Termination{InstanceID: i.ID, Group: g.Name, Pool: g.Pool, DrainTimeout: g.pool.DrainTimeout, Found: i.Found}
			what := "has no Node"
			if n := nodes[i.ProviderID]; n != nil {
				if isReady(n) || !slices.Contains(s.NeverReady, i.ID) || n.Annotations[DrainingAnnotation] != "" {
					continue
				}
				t.Node, what = n.Name, "has a Node that never was Ready"
			} else if g.mayBeOthers(i) {
				continue
			}
			t.Reason = fmt.Sprintf("it %s %s after its launch; instances of %s are waited for %s", what, w.since(i.Instance), g.Name, w.joinsWithin(g).Round(time.Second))
			out = append(out, t)
		}
	}
	return out
}

// nodesSeen is when each instance last had a Node, with what the plans before saw.
func (w *world) nodesSeen(before map[string]time.Time) map[string]time.Time {
	seen := map[string]time.Time{}
	for _, g := range w.groups {
		for _, i := range g.instances {
			if at, known := before[i.ID]; i.joined {
				seen[i.ID] = w.now
			} else if known {
				seen[i.ID] = at
			}
		}
	}
	return seen
}

// stillLost is what is given up of what has not joined: an instance whose Node went away is not before it could have joined anew.
// Its group may have ended it, and replaced it, which the last reading need not show; to return it would lower the group by one more.
func (w *world) stillLost(seen map[string]time.Time) []Termination {
	within := map[string]time.Duration{}
	for _, g := range w.groups {
		within[g.Name] = w.joinsWithin(g)
	}
	return slices.DeleteFunc(slices.Clone(w.lost), func(t Termination) bool {
		at, known := seen[t.InstanceID]
		return known && t.Node == "" && w.now.Sub(at) < within[t.Group]
	})
}

// readOwner finds the groups whose instances are nodes of this cluster: of those that should have joined by now at least half
// have. Of a group where none has, and some had run before they were first seen, the instances are another cluster's, or no nodes
// at all, and so are those that it has launched since: nothing is bought in it, and none of them is given up.
func (w *world) readOwner() {
	for _, g := range w.groups {
		joined, without, found := 0, 0, 0
		for _, i := range g.instances {
			switch {
			case !i.Lifecycle.Counts():
			case i.joined:
				joined++
			case !w.mayJoin(g, i.Instance):
				without++
				if i.Found {
					found++
				}
			}
		}
		g.joinsHere = joined >= without
		if g.foreign = joined == 0 && found > 0; g.foreign {
			g.broken = cmp.Or(g.broken, fmt.Sprintf("of group %s none of %d instances is a node of this cluster, and %d of them had run before they were first seen", g.Name, without, found))
			w.problem("group "+g.Name, g.broken, "give each cluster's groups tags of their own, and set clusterName; until then nothing is bought in it, and none of its instances is given up")
		}
	}
}

// mayBeOthers says whether an instance without a Node may be another cluster's.
func (g *group) mayBeOthers(i *instance) bool { return !g.joinsHere && (i.Found || g.foreign) }

// sayNotJoined reports an instance that is not counted on.
func (w *world) sayNotJoined(g *group, i *instance) {
	mend := "look at its console output; it is not counted on, and is returned and replaced"
	if g.mayBeOthers(i) {
		mend = "it is left alone, as most of its group's instances are no nodes of this cluster: give each cluster's groups tags of their own, or terminate it by hand"
	}
	w.problem("instance "+i.ID, fmt.Sprintf("of group %s has no Node %s after its launch", g.Name, w.since(i.Instance)), mend)
}

// readShortfall ends the waiting for what a group was asked for and does not start.
func (w *world) readShortfall(g *group) {
	short := g.size - g.alive
	switch {
	case short <= 0:
	case g.Unusable != "":
		g.missing = short
	case !g.ShortSince.IsZero() && w.now.Sub(g.ShortSince) >= w.joinsWithin(g):
		g.missing = short
		g.unavailable = cmp.Or(g.unavailable, fmt.Sprintf("it wants %d instances and has had %d since %s", g.size, g.alive, g.ShortSince.UTC().Format("15:04:05")))
		w.problem("group "+g.Name, fmt.Sprintf("wants %d instances and starts none: it has had %d since %s", g.size, g.alive, g.ShortSince.UTC().Format("15:04:05")),
			"look at its scaling activities and its suspended processes; until then nothing more is bought in it")
	}
}
