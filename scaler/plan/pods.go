package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/scaler/pack"
)

// need is a pod that needs a place.
type need struct {
	pod      *pack.Pod
	promised bool
	leaves   bool     // its node is about to go
	balloon  *balloon // nil for real pods
}

// podSet is the snapshot's pods by what the planner does with them; bound ones are in the packers.
type podSet struct {
	pendingDaemons, nominated, balloons []*pack.Pod
}

// readPods sorts the pods: bound ones stay, pending ones and those of leaving nodes need a place.
func (w *world) readPods(s Snapshot, all []*known) podSet {
	var set podSet
	leaving := map[string]bool{}
	for i := range w.leaving {
		leaving[w.leaving[i].name] = true
		w.liftOff(&w.leaving[i])
	}
	for _, k := range all {
		switch {
		case k.err != nil:
			w.problem("pod "+k.api.Namespace+"/"+k.api.Name, k.err.Error(), "correct the pod; it is left out of the plan")
		case k.pod.Labels[BalloonLabel] != "":
			// A balloon goes at once when it is deleted, and with its node.
			if k.pod.DeletionTimestamp == nil && (k.pod.At == "" || !leaving[k.pod.At]) {
				set.balloons = append(set.balloons, k.pod)
			}
		case k.pod.At == "":
			w.readPending(k.pod, &set)
		}
	}
	byName(set.pendingDaemons)
	byName(set.nominated)
	byName(set.balloons)
	w.addPromised(s)
	slices.SortStableFunc(w.needs, compareNeeds)
	return set
}

// liftOff takes the pods that need another place off a node that is about to go.
func (w *world) liftOff(l *leave) {
	at := w.real.Node(l.name)
	if at == nil {
		return
	}
	pods := slices.Clone(at.Pods())
	byName(pods)
	for _, pod := range pods {
		if !moves(pod) {
			continue
		}
		w.real.Remove(pod)
		w.full.Remove(pod)
		if metav1.GetControllerOfNoCopy(pod.Pod) == nil {
			l.ends = append(l.ends, pod)
			continue
		}
		n := &need{pod: pod, leaves: true}
		w.needs, l.needs = append(w.needs, n), append(l.needs, n)
	}
}

func (w *world) readPending(pod *pack.Pod, set *podSet) {
	switch {
	case pod.DeletionTimestamp != nil || len(pod.Spec.SchedulingGates) > 0 || !w.policy.schedules(pod.Pod):
	case isDaemon(pod.Pod):
		set.pendingDaemons = append(set.pendingDaemons, pod)
	default:
		if pod.Status.NominatedNodeName != "" {
			set.nominated = append(set.nominated, pod)
		}
		w.needs = append(w.needs, &need{pod: pod})
	}
}

// schedules says whether a pod's scheduler is one that is planned for: others place pods by rules of their own, elsewhere (as
// Fargate's does) or later.
func (p Policy) schedules(pod *corev1.Pod) bool {
	name := cmp.Or(pod.Spec.SchedulerName, corev1.DefaultSchedulerName)
	return slices.Contains(p.Schedulers, name) || len(p.Schedulers) == 0 && name == corev1.DefaultSchedulerName
}

// addPromised makes up the pods that do not exist yet. A stale snapshot may show them and the promise at once, so
// there they count for nothing.
func (w *world) addPromised(s Snapshot) {
	if w.stale != "" {
		return
	}
	seen := map[string]int{}
	for _, p := range s.Promised {
		if p.Pod == nil || len(p.Pod.Spec.SchedulingGates) > 0 || !w.policy.schedules(p.Pod) {
			continue
		}
		name := p.Pod.Namespace + "/" + p.Pod.Name
		for range p.Count {
			seen[name]++
			copied := *p.Pod
			copied.UID, copied.Spec.NodeName = "", ""
			copied.Name = fmt.Sprintf("%s-promised-%d", p.Pod.Name, seen[name])
			pod, err := pack.NewPod(&copied)
			if err != nil {
				w.problem("pod "+name, err.Error(), "correct the workload's pod template; its promised replicas are left out of the plan")
				break
			}
			w.needs = append(w.needs, &need{pod: pod, promised: true})
		}
	}
}

// compareNeeds orders as the scheduler's queue does: by priority, then by age; promised pods are younger than any.
func compareNeeds(a, b *need) int {
	if c := cmp.Compare(priority(b.pod.Pod), priority(a.pod.Pod)); c != 0 {
		return c
	}
	if a.promised != b.promised {
		if a.promised {
			return 1
		}
		return -1
	}
	if c := a.pod.CreationTimestamp.Compare(b.pod.CreationTimestamp.Time); c != 0 {
		return c
	}
	return cmp.Or(strings.Compare(a.pod.Namespace, b.pod.Namespace), strings.Compare(a.pod.Name, b.pod.Name))
}

func priority(p *corev1.Pod) int32 {
	if p.Spec.Priority == nil {
		return 0
	}
	return *p.Spec.Priority
}

// freeNominated takes away what the scheduler is already evicting for nominated pods, so that these find the
// room that they were given.
func (w *world) freeNominated(set podSet) {
	for _, pod := range set.nominated {
		at := w.real.Node(pod.Status.NominatedNodeName)
		if at == nil {
			continue
		}
		for _, victim := range slices.Clone(at.Pods()) {
			if victim.DeletionTimestamp != nil && priority(victim.Pod) < priority(pod.Pod) {
				w.real.Remove(victim)
				w.full.Remove(victim)
			}
		}
	}
}
