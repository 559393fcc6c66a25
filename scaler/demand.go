package scaler

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
	"swell/scaler/history"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

// readyFor is how long a pod must be ready for its metrics to count, in model time.
const readyFor = 15 * time.Second

// sample takes the demand of every guarded workload when its time has come.
func (l *Loop) sample(ctx context.Context, now time.Time, world observe.World) {
	l.collect()
	// by the clock's own minutes: ticks that come a little late each time would leave one out now and then
	turn := now.UnixNano() / int64(max(l.options.Config.History.SampleEvery.Duration, time.Second))
	if turn == l.sampledTurn {
		return
	}
	l.sampledTurn = turn
	present := map[string]bool{}
	for i := range world.Balloons {
		b := &world.Balloons[i]
		w := l.workload(ctx, b)
		present[b.Namespace+"/"+b.Name] = true
		if w.history == nil {
			continue
		}
		sample := w.history.Take(l.reading(ctx, now, world, b, w))
		count(b, w, sample)
		l.ask(ctx, now, b, w)
		l.fillPast(ctx, now, world, b, w)
		l.save(ctx, now, b, w)
	}
	for key := range l.workloads {
		if !present[key] {
			forget(key)
			delete(l.workloads, key)
		}
	}
	l.sweep(ctx, now, present)
}

// reading is all that is seen of a workload now.
func (l *Loop) reading(ctx context.Context, now time.Time, world observe.World, b *v1alpha1.Balloon, w *workload) history.Reading {
	r := history.Reading{At: now, Share: 1, AllClusters: b.Spec.Demand.AllClusters}
	real := time.Now()
	if !w.readAt.IsZero() { // the monotonic clock, at the speed of the model's
		r.Elapsed = time.Duration(float64(real.Sub(w.readAt)) * float64(time.Second) / float64(l.clock.Wait(time.Second)))
	}
	w.readAt = real
	share, err := clusterShare(b)
	if err != nil {
		r.Demand = history.Unknown(history.NoMetric, err.Error())
		return r
	}
	r.Share = share
	scaled, err := l.readScaled(ctx, b)
	if err != nil {
		r.Demand = history.Unknown(history.NoMetric, err.Error())
		return r
	}
	w.scaled = scaled
	r.Replicas = scaled.replicas
	r.Demand = l.demandOf(ctx, now, world, b, w)
	if hpa := world.HPAOf(b.Namespace, b.Spec.ScaleTargetRef); hpa != nil && fromHPA(b) {
		r.Rollout = scaled.rollout()
		r.ByHand = history.SetByHand(hpa, scaled.managed, l.clock.RealTime(now))
	}
	return r
}

// clusterShare is a Balloon's spec.share, 0 to 1.
func clusterShare(b *v1alpha1.Balloon) (float64, error) {
	text := cmp.Or(string(b.Spec.Share), "100%")
	percent, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !(percent >= 0 && percent <= 100) {
		return 0, fmt.Errorf("spec.share is %q; give a percentage from 0%% to 100%%", text)
	}
	return percent / 100, nil
}

func fromHPA(b *v1alpha1.Balloon) bool {
	return b.Spec.Demand.From == "" || b.Spec.Demand.From == v1alpha1.DemandFromHPA
}

// demandOf is what a workload's source asks for now, of this cluster's traffic.
func (l *Loop) demandOf(ctx context.Context, now time.Time, world observe.World, b *v1alpha1.Balloon, w *workload) history.Demand {
	switch b.Spec.Demand.From {
	case v1alpha1.DemandFromQueueConsumer:
		var q v1alpha1.QueueConsumer
		key := client.ObjectKey{Namespace: b.Namespace, Name: b.Spec.Demand.QueueConsumer}
		if err := l.client.Get(ctx, key, &q); err != nil {
			return history.Unknown(history.NoMetric, fmt.Sprintf("reading QueueConsumer %s: %v; correct spec.demand.queueConsumer", key, err))
		}
		var at time.Time
		if q.Status.SampledAt != nil {
			at = l.clock.At(q.Status.SampledAt.Time)
		}
		return history.FromQueue(&q, now, at)
	case v1alpha1.DemandFromQuery:
		return l.answered(now, b, w)
	}
	hpa := world.HPAOf(b.Namespace, b.Spec.ScaleTargetRef)
	if hpa == nil {
		t := b.Spec.ScaleTargetRef
		return history.Unknown(history.NoMetric, fmt.Sprintf("no HorizontalPodAutoscaler scales %s %s; make one, or give spec.demand", t.Kind, t.Name))
	}
	return history.FromHPA(hpa, history.Scaled{Replicas: w.scaled.status, Ready: l.ready(now, world, b, w.scaled.selector)})
}

