package plan

import (
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
			if i.Lifecycle == nodegroups.Terminating || w.mayJoin(g, i.Instance) || notices[i.ID] != nil {
				continue
			}
			t := Termination{InstanceID: i.ID, Group: g.Name, Pool: g.Pool, DrainTimeout: g.pool.DrainTimeout}
			what := "has no Node"
			if n := nodes[i.ProviderID]; n != nil {
				if isReady(n) || !slices.Contains(s.NeverReady, i.ID) || n.Annotations[DrainingAnnotation] != "" {
					continue
				}
				t.Node, what = n.Name, "has a Node that never was Ready"
			}
			t.Reason = fmt.Sprintf("it %s %s after its launch; instances of %s are waited for %s", what, w.since(i.Instance), g.Name, w.joinsWithin(g).Round(time.Second))
			out = append(out, t)
		}
	}
	return out
}
