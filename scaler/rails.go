package scaler

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"swell/api/v1alpha1"
	"swell/scaler/guardrail"
	"swell/scaler/ledger"
	"swell/scaler/notify"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

const (
	// railsName is the ConfigMap with what is watched, so that a successor goes on with it.
	railsName = "swell-scaler-guard-rails"
	// railsEvery is the time between two readings, and keepRailsEvery between two writes of what was read; model time.
	railsEvery     = 10 * time.Second
	keepRailsEvery = time.Minute
	// mostRails bounds what is written, below what a ConfigMap holds.
	mostRails = 900 << 10
	// rollBackWithin is what the calls of one roll-back may take; machine time.
	rollBackWithin = 10 * time.Second
)

// rails are the guard rails of policies, by kind and name.
type rails struct {
	records  map[string]*guardrail.Record
	specs    map[string]spec
	readAt   map[string]time.Time
	tries    map[string]*attempt
	problems []plan.Problem
	kept     map[string]string
	keptAt   time.Time
	keeping  bool
}

func newRails() rails {
	return rails{records: map[string]*guardrail.Record{}, specs: map[string]spec{}, readAt: map[string]time.Time{}, tries: map[string]*attempt{}}
}

// spec of an object, as JSON, at a generation.
type spec struct {
	uid        types.UID
	generation int64
	policy     json.RawMessage // without what is asked for a while only
	observes   bool            // mode: Observe
	passing    map[string]json.RawMessage
}

// railed is an object with guard rails, or that may get them.
type railed struct {
	kind, key string // key is "Kind namespace/name"
	object    client.Object
	spec      spec
	read      func(context.Context, time.Time, *railView) *guardrail.Reading
}

// watchedPolicies are the kinds whose changes are watched, as the API server has them: what the configuration makes of them comes
// later.
func (l *Loop) watchedPolicies(world *observe.World) []railed {
	var all []railed
	add := func(kind string, object client.Object, of any, read func(context.Context, time.Time, *railView) *guardrail.Reading) {
		key := kind + " " + object.GetName()
		if ns := object.GetNamespace(); ns != "" {
			key = kind + " " + ns + "/" + object.GetName()
		}
		s := l.rails.specs[key]
		if s.uid != object.GetUID() || s.generation != object.GetGeneration() {
			var err error
			if s, err = specOf(object, of); err != nil {
				l.options.Log.Error("reading a spec", "object", key, "error", err)
				return
			}
			l.rails.specs[key] = s
		}
		all = append(all, railed{kind, key, object, s, read})
	}
	for i := range world.Pools {
		p := &world.Pools[i]
		add("CapacityPool", p, p.Spec, func(_ context.Context, _ time.Time, v *railView) *guardrail.Reading { return v.pool(p.Name) })
	}
	for i := range world.Balloons {
		b := &world.Balloons[i]
		add("Balloon", b, b.Spec, func(ctx context.Context, now time.Time, v *railView) *guardrail.Reading {
			return v.balloon(ctx, now, b)
		})
	}
	for _, name := range slices.Sorted(maps.Keys(world.Schedules)) {
		d := world.Schedules[name]
		add("DiurnalSchedule", &d, d.Spec, func(ctx context.Context, now time.Time, v *railView) *guardrail.Reading {
			return v.schedule(ctx, now, &d)
		})
	}
	return all
}

// passingFields of a CapacityPool are orders for a while, no policy: they neither make a change nor are they rolled back.
var passingFields = []string{"freeze", "holds"}

func specOf(object client.Object, of any) (spec, error) {
	s := spec{uid: object.GetUID(), generation: object.GetGeneration(), passing: map[string]json.RawMessage{}}
	raw, err := json.Marshal(of)
	if err != nil {
		return s, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return s, err
	}
	if _, pool := of.(v1alpha1.CapacityPoolSpec); pool {
		for _, name := range passingFields {
			if v, has := fields[name]; has {
				s.passing[name] = v
				delete(fields, name)
			}
		}
	}
	s.observes = string(fields["mode"]) == `"`+string(v1alpha1.Observe)+`"`
	s.policy, err = json.Marshal(fields)
	return s, err
}

