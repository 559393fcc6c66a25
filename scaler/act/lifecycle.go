package act

import (
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
// capacity again. A drain that a disruption budget holds up is tried again while Auto Scaling waits, 48 hours at most.
func (a *Actor) EndLifecycle(ctx context.Context, tick int64, node string, n nodegroups.Interruption) {
	cloud, ok := a.cloud.(Lifecycle)
	if _, done := a.completed.Load(n.InstanceID); !ok || done {
		return
	}
	t := plan.Termination{Node: node, InstanceID: n.InstanceID, Reason: fmt.Sprintf("group %s ends it and waits by its lifecycle hook %s", n.ASG, n.Hook)}
	a.inBackground(ctx, t, true, func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go a.beat(ctx, cloud, n)
		intent := ledger.Entry{Phase: ledger.Intent, Action: "drain", Object: node, Reason: t.Reason}
		a.record(tick, intent)
		err := a.intents.Check(ctx)
		if err == nil {
			err = a.drain(ctx, t, true)
		}
		a.record(tick, outcome(intent, err))
		if err != nil {
			a.options.Log.Warn("drain", "node", node, "error", err)
			return err
		}
		intent = ledger.Entry{Phase: ledger.Intent, Action: "complete-lifecycle", Object: n.InstanceID, Reason: t.Reason}
		a.record(tick, intent)
		call, done := context.WithTimeout(ctx, callTimeout)
		defer done()
		err = cloud.Complete(call, n)
		a.record(tick, outcome(intent, err))
		if err == nil {
			a.completed.Store(n.InstanceID, true)
		}
		a.options.Log.Info("lifecycle action completed", "node", node, "instance", n.InstanceID, "error", err)
		return err
	})
}

func (a *Actor) beat(ctx context.Context, cloud Lifecycle, n nodegroups.Interruption) {
	for ctx.Err() == nil {
		call, done := context.WithTimeout(ctx, callTimeout)
		if err := cloud.Heartbeat(call, n); err != nil && ctx.Err() == nil {
			a.options.Log.Warn("lifecycle heartbeat", "instance", n.InstanceID, "error", err)
		}
		done()
		a.sleep(ctx, heartbeatEvery)
	}
}
