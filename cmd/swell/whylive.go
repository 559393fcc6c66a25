package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
	"swell/scaler/explain"
)

// liveObject is what the cluster says of an object now.
type liveObject struct {
	answer []string
	events []explain.Event
	notes  []string
	// node and instance are one, where both are known.
	node, instance string
}

func (l *liveObject) say(format string, args ...any) {
	l.answer = append(l.answer, fmt.Sprintf(format, args...))
}

func (l *liveObject) saw(at time.Time, format string, args ...any) {
	if !at.IsZero() {
		l.events = append(l.events, explain.Event{At: at, What: fmt.Sprintf(format, args...), Source: "status"})
	}
}

// conditions as events, and those that are not as they should be in the answer.
func (l *liveObject) conditions(all []metav1.Condition) {
	for _, c := range all {
		l.saw(c.LastTransitionTime.Time, "condition %s is %s, %s: %s", c.Type, c.Status, c.Reason, c.Message)
		if c.Status != metav1.ConditionTrue {
			l.say("%s is %s since %s, %s: %s.", c.Type, c.Status, utc(c.LastTransitionTime.Time), c.Reason, strings.TrimSuffix(c.Message, "."))
		}
	}
}

func utc(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" }

// objectPath of an object and the kind that its Events name; empty is a kind that the cluster does not have.
func objectPath(o explain.Object) (at, kind, namespace, name string) {
	swell := "/apis/" + v1alpha1.GroupVersion.String()
	namespace, name, _ = strings.Cut(o.Name, "/")
	switch o.Kind {
	case explain.Pod:
		return fmt.Sprintf("/api/v1/namespaces/%s/pods/%s", namespace, name), "Pod", namespace, name
	case explain.Balloon:
		return fmt.Sprintf("%s/namespaces/%s/balloons/%s", swell, namespace, name), "Balloon", namespace, name
	case explain.Consumer:
		return fmt.Sprintf("%s/namespaces/%s/queueconsumers/%s", swell, namespace, name), "QueueConsumer", namespace, name
	case explain.Node:
		return "/api/v1/nodes/" + o.Name, "Node", metav1.NamespaceDefault, o.Name
	case explain.Pool:
		return swell + "/capacitypools/" + o.Name, "CapacityPool", metav1.NamespaceDefault, o.Name
	}
	return "", "", "", ""
}

// find are the objects of a name that the cluster has.
func (r *apiReader) find(name string) []explain.Object {
	possible := []string{explain.Node, explain.Pool}
	if strings.Contains(name, "/") {
		possible = []string{explain.Consumer, explain.Balloon, explain.Pod}
	}
	var out []explain.Object
	for _, kind := range possible {
		o := explain.Object{Kind: kind, Name: name}
		at, _, _, _ := objectPath(o)
		if r.read(context.Background(), &metav1.PartialObjectMetadata{}, at, "") == nil {
			out = append(out, o)
		}
	}
	return out
}

// live reads an object and its Events; nil is that it is not there.
func (r *apiReader) live(ctx context.Context, o explain.Object) (*liveObject, error) {
	l := &liveObject{}
	if o.Kind == explain.Instance {
		return l, r.instanceNow(ctx, o.Name, l)
	}
	at, kind, namespace, name := objectPath(o)
	if at == "" {
		return nil, nil
	}
	err := r.readLive(ctx, o, at, l)
	var answer answerError
	switch {
	case isMissing(err):
		l.notes = append(l.notes, fmt.Sprintf("the cluster has no %s now", o))
	case isBare(err, http.StatusNotFound):
		l.notes = append(l.notes, fmt.Sprintf("this cluster has no kind %s: install charts/swell/crds, or give another --context", kind))
	case errors.As(err, &answer) && answer.code == http.StatusForbidden:
		l.notes = append(l.notes, err.Error())
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", o, err)
	}
	events, err := r.eventsOf(ctx, kind, namespace, name)
	if err != nil {
		l.notes = append(l.notes, fmt.Sprintf("its Events are not known: %v", err))
	}
	l.events = append(l.events, events...)
	return l, nil
}

func (r *apiReader) readLive(ctx context.Context, o explain.Object, at string, l *liveObject) error {
	switch o.Kind {
	case explain.Pod:
		var p corev1.Pod
		if err := r.read(ctx, &p, at, ""); err != nil {
			return err
		}
		podNow(&p, l)
	case explain.Node:
		var n corev1.Node
		if err := r.read(ctx, &n, at, ""); err != nil {
			return err
		}
		nodeNow(&n, l)
	case explain.Balloon:
		var b v1alpha1.Balloon
		if err := r.read(ctx, &b, at, ""); err != nil {
			return err
		}
		balloonNow(&b, l)
	case explain.Pool:
		var p v1alpha1.CapacityPool
		if err := r.read(ctx, &p, at, ""); err != nil {
			return err
		}
		poolNow(&p, l)
	case explain.Consumer:
		var q v1alpha1.QueueConsumer
		if err := r.read(ctx, &q, at, ""); err != nil {
			return err
		}
		if q.Status.Why != "" {
			l.say("Now: %s.", q.Status.Why)
		}
		l.conditions(q.Status.Conditions)
	}
	return nil
}

func podNow(p *corev1.Pod, l *liveObject) {
	l.saw(p.CreationTimestamp.Time, "made")
	if owner := p.Labels[v1alpha1.BalloonLabel]; owner != "" {
		l.say("It is a balloon pod of balloon %s/%s.", p.Namespace, owner)
	}
	for _, c := range p.Status.Conditions {
		if c.Type != corev1.PodScheduled {
			continue
		}
		if c.Status == corev1.ConditionTrue {
			l.say("It waited %s for a place, and is on node %s.", c.LastTransitionTime.Sub(p.CreationTimestamp.Time).Round(time.Second), p.Spec.NodeName)
			l.saw(c.LastTransitionTime.Time, "bound to node %s", p.Spec.NodeName)
		} else {
			l.say("It has no place since %s: %s.", utc(p.CreationTimestamp.Time), cmp.Or(strings.TrimSuffix(c.Message, "."), c.Reason))
			l.saw(c.LastTransitionTime.Time, "kube-scheduler: %s", c.Message)
		}
	}
}

func nodeNow(n *corev1.Node, l *liveObject) {
	l.saw(n.CreationTimestamp.Time, "registered")
	l.node, l.instance = n.Name, n.Spec.ProviderID[strings.LastIndex(n.Spec.ProviderID, "/")+1:]
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			l.saw(c.LastTransitionTime.Time, "Ready is %s", c.Status)
			if c.Status != corev1.ConditionTrue {
				l.say("It is not Ready since %s: %s.", utc(c.LastTransitionTime.Time), strings.TrimSuffix(c.Message, "."))
			}
		}
	}
	if n.Spec.Unschedulable {
		l.say("It is cordoned.")
	}
}