// guardPolicies goes on with what is watched, and rolls back what left its bounds.
func (l *Loop) guardPolicies(ctx context.Context, now time.Time, world *observe.World, all []railed) {
	r := &l.rails
	r.problems = nil
	view := l.viewRails(now, world)
	about, present, news := newAbout(world), map[string]bool{}, false
	for _, w := range all {
		present[w.key] = true
		record := r.records[w.key]
		if record == nil {
			var err error
			if record, err = r.recordOf(w.key); err != nil {
				l.options.Log.Error("guard rails; the spec in force counts as good", "object", w.key, "error", err)
			}
			r.records[w.key] = record
		}
		annotations := w.object.GetAnnotations()
		o := guardrail.Object{Generation: w.spec.generation, Spec: w.spec.policy, Bounds: annotations[guardrail.BoundsAnnotation],
			Override: annotations[guardrail.OverrideAnnotation], By: appliedBy(w.object)}
		if view != nil && o.Bounds != "" && now.Sub(r.readAt[w.key]) >= railsEvery {
			o.Reading, r.readAt[w.key] = w.read(ctx, now, view), now
		}
		told, err := record.Step(now, o, l.whyNoRollBack(w.spec))
		if err != nil {
			what, mend, _ := strings.Cut(err.Error(), "; ")
			r.problems = append(r.problems, plan.Problem{Object: w.key, What: what, Mend: mend})
		}
		for _, n := range told {
			news = true
			l.tellOfRails(now, about, w.key, n)
		}
		if record.Phase == guardrail.RollingBack {
			l.rollBack(ctx, now, w, record)
		} else {
			delete(r.tries, w.key)
		}
	}
	for key := range r.records {
		if !present[key] {
			delete(r.records, key)
			delete(r.specs, key)
			delete(r.readAt, key)
			delete(r.tries, key)
		}
	}
	if news || now.Sub(r.keptAt) >= keepRailsEvery {
		l.keepRails(ctx, now)
	}
}

// whyNoRollBack is empty where a changed spec may be rolled back.
func (l *Loop) whyNoRollBack(changed spec) string {
	switch {
	case changed.observes: // whoever stops swell by it must not be overruled
		return "its spec has mode: Observe"
	case l.options.Config.Mode == v1alpha1.Observe:
		return "the scaler's configuration has mode: Observe"
	case l.options.Config.GuardRails.Mode != v1alpha1.Enforce:
		return "guardRails.mode in the scaler's configuration is Observe"
	}
	return ""
}

// appliedBy is who wrote an object's spec last; empty is not known.
func appliedBy(o client.Object) string {
	by, at := "", metav1.Time{}
	for _, m := range o.GetManagedFields() {
		if m.Subresource == "" && m.Manager != "swell-scaler" && m.Time != nil && !m.Time.Before(&at) {
			by, at = m.Manager, *m.Time
		}
	}
	return by
}

// railSeverity of news; a breach that is rolled back is told again as that.
var railSeverity = map[guardrail.Kind]notify.Severity{guardrail.Unjudged: notify.Warning, guardrail.Breached: notify.Critical,
	guardrail.RolledBack: notify.Critical, guardrail.Fight: notify.Critical}

var (
	railNews = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "swell_guard_news_total",
		Help: "What became of watched changes of policy, by kind, as in the Events: GuardWatch, GuardConfirmed, GuardNotJudged, GuardBreach, GuardRolledBack, GuardFight, GuardEnded."}, []string{"kind"})
	registerRails = sync.OnceFunc(func() {
		for _, k := range []guardrail.Kind{guardrail.Begun, guardrail.Confirmed, guardrail.Unjudged, guardrail.Breached, guardrail.RolledBack, guardrail.Fight, guardrail.Ended} {
			railNews.WithLabelValues(string(k)) // a rate sees no counter's first count unless it stood at 0 before
		}
		metrics.Registry.MustRegister(railNews)
	})
)

func (l *Loop) tellOfRails(now time.Time, about about, key string, n guardrail.News) {
	l.options.Log.Info("guard rail", "object", key, "news", string(n.Kind), "what", n.What, "mend", n.Mend)
	l.write(ledger.Entry{Tick: l.tick, Phase: ledger.Note, Action: "guard", Object: key, Reason: joined(string(n.Kind)+": "+n.What, n.Mend)})
	f := notify.Fact{Key: "guard " + key + " " + n.What, Severity: railSeverity[n.Kind], Object: key, What: n.What, Mend: n.Mend}
	railNews.WithLabelValues(string(n.Kind)).Inc()
	l.telling.teller.Happened(now, f)
	l.event(about, f, string(n.Kind), "Guarding")
}

func joined(what, mend string) string {
	if mend == "" {
		return what
	}
	return what + "; " + mend
}

