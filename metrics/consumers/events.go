package consumers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
)

// note is an event to be.
type note struct{ kind, reason, message string }

const (
	reasonPartitionsLost = "PartitionsLost"
	reasonRecovered      = "Recovered"
)

// worse are the conditions that are bad while they are true.
var worse = []string{conditionSaturated, conditionRebalancing, conditionHot, conditionTarget}

// news are the notes for a status that follows another: one for each thing that became worse, and one when nothing that was told is bad
// any more. ailing says that something bad was told and nothing better since.
func news(old, next *v1alpha1.QueueConsumerStatus, ailing bool) (notes []note, stillAiling bool) {
	tell := func(c *metav1.Condition) {
		notes = append(notes, note{corev1.EventTypeWarning, c.Reason, c.Message})
	}
	bad := false
	was, is := meta.FindStatusCondition(old.Conditions, conditionReady), meta.FindStatusCondition(next.Conditions, conditionReady)
	if is != nil && notReady(is) {
		bad = true
		if was == nil || was.Reason != is.Reason {
			tell(is)
		}
	}
	for _, kind := range worse {
		if is := meta.FindStatusCondition(next.Conditions, kind); is != nil {
			bad = true
			if meta.FindStatusCondition(old.Conditions, kind) == nil {
				tell(is)
			}
		}
	}
	if a, b := old.Partitions, next.Partitions; a != nil && b != nil && b.Total < a.Total {
		notes = append(notes, note{corev1.EventTypeWarning, reasonPartitionsLost,
			fmt.Sprintf("the group's topics have %d partitions, they had %d: was a topic deleted or made anew?", b.Total, a.Total)})
	}
	ailing = ailing || bad
	if ailing && !bad && is != nil && is.Status == metav1.ConditionTrue {
		notes = append(notes, note{corev1.EventTypeNormal, reasonRecovered, is.Message})
		ailing = false
	}
	return notes, ailing
}

// notReady says that a Ready condition tells of something wrong, as against something not known yet.
func notReady(c *metav1.Condition) bool {
	return c.Status == metav1.ConditionFalse && c.Reason != reasonNotSampled && c.Reason != reasonRatesUnknown
}

// ails says that a status tells of something wrong.
func ails(s *v1alpha1.QueueConsumerStatus) bool {
	_, bad := news(s, s, false)
	return bad
}

// told records events; the zero value drops them.
type told struct{ recorder record.EventRecorder }

func (t told) tell(q *v1alpha1.QueueConsumer, notes ...note) {
	if t.recorder == nil {
		return
	}
	for _, n := range notes {
		t.recorder.Event(q, n.kind, n.reason, n.message)
	}
}

// startEvents records events on QueueConsumers until the context ends: like ones as one with a count, and of one object 25 at a time
// at most, then one in five minutes.
func startEvents(ctx context.Context, writer client.Client) told {
	b := record.NewBroadcaster(record.WithContext(ctx))
	b.StartRecordingToSink(eventSink{ctx, writer})
	return told{b.NewRecorder(writer.Scheme(), corev1.EventSource{Component: string(fieldOwner)})}
}

// eventSink writes events by the client that writes statuses.
type eventSink struct {
	ctx    context.Context
	writer client.Client
}

func (s eventSink) Create(e *corev1.Event) (*corev1.Event, error) {
	e = e.DeepCopy()
	return e, s.writer.Create(s.ctx, e)
}

func (s eventSink) Update(e *corev1.Event) (*corev1.Event, error) {
	e = e.DeepCopy()
	return e, s.writer.Update(s.ctx, e)
}

func (s eventSink) Patch(e *corev1.Event, data []byte) (*corev1.Event, error) {
	e = e.DeepCopy()
	return e, s.writer.Patch(s.ctx, e, client.RawPatch(types.StrategicMergePatchType, data))
}
