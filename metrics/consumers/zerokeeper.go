package consumers

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
)

const (
	// lookEvery is how often a target's replicas are read while no pod of it is ready, in the machine's time.
	lookEvery = 30 * time.Second
	// scaledAtOnce is how many targets are read or scaled at a time.
	scaledAtOnce = 8
)

// zeroKeeper carries out what decideZero says, in the replica that leads, and remembers workloads between polls.
type zeroKeeper struct {
	mu      sync.Mutex
	targets map[types.UID]*zeroTarget
}

// zeroTarget is one QueueConsumer's workload.
type zeroTarget struct {
	workload
	target v1alpha1.ScaleTarget
	// pods is how many were ready a poll ago, last where the group's logs ended then.
	pods int
	last baseline
	// marked says that the status tells of no replicas by swell's doing.
	marked bool
	// waited is for how many polls in a row messages have waited.
	waited int
	looked time.Time
	said   metav1.Condition
}

// keepZero acts on each poll's results until the context ends.
func (c *Consumers) keepZero(ctx context.Context, live client.Client, events told) {
	defer c.zero.forget()
	for {
		c.actOnZero(ctx, live, events)
		select {
		case <-ctx.Done():
			return
		case <-c.evaluated:
		}
	}
}

// actOnZero goes through the QueueConsumers once.
func (c *Consumers) actOnZero(ctx context.Context, live client.Client, events told) {
	objects, err := c.list()
	if err != nil {
		return
	}
	results := *c.results.Load()
	var group errgroup.Group
	group.SetLimit(scaledAtOnce)
	alive := map[types.UID]bool{}
	for i := range objects {
		q := &objects[i]
		r, ok := results[types.NamespacedName{Namespace: q.Namespace, Name: q.Name}]
		if !ok || r.UID != q.UID || q.Spec.Zero == nil && q.Status.Zero == nil {
			continue
		}
		alive[q.UID] = true
		if k := q.Spec.Kafka; r.Cluster != k.Cluster || r.Group != k.Group || !slices.Equal(r.Topics, k.Topics) {
			continue // judged before the spec was changed
		}
		t := c.zero.target(q)
		t.observe(r)
		group.Go(func() error {
			c.decide(ctx, live, events, q, r, t, c.settings.Load().sharers(q, objects, results))
			return nil
		})
	}
	_ = group.Wait()
	c.zero.keep(alive)
}

// others are what is known of the other QueueConsumers of a workload.
type others struct{ busy, unsure string }

// sharers looks at the QueueConsumers that name the same workload. All of them must agree to none: one without spec.zero never does, one
// with it once it was idle for its own time.
func (s *settings) sharers(q *v1alpha1.QueueConsumer, objects []v1alpha1.QueueConsumer, results map[types.NamespacedName]Result) others {
	var o others
	now := s.Clock.Now()
	for i := range objects {
		other := &objects[i]
		if other.UID == q.UID || other.Namespace != q.Namespace || other.Spec.ScaleTargetRef != q.Spec.ScaleTargetRef {
			continue
		}
		r, ok := results[types.NamespacedName{Namespace: other.Namespace, Name: other.Name}]
		known := ok && r.UID == other.UID
		if !known || other.Spec.Zero == nil || !r.idle.lasts(now, other.Spec.Zero.After.Duration, s.clusters[r.Cluster].StaleAfter.Duration) {
			o.unsure = other.Name
		}
		if known && r.LagProblem == "" && r.Lag > 0 {
			o.busy = other.Name
		}
	}
	return o
}

