package scaler

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
	"swell/balloon"
	"swell/scaler/forecast"
	"swell/scaler/observe"
	"swell/scaler/plan"
	"swell/scaler/schedule"
)

// size is the decision on one Balloon, for its status.
type size struct {
	balloon  *v1alpha1.Balloon
	answer   forecast.Answer
	tau      float64 // the quantile that is aimed at
	lead     lead
	start    forecast.Answer // one pod start-up ahead
	share    float64         // of all demand, 0 to 1
	chunk    float64
	running  int      // pods of the workload with a node
	demand   *float64 // pods of this cluster now; nil is unknown
	decision balloon.Decision
	soon     map[string]int // balloons by zone that will be wanted before a node that goes now could be back
	err      error
	// unsized says that nothing was decided, so that what was goes on.
	unsized bool
	// says are conditions beside that of the forecast.
	says []metav1.Condition
	// patient says that room for what is wanted is about to come free.
	patient bool
	// virtual is how many virtual balloons have a place, by zone.
	virtual map[string]int
	memory  *workload // nil before the first sample
	// in is what was decided on, and pod what one of the workload's pods asks for; nil is that nothing was.
	in  balloon.Input
	pod corev1.ResourceList
}

// sizeBalloons decides how many balloons are wanted and puts them into the snapshot. Where that cannot be decided, those
// that exist are kept.
func (l *Loop) sizeBalloons(ctx context.Context, now time.Time, world *observe.World) []size {
	var sizes []size
	first := firstOf(world.Balloons)
	known := map[string]bool{}
	for i := range world.Balloons {
		b := &world.Balloons[i]
		known[b.Namespace+"/"+b.Name] = true
		if b.DeletionTimestamp != nil {
			continue
		}
		l.outputOf(b) // before its status is written again
		s := size{balloon: b, memory: l.workloads[b.Namespace+"/"+b.Name]}
		var demands []plan.BalloonDemand
		if other := first[guarded(b)]; b.Spec.Mode != v1alpha1.Observe && other != b.Name {
			s.no("GuardedTwice", fmt.Sprintf("Balloon %s is older and guards %s %s already; delete one of the two", other, b.Spec.ScaleTargetRef.Kind, b.Spec.ScaleTargetRef.Name))
			s.err = fmt.Errorf("the workload is guarded by Balloon %s already", other)
			demands = none(b)
		} else if sized, err := l.sizeOne(ctx, now, world, &s); err != nil {
			demands = l.cannotSize(world, &s, err)
		} else {
			demands = sized
		}
		l.problems(world, &s)
		world.Snapshot.Balloons = append(world.Snapshot.Balloons, demands...)
		sizes = append(sizes, s)
	}
	for name := range l.outputs {
		if !known[name] {
			delete(l.outputs, name)
		}
	}
	return sizes
}

// cannotSize keeps what is held of a Balloon that nothing could be decided on.
func (l *Loop) cannotSize(world *observe.World, s *size, err error) []plan.BalloonDemand {
	s.err, s.unsized = err, true
	s.no("CannotSize", err.Error()+"; its balloons stay as they are until then")
	return l.keep(s.balloon, world)
}

