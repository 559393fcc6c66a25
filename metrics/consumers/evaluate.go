package consumers

import (
	"context"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"swell/api/v1alpha1"
	"swell/metrics/kafka"
	"swell/metrics/lag"
	"swell/metrics/store"
)

// Reasons of the Ready condition.
const (
	reasonSampled        = "Sampled"
	reasonNotSampled     = "NotSampled"
	reasonNeverCommitted = "NeverCommitted"
	reasonSaturated      = "MorePodsDoNotHelp"
	reasonUnknown        = "LagUnknown"
	reasonRatesUnknown   = "ReplicasUnknown"
	reasonCluster        = "UnknownCluster"
	reasonInvalid        = "InvalidSpec"
)

// Evaluate judges the QueueConsumers of a cluster after a poll of it, and those whose cluster nobody polls.
func (c *Consumers) Evaluate(cluster string) {
	c.judging.Lock()
	defer c.judging.Unlock()
	now := c.opts.Config.Clock.Now()
	objects, err := c.list()
	if err != nil {
		return
	}
	next := map[types.NamespacedName]Result{}
	alive := map[types.UID]bool{}
	for i := range objects {
		q := &objects[i]
		name := types.NamespacedName{Namespace: q.Namespace, Name: q.Name}
		alive[q.UID] = true
		_, polled := c.clusters[q.Spec.Kafka.Cluster]
		if polled && q.Spec.Kafka.Cluster != cluster {
			if r, ok := c.Get(name); ok && r.UID == q.UID {
				next[name] = r
			}
			continue
		}
		next[name] = about(q, c.judge(now, q))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results = next
	for uid := range c.trackers {
		if !alive[uid] {
			delete(c.trackers, uid)
		}
	}
}

// about says whom a result is of.
func about(q *v1alpha1.QueueConsumer, r Result) Result {
	r.UID, r.Labels, r.Cluster, r.Group = q.UID, q.Labels, q.Spec.Kafka.Cluster, q.Spec.Kafka.Group
	return r
}

func (c *Consumers) judge(now time.Time, q *v1alpha1.QueueConsumer) Result {
	k, ok := c.clusters[q.Spec.Kafka.Cluster]
	if !ok {
		problem := c.unknownCluster("spec.kafka.cluster", q.Spec.Kafka.Cluster).Error()
		return Result{Reason: reasonCluster, Problem: problem, LagProblem: problem}
	}
	topics, err := kafka.ParseTopics(q.Spec.Kafka.Topics)
	if err != nil {
		problem := fmt.Sprintf("spec.kafka.topics: %v", err)
		return Result{Reason: reasonInvalid, Problem: problem, LagProblem: problem}
	}
	t, err := c.tracker(now, q)
	if err != nil {
		return Result{Reason: reasonInvalid, Problem: err.Error(), LagProblem: err.Error()}
	}
	view := c.opts.Store.View(store.Key{Cluster: k.Name, Group: q.Spec.Kafka.Group}, now, k.StaleAfter.Duration, topics.Match)
	pods, err := c.opts.Pods(context.Background(), q.Namespace, q.Spec.ScaleTargetRef)
	if err != nil {
		pods = lag.Pods{Ready: -1}
	}
	r := Result{Estimate: t.Observe(now, view.Readings, pods)}
	r.LagProblem = lagProblem(view, r.Sum)
	switch {
	case view.Polled.IsZero():
		r.Reason, r.Problem = reasonNotSampled, r.LagProblem
	case r.LagProblem != "":
		r.Reason, r.Problem = reasonUnknown, r.LagProblem
	case r.Unknown != "":
		r.Reason, r.Problem = reasonRatesUnknown, r.Unknown
	}
	return r
}

// tracker finds or makes the memory of a QueueConsumer; the first one resumes what its status says. Of another
// group nothing is remembered.
func (c *Consumers) tracker(now time.Time, q *v1alpha1.QueueConsumer) (*tracked, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.trackers[q.UID]
	if t := old; t != nil && reflect.DeepEqual(t.spec.Kafka, q.Spec.Kafka) {
		if reflect.DeepEqual(t.spec, q.Spec) {
			return t, nil
		}
		opts, err := c.options(&q.Spec)
		if err != nil {
			return nil, err
		}
		if err := t.SetOptions(opts); err != nil {
			return nil, err
		}
		t.spec = *q.Spec.DeepCopy()
		return t, nil
	}
	opts, err := c.options(&q.Spec)
	if err != nil {
		return nil, err
	}
	inner, err := lag.NewTracker(opts)
	if err != nil {
		return nil, err
	}
	if old == nil {
		c.resume(now, inner, &q.Status)
	}
	t := &tracked{Tracker: inner, spec: *q.Spec.DeepCopy()}
	c.trackers[q.UID] = t
	return t, nil
}

// resumeWithin is how old a status may be to hold the replicas while its backlog drains.
const resumeWithin = 5 * time.Minute

func (c *Consumers) resume(now time.Time, t *lag.Tracker, s *v1alpha1.QueueConsumerStatus) {
	if s.SampledAt == nil {
		return
	}
	var perPod float64
	if s.PerPodRate != nil {
		perPod, _ = strconv.ParseFloat(string(*s.PerPodRate), 64)
	}
	replicas := 0
	if s.DesiredReplicas != nil && now.Sub(c.opts.Config.Clock.At(s.SampledAt.Time)) < resumeWithin {
		replicas = int(*s.DesiredReplicas)
	}
	t.Resume(replicas, perPod)
}

func (c *Consumers) options(s *v1alpha1.QueueConsumerSpec) (lag.Options, error) {
	u, err := number("spec.utilization", s.Utilization, 0.8)
	if err != nil {
		return lag.Options{}, err
	}
	mu, err := number("spec.perPodRate.initial", s.PerPodRate.Initial, 0)
	if err != nil {
		return lag.Options{}, err
	}
	return lag.Options{
		Rules: lag.Rules{Isolation: s.Isolation, Uncommitted: s.Uncommitted},
		Policy: lag.Policy{DrainTarget: s.DrainTarget.Duration, RebalanceTime: s.RebalanceTime.Duration, Utilization: u,
			Snap: s.SnapToPartitions == nil || *s.SnapToPartitions},
		Window: c.opts.Config.RateWindow.Duration,
		PerPod: mu,
		Learn:  s.PerPodRate.Learn == nil || *s.PerPodRate.Learn,
	}, nil
}

func number(field string, d v1alpha1.Decimal, missing float64) (float64, error) {
	if d == "" {
		return missing, nil
	}
	f, err := strconv.ParseFloat(string(d), 64)
	if err != nil {
		return 0, fmt.Errorf("%s is %q: give a decimal number in quotes", field, d)
	}
	return f, nil
}
