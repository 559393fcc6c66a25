package scaler

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"

	"swell/scaler/plan"
)

const (
	// noGroupFits is the reason of the Event on a pod that no node and no group can take.
	noGroupFits = "NoCapacityGroupFits"
	// longestNote is what the API server takes.
	longestNote = 1024
)

// told is the last Event on a workload's pods.
type told struct {
	reasons string // without their numbers, which change by themselves
	at      time.Time
}

// startEvents makes Events go to the API server until stop.
func (l *Loop) startEvents(ctx context.Context) (stop func(), err error) {
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: l.options.Events.EventsV1()})
	if err := broadcaster.StartRecordingToSinkWithContext(ctx); err != nil {
		return nil, fmt.Errorf("starting Events: %w", err)
	}
	l.events = broadcaster.NewRecorder(scheme.Scheme, "swell-scaler")
	return broadcaster.Shutdown, nil
}

// tell puts an Event on pods that no node and no group can take, with each group's reason: on one pod of those that a
// controller made and that have the same reasons, since 500 Events say no more than one and would hold up what matters. It
// is said again when the reasons change, and never sooner than sayAgain where only their numbers do.
func (l *Loop) tell(now time.Time, pods []*corev1.Pod, unplaced []plan.Unplaced) {
	if l.events == nil {
		return
	}
	byKey := make(map[string]*corev1.Pod, len(pods))
	if len(unplaced) > 0 {
		for _, p := range pods {
			byKey[p.Namespace+"/"+p.Name] = p
		}
	}
	current := map[string]bool{}
	for _, c := range complaints(byKey, unplaced) {
		current[c.key] = true
		last, known := l.told[c.key]
		if known && (last.reasons == wordsOf(c.reasons) || now.Sub(last.at) < settleReasons) {
			continue
		}
		l.told[c.key] = told{wordsOf(c.reasons), now}
		l.events.Eventf(c.pod, nil, corev1.EventTypeWarning, noGroupFits, "Planning", "%s", c.note())
	}
	for key := range l.told {
		if !current[key] {
			delete(l.told, key)
		}
	}
}

// settleReasons is the least time between two Events on the pods of one controller, in model time.
const settleReasons = 30 * time.Second

// complaint is one Event to be.
type complaint struct {
	key, reasons string
	pod          *corev1.Pod
	count        int
}

// complaints are the pods that have no place, by who made them; pods that do not exist yet have no Events.
func complaints(byKey map[string]*corev1.Pod, unplaced []plan.Unplaced) []complaint {
	found := map[string]*complaint{}
	for _, u := range unplaced {
		p := byKey[u.Pod]
		if p == nil {
			continue
		}
		key := "pod " + string(p.UID)
		if o := metav1.GetControllerOf(p); o != nil {
			key = o.Kind + " " + string(o.UID) + " " + p.Namespace + "/" + o.Name
		}
		reasons := plan.Listed(u.Reasons)
		if c := found[key]; c != nil {
			c.count++
			continue
		}
		found[key] = &complaint{key: key, reasons: reasons, pod: p, count: 1}
	}
	out := make([]complaint, 0, len(found))
	for _, c := range found {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b complaint) int { return cmp.Compare(a.key, b.key) })
	return out
}

func (c complaint) note() string {
	text := "no node and no group takes this pod: " + c.reasons
	if c.count > 1 {
		text = fmt.Sprintf("no node and no group takes this pod and %d more of its controller: %s", c.count-1, c.reasons)
	}
	return shortened(text, longestNote)
}

// wordsOf is a text without its digits.
func wordsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, s)
}
