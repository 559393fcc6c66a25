package scaler

import (
	"context"
	"fmt"
	"math"
	"os"
	"time"

	"swell/api/v1alpha1"
	"swell/scaler/forecast"
	"swell/scaler/history"
	"swell/scaler/observe"
	"swell/scaler/series"
)

const (
	// rowStep is the step that demand is learned in.
	rowStep = time.Minute
	// saveEvery is the time between two checkpoints of the histories.
	saveEvery = 5 * time.Minute
)

// workload is the memory of a Balloon's workload, made at first sight from files and the checkpoint.
func (l *Loop) workload(ctx context.Context, b *v1alpha1.Balloon) *workload {
	key := b.Namespace + "/" + b.Name
	if w := l.workloads[key]; w != nil && (w.retryAt.IsZero() || l.clock.Now().Before(w.retryAt)) {
		return w
	}
	w := &workload{}
	l.workloads[key] = w
	past, live, err := l.past(ctx, b)
	if err == nil {
		w.history, err = history.NewWorkload(l.forecastOptions(), past)
	}
	if err != nil {
		w.problem, w.retryAt = err.Error(), l.clock.Now().Add(saveEvery)
		// a forecaster without a past is honest about it and yields to the demand of now
		w.history, err = history.NewWorkload(l.forecastOptions(), nil)
		if err != nil {
			l.options.Log.Error("forecaster", "balloon", key, "error", err)
			return w
		}
	}
	if live.Len() > 0 {
		w.history.Continue(live)
	}
	return w
}

func (l *Loop) forecastOptions() forecast.Options {
	location, err := time.LoadLocation(l.options.Config.History.TimeZone)
	if err != nil {
		location = time.UTC
	}
	return forecast.Options{Step: rowStep, Location: location, Orders: []time.Duration{l.lead()}}
}

// past are the series that a workload's history begins with, oldest first, and the part of them that was sampled live.
func (l *Loop) past(ctx context.Context, b *v1alpha1.Balloon) (past []series.Series, live series.Series, err error) {
	for _, f := range l.options.Config.History.Files {
		if f.Namespace != b.Namespace || f.Balloon != b.Name {
			continue
		}
		file, err := os.Open(f.File)
		if err != nil {
			return nil, live, fmt.Errorf("reading the history of %s/%s: %w; correct history.files", b.Namespace, b.Name, err)
		}
		s, err := series.Read(file, f.File)
		file.Close()
		if err != nil {
			return nil, live, err
		}
		past = append(past, s)
	}
	if ns := l.options.Config.History.Checkpoints; ns != "" {
		live, err = history.Checkpoints{Kube: l.kube, Namespace: ns}.Load(ctx, b.Namespace, b.Name)
		if err != nil {
			return past, live, err
		}
		if live.Len() > 0 {
			past = append(past, live)
		}
	}
	return past, live, nil
}

// sample takes the demand of every guarded workload when its time has come.
func (l *Loop) sample(ctx context.Context, now time.Time, world observe.World) {
	if now.Sub(l.sampledAt) < l.options.Config.History.SampleEvery.Duration {
		return
	}
	l.sampledAt = now
	save := now.Sub(l.savedAt) >= saveEvery
	for i := range world.Balloons {
		b := &world.Balloons[i]
		w := l.workload(ctx, b)
		if w.history == nil {
			continue
		}
		if err := w.history.Sample(now, demandOf(world, b)); err != nil {
			l.options.Log.Warn("sample", "balloon", b.Namespace+"/"+b.Name, "error", err)
		}
		if ns := l.options.Config.History.Checkpoints; save && ns != "" && w.problem == "" && w.history.Live().Len() > 1 { // one row has no step
			if err := (history.Checkpoints{Kube: l.kube, Namespace: ns}).Save(ctx, b.Namespace, b.Name, w.history.Live()); err != nil {
				l.options.Log.Warn("checkpoint", "balloon", b.Namespace+"/"+b.Name, "error", err)
			}
		}
	}
	if save {
		l.savedAt = now
	}
}

// demandOf is what the workload's HPA asks for, in pods; NaN where that is unknown or only a lower bound.
func demandOf(world observe.World, b *v1alpha1.Balloon) float64 {
	hpa := world.HPAOf(b.Namespace, b.Spec.ScaleTargetRef)
	if hpa == nil || history.Censored(hpa) != "" {
		return math.NaN()
	}
	pods, known, _ := history.Demand(hpa)
	if !known {
		return math.NaN()
	}
	return pods
}