func (l *Loop) sizeOne(ctx context.Context, now time.Time, world *observe.World, s *size) ([]plan.BalloonDemand, error) {
	b := s.balloon
	target, err := l.target(ctx, now, world, b)
	if err != nil {
		return nil, err
	}
	chunk, share, err := chunkAndShare(b)
	if err != nil {
		return nil, err
	}
	running := podsOf(world, b.Namespace, target.Selector)
	requests := l.outputOf(b).requests.Of(target.Template, running)
	tau, err := quantile(b, requests, target, world)
	if err != nil {
		return nil, err
	}
	w := l.workload(ctx, b)
	l.leads.learnStarts(*world, b, target.Selector)
	s.lead = l.leads.of(b, groupsFor(target, world))
	s.foresee(now, w, tau, share)
	l.forgetHeld(b, w)
	demand := l.demandNow(ctx, now, *world, b, w)
	s.shown(tau, chunk, share*demand, len(running))
	past := l.pastOf(ctx, now, world, b, w)
	headroom := l.headroom(now, s.lead.Total(), world, s, past)
	in := balloon.Input{
		Now: now, Chunk: chunk, Min: int(b.Spec.Min), Max: int(b.Spec.Max), Share: share,
		Demand: demand, Upper: s.answer.Upper, Running: target.Replicas, SurviveZone: b.Spec.Zones.Survive == "Zone",
		Zones: zonesOf(world, target, running, l.held(b, world)), State: w.state, HeadroomWhy: headroom.Why,
	}
	if share > 0 { // a share of nothing has no headroom either
		base := demand
		if math.IsNaN(base) { // the schedule is a floor whether or not the demand is known
			base = float64(target.Replicas) / share
		}
		in.Headroom = share * headroom.For(base)
	}
	reading := w.load.running && !w.load.done
	if reading {
		s.answer.Reason = stillRead
	}
	if !s.answer.Ready {
		in.NotReady = s.answer.Reason
	}
	s.soon = w.wantedSoon(now, world, s, in, tau, past)
	s.decision = balloon.Size(in)
	w.state = s.decision.State
	if reading { // what the forecast wants is not known yet: it may be all that exist
		s.decision = noFewer(s.decision, in.Zones)
	}
	fell := l.outputOf(b).fell(now, target.Replicas)
	if n := occupied(world, b.Namespace, target.Selector, now, l.clock.At); n > in.Running {
		in.Running = n
		s.decision, s.patient = notYet(s.decision, in, n-target.Replicas), fell
	}
	s.in, s.pod = in, requests
	s.bounds()
	s.sayInWhy()
	return l.output(ctx, now, world, s, balloon.Workload{Chunk: chunk, Template: target.Template, Requests: requests}), nil
}

// foresee takes what the history says of when what is ordered now begins to serve, and of one pod start-up ahead.
func (s *size) foresee(now time.Time, w *workload, tau, share float64) {
	if w.history == nil {
		return
	}
	s.answer = w.history.AtLead(now, s.lead.Total(), tau)
	w.due.expect(now, s.lead.Total(), s.answer)
	s.start, s.share = w.history.Forecast(now, s.lead.PodStart, 0.5), share
}

// shown keeps what the page shows beside the decision.
func (s *size) shown(tau, chunk, demand float64, running int) {
	s.tau, s.chunk, s.running = tau, chunk, running
	if !math.IsNaN(demand) {
		s.demand = &demand
	}
}

// stillRead is why there is no forecast in the first minute of a scaler.
const stillRead = "its demand history is still being read"

// noFewer keeps the balloons that exist where they are.
func noFewer(d balloon.Decision, zones []balloon.Zone) balloon.Decision {
	have, existing := map[string]int{}, 0
	for _, z := range zones {
		have[z.Name] = z.Balloons
		existing += z.Balloons
	}
	over := -max(d.Total, existing)
	d.Zones = slices.Clone(d.Zones)
	for i := range d.Zones {
		z := &d.Zones[i]
		z.Balloons = max(z.Balloons, have[z.Zone])
		over += z.Balloons
	}
	for i := range d.Zones { // one that was to move is counted twice
		z := &d.Zones[i]
		less := max(min(over, z.Balloons-have[z.Zone]), 0)
		z.Balloons -= less
		over -= less
	}
	if d.Total < existing {
		d.Total = existing
		d.Why += fmt.Sprintf("; the %d that exist stay meanwhile", existing)
	}
	return d
}

// forgetHeld forgets what is held of a Balloon that was changed: what is changed by hand is to be seen at once.
func (l *Loop) forgetHeld(b *v1alpha1.Balloon, w *workload) {
	o := l.outputOf(b)
	if o.generation != b.Generation && o.generation != 0 {
		w.state = balloon.State{}
	}
	o.generation = b.Generation
}

