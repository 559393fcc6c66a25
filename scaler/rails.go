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
	// railsEvery is the time between two readings, and keepRailsEvery between two writes of what was read; model time.
	railsEvery     = 10 * time.Second
	keepRailsEvery = time.Minute
	// longestUnseen is how long nothing may be seen of what is watched until that is a problem; model time.
	longestUnseen = 10 * time.Minute
)

// rails are the guard rails of policies, by kind and name.
type rails struct {
	records  map[string]*guardrail.Record
	specs    map[string]spec
	readAt   map[string]time.Time
	tries    map[string]*attempt
	problems []plan.Problem

	store *railStore
	kept  map[string]string // of a predecessor, and not looked at yet
	turn  int64             // of what is written
	// news is there to be kept, since keptAt or later; keeping is being written.
	news, keeping bool
	keptAt        time.Time
	unkept        []plan.Problem
	saveProblem   error
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
	view, about, present := l.viewRails(now, world), newAbout(world), map[string]bool{}
	var leave []leaving
	for _, w := range all {
		present[w.key] = true
		if record := l.guardPolicy(ctx, now, w, view, about); record.ToPutBack() {
			leave = append(leave, leaving{w, record})
		} else if try := r.tries[w.key]; try != nil && !try.running {
			delete(r.tries, w.key)
		}
	}
	r.kept = nil // of objects that are there no more
	for key := range r.records {
		if !present[key] {
			delete(r.records, key)
			delete(r.specs, key)
			delete(r.readAt, key)
			delete(r.tries, key)
		}
	}
	l.rollBack(ctx, now, leave)
	if r.news || now.Sub(r.keptAt) >= keepRailsEvery {
		r.keptAt = now
		l.keepRails(ctx)
	}
	r.problems = append(r.problems, r.keepProblems()...)
}

// guardPolicy looks at one object.
func (l *Loop) guardPolicy(ctx context.Context, now time.Time, w railed, view *railView, about about) *guardrail.Record {
	r := &l.rails
	problem := func(err error) {
		what, mend, _ := strings.Cut(err.Error(), "; ")
		r.problems = append(r.problems, plan.Problem{Object: w.key, What: what, Mend: mend})
	}
	record := r.records[w.key]
	if record == nil {
		var err error
		if record, err = r.recordOf(w.key); err != nil {
			l.options.Log.Error("guard rails", "object", w.key, "error", err)
			problem(err)
		}
		r.records[w.key] = record
	}
	annotations := w.object.GetAnnotations()
	o := guardrail.Object{UID: string(w.spec.uid), Generation: w.spec.generation, Spec: w.spec.policy, Bounds: annotations[guardrail.BoundsAnnotation],
		Override: annotations[guardrail.OverrideAnnotation], Note: annotations[guardrail.RolledBackAnnotation], By: appliedBy(w.object)}
	if view != nil && o.Bounds != "" && now.Sub(r.readAt[w.key]) >= railsEvery {
		o.Reading, r.readAt[w.key] = w.read(ctx, now, view), now
	}
	told, err := record.Step(now, o, l.whyNoRollBack(w.spec))
	if err != nil {
		problem(err)
	}
	if last := latest(record.At, l.tookOver.At); record.Phase == guardrail.Watching && now.Sub(latest(last, record.Watch.Since)) > longestUnseen {
		problem(fmt.Errorf("its change is watched, and nothing was seen of its pods since %s; let the scaler read its workload and groups: their problems say more", l.clock.RealTime(last).UTC().Format(time.RFC3339)))
	}
	for _, n := range told {
		r.news = true
		l.tellOfRails(now, about, w.key, n)
	}
	return record
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
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
