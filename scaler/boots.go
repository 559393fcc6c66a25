package scaler

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"swell/nodegroups"
	"swell/nodegroups/learn"
	"swell/scaler/act"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

// firstPodWithin is how long after its node is Ready a pod must run to be counted as what the boot was for.
const firstPodWithin = 5 * time.Minute

// learnBoots takes what Nodes and their pods show of the boots of instances, and tells the snapshot which never were Ready.
func (l *Loop) learnBoots(ctx context.Context, now time.Time, world *observe.World) {
	nodes := map[string]*corev1.Node{}
	for _, n := range world.Snapshot.Nodes {
		nodes[n.Spec.ProviderID] = n
	}
	first := l.firstPods(world.Snapshot.Pods)
	for _, g := range world.Snapshot.Groups {
		for _, in := range g.Instances {
			node := nodes[in.ProviderID]
			if node == nil || in.LaunchedAt.IsZero() {
				continue
			}
			l.learnBoot(g, in, node, first[node.Name])
			key := bootKeyOf(g, in)
			if since, ready := since(node.Status.Conditions, corev1.NodeReady); !ready && !l.leads.boots.Has(key, in.ID) &&
				l.clock.At(since).Sub(in.LaunchedAt) <= l.leads.boots.JoinWithin(key) {
				world.Snapshot.NeverReady = append(world.Snapshot.NeverReady, in.ID)
			}
		}
	}
	l.leads.forget(*world)
	l.noteOwnLaunches(now, world.Snapshot.Groups)
	l.capacity.Forget(now, world.Snapshot.Groups)
	world.Snapshot.Unavailable = l.capacity.Unavailable(now, world.Snapshot.Groups)
	l.countTrouble(now, &world.Snapshot)
	for _, g := range world.Snapshot.Groups {
		if n := l.capacity.FailedJoins(g); n >= 2 {
			world.Problems = append(world.Problems, plan.Problem{Object: "group " + g.Name,
				What: fmt.Sprintf("its last %d instances of image %s never became Ready nodes; after three it is not bought from for a while, and the nodes it has stay", n, g.Image),
				Mend: "look at the console output of its next instance, its launch template's user data, security groups and instance profile"})
		}
	}
	for _, s := range l.leads.boots.Slower() {
		for _, pool := range poolsOf(s, world.Snapshot.Groups) {
			world.Problems = append(world.Problems, plan.Problem{Object: "CapacityPool " + pool, What: s.String(), Mend: "look at what the new image does at its start, or go back to the former"})
		}
	}
	l.saveBoots(ctx, now)
	l.bootMetrics(now, world.Snapshot.Groups)
}

// countTrouble makes launches that are spread go where little was interrupted or refused of late.
func (l *Loop) countTrouble(now time.Time, s *plan.Snapshot) {
	current := map[string]bool{}
	for _, n := range s.Interrupted {
		if n.Kind != nodegroups.SpotInterruption && n.Kind != nodegroups.RebalanceNotice {
			continue
		}
		current[n.InstanceID] = true
		if l.troubled[n.InstanceID] {
			continue
		}
		for _, g := range s.Groups {
			for _, in := range g.Instances {
				if in.ID == n.InstanceID {
					l.trouble.Interrupted(now, g.Zone, in.Type, g.Market)
				}
			}
		}
	}
	l.troubled = current
	l.trouble.Fill(now, s.Groups)
}

// learnBoot takes one boot by the stamps of its Node.
func (l *Loop) learnBoot(g nodegroups.Group, in nodegroups.Instance, node *corev1.Node, firstPod time.Time) {
	took := func(at time.Time) time.Duration {
		if d := l.clock.At(at).Sub(in.LaunchedAt); !at.IsZero() && d > 0 && d <= learn.JoinCap {
			return d
		}
		return 0
	}
	b := learn.Boot{ID: in.ID, Launched: in.LaunchedAt, Registered: took(node.CreationTimestamp.Time)}
	key := bootKeyOf(g, in)
	known := l.leads.boots.Has(key, in.ID)
	if at, ready := since(node.Status.Conditions, corev1.NodeReady); ready && !known { // a later one is not of the boot
		if b.Ready = took(at); b.Ready > 0 {
			l.capacity.Joined(in.LaunchedAt, g.Name, key.Image)
		}
	}
	if at, ready := since(node.Status.Conditions, corev1.NodeReady); ready && !firstPod.IsZero() && firstPod.Sub(at) <= l.clock.Wait(firstPodWithin) {
		b.FirstPod = took(firstPod)
	}
	if (b.Ready > 0 || known) && l.leads.boots.Observe(key, b) {
		clear(l.leads.boot)
		l.boots.dirty = true
	}
}