func balloonNow(b *v1alpha1.Balloon, l *liveObject) {
	if b.Status.Why != "" {
		l.say("Now: %s.", b.Status.Why)
	}
	for _, z := range b.Status.Zones {
		if z.Running != z.Balloons {
			l.say("In %s %d of %d balloons have a place.", z.Zone, z.Running, z.Balloons)
		}
	}
	l.conditions(b.Status.Conditions)
}

func poolNow(p *v1alpha1.CapacityPool, l *liveObject) {
	for _, z := range p.Status.Zones {
		l.say("In %s: %d on-demand and %d spot nodes, %d of them boot.", z.Zone, z.OnDemand, z.Spot, z.Booting)
	}
	for _, problem := range p.Status.Problems {
		l.say("Problem: %s.", strings.TrimSuffix(problem, "."))
	}
	l.conditions(p.Status.Conditions)
}

// instanceNow finds the node of an instance.
func (r *apiReader) instanceNow(ctx context.Context, id string, l *liveObject) error {
	var list corev1.NodeList
	if err := r.read(ctx, &list, "/api/v1/nodes", ""); err != nil {
		l.notes = append(l.notes, fmt.Sprintf("the cluster's nodes are not known: %v", err))
		return nil
	}
	for i := range list.Items {
		if n := &list.Items[i]; strings.HasSuffix(n.Spec.ProviderID, "/"+id) {
			l.say("It is node %s now.", n.Name)
			nodeNow(n, l)
			events, err := r.eventsOf(ctx, "Node", metav1.NamespaceDefault, n.Name)
			if err != nil {
				l.notes = append(l.notes, fmt.Sprintf("its Events are not known: %v", err))
			}
			l.events = append(l.events, events...)
		}
	}
	return nil
}

// eventsOf are those of swell-scaler and of the cluster's own parts on one object.
func (r *apiReader) eventsOf(ctx context.Context, kind, namespace, name string) ([]explain.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, whyTimeout)
	defer cancel()
	raw, err := r.client.Get().AbsPath("/apis/events.k8s.io/v1/namespaces/"+namespace+"/events").
		Param("fieldSelector", "regarding.kind="+kind+",regarding.name="+name).DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	var list eventsv1.EventList
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	var out []explain.Event
	for _, e := range list.Items {
		if e.Regarding.Kind != kind || e.Regarding.Name != name {
			continue
		}
		at, times := e.EventTime.Time, int32(1)
		if e.Series != nil {
			at, times = e.Series.LastObservedTime.Time, e.Series.Count
		}
		if at.IsZero() {
			at, times = e.DeprecatedLastTimestamp.Time, e.DeprecatedCount
		}
		what := fmt.Sprintf("Event %s of %s: %s", e.Reason, cmp.Or(e.ReportingController, e.DeprecatedSource.Component), e.Note)
		if times > 1 {
			what += fmt.Sprintf(" (%d times)", times)
		}
		out = append(out, explain.Event{At: at, What: what, Source: "event"})
	}
	return out, nil
}
