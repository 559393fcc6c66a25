package consumers

import (
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
	"swell/metrics/lag"
)

const (
	// resumeWithin is how long the replicas may have been nobody's word to be held while their backlog drains. Time in which
	// the lag was known to be unknown does not count.
	resumeWithin = 5 * time.Minute
	// freshWithin is how old a leader's status may be to be followed: it is written anew every refreshEvery at least.
	freshWithin = 2 * refreshEvery
)

// held is what was last asked for while that was known, by this run or an earlier one; zero: nothing.
type held struct {
	at        time.Time
	replicas  int
	saturated lag.Stretch
}

// hold is what a result leaves to a successor.
func hold(r Result) held {
	h := held{at: r.Oldest, replicas: r.Replicas}
	if r.Saturated != "" {
		h.saturated = r.SaturatedFrom
	}
	return h
}

// handOn writes down what a successor goes on from, and keeps what was written while nothing is known or may be: a namespace rule
// that is gone by mistake must not cost the replicas that drain a backlog.
func handOn(s *settings, next, old *v1alpha1.QueueConsumerStatus, r Result) {
	next.Cluster, next.Group = r.Cluster, r.Group
	if r.PerPod > 0 {
		next.PerPodRate = decimal(r.PerPod)
	}
	ours := isOf(old, v1alpha1.KafkaGroup{Cluster: r.Cluster, Group: r.Group})
	switch {
	case !r.held.at.IsZero():
		at := metav1.NewTime(s.Clock.RealTime(r.held.at).Truncate(time.Second))
		next.Hold = &v1alpha1.ReplicaHold{Replicas: int32(r.held.replicas), At: at}
		if from := r.held.saturated; from.Pods > 0 {
			next.Saturation = &v1alpha1.SaturationSeen{Pods: int32(from.Pods), ConsumeRate: *decimal(from.Consume)}
		}
	case ours:
		next.Hold, next.Saturation = old.Hold, old.Saturation
	}
	if ours && next.PerPodRate == nil {
		next.PerPodRate = old.PerPodRate
	}
}

// isOf says that a status tells of a group.
func isOf(status *v1alpha1.QueueConsumerStatus, k v1alpha1.KafkaGroup) bool {
	return status.Cluster == k.Cluster && status.Group == k.Group
}

// resume takes over what an earlier run wrote down of the same group.
func resume(s *settings, now time.Time, t *tracked, status *v1alpha1.QueueConsumerStatus) {
	if !isOf(status, t.spec.Kafka) {
		return
	}
	known := lag.Known{PerPod: number64(status.PerPodRate)}
	if h := status.Hold; h != nil && knownUntil(s, now, status).Sub(s.Clock.At(h.At.Time)) <= resumeWithin {
		known.Replicas, known.Saturated = int(h.Replicas), saturatedFrom(status)
		t.held = held{at: s.Clock.At(h.At.Time), replicas: known.Replicas, saturated: known.Saturated}
	}
	t.Resume(known)
	idle := meta.FindStatusCondition(status.Conditions, conditionIdle)
	if idle == nil || idle.Status != metav1.ConditionTrue || status.SampledAt == nil {
		return
	}
	// While a group is idle its status is written every refreshEvery: one older than that is a gap in what is known.
	age := now.Sub(s.Clock.At(status.SampledAt.Time))
	if age <= refreshEvery+s.clusters[t.spec.Kafka.Cluster].StaleAfter.Duration {
		t.idle = idleness{since: s.Clock.At(idle.LastTransitionTime.Time), seen: now, resumed: true}
	}
}

// knownUntil is when the replicas of a status became unknown; now where it has some. A run that saw them become unknown would hold
// them for as long as that lasts.
func knownUntil(s *settings, now time.Time, status *v1alpha1.QueueConsumerStatus) time.Time {
	ready := meta.FindStatusCondition(status.Conditions, conditionReady)
	if status.DesiredReplicas != nil || ready == nil || ready.Status == metav1.ConditionTrue {
		return now
	}
	return s.Clock.At(ready.LastTransitionTime.Time)
}

// align lets the tracker learn in the replica that writes statuses, and follow what is written there in all others.
func (c *Consumers) align(s *settings, now time.Time, t *tracked, status *v1alpha1.QueueConsumerStatus) {
	if c.leading.Load() {
		t.Lead()
		return
	}
	var known lag.Known
	if isOf(status, t.spec.Kafka) {
		known.PerPod = number64(status.PerPodRate)
		if status.DesiredReplicas != nil && status.SampledAt != nil && now.Sub(s.Clock.At(status.SampledAt.Time)) <= freshWithin {
			known.Replicas, known.Saturated = int(*status.DesiredReplicas), saturatedFrom(status)
		}
	}
	t.Follow(known)
}

// saturatedFrom is zero where more pods may help.
func saturatedFrom(status *v1alpha1.QueueConsumerStatus) lag.Stretch {
	if status.Saturation == nil {
		return lag.Stretch{}
	}
	return lag.Stretch{Pods: int(status.Saturation.Pods), Consume: number64(&status.Saturation.ConsumeRate)}
}

// number64 is 0 where there is no number.
func number64(d *v1alpha1.Decimal) float64 {
	if d == nil {
		return 0
	}
	f, err := strconv.ParseFloat(string(*d), 64)
	if err != nil {
		return 0
	}
	return f
}
