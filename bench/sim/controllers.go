package sim

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"swell/scaler/plan"
)

// graceOf a pod that is asked to end, and how long one takes to start; virtual time.
const (
	graceOf = 8 * time.Second
	startOf = 5 * time.Second
)

// controllers are ReplicaSets and kubelets' part in pods' lives. The store is locked, as in all that follow.
func (w *world) controllers() {
	now := w.now()
	for _, p := range w.store.sortedPods() {
		switch {
		case p.DeletionTimestamp != nil && !now.Before(p.DeletionTimestamp.Time):
			delete(w.store.pods, p.Name)
		case p.Spec.NodeName != "" && p.Status.Phase == corev1.PodPending && now.Sub(p.Status.StartTime.Time) >= startOf:
			w.store.changePod(p.Name, func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning })
		}
	}
	for _, app := range []string{"api", "web"} {
		var alive []*corev1.Pod
		for _, p := range w.store.sortedPods() {
			if p.Labels["app"] == app && p.DeletionTimestamp == nil {
				alive = append(alive, p)
			}
		}
		for n := len(alive); n < w.replicas[app]; n++ {
			w.born++
			p := newPod(fmt.Sprintf("%s-%d", app, w.born), app, "ReplicaSet")
			p.CreationTimestamp = metav1.NewTime(now)
			w.store.putPod(p)
			w.say("pod %s pending", p.Name)
		}
		// those without a place go first, then the youngest
		slices.SortStableFunc(alive, func(a, b *corev1.Pod) int {
			if (a.Spec.NodeName == "") != (b.Spec.NodeName == "") {
				if a.Spec.NodeName != "" {
					return -1
				}
				return 1
			}
			return 0
		})
		for n := len(alive); n > w.replicas[app]; n-- {
			w.remove(alive[n-1])
			w.say("pod %s removed by its ReplicaSet", alive[n-1].Name)
		}
	}
}

func newPod(name, app, kind string) *corev1.Pod {
	yes := true
	return &corev1.Pod{TypeMeta: metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"}, ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name,
		Labels: map[string]string{"app": app}, OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: app, UID: types.UID(app), Controller: &yes}}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
			"cpu": resource.MustParse(cpuOf[app]), "memory": resource.MustParse("256Mi")}}}}},
		Status: corev1.PodStatus{Phase: corev1.PodPending}}
}

// remove begins a pod's end; one without a node is gone at once.
func (w *world) remove(p *corev1.Pod) {
	if p.Spec.NodeName == "" {
		delete(w.store.pods, p.Name)
		return
	}
	w.store.changePod(p.Name, func(p *corev1.Pod) {
		at := metav1.NewTime(w.now().Add(graceOf))
		p.DeletionTimestamp = &at
	})
}

// balloonPod is what a zone's balloons are made like.
func balloonPod(zone string) *corev1.Pod {
	low := int32(-10)
	p := newPod("web-balloon", "web", "Balloon")
	p.Labels = map[string]string{v1BalloonLabel: "web"}
	p.OwnerReferences[0].UID = "balloon"
	p.Spec.Priority, p.Spec.NodeSelector = &low, map[string]string{corev1.LabelTopologyZone: zone}
	return p
}

// demands are the balloons that are wanted beside the pods that exist: room for web to grow to its peak.
func (w *world) demands(pods []*corev1.Pod) []plan.BalloonDemand {
	if w.bare {
		return nil
	}
	have := 0
	for _, p := range pods {
		if p.Labels["app"] == "web" && p.DeletionTimestamp == nil {
			have++
		}
	}
	want := max(0, min(6, peak-have))
	var out []plan.BalloonDemand
	for n, z := range zones {
		share := (want + n) / len(zones)
		out = append(out, plan.BalloonDemand{Namespace: namespace, Name: "web", Zone: z, Pod: balloonPod(z), Want: share, Soon: share})
	}
	return out
}

func isBalloon(p *corev1.Pod) bool { return p.Labels[v1BalloonLabel] != "" }

func cpu(p *corev1.Pod) int64 {
	return p.Spec.Containers[0].Resources.Requests.Cpu().MilliValue()
}

// open says whether the scheduler may use a node.
func open(n *corev1.Node) bool { return !n.Spec.Unschedulable && isReady(n) && len(n.Spec.Taints) == 0 }

// free CPU of a node in millicores; balloons may be taken for nothing.
func (w *world) free(n *corev1.Node, balloons bool) int64 {
	left := n.Status.Allocatable.Cpu().MilliValue()
	for _, p := range w.store.pods {
		if p.Spec.NodeName == n.Name && (balloons || !isBalloon(p)) {
			left -= cpu(p)
		}
	}
	return left
}

// schedule binds pods as kube-scheduler does: real ones first, to the emptiest node that has room, or they put balloons out
// and wait for their room; that takes a step.
func (w *world) schedule() {
	waiting := []*corev1.Pod{}
	for _, p := range w.store.sortedPods() {
		if p.Spec.NodeName == "" && p.DeletionTimestamp == nil {
			waiting = append(waiting, p)
		}
	}
	slices.SortStableFunc(waiting, func(a, b *corev1.Pod) int {
		if isBalloon(a) == isBalloon(b) {
			return 0
		}
		if isBalloon(b) {
			return -1
		}
		return 1
	})
	for _, p := range waiting {
		if n := w.best(p, true); n != nil {
			w.store.changePod(p.Name, func(p *corev1.Pod) {
				started := metav1.NewTime(w.now())
				p.Spec.NodeName, p.Status.StartTime, p.Status.NominatedNodeName = n.Name, &started, ""
			})
			w.say("pod %s bound to %s", p.Name, n.Name)
			continue
		}
		if isBalloon(p) || !p.CreationTimestamp.Time.Before(w.now()) || p.Status.NominatedNodeName != "" && w.store.nodes[p.Status.NominatedNodeName] != nil {
			continue
		}
		if n := w.best(p, false); n != nil {
			w.preempt(p, n)
		}
	}
}

func (w *world) best(p *corev1.Pod, balloons bool) *corev1.Node {
	var best *corev1.Node
	var room int64
	for _, n := range w.store.sortedNodes() {
		if zone := p.Spec.NodeSelector[corev1.LabelTopologyZone]; !open(n) || zone != "" && zone != n.Labels[corev1.LabelTopologyZone] {
			continue
		}
		if left := w.free(n, balloons); left >= cpu(p) && (best == nil || left > room) {
			best, room = n, left
		}
	}
	return best
}

// preempt puts out as many balloons as a pod needs; it is bound with the next step.
func (w *world) preempt(p *corev1.Pod, n *corev1.Node) {
	for _, b := range w.store.on(n.Name) {
		if w.free(n, true) >= cpu(p) {
			break
		}
		if isBalloon(b) {
			delete(w.store.pods, b.Name)
			w.say("balloon %s gives way to %s", b.Name, p.Name)
		}
	}
	w.store.changePod(p.Name, func(p *corev1.Pod) { p.Status.NominatedNodeName = n.Name })
}

// load moves what the workloads are given.
func (w *world) load() {
	if w.calm || w.dice.IntN(20) > 0 {
		return
	}
	w.replicas["web"] = 3 + w.dice.IntN(13)
	w.say("web is given %d replicas", w.replicas["web"])
}