// observe takes in how many pods are ready. They may be on their way out, so that only a look says that replicas are there again.
func (t *zeroTarget) observe(r Result) {
	ready, were := r.pods > 0, t.pods > 0
	if ready != were || ready && (t.replicas == 0 || t.ours) {
		t.looked = time.Time{}
	}
	if ready && t.replicas != 0 {
		t.replicas = -1
	}
	if r.sight.unknown == "" && (r.pods > 0 || t.last.appended < 0) {
		t.last = baselineOf(r.sight)
	}
	if t.replicas == 0 && t.base.appended < 0 {
		t.base = t.last
	}
	if t.replicas == 0 {
		t.base = t.base.follow(r.sight)
	}
	t.pods = r.pods
	t.waited++
	if r.sight.lag == 0 {
		t.waited = 0
	}
}

// provenWithin is for how many polls messages must wait, where markers alone are proven to be none, before they count as such.
const provenWithin = 6

// decide carries out one decision.
func (c *Consumers) decide(ctx context.Context, live client.Client, events told, q *v1alpha1.QueueConsumer, r Result, t *zeroTarget, shared others) {
	s := c.settings.Load()
	now := s.Clock.Now()
	k := s.clusters[r.Cluster]
	z := zeroCase{sight: r.sight, idle: r.idle, staleAfter: k.StaleAfter.Duration, busy: shared.busy, unsure: shared.unsure,
		unproven: k.ProveEmpty && t.waited <= provenWithin}
	if q.Spec.Zero != nil {
		z.after = q.Spec.Zero.After.Duration
	}
	z.workload = t.workload
	v := decideZero(now, z)
	if t.due() {
		v.action = look
	}
	if v.action == leave {
		c.zero.say(t, idleCondition(z, v, s))
		return
	}
	current, err := readScale(ctx, live, q.Namespace, q.Spec.ScaleTargetRef)
	if err == nil {
		t.found(current.replicas(), now)
		z.workload = t.workload
		v = decideZero(now, z)
		err = c.carryOut(ctx, live, q, current, v, t, r)
	}
	switch {
	case ctx.Err() != nil || apierrors.IsConflict(err):
		// Somebody else changed it meanwhile: the next poll looks again.
		return
	case err != nil:
		v = zeroVerdict{reason: reasonScaleFailed, message: err.Error()}
		if t.said.Reason != reasonScaleFailed {
			c.opts.Log.Error("scale to zero or back", "namespace", q.Namespace, "name", q.Name, "error", err)
			events.tell(q, note{corev1.EventTypeWarning, v.reason, v.message})
		}
	case v.action != leave:
		c.opts.Log.Info("scaled", "namespace", q.Namespace, "name", q.Name, "reason", v.reason, "message", v.message)
		events.tell(q, note{corev1.EventTypeNormal, v.reason, v.message})
	}
	c.zero.say(t, idleCondition(z, v, s))
}

// due says that the replicas are to be read although no decision hangs on it: somebody else may have scaled to none, or up from there.
func (t *zeroTarget) due() bool {
	if t.pods > 0 {
		return t.looked.IsZero() && (t.replicas == 0 || t.ours)
	}
	return t.looked.IsZero() || t.replicas != 0 && time.Since(t.looked) > lookEvery
}

// found takes in how many replicas a target is to have.
func (t *zeroTarget) found(replicas int, now time.Time) {
	switch {
	case replicas > 0:
		if t.replicas == 0 || t.ours {
			t.raised = now
		}
		t.ours, t.base = false, noBaseline
	case t.replicas != 0 && !t.ours:
		t.base = t.last
	}
	t.replicas, t.looked = replicas, time.Now()
}