// rollBack puts the last good spec back. What was decided is kept first, so that a successor does it if this scaler does not
// come to it; whether that is so already shows in the spec that is in force.
func (l *Loop) rollBack(ctx context.Context, now time.Time, w railed, record *guardrail.Record) {
	try := l.rails.tries[w.key]
	if try == nil {
		try = &attempt{}
		l.rails.tries[w.key] = try
	}
	if now.Before(try.at) {
		if try.problem != "" {
			l.rails.problems = append(l.rails.problems, plan.Problem{Object: w.key, What: "the last good spec cannot be put back: " + try.problem,
				Mend: "let swell-scaler patch " + strings.ToLower(w.kind) + "s (the chart's guardRails), or put it back by hand"})
		}
		return
	}
	call, cancel := context.WithTimeout(ctx, rollBackWithin)
	defer cancel()
	entry := ledger.Entry{Tick: l.tick, Phase: ledger.Intent, Action: "roll-back", Object: w.key, Reason: record.Watch.Why}
	l.write(entry)
	err := l.actor.Check(call)
	if err == nil {
		err = l.railsMap().save(call, l.railsData())
	}
	if err == nil {
		err = l.patchBack(call, now, w, record)
	}
	entry.Phase = ledger.Done
	if err != nil {
		entry.Phase, entry.Error = ledger.Failed, err.Error()
		l.options.Log.Warn("rolling back", "object", w.key, "error", err)
	}
	l.write(entry)
	try.ended(now, err)
	if err == nil { // until the cache shows it
		*try = attempt{at: now.Add(retryLeast)}
	}
	l.Kick()
}

// patchBack writes the last good spec over the one that was judged, and nothing over any other.
func (l *Loop) patchBack(ctx context.Context, now time.Time, w railed, record *guardrail.Record) error {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(record.Good, &fields); err != nil {
		return err
	}
	maps.Copy(fields, w.spec.passing)
	why := fmt.Sprintf("generation %d at %s: %s", record.Watch.Generation, l.clock.RealTime(now).UTC().Format(time.RFC3339), record.Watch.Why)
	patch, err := json.Marshal([]map[string]any{
		{"op": "replace", "path": "/metadata/resourceVersion", "value": w.object.GetResourceVersion()},
		{"op": "add", "path": "/metadata/annotations/" + strings.ReplaceAll(guardrail.RolledBackAnnotation, "/", "~1"), "value": why},
		{"op": "replace", "path": "/spec", "value": fields},
	})
	if err != nil {
		return err
	}
	object := w.object.DeepCopyObject().(client.Object)
	return l.client.Patch(ctx, object, client.RawPatch(types.JSONPatchType, patch), client.FieldOwner("swell-scaler"))
}

func (l *Loop) railsMap() kept {
	return kept{kube: l.kube, namespace: l.namespace(), name: railsName}
}

// railKey is an object's in the ConfigMap.
func railKey(key string) string { return strings.NewReplacer(" ", ".", "/", ".").Replace(key) }

// railsData is what is to be kept: of objects that state bounds, and of those that something is under way for.
func (l *Loop) railsData() map[string]string {
	data, size := map[string]string{}, 0
	for _, withPast := range []bool{true, false} {
		clear(data)
		size = 0
		for key, record := range l.rails.records {
			if record.At.IsZero() && record.Phase == guardrail.Settled {
				continue
			}
			r := *record
			if !withPast {
				r.Past.Hours = nil
			}
			raw, err := json.Marshal(r)
			if err != nil {
				l.options.Log.Error("keeping guard rails", "object", key, "error", err)
				continue
			}
			data[railKey(key)] = string(raw)
			size += len(raw)
		}
		if size <= mostRails {
			break
		}
	}
	return data
}

// keepRails writes it beside the loop, if it is not what was written last.
func (l *Loop) keepRails(ctx context.Context, now time.Time) {
	r := &l.rails
	data := l.railsData()
	if r.keeping || len(data) == 0 && len(r.kept) == 0 {
		return
	}
	r.keptAt, r.keeping = now, true
	l.background(ctx, l.jobs.loads, func(ctx context.Context) func() {
		err := l.actor.Check(ctx)
		if err == nil {
			err = l.railsMap().save(ctx, data)
		}
		return func() {
			r.keeping = false
			if err == nil {
				r.kept = data
			} else {
				r.keptAt = time.Time{}
				l.options.Log.Warn("keeping guard rails", "error", err)
			}
		}
	})
}

// loadRails takes over what a predecessor watched. Without it a spec that is being judged would count as good.
func (l *Loop) loadRails(ctx context.Context) error {
	l.rails = newRails()
	data, err := l.railsMap().load(ctx)
	if err != nil {
		return fmt.Errorf("reading the guard rails: %w", err)
	}
	l.rails.kept = data
	return nil
}

// recordOf is what is kept of an object, or a new record.
func (r *rails) recordOf(key string) (*guardrail.Record, error) {
	record := &guardrail.Record{}
	raw := r.kept[railKey(key)]
	if raw == "" {
		return record, nil
	}
	if err := json.Unmarshal([]byte(raw), record); err != nil {
		return &guardrail.Record{}, fmt.Errorf("reading the guard rails of %s from ConfigMap %s: %w", key, railsName, err)
	}
	if record.Watch == nil && record.Phase != guardrail.Settled {
		return &guardrail.Record{}, fmt.Errorf("reading the guard rails of %s from ConfigMap %s: phase %s without what is watched; it begins anew", key, railsName, record.Phase)
	}
	return record, nil
}
