package consumers

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

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

// WriteStatuses does what one replica does, until the context ends: it learns, writes the statuses that changed every few seconds, records
// events, and takes idle workloads to no replicas and back. The others follow the statuses meanwhile.
func (c *Consumers) WriteStatuses(ctx context.Context, writer client.Client) {
	// The lease may be won again before the work under the last one has ended.
	c.writing.Lock()
	defer c.writing.Unlock()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	c.leading.Store(true)
	defer c.leading.Store(false)
	events := startEvents(ctx, writer)
	var keeping sync.WaitGroup
	keeping.Go(func() { c.keepZero(ctx, writer, events) })
	defer keeping.Wait()
	ailing := map[types.UID]bool{}
	for {
		c.writeStatuses(ctx, writer, events, ailing)
		s := c.settings.Load()
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.Clock.Wait(s.StatusEvery.Duration)):
		}
	}
}

// writeStatuses writes what changed, once. ailing says of which objects something bad was told. What somebody waits for comes first, then
// what was not written for the longest, for as long as there is time: the API server may give fewer writes than there are changes.
func (c *Consumers) writeStatuses(ctx context.Context, writer client.Client, events told, ailing map[types.UID]bool) {
	due, alive, err := c.due()
	if err != nil {
		return
	}
	s := c.settings.Load()
	began := time.Now()
	for _, d := range due {
		if ctx.Err() != nil || !d.urgent && time.Since(began) > max(time.Second, s.Clock.Wait(s.StatusEvery.Duration)) {
			break
		}
		q := d.of
		if err := writeStatus(ctx, writer, q, d.next); err != nil {
			if ctx.Err() == nil {
				c.opts.Log.Error("write the status of a QueueConsumer", "namespace", q.Namespace, "name", q.Name, "error", err)
			}
			continue
		}
		was, known := ailing[q.UID]
		notes, is := news(&q.Status, &d.next, known && was || !known && ails(&q.Status))
		ailing[q.UID] = is
		events.tell(q, notes...)
	}
	maps.DeleteFunc(ailing, func(uid types.UID, _ bool) bool { return !alive[uid] })
}

// write is a status that is to be written.
type write struct {
	of   *v1alpha1.QueueConsumer
	next v1alpha1.QueueConsumerStatus
	// urgent says that more changed than numbers.
	urgent bool
}

// due are the statuses to write, in their order, and all objects that there are.
func (c *Consumers) due() (due []write, alive map[types.UID]bool, err error) {
	objects, err := c.list()
	if err != nil {
		return nil, nil, err
	}
	alive = make(map[types.UID]bool, len(objects))
	for i := range objects {
		q := &objects[i]
		alive[q.UID] = true
		r, ok := c.Get(types.NamespacedName{Namespace: q.Namespace, Name: q.Name})
		if !ok || r.UID != q.UID {
			continue
		}
		if next := c.status(q, r); !c.same(&q.Status, &next) {
			due = append(due, write{q, next, urgent(&q.Status, &next)})
		}
	}
	slices.SortStableFunc(due, func(a, b write) int {
		switch {
		case a.urgent && !b.urgent:
			return -1
		case b.urgent && !a.urgent:
			return 1
		}
		return sampled(a.of).Compare(sampled(b.of))
	})
	return due, alive, nil
}

// sampled is the time of the sample that a status has; zero: of none.
func sampled(q *v1alpha1.QueueConsumer) time.Time {
	if q.Status.SampledAt == nil {
		return time.Time{}
	}
	return q.Status.SampledAt.Time
}

// urgent says that a status differs in more than its numbers.
func urgent(old, next *v1alpha1.QueueConsumerStatus) bool {
	if (old.Lag == nil) != (next.Lag == nil) || !reflect.DeepEqual(old.DesiredReplicas, next.DesiredReplicas) || !reflect.DeepEqual(old.Partitions, next.Partitions) {
		return true
	}
	return !slices.EqualFunc(old.Conditions, next.Conditions, func(a, b metav1.Condition) bool {
		return a.Type == b.Type && a.Status == b.Status && a.Reason == b.Reason
	})
}

func writeStatus(ctx context.Context, writer client.Client, q *v1alpha1.QueueConsumer, next v1alpha1.QueueConsumerStatus) error {
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
	s := v1alpha1.QueueConsumerStatus{Conditions: c.conditions(q, r)}
	if r.Total > 0 {
		s.Partitions = &v1alpha1.PartitionsKnown{Known: int32(r.Known), Total: int32(r.Total)}
	}
	handOn(c.settings.Load(), &s, &q.Status, r)
	if !r.Oldest.IsZero() {
		s.SampledAt = &metav1.Time{Time: c.settings.Load().Clock.RealTime(r.Oldest).Truncate(time.Second)}
	}
	if r.LagProblem != "" {
		return s
	}
	s.Lag = &r.Lag
	if q.Spec.LateAfter.Duration > 0 && r.LateProblem == "" {
		s.LateMessages, s.LateCount = &r.Late, v1alpha1.LateAtLeast
		if r.LateExact {
			s.LateCount = v1alpha1.LateExact
		}
	}
	if r.SecondsProblem == "" {
		s.LagSeconds = decimal(r.Seconds)
	}
	if r.RatesKnown {
		s.ProduceRate, s.ConsumeRate = decimal(r.Produce), decimal(r.Consume)
	}
	if r.Problem == "" {
		replicas := int32(r.Replicas)
		s.DesiredReplicas, s.Why = &replicas, r.Why
	}
	return s
}

// decimal has two places, and of a number below one three digits, so that a slow rate is not taken for none.
func decimal(f float64) *v1alpha1.Decimal {
	places := 2
	if f > 0 && f < 1 {
		places = min(2-int(math.Floor(math.Log10(f))), 12)
	}
	d := v1alpha1.Decimal(strconv.FormatFloat(max(f, 0), 'f', places, 64))
	return &d
}

// same says that a write would change nothing but times, and those only a little: what is held is as old as the sample it is of.
func (c *Consumers) same(old, next *v1alpha1.QueueConsumerStatus) bool {
	if (old.SampledAt == nil) != (next.SampledAt == nil) {
		return false
	}
	if old.SampledAt != nil {
		clock := c.settings.Load().Clock
		if clock.At(next.SampledAt.Time).Sub(clock.At(old.SampledAt.Time)) > refreshEvery {
			return false
		}
	}
	a, b := old.DeepCopy(), next.DeepCopy()
	a.SampledAt, b.SampledAt = nil, nil
	if a.Hold != nil && b.Hold != nil {
		a.Hold.At = b.Hold.At
	}
	a.Zero, b.Zero = nil, nil // written apart, before the workload is scaled
	return reflect.DeepEqual(a, b)
}
