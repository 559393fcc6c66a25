package scaler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/nodegroups"
	"swell/scaler/observe"
	"swell/scaler/plan"
	"swell/scaler/ui"
)

// showNodes counts nodes by zone, market and group, with what runs on them and what they cost.
func showNodes(s *ui.State, world observe.World, p plan.Plan) {
	zones := map[string]*ui.Zone{}
	zone := func(name string) *ui.Zone {
		if zones[name] == nil {
			zones[name] = &ui.Zone{Zone: name}
		}
		return zones[name]
	}
	byID, zoneOf, leaving := map[string]*corev1.Node{}, map[string]string{}, map[string]bool{}
	for _, n := range world.Snapshot.Nodes {
		byID[n.Spec.ProviderID], zoneOf[n.Name] = n, n.Labels[corev1.LabelTopologyZone]
	}
	for _, list := range [][]plan.Termination{p.Terminations, p.Replacements, p.Lost} {
		for _, t := range list {
			leaving[t.Node] = true
		}
	}
	for _, name := range world.Snapshot.Draining {
		leaving[name] = true
	}
	hourly, priced := 0.0, false
	for i, g := range world.Snapshot.Groups {
		shown := ui.Group{Name: g.Name, Pool: g.Pool, Zone: g.Zone, Market: string(g.Market), Min: g.Min, Desired: g.Desired, Max: g.Max, Why: g.Unusable}
		if g.HourlyPrice > 0 {
			price := g.HourlyPrice
			shown.Hourly = &price
		}
		z := zone(g.Zone)
		for _, in := range g.Instances {
			n := byID[in.ProviderID]
			switch {
			case in.Lifecycle == nodegroups.Terminating:
				continue
			case n == nil:
				shown.Booting++
				z.Booting++
			case g.Market == nodegroups.Spot:
				shown.Nodes++
				z.Spot++
			default:
				shown.Nodes++
				z.OnDemand++
			}
			if n != nil && leaving[n.Name] {
				z.Leaving++
			}
			if g.HourlyPrice > 0 {
				hourly, priced = hourly+g.HourlyPrice, true
			} else {
				s.Cost.Unpriced++
			}
		}
		if i < ui.MostGroups {
			s.Groups = append(s.Groups, refused(shown, g, world.Snapshot.Unavailable, s.At))
		} else {
			s.Count("groups", 1)
		}
	}
	if priced || s.Cost.Unpriced == 0 {
		s.Cost.Hourly = &hourly
	}
	showPods(s, world, zoneOf, zone)
	for _, z := range zones {
		s.Zones = append(s.Zones, *z)
	}
	slices.SortFunc(s.Zones, func(a, b ui.Zone) int { return cmp.Compare(a.Zone, b.Zone) })
}

// refused says until when a group is not asked again.
func refused(shown ui.Group, g nodegroups.Group, unavailable []nodegroups.Unavailable, now time.Time) ui.Group {
	for _, u := range unavailable {
		if u.Group != g.Name && u.Group != g.ASG || !u.Until.After(now) || shown.UnavailableUntil != nil && !u.Until.After(*shown.UnavailableUntil) {
			continue
		}
		until := u.Until
		shown.UnavailableUntil, shown.Why = &until, u.Reason
	}
	return shown
}

// showPods counts pods; daemons, which are on every node, are not counted.
func showPods(s *ui.State, world observe.World, zoneOf map[string]string, zone func(string) *ui.Zone) {
	for _, p := range world.Snapshot.Pods {
		bound := p.Spec.NodeName != ""
		switch {
		case ofDaemons(p):
		case p.Labels[plan.BalloonLabel] != "":
			if z, known := zoneOf[p.Spec.NodeName]; bound {
				s.Pods.Balloons++
				if known {
					zone(z).Balloons++
				}
			}
		case !bound:
			s.Pods.Pending++
		case p.Status.Phase == corev1.PodRunning:
			s.Pods.Running++
			if z, known := zoneOf[p.Spec.NodeName]; known {
				zone(z).Pods++
			}
		default:
			s.Pods.Starting++
		}
	}
}

func ofDaemons(p *corev1.Pod) bool {
	o := metav1.GetControllerOf(p)
	return o != nil && o.Kind == "DaemonSet" || o != nil && o.Kind == "Node"
}

// heldBalloons counts balloon pods that run, by namespace/name and zone.
func heldBalloons(world observe.World) map[string]int {
	zoneOf := map[string]string{}
	for _, n := range world.Snapshot.Nodes {
		zoneOf[n.Name] = n.Labels[corev1.LabelTopologyZone]
	}
	out := map[string]int{}
	for _, p := range world.Snapshot.Pods {
		if name := p.Labels[plan.BalloonLabel]; name != "" && p.Status.Phase == corev1.PodRunning {
			out[p.Namespace+"/"+name+" "+zoneOf[p.Spec.NodeName]]++
		}
	}
	return out
}

