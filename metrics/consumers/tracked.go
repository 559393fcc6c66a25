package consumers

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/types"

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
	held   held
}

// tracker finds or makes the memory of a QueueConsumer; the first one resumes what its status says. Of another
// group nothing is remembered.
func (c *Consumers) tracker(s *settings, now time.Time, q *v1alpha1.QueueConsumer) (*tracked, error) {
	old := c.trackers[q.UID]
	if old != nil && old.under == s.Metrics && reflect.DeepEqual(old.spec, q.Spec) {
		return old, nil
	}
	if err := kafka.ValidGroup(q.Spec.Kafka.Group); err != nil {
		return nil, fmt.Errorf("spec.kafka.group: %w", err)
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
	sameGroup := old != nil && old.spec.Kafka.Cluster == q.Spec.Kafka.Cluster && old.spec.Kafka.Group == q.Spec.Kafka.Group
	if sameGroup && slices.Equal(old.spec.Kafka.Topics, q.Spec.Kafka.Topics) {
		if err := old.SetOptions(opts); err != nil {
			return nil, err
		}
		t.Tracker, t.idle, t.held = old.Tracker, old.idle, old.held
		if old.spec.Uncommitted != q.Spec.Uncommitted || old.spec.Isolation != q.Spec.Isolation || q.Spec.Zero == nil {
			t.idle = idleness{}
		}
	} else {
		if t.Tracker, err = lag.NewTracker(opts); err != nil {
			return nil, err
		}
		switch {
		case old == nil:
			resume(s, now, t, &q.Status)
		case sameGroup:
			// Other topics have other rates; the pods that drain the backlog are still needed, and read as fast as before.
			t.held = old.held
			known := lag.Known{Replicas: old.held.replicas, Saturated: old.held.saturated}
			if r, _ := c.Get(types.NamespacedName{Namespace: q.Namespace, Name: q.Name}); r.UID == q.UID && r.PerPod != old.perPod {
				known.PerPod = r.PerPod
			}
			t.Resume(known)
		}
	}
	c.trackers[q.UID] = t
	return t, nil
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
