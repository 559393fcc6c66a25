package scaler

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	corev1 "k8s.io/api/core/v1"

	"swell/scaler/ledger"
	"swell/scaler/observe"
	"swell/scaler/record"
)

const (
	// usageTimeout bounds the two calls for what pods and nodes use; machine time.
	usageTimeout = 10 * time.Second
	// sizeEvery is how often the decision on one Balloon is written at most; model time.
	sizeEvery = time.Minute
	// horizonStep and horizonSpan are the points of a forecast that are written; horizonsAtOnce are the Balloons whose forecasts are
	// written with one plan at most, so that it is not held up.
	horizonStep    = 10 * time.Minute
	horizonSpan    = 2 * time.Hour
	horizonsAtOnce = 3
)

// recordSample writes what the cluster holds. What is used is asked for beside the plans.
func (l *Loop) recordSample(ctx context.Context, world observe.World) {
	owners := l.replicaSetOwners(ctx)
	c := record.Cluster{Snapshot: &world.Snapshot, Balloons: world.Balloons,
		Owner: func(namespace, name string) *metav1.OwnerReference { return owners[namespace+"/"+name] }}
	tick := l.tick
	go func() {
		defer l.recorder.sampling.Store(false)
		c.Usage = l.usage(ctx)
		sample := record.Sample(c)
		l.write(ledger.Entry{Tick: tick, Phase: ledger.Note, Action: "sample", Object: "cluster", Sample: &sample})
	}()
}

// replicaSetOwners are the controllers of ReplicaSets, by namespace/name.
func (l *Loop) replicaSetOwners(ctx context.Context) map[string]*metav1.OwnerReference {
	var list appsv1.ReplicaSetList
	if err := l.client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		l.options.Log.Warn("recording whose pods they are; they are counted for their ReplicaSets", "error", err)
	}
	owners := map[string]*metav1.OwnerReference{}
	for i := range list.Items {
		owners[list.Items[i].Namespace+"/"+list.Items[i].Name] = metav1.GetControllerOf(&list.Items[i])
	}
	return owners
}

// usage is what metrics.k8s.io says; nil is that it is not known, which is said once.
func (l *Loop) usage(ctx context.Context) *record.Usage {
	call, cancel := context.WithTimeout(ctx, usageTimeout)
	defer cancel()
	var nodes metricsv1beta1.NodeMetricsList
	var pods metricsv1beta1.PodMetricsList
	err := l.metricsOf(call, "nodes", &nodes)
	if err == nil {
		err = l.metricsOf(call, "pods", &pods)
	}
	if err != nil {
		if ctx.Err() == nil && !l.recorder.noUsage.Swap(true) {
			l.options.Log.Info("what pods use is not recorded", "error", err)
		}
		return nil
	}
	l.recorder.noUsage.Store(false)
	u := &record.Usage{Nodes: map[string]ledger.Resources{}, Pods: map[string]ledger.Resources{}}
	for _, n := range nodes.Items {
		u.Nodes[n.Name] = record.Resources(n.Usage)
	}
	for _, p := range pods.Items {
		total := ledger.Resources{}
		for _, c := range p.Containers {
			r := record.Resources(corev1.ResourceList(c.Usage))
			total.Cores, total.Memory = total.Cores+r.Cores, total.Memory+r.Memory
		}
		u.Pods[p.Namespace+"/"+p.Name] = total
	}
	return u
}

func (l *Loop) metricsOf(ctx context.Context, what string, into any) error {
	raw, err := l.kube.Discovery().RESTClient().Get().AbsPath("/apis/metrics.k8s.io/v1beta1/" + what).DoRaw(ctx)
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		return fmt.Errorf("reading what %s use from metrics.k8s.io: %w; install metrics-server and let swell-scaler list %s there, or leave it out: the report says what is used as not known", what, err, what)
	}
	return nil
}

// writtenSize is the decision on a Balloon as it was last written.
type writtenSize struct {
	at, horizonsAt time.Time
	what           string
}

// recordSizes writes the decisions on Balloons that changed, and each once in a while.
func (l *Loop) recordSizes(now time.Time, sizes []size) {
	left := horizonsAtOnce
	maps.DeleteFunc(l.recorder.sizes, func(_ string, s writtenSize) bool { return now.Sub(s.at) > record.Again }) // of a Balloon that is gone
	for i := range sizes {
		s := &sizes[i]
		if s.unsized || s.memory == nil || s.pod == nil {
			continue
		}
		name := s.balloon.Namespace + "/" + s.balloon.Name
		old, known := l.recorder.sizes[name]
		x := sizingOf(s)
		what := fmt.Sprint(x.Zones, x.Total, x.Running, x.Mode, x.Output, x.Share, x.Chunk, x.Tau)
		since := now.Sub(old.at)
		if known && since < ledger.SampleEvery && (since < sizeEvery || what == old.what) {
			continue
		}
		if (!known || now.Sub(old.horizonsAt) >= ledger.SampleEvery) && left > 0 && s.answer.Ready && s.memory.history != nil {
			left--
			x.Horizons, old.horizonsAt = horizonsOf(now, s), now
		}
		old.at, old.what = now, what
		l.recorder.sizes[name] = old
		l.write(ledger.Entry{Tick: l.tick, Phase: ledger.Note, Action: "size", Object: name, Sizing: &x})
	}
}

func sizingOf(s *size) ledger.Sizing {
	b := s.balloon
	x := ledger.Sizing{Balloon: b.Namespace + "/" + b.Name, Workload: b.Spec.ScaleTargetRef.Kind + "/" + b.Spec.ScaleTargetRef.Name,
		Demand: known(s.in.Demand), Running: s.in.Running, Lead: s.lead.Total().Seconds(), Tau: s.tau, Headroom: s.in.Headroom, Share: s.in.Share, Chunk: s.in.Chunk,
		Pod: record.Resources(s.pod), Zones: map[string]int{}, Total: s.decision.Total, Why: s.decision.Why, Output: string(b.Spec.Output), Mode: string(b.Spec.Mode)}
	if s.answer.Ready {
		x.Point, x.Upper = known(s.answer.Point), known(s.answer.Upper)
	}
	for _, z := range s.decision.Zones {
		x.Zones[z.Zone] = z.Balloons
	}
	return x
}

func known(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func horizonsOf(now time.Time, s *size) []ledger.Horizon {
	var out []ledger.Horizon
	for ahead := horizonStep; ahead <= horizonSpan; ahead += horizonStep {
		a := s.memory.history.Forecast(now, ahead, s.tau)
		if point, upper := known(a.Point), known(a.Upper); a.Ready && point != nil && upper != nil {
			out = append(out, ledger.Horizon{Seconds: ahead.Seconds(), Point: *point, Upper: *upper})
		}
	}
	return out
}