// demandNow is the demand of all clusters at this very moment, in pods; NaN where the last sample was not to be believed, or
// the source is unknown now.
func (l *Loop) demandNow(ctx context.Context, now time.Time, world observe.World, b *v1alpha1.Balloon, w *workload) float64 {
	if w.history == nil {
		return math.NaN()
	}
	last := w.history.Last()
	if last.Class != history.Known {
		return math.NaN()
	}
	if t := b.Spec.ScaleTargetRef; t.APIVersion == "apps/v1" && t.Kind == "Deployment" { // from the cache
		if scaled, err := l.readScaled(ctx, b); err == nil {
			w.scaled = scaled
		}
	}
	d := l.demandOf(ctx, now, world, b, w)
	if !math.IsNaN(last.Share) {
		d.Pods /= last.Share
	}
	return d.Pods
}

// ready counts the pods whose metrics an HPA sees.
func (l *Loop) ready(now time.Time, world observe.World, b *v1alpha1.Balloon, selector labels.Selector) int {
	n, latest := 0, l.clock.RealTime(now.Add(-readyFor))
	for _, p := range world.Snapshot.Pods {
		if p.Namespace != b.Namespace || p.Status.Phase != corev1.PodRunning || p.DeletionTimestamp != nil ||
			p.Labels[plan.BalloonLabel] != "" || !selector.Matches(labels.Set(p.Labels)) {
			continue
		}
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && !c.LastTransitionTime.After(latest) {
				n++
			}
		}
	}
	return n
}

// question is a query with its placeholders replaced, and what one pod serves.
type question struct {
	query  string
	perPod float64
}

// questionOf is what a Balloon's demand is asked by.
func (l *Loop) questionOf(b *v1alpha1.Balloon) (question, error) {
	query, err := l.queryOf(b, b.Spec.Demand.Query, "")
	if err != nil {
		return question{}, err
	}
	perPod, err := number("spec.demand.perPod", string(b.Spec.Demand.PerPod), 1)
	return question{query, perPod}, err
}

// answer is what a question gave.
type answer struct {
	of     question
	at     time.Time
	demand history.Demand
	asking bool
}

// answered is the newest answer to a Balloon's question, where it is not too old.
func (l *Loop) answered(now time.Time, b *v1alpha1.Balloon, w *workload) history.Demand {
	of, err := l.questionOf(b)
	switch {
	case err != nil:
		return history.Unknown(history.NoMetric, err.Error())
	case l.prometheus == nil:
		return history.Unknown(history.NoMetric, "spec.demand.query needs history.prometheus in the configuration of swell-scaler")
	case w.query.at.IsZero() || w.query.of != of:
		return history.Unknown(history.NoMetric, "the query was not answered yet")
	case now.Sub(w.query.at) > 2*l.options.Config.History.SampleEvery.Duration+time.Minute:
		return history.Unknown(history.NoMetric, fmt.Sprintf("the query was last answered %s ago", now.Sub(w.query.at).Round(time.Second)))
	}
	return w.query.demand
}

// ask puts a Balloon's query beside the loop; the answer is there for a later sample.
func (l *Loop) ask(ctx context.Context, now time.Time, b *v1alpha1.Balloon, w *workload) {
	if b.Spec.Demand.From != v1alpha1.DemandFromQuery || w.query.asking {
		return
	}
	of, err := l.questionOf(b)
	if err != nil || l.prometheus == nil {
		return // answered says why
	}
	w.query.asking = true
	at := l.clock.RealTime(now)
	l.background(ctx, l.jobs.queries, func(ctx context.Context) func() {
		v, err := l.prometheus.Instant(ctx, of.query, at)
		d := history.Demand{Pods: v / of.perPod, Class: history.Known, Why: fmt.Sprintf("the query gives %s, which asks for %.1f pods", strconv.FormatFloat(v, 'g', 4, 64), v/of.perPod)}
		if err != nil {
			d = history.Unknown(history.NoMetric, err.Error())
		}
		return func() { w.query = answer{of: of, at: now, demand: d} }
	})
}
