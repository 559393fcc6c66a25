package consumers

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
	"swell/metrics/lag"
)

// Conditions of a QueueConsumer. Ready is always there, Idle where spec.zero is, the others while they are true.
const (
	conditionReady       = "Ready"
	conditionSaturated   = "Saturated"
	conditionRebalancing = "Rebalancing"
	conditionHot         = "HotPartition"
	conditionIdle        = "Idle"
	conditionTarget      = "TargetUnknown"
)

const (
	reasonSaturated   = "MorePodsDoNotHelp"
	reasonRebalancing = "GroupRebalancing"
	reasonHot         = "OnePodAPartition"
	reasonTarget      = "ScaleNotRead"
)

// hotNamed is how many hot partitions a message names.
const hotNamed = 3

// conditions are what the object is to say.
func (c *Consumers) conditions(q *v1alpha1.QueueConsumer, r Result) []metav1.Condition {
	all := []metav1.Condition{dated(q, ready(r))}
	add := func(kind, reason, message string) {
		all = append(all, dated(q, metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: reason, Message: message}))
	}
	if r.Saturated != "" {
		add(conditionSaturated, reasonSaturated, r.Saturated+": the replicas are held; look at what the pods write to, or at partitions that have all of the backlog")
	}
	if r.Rebalancing {
		add(conditionRebalancing, reasonRebalancing, fmt.Sprintf("group %s is changing who reads which partition: the replicas are held until it reads again", r.Group))
	}
	if len(r.Hot) > 0 {
		add(conditionHot, reasonHot, hot(r.Hot, r.Total))
	}
	if r.podsProblem != "" {
		add(conditionTarget, reasonTarget, "how many of its pods are ready is not known: "+r.podsProblem)
	}
	return append(all, c.idleConditions(q)...)
}

// idleConditions are the Idle condition as far as it is known; what an earlier leader wrote stays until this one has looked.
func (c *Consumers) idleConditions(q *v1alpha1.QueueConsumer) []metav1.Condition {
	said, known := c.zero.condition(q.UID)
	if !known {
		if old := meta.FindStatusCondition(q.Status.Conditions, conditionIdle); old != nil && q.Spec.Zero != nil {
			kept := *old
			if !isOf(&q.Status, q.Spec.Kafka) {
				// That another group was idle says nothing of this one.
				kept = dated(q, metav1.Condition{Type: kept.Type, Status: metav1.ConditionUnknown, Reason: kept.Reason, Message: kept.Message})
			}
			return []metav1.Condition{kept}
		}
		return nil
	}
	next := dated(q, said)
	if !said.LastTransitionTime.IsZero() && !said.LastTransitionTime.Equal(&next.LastTransitionTime) {
		next.LastTransitionTime = said.LastTransitionTime
	}
	return []metav1.Condition{next}
}

// hot names the partitions that keep more than one pod busy, of so many in all.
func hot(partitions []lag.HotPartition, total int) string {
	var named []string
	for _, p := range partitions[:min(hotNamed, len(partitions))] {
		named = append(named, fmt.Sprintf("%s/%d has %d messages and would keep %.1f pods busy", p.Topic, p.Partition, p.Lag, p.Need))
	}
	text := strings.Join(named, ", ")
	if more := len(partitions) - len(named); more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	text += ": one pod reads a partition, so that more pods do not help; "
	if len(partitions) == total {
		return text + "add partitions, or raise spec.drainTarget"
	}
	return text + "spread the keys, or add partitions"
}

func ready(r Result) metav1.Condition {
	next := metav1.Condition{Type: conditionReady, Status: metav1.ConditionTrue, Reason: reasonSampled,
		Message: fmt.Sprintf("group %s in Kafka cluster %s is read", r.Group, r.Cluster)}
	switch {
	case r.Problem != "":
		next.Status, next.Reason, next.Message = metav1.ConditionFalse, r.Reason, r.Problem
	case r.NeverCommitted():
		next.Status, next.Reason = metav1.ConditionFalse, reasonNeverCommitted
		next.Message = fmt.Sprintf("group %s in Kafka cluster %s has no commit in any of %d partitions, so that its lag is what spec.uncommitted makes of it: check spec.kafka.group, or start the consumers",
			r.Group, r.Cluster, r.Total)
	}
	return next
}

// dated is a condition with the time of its last change.
func dated(q *v1alpha1.QueueConsumer, next metav1.Condition) metav1.Condition {
	next.ObservedGeneration = q.Generation
	conditions := append([]metav1.Condition(nil), q.Status.Conditions...)
	meta.SetStatusCondition(&conditions, next)
	return *meta.FindStatusCondition(conditions, next.Type)
}
