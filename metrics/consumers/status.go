package consumers

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
)

// fieldOwner is who the statuses belong to in server-side apply.
const fieldOwner = client.FieldOwner("swell-metrics")

// refreshEvery is how often an unchanged status still gets a new sampledAt, in model time.
const refreshEvery = time.Minute

// WriteStatuses writes what changed every few seconds until the context ends. One replica runs it.
func (c *Consumers) WriteStatuses(ctx context.Context, writer client.Client) {
	for {
		objects, _ := c.list()
		for i := 0; i < len(objects) && ctx.Err() == nil; i++ {
			q := &objects[i]
			r, ok := c.Get(types.NamespacedName{Namespace: q.Namespace, Name: q.Name})
			if !ok || r.UID != q.UID {
				continue
			}
			if err := c.writeStatus(ctx, writer, q, r); err != nil && ctx.Err() == nil {
				c.opts.Log.Error("write the status of a QueueConsumer", "namespace", q.Namespace, "name", q.Name, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(c.opts.Config.Clock.Wait(c.opts.Config.StatusEvery.Duration)):
		}
	}
}

func (c *Consumers) writeStatus(ctx context.Context, writer client.Client, q *v1alpha1.QueueConsumer, r Result) error {
	next := c.status(q, r)
	if c.same(&q.Status, &next) {
		return nil
	}
	u := &unstructured.Unstructured{Object: map[string]any{}}
	raw, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("encode the status: %w", err)
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		return fmt.Errorf("encode the status: %w", err)
	}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("QueueConsumer"))
	u.SetNamespace(q.Namespace)
	u.SetName(q.Name)
	u.SetUID(q.UID)
	u.Object["status"] = fields
	err = writer.SubResource("status").Apply(ctx, client.ApplyConfigurationFromUnstructured(u), fieldOwner, client.ForceOwnership)
	return client.IgnoreNotFound(err)
}

// status is what the object is to say; what is unknown is left out.
func (c *Consumers) status(q *v1alpha1.QueueConsumer, r Result) v1alpha1.QueueConsumerStatus {
	s := v1alpha1.QueueConsumerStatus{Conditions: []metav1.Condition{dated(q, ready(r))}}
	if r.Saturated != "" {
		s.Conditions = append(s.Conditions, dated(q, metav1.Condition{Type: "Saturated", Status: metav1.ConditionTrue, Reason: reasonSaturated,
			Message: r.Saturated + ": the replicas are held; look at what the pods write to, or at partitions that have all of the backlog"}))
	}
	if r.Total > 0 {
		s.Partitions = &v1alpha1.PartitionsKnown{Known: int32(r.Known), Total: int32(r.Total)}
	}
	if r.PerPod > 0 {
		s.PerPodRate = decimal(r.PerPod)
	}
	if !r.Oldest.IsZero() {
		s.SampledAt = &metav1.Time{Time: c.opts.Config.Clock.RealTime(r.Oldest).Truncate(time.Second)}
	}
	if r.LagProblem != "" {
		return s
	}
	s.Lag = &r.Lag
	if r.RatesKnown {
		s.ProduceRate, s.ConsumeRate = decimal(r.Produce), decimal(r.Consume)
	}
	if r.Problem == "" {
		replicas := int32(r.Replicas)
		s.DesiredReplicas, s.Why = &replicas, r.Why
	}
	return s
}

func decimal(f float64) *v1alpha1.Decimal {
	d := v1alpha1.Decimal(strconv.FormatFloat(f, 'f', 2, 64))
	return &d
}

func ready(r Result) metav1.Condition {
	next := metav1.Condition{Type: "Ready", Status: metav1.ConditionTrue, Reason: reasonSampled,
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

// same says that a write would change nothing but the time of the sample, and that time only a little.
func (c *Consumers) same(old, next *v1alpha1.QueueConsumerStatus) bool {
	if (old.SampledAt == nil) != (next.SampledAt == nil) {
		return false
	}
	if old.SampledAt != nil {
		clock := c.opts.Config.Clock
		if clock.At(next.SampledAt.Time).Sub(clock.At(old.SampledAt.Time)) > refreshEvery {
			return false
		}
	}
	a, b := old.DeepCopy(), next.DeepCopy()
	a.SampledAt, b.SampledAt = nil, nil
	return reflect.DeepEqual(a, b)
}
