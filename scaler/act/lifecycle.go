package act

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"swell/nodegroups"
	"swell/scaler/ledger"
	"swell/scaler/plan"
)

// Lifecycle is a Cloud whose groups wait for lifecycle actions.
type Lifecycle interface {
	// Heartbeat keeps the action of an instance waiting for one more of its hook's timeouts.
	Heartbeat(ctx context.Context, n nodegroups.Interruption) error
	// Complete ends it; one that is over is no error.
	Complete(ctx context.Context, n nodegroups.Interruption) error
}

// heartbeatEvery is less than the shortest timeout of a lifecycle hook, 30 s; model time.
const heartbeatEvery = 20 * time.Second

// EndLifecycle drains the node of an instance that its group is about to end, and lets the group go on when it is empty, once
// at a time. The group has counted the instance out by itself, so it is not terminated here: that would lower the desired
// capacity again. A drain that a disruption budget holds up is tried again while Auto Scaling waits, which it is asked to for as long
// as a drain may take (zero is ten minutes), and then its hook's timeout; or until the notice's deadline, at which EC2 ends the
// instance whoever waits for it.
func (a *Actor) EndLifecycle(ctx context.Context, tick int64, node string, drainTimeout time.Duration, n nodegroups.Interruption) {
	cloud, ok := a.cloud.(Lifecycle)
	if !ok || a.hold(n) {
		return
	}
	t := plan.Termination{Node: node, InstanceID: n.InstanceID, Deadline: n.Deadline, DrainTimeout: drainTimeout, Reason: fmt.Sprintf("group %s ends it and waits by its lifecycle hook %s", n.ASG, n.Hook)}
	a.inBackground(ctx, t, true, func(until context.Context) error {
		if err := a.intents.Check(ctx); err != nil {
			a.options.Log.Warn("drain", "node", node, "error", err)
			return err
		}
		if err := a.drainHeld(until, tick, t, cloud, n); err != nil && !going(until) {
			return err
		}
		gone := going(until)
		err := a.complete(ctx, tick, t, cloud, n)
		if err == nil && gone {
			a.drainAfterwards(ctx, tick, t)
		}
		return err
	})
}

// hold notes that an instance's lifecycle action is to be ended, and says whether that was done.
func (a *Actor) hold(n nodegroups.Interruption) (completed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held[n.InstanceID] = n.Deadline
	b := a.began[n.InstanceID]
	return b != nil && b.completed
}

// drainHeld drains the node of an instance whose lifecycle action is kept waiting meanwhile.
func (a *Actor) drainHeld(until context.Context, tick int64, t plan.Termination, cloud Lifecycle, n nodegroups.Interruption) error {
	if going(until) {
		return nil
	}
	beating, stop := context.WithCancel(until)
	defer stop()
	go a.beat(beating, cloud, t.DrainTimeout, n)
	return a.drainUntil(until, tick, t, true)
}

// complete ends a lifecycle action.
func (a *Actor) complete(ctx context.Context, tick int64, t plan.Termination, cloud Lifecycle, n nodegroups.Interruption) error {
	intent := ledger.Entry{Phase: ledger.Intent, Action: "complete-lifecycle", Object: n.InstanceID, Reason: t.Reason}
	a.record(tick, intent)
	call, done := context.WithTimeout(ctx, callTimeout)
	defer done()
	err := cloud.Complete(call, n)
	a.record(tick, outcome(intent, err))
	if err == nil {
		a.noteBegun(n.InstanceID, func(b *begun) { b.completed, b.completedAt = true, time.Now() })
	}
	a.options.Log.Info("lifecycle action completed", "node", t.Node, "instance", n.InstanceID, "error", err)
	return err
}

// beat keeps an action waiting for as long as a drain of its node may take in all, so that what never ends is not waited for until
// AWS's own bound of 48 hours.
func (a *Actor) beat(ctx context.Context, cloud Lifecycle, timeout time.Duration, n nodegroups.Interruption) {
	for ctx.Err() == nil && time.Now().Before(a.heldUntil(n.InstanceID, timeout)) {
		call, done := context.WithTimeout(ctx, callTimeout)
		if err := cloud.Heartbeat(call, n); err != nil && ctx.Err() == nil {
			a.options.Log.Warn("lifecycle heartbeat", "instance", n.InstanceID, "error", err)
		}
		done()
		a.sleep(ctx, heartbeatEvery)
	}
}

// heldUntil is when an instance's action is kept waiting no more; machine time.
func (a *Actor) heldUntil(instanceID string, timeout time.Duration) (until time.Time) {
	a.noteBegun(instanceID, func(b *begun) {
		if b.heldSince.IsZero() {
			b.heldSince = time.Now()
		}
		until = b.heldSince.Add(max(a.options.Clock.Wait(cmp.Or(timeout, drainTimeout)), b.patience))
	})
	return until
}
