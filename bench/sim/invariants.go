package sim

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	emulator "swell/bench/testbed/aws"
	"swell/nodegroups"
	"swell/scaler/plan"
)

// handLag is how long what a person or a group did itself may be unknown to a scaler.
const handLag = 3 * time.Minute

// checkLaunch is made of every LaunchInstances call that reached AWS.
func (w *world) checkLaunch(form url.Values, got canned) {
	group, count := form.Get("AutoScalingGroupName"), 0
	w.mu.Lock()
	for _, id := range instanceID.FindAllString(string(got.body), -1) {
		if !w.launched[id] {
			w.launched[id] = true
			count++
		}
	}
	w.effected[group] += count
	duplicate := w.effected[group] > w.planned[group]
	hand := w.handed()
	w.mu.Unlock()
	w.say("launch of %s in %s gave %d", form.Get("RequestedCapacity"), group, count)
	if duplicate && count > 0 {
		w.violate("duplicate launch: %s was given %d instances, and plans asked for %d", group, w.effected[group], w.planned[group])
	}
	if total := w.total(); count > 0 && total > maxNodes && !hand {
		w.violate("above max: %d instances of at most %d after a launch in %s", total, maxNodes, group)
	}
}

// total is how many instances there are or will be.
func (w *world) total() int {
	n := 0
	for _, g := range w.aws.Status().Groups {
		n += max(g.Alive, g.Desired)
	}
	return n
}

// checkRaise is made of every desired capacity that a scaler set.
func (w *world) checkRaise(form url.Values, before emulator.Status) {
	group, was := form.Get("AutoScalingGroupName"), 0
	for _, g := range before.Groups {
		if g.Name == group {
			was = g.Desired
		}
	}
	to, _ := strconv.Atoi(form.Get("DesiredCapacity")) // AWS took it
	w.mu.Lock()
	w.effected[group] += to - was
	duplicate, hand := w.effected[group] > w.planned[group], w.handed()
	w.mu.Unlock()
	w.say("desired capacity of %s set from %d to %d", group, was, to)
	if to < was {
		w.violate("the desired capacity of %s was lowered from %d to %d", group, was, to)
	}
	if duplicate && !hand {
		w.violate("duplicate launch: %s was raised to %d, and plans asked for %d instances in all", group, to, w.planned[group])
	}
	if total := w.total(); total > maxNodes && !hand {
		w.violate("above max: %d instances of at most %d after a raise of %s", total, maxNodes, group)
	}
}

// handed says that somebody beside the scalers has changed a group of late. The lock is held.
func (w *world) handed() bool {
	for _, at := range w.byHand {
		if w.now().Sub(at) < handLag {
			return true
		}
	}
	return false
}

// checkTermination is made of every call that returns an instance.
func (w *world) checkTermination(by string, form url.Values, got canned, before emulator.Status) {
	id := form.Get("InstanceId")
	i := slices.IndexFunc(before.Instances, func(s emulator.InstanceStatus) bool { return s.ID == id })
	if got.code != http.StatusOK || i < 0 {
		return
	}
	was := before.Instances[i]
	w.say("instance %s of %s returned", id, was.Group)
	if form.Get("ShouldDecrementDesiredCapacity") != "true" && !w.atMinimum(was.Group, before) {
		w.violate("instance %s was terminated without lowering its group, which replaces it", id)
	}
	w.store.mu.Lock()
	if m := w.store.maps[intentsName]; m.Data["holder"] != by && w.now().Sub(w.heldAt) > time.Second {
		w.violate("instance %s was returned by %s, %s after %s had taken over", id, by, w.now().Sub(w.heldAt).Round(time.Second), m.Data["holder"])
	}
	for _, p := range w.store.on(was.Node) {
		if !isBalloon(p) {
			if w.goes(was) {
				w.fire("instance goes with pods on it")
			} else {
				w.violate("node %s was terminated undrained: pod %s is on it", was.Node, p.Name)
			}
			break
		}
	}
	w.store.mu.Unlock()
	w.mu.Lock()
	lost, hand := w.noticed[id] || w.neverJoin[id] || w.leaving[id], w.handed() // what never joined or ends by itself is none of the zone's nodes
	w.mu.Unlock()
	desired := 0
	for _, g := range w.aws.Status().Groups {
		if strings.HasPrefix(g.Name, was.Zone) {
			desired += g.Desired
		}
	}
	if desired < w.floor && !lost && !hand {
		w.violate("below min: zone %s wants %d nodes of at least %d after %s was returned", was.Zone, desired, w.floor, id)
	}
}

// atMinimum says that a group could not be lowered.
func (w *world) atMinimum(group string, before emulator.Status) bool {
	return slices.ContainsFunc(before.Groups, func(g emulator.GroupStatus) bool { return g.Name == group && g.Desired <= least[group] })
}

// goes says that AWS ends an instance by itself: the deadline of its notice, which is told in whole seconds, has come.
func (w *world) goes(i emulator.InstanceStatus) bool {
	return i.State == "shutting-down" || !i.LostAt.IsZero() && !w.now().Before(i.LostAt.Truncate(time.Second))
}

