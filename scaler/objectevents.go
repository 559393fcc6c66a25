package scaler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"swell/api/v1alpha1"
	"swell/nodegroups"
	"swell/scaler/act"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

// Reasons of Events on what was decided about one object.
const (
	nodeBoughtForPod = "NodeIsBought"
	boughtFor        = "Bought"
	beingReturned    = "BeingReturned"
	sizedBalloon     = "Sized"
)

const (
	// mostPodEvents is how many pods are told of one plan's launches.
	mostPodEvents = 20
	// sizedEvery is the least time between two Events on a Balloon's size: the API keeps the first words of those that follow one
	// another within six minutes. Model time.
	sizedEvery = 10 * time.Minute
	// boughtKept is how long the reason of a launch is kept for its node; model time.
	boughtKept = time.Hour
)

// decided is what objects were told of decisions on them.
type decided struct {
	pods map[string]time.Time // by UID
	// bought is why instances were launched, by id, and at when.
	bought   map[string]bought
	returned map[string]bool // nodes, by UID
	sizes    map[string]toldSize
}

type bought struct {
	at   time.Time
	note string
}

type toldSize struct {
	at    time.Time
	total int
}

func newDecided() decided {
	return decided{pods: map[string]time.Time{}, bought: map[string]bought{}, returned: map[string]bool{}, sizes: map[string]toldSize{}}
}

// eventf tells one object; the note is cut to what the API server takes.
func (l *Loop) eventf(of runtime.Object, reason, action, format string, args ...any) {
	if l.events == nil {
		return
	}
	text := fmt.Sprintf(format, args...)
	if len(text) > longestNote {
		text = strings.ToValidUTF8(text[:longestNote-len(" …")], "") + " …"
	}
	l.events.Eventf(of, nil, corev1.EventTypeNormal, reason, action, "%s", text)
}

// tellObjects puts Events on the pods that something was bought for, on nodes that came of it or are returned, and on Balloons
// whose size changed.
func (l *Loop) tellObjects(now time.Time, world observe.World, p plan.Plan, out act.Outcome, sizes []size) {
	l.tellPods(now, world.Snapshot.Pods, p.Launches, out)
	l.tellNodes(now, world.Snapshot, p)
	l.tellSizes(now, sizes)
}

// tellPods says which launch is for a pod, once for each pod: it may be some other group's the second time, which its node says.
func (l *Loop) tellPods(now time.Time, pods []*corev1.Pod, launches []plan.Launch, out act.Outcome) {
	byKey := map[string]*corev1.Pod{}
	if len(launches) > 0 {
		for _, p := range pods {
			byKey[p.Namespace+"/"+p.Name] = p
		}
	}
	told := 0
	for _, launch := range launches {
		got := out.Launched[launch.Group]
		if len(got) == 0 && len(out.Raised[launch.Group]) == 0 {
			continue
		}
		for _, i := range got {
			l.decided.bought[i.ID] = bought{now, fmt.Sprintf("bought in group %s: %s%s", launch.Group, launch.Reason, rejectedBy(launch.Rejected))}
		}
		for _, key := range launch.For {
			p := byKey[key]
			if p == nil || told >= mostPodEvents || !l.decided.pods[string(p.UID)].IsZero() {
				continue
			}
			told++
			l.decided.pods[string(p.UID)] = now
			l.eventf(p, nodeBoughtForPod, "Buying", "no node has room for it; %s for it and %d more pods: %s%s", instancesOf(launch, got), launch.Pods-1, marketOf(launch), rejectedBy(launch.Rejected))
		}
	}
	for uid, at := range l.decided.pods {
		if now.Sub(at) > boughtKept {
			delete(l.decided.pods, uid)
		}
	}
}

func marketOf(l plan.Launch) string {
	return fmt.Sprintf("%s in %s, group %s", l.Market, l.Zone, l.Group)
}

func instancesOf(l plan.Launch, got []nodegroups.Instance) string {
	if len(got) == 0 {
		return fmt.Sprintf("group %s was raised by %d", l.Group, l.Count)
	}
	var ids []string
	for _, i := range got[:min(len(got), 3)] {
		ids = append(ids, i.ID)
	}
	text := strings.Join(ids, ", ")
	if more := len(got) - len(ids); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text + " launched"
}

func rejectedBy(all []plan.Alternative) string {
	if len(all) == 0 {
		return ""
	}
	return "; not " + plan.Listed(all)
}

// tellNodes says of a node that has come why it was bought, and of one that is being emptied why it goes.
func (l *Loop) tellNodes(now time.Time, s plan.Snapshot, p plan.Plan) {
	why := map[string]string{}
	for _, list := range [][]plan.Termination{p.Terminations, p.Lost, p.Replacements} {
		for _, t := range list {
			why[t.Node] = t.Reason
		}
	}
	draining := map[string]bool{}
	for _, n := range l.actor.Draining() {
		draining[n] = true
	}
	there := map[string]bool{}
	for _, n := range s.Nodes {
		uid, id := string(n.UID), n.Spec.ProviderID[strings.LastIndex(n.Spec.ProviderID, "/")+1:]
		there[uid] = true
		if b, ok := l.decided.bought[id]; ok {
			delete(l.decided.bought, id)
			l.eventf(n, boughtFor, "Buying", "%s", b.note)
		}
		if reason, known := why[n.Name]; known && draining[n.Name] && !l.decided.returned[uid] {
			l.decided.returned[uid] = true
			l.eventf(n, beingReturned, "Draining", "cordoned and drained, to be returned: %s", reason)
		}
		if !draining[n.Name] && !n.Spec.Unschedulable {
			delete(l.decided.returned, uid) // it was kept after all, and may be told again
		}
	}
	for uid := range l.decided.returned {
		if !there[uid] {
			delete(l.decided.returned, uid)
		}
	}
	for id, b := range l.decided.bought {
		if now.Sub(b.at) > boughtKept {
			delete(l.decided.bought, id)
		}
	}
}

// tellSizes says what a Balloon's size became, where it changed by a fifth or to or from nothing.
func (l *Loop) tellSizes(now time.Time, sizes []size) {
	known := map[string]bool{}
	for i := range sizes {
		s := &sizes[i]
		key := s.balloon.Namespace + "/" + s.balloon.Name
		known[key] = true
		last, told := l.decided.sizes[key]
		total := s.decision.Total
		if s.err != nil || s.unsized || told && (!ofNote(last.total, total) || now.Sub(last.at) < sizedEvery) {
			continue
		}
		if !told { // a scaler that starts knows of no change, and tells the first one at once
			l.decided.sizes[key] = toldSize{total: total}
			continue
		}
		l.decided.sizes[key] = toldSize{now, total}
		var zones []string
		for _, z := range s.decision.Zones {
			zones = append(zones, fmt.Sprintf("%d in %s", z.Balloons, z.Zone))
		}
		slices.Sort(zones)
		regarding := &corev1.ObjectReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Balloon", Namespace: s.balloon.Namespace, Name: s.balloon.Name, UID: s.balloon.UID}
		l.eventf(regarding, sizedBalloon, "Sizing", "%d → %d balloons (%s): %s", last.total, total, cmp.Or(strings.Join(zones, ", "), "in no zone"), s.decision.Why)
	}
	for key := range l.decided.sizes {
		if !known[key] {
			delete(l.decided.sizes, key)
		}
	}
}

// ofNote says whether a change of size is worth an Event.
func ofNote(a, b int) bool {
	change := max(a-b, b-a)
	return change > 0 && (a == 0 || b == 0 || change*5 >= max(a, b))
}
