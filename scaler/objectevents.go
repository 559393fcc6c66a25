package scaler

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"swell/api/v1alpha1"
	"swell/scaler/act"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

// Reasons of Events on what was decided about one object.
const (
	waitsForNode  = "WaitsForNode"
	boughtFor     = "Bought"
	beingReturned = "BeingReturned"
	sizedBalloon  = "Sized"
)

const (
	// mostPodEvents is how many pods are told with one plan.
	mostPodEvents = 20
	// sizedEvery is the least time between two Events on a Balloon's size: the API keeps the first words of those that follow one
	// another within six minutes. Model time.
	sizedEvery = 10 * time.Minute
	// boughtKept is how long the reason of a launch is kept for its node; model time.
	boughtKept = time.Hour
)

// decided is what objects were told of decisions on them.
type decided struct {
	// pods, by namespace/name, with the instance that they were told to wait for.
	pods map[string]string
	// bought is why instances were launched, by id, and at when.
	bought   map[string]bought
	returned map[string]bool // nodes, by UID
	sizes    map[string]toldSize
}

type bought struct {
	at   time.Time
	note string
	told bool // its Node was
}

type toldSize struct {
	at    time.Time
	total int
}

func newDecided() decided {
	return decided{pods: map[string]string{}, bought: map[string]bought{}, returned: map[string]bool{}, sizes: map[string]toldSize{}}
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

// tellObjects puts Events on nodes that were bought or are returned, and on Balloons whose size changed.
func (l *Loop) tellObjects(now time.Time, world observe.World, p plan.Plan, out act.Outcome, sizes []size) {
	l.noteLaunches(now, p.Launches, out)
	l.tellNodes(world.Snapshot, p)
	l.tellSizes(now, sizes)
}

// noteLaunches keeps why instances were bought.
func (l *Loop) noteLaunches(now time.Time, launches []plan.Launch, out act.Outcome) {
	for _, launch := range launches {
		for _, i := range out.Launched[launch.Group] {
			l.decided.bought[i.ID] = bought{at: now, note: fmt.Sprintf("bought in group %s, %s in %s: %s%s", launch.Group, launch.Market, launch.Zone, launch.Reason, rejectedBy(launch.Rejected))}
		}
	}
	for id, b := range l.decided.bought {
		if now.Sub(b.at) > boughtKept {
			delete(l.decided.bought, id)
		}
	}
}

// tellWaiting says which instance a pod waits for, once for each: of a plan's many, the first by name.
func (l *Loop) tellWaiting(pods []*corev1.Pod, waits waiting) {
	byKey := map[string]*corev1.Pod{}
	for _, p := range pods {
		if key := p.Namespace + "/" + p.Name; waits[key].on != "" && l.decided.pods[key] == "" {
			byKey[key] = p
		}
	}
	keys := slices.Sorted(maps.Keys(byKey))
	for _, key := range keys[:min(len(keys), mostPodEvents)] {
		on := waits[key].on
		l.decided.pods[key] = on
		note := "bought before this scaler began, or by its group"
		if b, ok := l.decided.bought[on]; ok {
			note = b.note
		}
		l.eventf(byKey[key], waitsForNode, "Waiting", "no node that is up has room for it: it is to run on instance %s, which boots; %s", on, note)
	}
	for key := range l.decided.pods {
		if _, still := waits[key]; !still {
			delete(l.decided.pods, key)
		}
	}
}

func rejectedBy(all []plan.Alternative) string {
	if len(all) == 0 {
		return ""
	}
	return "; not " + plan.Listed(all)
}

// tellNodes says of a node that has come why it was bought, and of one that is being emptied why it goes.
func (l *Loop) tellNodes(s plan.Snapshot, p plan.Plan) {
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
			if !b.told {
				b.told = true
				l.decided.bought[id] = b
				l.eventf(n, boughtFor, "Buying", "%s", b.note)
			}
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
