package scaler

import (
	"math"
	"time"

	"swell/api/v1alpha1"
	"swell/api/version"
	"swell/scaler/observe"
	"swell/scaler/plan"
	"swell/scaler/ui"
)

// Page shows people what each plan left. It does not wait for them.
type Page interface {
	Show(ui.State)
}

const (
	// foreseeEvery is how often a Balloon's next two hours are forecast for the page; model time.
	foreseeEvery = time.Minute
	// foreseeStep and foreseeAhead are the points of it.
	foreseeStep  = 5 * time.Minute
	foreseeAhead = 2 * time.Hour
	// rememberPast is how much of the demand of late the page has.
	rememberPast = time.Hour
)

// ahead is what the page shows of one Balloon's demand.
type ahead struct {
	at       time.Time
	forecast []ui.Point
	why      string // there is no forecast
	past     []ui.Past
}

// publish gives the page what this plan left; without a page it costs nothing.
func (l *Loop) publish(now time.Time, world observe.World, sizes []size, p plan.Plan, policy plan.Policy) {
	if l.options.Page == nil {
		return
	}
	s := ui.State{
		At: now, Tick: l.tick, Every: l.options.Config.Observe.TickEvery.Seconds(), Leader: l.options.Replica, Version: version.Get().Version,
		Cluster: l.options.Config.ClusterName, Mode: string(modeOf(l.options.Config.Mode)), Clock: max(l.options.Config.Clock.Speed, 1),
		Readings: ui.Readings{Cluster: world.Snapshot.PodsAt, AWS: world.Snapshot.GroupsAt, MaxAge: policy.MaxAge.Seconds()},
	}
	showNodes(&s, world, p)
	showPools(&s, now, world, policy)
	showPending(&s, world, p, l.clock)
	l.showBalloons(&s, now, world, sizes)
	showProblems(&s, p)
	l.options.Page.Show(s)
}

func modeOf(m v1alpha1.Mode) v1alpha1.Mode {
	if m == "" {
		return v1alpha1.Enforce
	}
	return m
}

// showBalloons puts each Balloon's decision and what is foreseen of it into s.
func (l *Loop) showBalloons(s *ui.State, now time.Time, world observe.World, sizes []size) {
	held := heldBalloons(world)
	known := map[string]bool{}
	if l.aheads == nil {
		l.aheads = map[string]*ahead{}
	}
	for i, z := range sizes {
		b := z.balloon
		key := b.Namespace + "/" + b.Name
		known[key] = true
		if i >= ui.MostBalloons {
			s.Count("balloons", len(sizes)-i)
			break
		}
		a := l.aheads[key]
		if a == nil {
			a = &ahead{}
			l.aheads[key] = a
		}
		shown := ui.Balloon{Namespace: b.Namespace, Name: b.Name, Workload: b.Spec.ScaleTargetRef.Kind + "/" + b.Spec.ScaleTargetRef.Name,
			Mode: string(modeOf(b.Spec.Mode)), Output: string(b.Spec.Output), Running: z.running, Demand: z.demand,
			Lead: z.lead.Total().Seconds(), Quantile: z.tau, Chunk: z.chunk, Why: z.decision.Why}
		if shown.Output == "" {
			shown.Output = "Pods"
		}
		if z.err != nil {
			shown.Why = z.err.Error()
		}
		for _, zone := range z.decision.Zones {
			shown.Zones = append(shown.Zones, ui.BalloonZone{Zone: zone.Zone, Wanted: zone.Balloons, Held: held[key+" "+zone.Zone] + z.virtual[zone.Zone]})
		}
		a.look(now, z)
		shown.Forecast, shown.NoForecast, shown.Past = a.forecast, a.why, a.past
		s.Balloons = append(s.Balloons, shown)
	}
	for key := range l.aheads {
		if !known[key] {
			delete(l.aheads, key)
		}
	}
}

// look renews what is foreseen and remembers the demand, each once a minute. What was shown before is left as it is.
func (a *ahead) look(now time.Time, z size) {
	if age := now.Sub(a.at); !a.at.IsZero() && age >= 0 && age < foreseeEvery {
		return
	}
	a.at, a.forecast, a.why = now, nil, z.answer.Reason
	a.past = append([]ui.Past(nil), a.past...)
	for len(a.past) > 0 && now.Sub(a.past[0].At) > rememberPast {
		a.past = a.past[1:]
	}
	if !z.unsized {
		a.past = append(a.past, ui.Past{At: now, Running: z.running, Demand: z.demand})
	}
	if z.memory == nil || z.memory.history == nil || !z.answer.Ready {
		return
	}
	for ahead := time.Duration(0); ahead <= foreseeAhead; ahead += foreseeStep {
		f := z.memory.history.Forecast(now, max(ahead, time.Minute), z.tau)
		if f.Ready && !math.IsNaN(f.Point) && !math.IsNaN(f.Upper) {
			a.forecast = append(a.forecast, ui.Point{At: now.Add(ahead), Point: z.share * f.Point, Upper: z.share * f.Upper})
			continue
		}
		if f.Reason != "" {
			a.why = f.Reason
		}
	}
}
