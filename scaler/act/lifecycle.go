package act

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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
// at a time; what waits by hooks of others is left for them to complete. The group has counted the instance out by itself, so it
// is not terminated here: that would lower the desired capacity again. A drain that a disruption budget holds up is tried again
// while Auto Scaling waits, which it is asked to for as long as a drain may take (zero is ten minutes), and then its hook's
// timeout; or until the notice's deadline, at which EC2 ends the instance whoever waits for it.
func (a *Actor) EndLifecycle(ctx context.Context, tick int64, node string, drainTimeout time.Duration, n nodegroups.Interruption) {
	cloud, ok := a.cloud.(Lifecycle)
	open := a.hold(n)
	if !ok || len(open) == 0 {
		return
	}
	t := plan.Termination{Node: node, InstanceID: n.InstanceID, Deadline: n.Deadline, DrainTimeout: drainTimeout, Reason: fmt.Sprintf("group %s ends it and waits by a lifecycle hook", n.ASG)}
	a.inBackground(ctx, t, true, func(until context.Context) error {
		if err := a.intents.Check(ctx); err != nil {
			a.options.Log.Warn("drain", "node", node, "error", err)
			return err
		}
		if err := a.drainHeld(until, tick, t, cloud, n); err != nil && !going(until) {
			return err
		}
		gone := going(until)
		var err error
		for _, h := range open {
			err = errors.Join(err, a.complete(ctx, tick, t, cloud, h.Of(n)))
		}
		if err == nil && gone {
			a.drainAfterwards(ctx, tick, t)
		}
		return err
	})
}

// hold notes that an instance's lifecycle actions are to be ended, and gives the hooks of which that was not done yet; where all
// are others', one without a name until the node is empty.
func (a *Actor) hold(n nodegroups.Interruption) []nodegroups.LifecycleHook {
	hooks := n.Hooks()
	if len(hooks) == 0 {
		hooks = []nodegroups.LifecycleHook{{}}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held[n.InstanceID] = n.Deadline
	b := a.began[n.InstanceID]
	return slices.DeleteFunc(slices.Clone(hooks), func(h nodegroups.LifecycleHook) bool {
		return b != nil && !b.completed[h.Name].IsZero()
	})
}

// drainHeld drains the node of an instance whose lifecycle actions are kept waiting meanwhile.
func (a *Actor) drainHeld(until context.Context, tick int64, t plan.Termination, cloud Lifecycle, n nodegroups.Interruption) error {
	if going(until) {
		return nil
	}
	beating, stop := context.WithCancel(until)
	defer stop()
	for _, h := range n.Hooks() {
		go a.beat(beating, cloud, t.DrainTimeout, h.Of(n))
	}
	return a.drainUntil(until, tick, t, true)
}

// complete ends the action of the one hook of a notice, if it is swell's.
func (a *Actor) complete(ctx context.Context, tick int64, t plan.Termination, cloud Lifecycle, n nodegroups.Interruption) error {
	if n.Hook == "" {
		a.noteCompleted(n)
		a.options.Log.Info("the node is empty; its lifecycle hook is another's to complete", "node", t.Node, "instance", n.InstanceID)
		return nil
	}
	intent := ledger.Entry{Phase: ledger.Intent, Action: "complete-lifecycle", Object: n.InstanceID, Reason: fmt.Sprintf("group %s waits by its lifecycle hook %s", n.ASG, n.Hook)}
	a.record(tick, intent)
	call, done := context.WithTimeout(ctx, callTimeout)
	defer done()
	err := cloud.Complete(call, n)
	a.record(tick, outcome(intent, err))
	if err == nil {
		a.noteCompleted(n)
	}
	a.options.Log.Info("lifecycle action completed", "node", t.Node, "instance", n.InstanceID, "hook", n.Hook, "error", err)
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
