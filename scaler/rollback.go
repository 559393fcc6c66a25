package scaler

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/scaler/guardrail"
	"swell/scaler/ledger"
	"swell/scaler/plan"
)

// rollBackWithin is what the calls of one roll-back may take, beside the loop; machine time.
const rollBackWithin = 10 * time.Second

// leaving is an object whose spec is to be rolled back.
type leaving struct {
	railed
	record *guardrail.Record
}

// rollBack puts the last good specs back, beside the loop. What was decided is kept first, so that a successor does it if this scaler
// does not come to it; whether that is so already shows in the object.
func (l *Loop) rollBack(ctx context.Context, now time.Time, all []leaving) {
	var begin []leaving
	for _, w := range all {
		try := l.rails.tries[w.key]
		if try == nil {
			try = &attempt{}
			l.rails.tries[w.key] = try
		}
		if try.due(now) {
			try.running = true
			w.record.Watch.Trying(fmt.Sprintf("generation %d at %s: %s", w.record.Watch.Generation, l.clock.RealTime(now).UTC().Format(time.RFC3339), w.record.Watch.Why), w.spec.generation)
			begin = append(begin, w)
		} else if try.problem != "" {
			what, mend, _ := strings.Cut(try.problem, "; ")
			l.rails.problems = append(l.rails.problems, plan.Problem{Object: w.key, What: what, Mend: mend})
		}
	}
	if len(begin) == 0 {
		return
	}
	turn, data := l.nextRails()
	for _, w := range begin {
		l.beginRollBack(ctx, now, w, func(ctx context.Context) error { return l.rails.store.save(ctx, turn, data) })
	}
}

func (l *Loop) beginRollBack(ctx context.Context, now time.Time, w leaving, keep func(context.Context) error) {
	r, record, note, try := &l.rails, w.record, w.record.Watch.Note, l.rails.tries[w.key]
	entry := ledger.Entry{Tick: l.tick, Phase: ledger.Intent, Action: "roll-back", Object: w.key, Reason: record.Watch.Why}
	l.write(entry)
	patch, err := patchBack(w.railed, record)
	object := w.object.DeepCopyObject().(client.Object)
	l.background(ctx, l.jobs.rollBacks, func(ctx context.Context) func() {
		call, cancel := context.WithTimeout(ctx, rollBackWithin)
		defer cancel()
		if err == nil {
			err = l.actor.Check(call)
		}
		if err == nil {
			if err = keep(call); neverTaken(err) { // which is told; what harms does not wait for it
				err = nil
			}
		}
		if err == nil {
			err = l.client.Patch(call, object, patch, client.FieldOwner("swell-scaler"))
		}
		entry.Phase = ledger.Done
		if err != nil {
			entry.Phase, entry.Error = ledger.Failed, err.Error()
			l.options.Log.Warn("rolling back", "object", w.key, "error", err)
			err = fmt.Errorf("the last good spec cannot be put back: %w; %s", err, mendOfRollBack(err, w.kind))
		}
		l.write(entry)
		l.Kick()
		return func() {
			if try.ended(now, err); err == nil {
				*try = attempt{}
				record.PutBack(note, object.GetGeneration())
				r.news = true
			}
		}
	})
}

// neverTaken says that the API server does not take a write, now or again.
func neverTaken(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsRequestEntityTooLargeError(err)
}

func mendOfRollBack(err error, kind string) string {
	if apierrors.IsForbidden(err) {
		return "let swell-scaler patch " + strings.ToLower(kind) + "s (the chart's guardRails), or put it back by hand"
	}
	return "it is tried again; put it back by hand if that lasts"
}

// patchBack writes the last good spec over the one that was judged, and nothing over any other: of that object, with those annotations.
// Its resourceVersion may be another, as each plan may write the object's status.
func patchBack(w railed, record *guardrail.Record) (client.Patch, error) {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(record.Good, &fields); err != nil {
		return nil, fmt.Errorf("reading the last good spec: %w", err)
	}
	maps.Copy(fields, w.spec.passing)
	note := map[string]any{"op": "add", "path": "/metadata/annotations/" + strings.ReplaceAll(guardrail.RolledBackAnnotation, "/", "~1"), "value": record.Watch.Note}
	if len(w.object.GetAnnotations()) == 0 {
		note = map[string]any{"op": "add", "path": "/metadata/annotations", "value": map[string]string{guardrail.RolledBackAnnotation: record.Watch.Note}}
	}
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/uid", "value": w.object.GetUID()},
		{"op": "test", "path": "/metadata/generation", "value": w.object.GetGeneration()},
		{"op": "test", "path": "/metadata/annotations", "value": w.object.GetAnnotations()},
		note,
		{"op": "replace", "path": "/spec", "value": fields},
	})
	return client.RawPatch(types.JSONPatchType, patch), err
}