// carryOut scales where the verdict, which was made on the current scale, says so.
func (c *Consumers) carryOut(ctx context.Context, live client.Client, q *v1alpha1.QueueConsumer, current scale, v zeroVerdict, t *zeroTarget, r Result) error {
	clock := c.settings.Load().Clock
	switch v.action {
	case toZero:
		// The intent first: whoever takes over in between must know whose doing it is.
		if err := mark(ctx, live, q, &v1alpha1.ZeroMark{Since: metav1.NewTime(clock.RealTime(clock.Now())), Appended: r.sight.appended, Logs: nameOf(r.sight.logs)}); err != nil {
			return err
		}
		t.marked = true
		if err := current.write(ctx, live, 0); err != nil {
			return err
		}
		t.replicas, t.ours, t.base = 0, true, baselineOf(r.sight)
	case toOne:
		if err := current.write(ctx, live, 1); err != nil {
			return err
		}
		t.replicas, t.ours, t.base, t.raised = 1, false, noBaseline, clock.Now()
	case leave, look:
	}
	if t.marked && t.replicas > 0 {
		if err := mark(ctx, live, q, nil); err != nil {
			return err
		}
		t.marked = false
	}
	return nil
}

// markOwner owns status.zero alone, so that the rest of the status is written without it.
const markOwner = client.FieldOwner("swell-metrics-zero")

// mark writes status.zero, or takes it away.
func mark(ctx context.Context, live client.Client, q *v1alpha1.QueueConsumer, m *v1alpha1.ZeroMark) error {
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": q.UID}, "status": map[string]any{"zero": m}})
	if err != nil {
		return fmt.Errorf("encode status.zero: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, scaleWithin)
	defer cancel()
	object := &v1alpha1.QueueConsumer{ObjectMeta: metav1.ObjectMeta{Namespace: q.Namespace, Name: q.Name}}
	if err := live.Status().Patch(ctx, object, client.RawPatch(types.MergePatchType, body), markOwner); err != nil {
		return fmt.Errorf("write status.zero of QueueConsumer %s/%s: %w: let swell-metrics patch queueconsumers/status", q.Namespace, q.Name, err)
	}
	return nil
}

// idleCondition is the Idle condition for a verdict; since when the group is empty outlives a fail-over in its time.
func idleCondition(z zeroCase, v zeroVerdict, s *settings) metav1.Condition {
	c := metav1.Condition{Type: conditionIdle, Status: metav1.ConditionFalse, Reason: v.reason, Message: v.message}
	switch {
	case v.reason == "":
		return metav1.Condition{}
	case z.sight.unknown != "":
		c.Status = metav1.ConditionUnknown
	case !z.idle.since.IsZero():
		c.Status = metav1.ConditionTrue
		c.LastTransitionTime = metav1.NewTime(s.Clock.RealTime(z.idle.since).Truncate(time.Second))
	}
	return c
}

// target finds or makes the memory of a workload. The first one takes over from the status whose doing its state is; another target of
// the same QueueConsumer starts afresh.
func (k *zeroKeeper) target(q *v1alpha1.QueueConsumer) *zeroTarget {
	k.mu.Lock()
	defer k.mu.Unlock()
	t := k.targets[q.UID]
	if t == nil || t.target != q.Spec.ScaleTargetRef {
		written := q.Status.Zero
		w := workload{replicas: -1, ours: t == nil && written != nil, base: noBaseline}
		if w.ours {
			w.base.appended, w.base.name = written.Appended, written.Logs
		}
		t = &zeroTarget{workload: w, target: q.Spec.ScaleTargetRef, pods: -1, last: noBaseline, marked: written != nil}
		if k.targets == nil {
			k.targets = map[types.UID]*zeroTarget{}
		}
		k.targets[q.UID] = t
	}
	return t
}

// say notes the condition for the status.
func (k *zeroKeeper) say(t *zeroTarget, c metav1.Condition) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t.said = c
}

// condition is what was last said of a QueueConsumer.
func (k *zeroKeeper) condition(uid types.UID) (metav1.Condition, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t := k.targets[uid]
	if t == nil || t.said.Type == "" {
		return metav1.Condition{}, false
	}
	return t.said, true
}

func (k *zeroKeeper) keep(alive map[types.UID]bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for uid := range k.targets {
		if !alive[uid] {
			delete(k.targets, uid)
		}
	}
}

// forget drops everything: whoever leads next has seen other things meanwhile.
func (k *zeroKeeper) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.targets = nil
}