// chunkAndShare are how many pods a balloon holds the place of, and the share of all demand that this cluster is to serve.
func chunkAndShare(b *v1alpha1.Balloon) (chunk, share float64, err error) {
	if chunk, err = number("spec.chunk", string(b.Spec.Chunk), 1); err == nil {
		share, err = clusterShare(b)
	}
	return chunk, share, err
}

// guarded names the workload of a Balloon.
func guarded(b *v1alpha1.Balloon) string {
	t := b.Spec.ScaleTargetRef
	group, _, _ := strings.Cut(t.APIVersion, "/")
	return b.Namespace + "/" + group + "/" + t.Kind + "/" + t.Name
}

// firstOf is the oldest Balloon that acts for each workload.
func firstOf(balloons []v1alpha1.Balloon) map[string]string {
	first := map[string]*v1alpha1.Balloon{}
	names := map[string]string{}
	for i := range balloons {
		b := &balloons[i]
		if b.DeletionTimestamp != nil || b.Spec.Mode == v1alpha1.Observe {
			continue
		}
		have := first[guarded(b)]
		if have == nil || cmp.Or(b.CreationTimestamp.Compare(have.CreationTimestamp.Time), strings.Compare(b.Name, have.Name)) < 0 {
			first[guarded(b)], names[guarded(b)] = b, b.Name
		}
	}
	return names
}

// problems records what stands against one Balloon.
func (l *Loop) problems(world *observe.World, s *size) {
	object := "Balloon " + s.balloon.Namespace + "/" + s.balloon.Name
	for _, p := range s.decision.Problems {
		world.Problems = append(world.Problems, plan.Problem{Object: object, What: p.What, Mend: p.Mend})
	}
	for _, c := range s.says {
		if c.Status == metav1.ConditionFalse && c.Reason != observing {
			what, mend, _ := strings.Cut(c.Message, "; ")
			world.Problems = append(world.Problems, plan.Problem{Object: object, What: what, Mend: mend})
		}
	}
	if w := s.memory; w != nil {
		for _, problem := range []string{w.load.problem, w.fill.problem, w.saveProblem} {
			if problem != "" {
				world.Problems = append(world.Problems, plan.Problem{Object: object, What: problem, Mend: "until then its history is only what is sampled live"})
			}
		}
		if w.warning != "" {
			what, mend, _ := strings.Cut(w.warning, "; ")
			world.Problems = append(world.Problems, plan.Problem{Object: object, What: what, Mend: mend})
		}
	}
}

// number reads a decimal field; absent is what an empty one means.
func number(field, value string, absent float64) (float64, error) {
	if value == "" {
		return absent, nil
	}
	v, err := strconv.ParseFloat(value, 64)
	if err != nil || !(v >= 0) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%s is %q; give a decimal number", field, value)
	}
	return v, nil
}

// headroom is what the Balloon's schedules ask for within the lead time.
func (l *Loop) headroom(now time.Time, lead time.Duration, world *observe.World, s *size, past schedule.Demand) schedule.Headroom {
	var most schedule.Headroom
	var bad []scheduleProblem
	for _, name := range s.balloon.Spec.Schedules {
		d, ok := world.Schedules[s.balloon.Namespace+"/"+name]
		if !ok {
			bad = append(bad, scheduleProblem{"NoSuchSchedule", "there is no DiurnalSchedule " + name + " in the namespace", "create it or take it out of spec.schedules"})
			continue
		}
		compiled, problems := schedule.Compile(d.Spec)
		if compiled != nil {
			asked, more := compiled.Over(now, now.Add(lead), past)
			most, problems = most.Max(asked), append(problems, more...)
		}
		for _, p := range problems {
			bad = append(bad, scheduleProblem{"CannotUse", "DiurnalSchedule " + name + ": " + p.Field + ": " + p.What, p.Mend})
			world.Problems = append(world.Problems, plan.Problem{Object: "DiurnalSchedule " + d.Namespace + "/" + name, What: p.Field + ": " + p.What, Mend: p.Mend})
		}
	}
	s.schedules(bad)
	return most
}
