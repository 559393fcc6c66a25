package consumers

import (
	"fmt"
	"reflect"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/metrics/kafka"
	"swell/metrics/lag"
)

// tracked is one QueueConsumer's memory from poll to poll.
type tracked struct {
	*lag.Tracker
	spec  v1alpha1.QueueConsumerSpec
	under *config.Metrics
	reads *reads
	// perPod is the declared μ.
	perPod float64
	idle   idleness
}

// tracker finds or makes the memory of a QueueConsumer; the first one resumes what its status says. Of another
// group nothing is remembered.
func (c *Consumers) tracker(s *settings, now time.Time, q *v1alpha1.QueueConsumer) (*tracked, error) {
	old := c.trackers[q.UID]
	if old != nil && old.under == s.Metrics && reflect.DeepEqual(old.spec, q.Spec) {
		return old, nil
	}
	topics, err := kafka.ParseTopics(q.Spec.Kafka.Topics)
	if err != nil {
		return nil, fmt.Errorf("spec.kafka.topics: %w", err)
	}
	opts, err := options(&q.Spec, s.RateWindow.Duration)
	if err != nil {
		return nil, err
	}
	t := &tracked{spec: *q.Spec.DeepCopy(), under: s.Metrics, reads: &reads{topics, opts.Rules}, perPod: opts.PerPod}
	if old != nil && reflect.DeepEqual(old.spec.Kafka, q.Spec.Kafka) {
		if err := old.SetOptions(opts); err != nil {
			return nil, err
		}
		t.Tracker, t.idle = old.Tracker, old.idle
		if old.spec.Uncommitted != q.Spec.Uncommitted || old.spec.Isolation != q.Spec.Isolation || q.Spec.Zero == nil {
			t.idle = idleness{}
		}
	} else {
		if t.Tracker, err = lag.NewTracker(opts); err != nil {
			return nil, err
		}
		if old == nil {
			resume(s, now, t, &q.Status)
		}
	}
	c.trackers[q.UID] = t
	return t, nil
}

const (
	// resumeWithin is how old a status may be to hold the replicas while its backlog drains.
	resumeWithin = 5 * time.Minute
	// freshWithin is how old a leader's status may be to be followed: it is written anew every refreshEvery at least.
	freshWithin = 2 * refreshEvery
)

// resume takes over what an earlier run wrote down.
func resume(s *settings, now time.Time, t *tracked, status *v1alpha1.QueueConsumerStatus) {
	if status.SampledAt == nil {
		return
	}
	age := now.Sub(s.Clock.At(status.SampledAt.Time))
	t.Resume(writtenReplicas(status, age, resumeWithin), writtenRate(status))
	idle := meta.FindStatusCondition(status.Conditions, conditionIdle)
	// While a group is idle its status is written every refreshEvery: one older than that is a gap in what is known.
	if idle != nil && idle.Status == metav1.ConditionTrue && age <= refreshEvery+s.clusters[t.spec.Kafka.Cluster].StaleAfter.Duration {
		t.idle = idleness{since: s.Clock.At(idle.LastTransitionTime.Time), seen: now, resumed: true}
	}
}

// align lets the tracker learn in the replica that writes statuses, and follow what is written there in all others.
func (c *Consumers) align(s *settings, now time.Time, t *tracked, status *v1alpha1.QueueConsumerStatus) {
	if c.leading.Load() {
		t.Lead()
		return
	}
	replicas := 0
	if status.SampledAt != nil {
		replicas = writtenReplicas(status, now.Sub(s.Clock.At(status.SampledAt.Time)), freshWithin)
	}
	t.Follow(replicas, writtenRate(status))
}

// writtenReplicas are a status's, or 0 where it is too old.
func writtenReplicas(status *v1alpha1.QueueConsumerStatus, age, within time.Duration) int {
	if status.DesiredReplicas == nil || age > within {
		return 0
	}
	return int(*status.DesiredReplicas)
}

// writtenRate is a status's μ, or 0 where it has none.
func writtenRate(status *v1alpha1.QueueConsumerStatus) float64 {
	if status.PerPodRate == nil {
		return 0
	}
	f, err := strconv.ParseFloat(string(*status.PerPodRate), 64)
	if err != nil {
		return 0
	}
	return f
}

func options(s *v1alpha1.QueueConsumerSpec, window time.Duration) (lag.Options, error) {
	u, err := number("spec.utilization", s.Utilization, 0.8)
	if err != nil {
		return lag.Options{}, err
	}
	mu, err := number("spec.perPodRate.initial", s.PerPodRate.Initial, 0)
	if err != nil {
		return lag.Options{}, err
	}
	return lag.Options{
		Rules: lag.Rules{Isolation: s.Isolation, Uncommitted: s.Uncommitted, LateAfter: s.LateAfter.Duration},
		Policy: lag.Policy{DrainTarget: s.DrainTarget.Duration, RebalanceTime: s.RebalanceTime.Duration, Utilization: u,
			Snap: s.SnapToPartitions == nil || *s.SnapToPartitions},
		Window: window,
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