// checkCompletion is made of every call that lets a group go on with an instance's end.
func (w *world) checkCompletion(form url.Values, got canned, before emulator.Status) {
	i := slices.IndexFunc(before.Instances, func(s emulator.InstanceStatus) bool { return s.ID == form.Get("InstanceId") })
	if got.code != http.StatusOK || i < 0 {
		return
	}
	was := before.Instances[i]
	w.say("lifecycle action of instance %s of %s completed", was.ID, was.Group)
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	if at := slices.IndexFunc(w.store.on(was.Node), func(p *corev1.Pod) bool { return !isBalloon(p) }); at >= 0 && !w.goes(was) {
		w.violate("the lifecycle action of node %s was completed undrained: pod %s is on it", was.Node, w.store.on(was.Node)[at].Name)
	}
}

// checkNeed looks at what a plan buys with the world as it is: where all that waits has a place on nodes that are up and on
// instances that launch calls gave, whatever order it is placed in, nothing is to be bought.
func (w *world) checkNeed(p plan.Plan, fresh bool, joinWithin map[string]time.Duration) {
	asked, forPods := 0, 0
	for _, l := range p.Launches {
		w.mu.Lock()
		w.planned[l.Group] += l.Count
		w.mu.Unlock()
		if l.Pods+l.Balloons > 0 { // the floors of groups and zones are no matter of places
			asked += l.Count
		}
		if l.Pods > 0 {
			forPods += l.Count
		}
		w.say("plan: launch %d in %s (%d pods, %d balloons): %s", l.Count, l.Group, l.Pods, l.Balloons, l.Reason)
	}
	if asked == 0 || !fresh {
		return
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	up, coming, known := w.slots(joinWithin)
	if !known {
		return
	}
	waiting := 0
	for _, pod := range w.store.pods {
		if !isBalloon(pod) && pod.DeletionTimestamp == nil && pod.Spec.NodeName == "" {
			waiting++
		}
	}
	if room := up[zones[0]] + up[zones[1]]; forPods > 0 && waiting <= room {
		w.violate("launch for what preemption gave: %d instances for pods, and all %d that wait fit into the %d places that are free or held by balloons", forPods, waiting, room)
		return
	}
	enough := func(slots map[string]int) bool {
		want := map[string]int{}
		for _, d := range w.demands(w.store.sortedPods()) {
			want[d.Zone] = d.Want
		}
		for _, z := range zones {
			if slots[z]-waiting < want[z] {
				return false
			}
		}
		return true
	}
	if enough(up) {
		w.violate("launch for what preemption gave: %d instances, and all %d pods and the balloons fit", asked, waiting)
		return
	}
	for z, n := range coming {
		up[z] += n
	}
	if enough(up) {
		w.violate("duplicate launch: %d instances, and all %d pods and the balloons fit on those that are coming", asked, waiting)
	}
}

// slots are places of a core by zone, on nodes that are up with their balloons put out and on instances that come. Not known
// is what they are while a node is on its way out or a zone below its floor.
func (w *world) slots(joinWithin map[string]time.Duration) (up, coming map[string]int, known bool) {
	up, coming, nodes := map[string]int{}, map[string]int{}, map[string]int{}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, i := range w.aws.Status().Instances {
		n := w.store.nodes[i.Node]
		switch {
		case i.State != "pending" && i.State != "running" || w.noticed[i.ID] || w.leaving[i.ID]:
			return nil, nil, false
		case n == nil && (!w.launched[i.ID] || w.neverJoin[i.ID] || w.now().Sub(i.LaunchedAt) > joinWithin[i.Group]-time.Minute):
			return nil, nil, false
		case n == nil:
			coming[i.Zone] += 3
		case !open(n):
			return nil, nil, false
		default:
			up[i.Zone] += int(w.free(n, false) / 1000)
		}
		nodes[i.Zone]++
	}
	for _, z := range zones {
		if nodes[z] < w.floor {
			return nil, nil, false
		}
	}
	return up, coming, !w.handed()
}

// unsettled is what keeps the world from being at rest; empty is that it is.
func (w *world) unsettled(read []nodegroups.Group) string {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	for _, p := range w.store.sortedPods() {
		if !isBalloon(p) && p.Status.Phase != corev1.PodRunning {
			return "pod " + p.Name + " is not Running"
		}
	}
	status := w.aws.Status()
	total, id := 0, map[string]string{}
	for _, g := range status.Groups {
		total += g.Alive
	}
	for _, i := range status.Instances {
		id[i.Node] = i.ID
	}
	for _, n := range w.store.sortedNodes() {
		if w.noticed[id[n.Name]] && total >= maxNodes {
			continue // it was recommended to replace it, for which the pool has no room; the plan says so
		}
		if n.Spec.Unschedulable || n.Annotations[plan.DrainingAnnotation] != "" {
			return "node " + n.Name + " is being drained"
		}
	}
	if m := w.store.maps[intentsName]; m == nil || cmp.Or(m.Data["launches"], "[]") != "[]" && m.Data["launches"] != "null" {
		return "launches are still open"
	}
	known := map[string]bool{}
	for _, g := range read {
		for _, i := range g.Instances {
			known[i.ID] = true
		}
	}
	for _, g := range status.Groups {
		if g.Alive != g.Desired {
			return "group " + g.Name + " is not as desired"
		}
	}
	for _, i := range status.Instances {
		if i.State != "pending" && i.State != "running" {
			continue
		}
		if !known[i.ID] {
			return "instance " + i.ID + " is unaccounted for"
		}
		if w.store.nodes[i.Node] == nil && !w.neverJoin[i.ID] {
			return "instance " + i.ID + " has no Node"
		}
	}
	return ""
}