func showPools(s *ui.State, now time.Time, world observe.World, policy plan.Policy) {
	for _, q := range policy.Pools {
		shown := ui.Pool{Name: q.Name, Mode: string(v1alpha1.Enforce), ObserveWhy: q.ObserveWhy, NoSale: cmp.Or(policy.NoSale, q.NoSale), ReadAt: world.Snapshot.GroupsAt}
		if at, own := world.Snapshot.PoolsAt[q.Name]; own {
			shown.ReadAt = at
		}
		if q.Observe || s.Mode == string(v1alpha1.Observe) {
			shown.Mode = string(v1alpha1.Observe)
		}
		if f := q.Freeze; f.Until.After(now) {
			what := "ScaleIn"
			if f.All {
				what = "All"
			}
			shown.Freeze = &ui.Freeze{What: what, Until: f.Until, Reason: f.Reason}
		}
		for _, h := range q.Holds {
			if h.Until.After(now) {
				shown.Holds = append(shown.Holds, ui.Hold{Zone: h.Zone, Nodes: h.Nodes, Until: h.Until})
			}
		}
		s.Pools = append(s.Pools, shown)
	}
}

// showPending lists pods without a node, those of one owner that wait for the same thing as one, the oldest first.
func showPending(s *ui.State, world observe.World, p plan.Plan, clock config.Clock) {
	for _, x := range p.Launches {
		s.Launches = append(s.Launches, ui.Launch{Group: x.Group, Zone: x.Zone, Market: string(x.Market), Count: x.Count, Reason: x.Reason})
	}
	why := map[string]string{}
	for _, x := range p.Unplaced {
		why[x.Pod] = "no node and no group can take it: " + byReason(x.Reasons)
	}
	found := map[string]*ui.Pending{}
	var order []*ui.Pending
	for _, pod := range world.Snapshot.Pods {
		if pod.Spec.NodeName != "" || pod.DeletionTimestamp != nil || pod.Labels[plan.BalloonLabel] != "" || ofDaemons(pod) {
			continue
		}
		name := pod.Namespace + "/" + pod.Name
		one := ui.Pending{Pod: name, Count: 1, Since: clock.At(pod.CreationTimestamp.Time), Why: cmp.Or(why[name], waitsFor(pod)), For: placeOf(p.Placed[name])}
		owner := name
		if o := metav1.GetControllerOf(pod); o != nil {
			owner = pod.Namespace + "/" + string(o.UID)
		}
		key := owner + "\n" + one.For + "\n" + one.Why
		if seen := found[key]; seen == nil {
			found[key] = &one
			order = append(order, &one)
		} else {
			seen.Count++
			if one.Since.Before(seen.Since) {
				seen.Pod, seen.Since = one.Pod, one.Since
			}
		}
	}
	slices.SortStableFunc(order, func(a, b *ui.Pending) int { return a.Since.Compare(b.Since) })
	for i, x := range order {
		if i >= ui.MostPending {
			s.Count("pending", x.Count)
			continue
		}
		s.Pending = append(s.Pending, *x)
	}
}

// byReason lists reasons with the groups that they hold for: twenty groups are often full for one.
func byReason(all []plan.Alternative) string {
	var reasons []string
	groups := map[string][]string{}
	for _, a := range all {
		if groups[a.Reason] == nil {
			reasons = append(reasons, a.Reason)
		}
		groups[a.Reason] = append(groups[a.Reason], a.Group)
	}
	for i, r := range reasons {
		reasons[i] = strings.Join(groups[r], ", ") + ": " + r
	}
	return strings.Join(reasons, "; ")
}

// waitsFor is what the scheduler says of a pod.
func waitsFor(pod *corev1.Pod) string {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			if c.Message != "" {
				return c.Message
			}
			return c.Reason
		}
	}
	return "the scheduler has not looked at it yet"
}

// placeOf says what the plan's name of a place means.
func placeOf(name string) string {
	if id, booting := strings.CutPrefix(name, "booting-"); booting {
		return fmt.Sprintf("instance %s, which boots", id)
	}
	if group, bought := strings.CutPrefix(name, "new-"); bought {
		if i := strings.LastIndexByte(group, '-'); i > 0 {
			group = group[:i]
		}
		return fmt.Sprintf("a launch in %s", group)
	}
	if name != "" {
		return "node " + name
	}
	return ""
}

func showProblems(s *ui.State, p plan.Plan) {
	for _, x := range p.Problems {
		if len(s.Problems) == ui.MostProblems {
			s.Count("problems", 1)
			continue
		}
		s.Problems = append(s.Problems, ui.Problem{Object: x.Object, What: x.What, Mend: x.Mend})
	}
	for _, x := range p.Suppressed {
		if len(s.Suppressed) == ui.MostProblems {
			s.Count("suppressed", 1)
			continue
		}
		s.Suppressed = append(s.Suppressed, ui.Problem{Object: x.Action, What: x.Reason})
	}
}
