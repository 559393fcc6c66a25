package scaler

import (
	"context"
	"math"
	"time"

	"swell/api/v1alpha1"
	"swell/scaler/observe"
	"swell/scaler/schedule"
	"swell/scaler/series"
)

const (
	// growthAhead is how long before an event that grows like a past one the past is read.
	growthAhead = 24 * time.Hour
	// pastEvery is how often it is read anew, since what is usual moves on.
	pastEvery = 24 * time.Hour
)

// pastDemand is a workload's recorded demand, in memory only while an event needs it.
type pastDemand struct {
	attempt
	parts  []series.Series
	readAt time.Time
}

// at is the demand at a time, in pods of all clusters; false where it is unknown.
func (p *pastDemand) at(t time.Time) (float64, bool) {
	for _, s := range p.parts {
		if v, known := s.At(t); known {
			return v, true
		}
	}
	return math.NaN(), false
}

// pastOf is what is known of a workload's demand, for events that are like a past one; nil where none is near, or until it
// was read.
func (l *Loop) pastOf(ctx context.Context, now time.Time, world *observe.World, b *v1alpha1.Balloon, w *workload) schedule.Demand {
	if !growthIsNear(now, world, b) {
		w.past = nil
		return nil
	}
	if w.past == nil {
		w.past = &pastDemand{}
	}
	p := w.past
	if p.done && now.Sub(p.readAt) > pastEvery {
		p.attempt = attempt{}
	}
	if p.due(now) {
		p.running = true
		namespace, name := b.Namespace, b.Name
		l.background(ctx, l.jobs.loads, func(ctx context.Context) func() {
			parts, err := l.recorded(ctx, now, namespace, name)
			return func() {
				if err != nil {
					l.options.Log.Warn("reading the demand that an event is to be like", "balloon", namespace+"/"+name, "error", err)
				} else {
					p.parts, p.readAt = parts, now
				}
				p.ended(l.clock.Now(), err)
			}
		})
	}
	if p.readAt.IsZero() {
		return nil
	}
	return p.at
}

// growthIsNear says whether one of the Balloon's schedules has an event that grows like a past one and is about to begin or on.
func growthIsNear(now time.Time, world *observe.World, b *v1alpha1.Balloon) bool {
	for _, name := range b.Spec.Schedules {
		for _, e := range world.Schedules[b.Namespace+"/"+name].Spec.Events {
			if e.Growth != nil && now.Add(growthAhead).After(e.From.Time) && now.Before(e.To.Time) {
				return true
			}
		}
	}
	return false
}

// recorded is all that is known of a workload's past: its checkpoint, then the files of the configuration.
func (l *Loop) recorded(ctx context.Context, now time.Time, namespace, name string) ([]series.Series, error) {
	var parts []series.Series
	if l.options.Config.History.Checkpoints != "" {
		point, err := l.checkpoints().Load(ctx, namespace, name)
		if err != nil {
			return nil, err
		}
		if point.Record != nil && !point.Record.Empty() {
			coarse, _ := point.Record.Coarse()
			parts = append(parts, coarse)
		}
	}
	files, _, err := l.files(now, namespace, name)
	return append(parts, files...), err
}