// firstPods are when the first pod on each node, by name, was Ready, DaemonSets' and static ones left out; machine time.
func (l *Loop) firstPods(pods []*corev1.Pod) map[string]time.Time {
	first := map[string]time.Time{}
	for _, p := range pods {
		if p.Spec.NodeName == "" || p.Annotations[corev1.MirrorPodAnnotationKey] != "" || len(p.OwnerReferences) > 0 && p.OwnerReferences[0].Kind == "DaemonSet" {
			continue
		}
		if at, ready := podSince(p, corev1.PodReady); ready && (first[p.Spec.NodeName].IsZero() || at.Before(first[p.Spec.NodeName])) {
			first[p.Spec.NodeName] = at
		}
	}
	return first
}

// joinWithin is how long instances of each group are waited for: of its types, that which takes longest.
func (l *leads) joinWithin(groups []nodegroups.Group) map[string]time.Duration {
	out := map[string]time.Duration{}
	for _, g := range groups {
		for _, t := range g.InstanceTypes {
			out[g.Name] = max(out[g.Name], l.boots.JoinWithin(bootKey(g, t)))
		}
	}
	return out
}

// makePlan makes it once more where it gives instances up, whose group may not be bought from for a while therefore.
func (l *Loop) makePlan(now time.Time, world *observe.World, policy plan.Policy) plan.Plan {
	p, memory := l.planner.Make(now, world.Snapshot, policy, l.memory)
	if l.countLost(now, *world, p) {
		world.Snapshot.Unavailable = l.capacity.Unavailable(now, world.Snapshot.Groups)
		p, memory = l.planner.Make(now, world.Snapshot, policy, l.memory)
	}
	l.memory = memory
	return p
}

// countLost takes the instances that a plan gives up for boots that took at least so long, each once, and says whether there are any.
func (l *Loop) countLost(now time.Time, world observe.World, p plan.Plan) (news bool) {
	for _, t := range p.Lost {
		for _, g := range world.Snapshot.Groups {
			for _, in := range g.Instances {
				key := bootKeyOf(g, in)
				if g.Name != t.Group || in.ID != t.InstanceID || l.leads.boots.Has(key, in.ID) ||
					!l.leads.boots.Observe(key, learn.Boot{ID: in.ID, Launched: in.LaunchedAt, Never: now.Sub(in.LaunchedAt)}) {
					continue
				}
				l.capacity.NeverJoined(now, in.LaunchedAt, g.Name, key.Image)
				l.boots.dirty = true
				clear(l.leads.boot)
				act.CountNeverJoined()
				l.options.Log.Warn("instance never joined", "instance", in.ID, "group", g.Name, "reason", t.Reason)
				news = true
			}
		}
	}
	return news
}

// noteCapacity remembers what launches gave and what they failed of.
func (l *Loop) noteCapacity(now time.Time, out act.Outcome) {
	groups := map[string]nodegroups.Group{}
	for _, g := range l.groups.List() {
		groups[g.Name] = g
	}
	for name, list := range out.Launched {
		for _, in := range list {
			l.capacity.Succeeded(name, in.Zone, in.Type, groups[name].Market)
		}
	}
	for _, u := range out.Unavailable {
		u = groups[u.Group].Refused(u, out.Launched[u.Group])
		l.capacity.Failed(now, u)
		l.trouble.Failed(now, u)
		l.boots.dirty = true
	}
}

// noteOwnLaunches remembers the launches that groups failed of by themselves, each once: those of a raised desired capacity or of
// a replacement, of which no call told.
func (l *Loop) noteOwnLaunches(now time.Time, groups []nodegroups.Group) {
	for _, g := range groups {
		newest := l.ownFailed[g.Name]
		for _, f := range g.Failed {
			if !f.At.After(l.ownFailed[g.Name]) {
				continue
			}
			if f.At.After(newest) {
				newest = f.At
			}
			u := g.Refused(nodegroups.Unavailable{Group: g.Name, Zone: f.Zone, Types: []string{f.Type}, Class: f.Class, Reason: strings.TrimPrefix(f.Code+": "+f.Message, ": ")}, nil)
			l.capacity.Failed(now, u)
			l.trouble.Failed(now, u)
			l.boots.dirty = true
		}
		if l.ownFailed == nil {
			l.ownFailed = map[string]time.Time{}
		}
		if !newest.IsZero() {
			l.ownFailed[g.Name] = newest
		}
	}
}

func poolsOf(s learn.Slower, groups []nodegroups.Group) []string {
	var pools []string
	seen := map[string]bool{}
	for _, g := range groups {
		if g.Zone != s.Zone || g.Market != s.Market || g.Image != s.Image || seen[g.Pool] {
			continue
		}
		for _, t := range g.InstanceTypes {
			if t == s.Type && !seen[g.Pool] {
				seen[g.Pool] = true
				pools = append(pools, g.Pool)
			}
		}
	}
	return pools
}
