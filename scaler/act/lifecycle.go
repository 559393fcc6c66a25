package act

import (
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
// at a time; hooks of others are left for them to complete. The group has counted the instance out by itself, so it is not terminated here: that would lower the desired
// capacity again. A drain that a disruption budget holds up is tried again while Auto Scaling waits, 48 hours at most.
func (a *Actor) EndLifecycle(ctx context.Context, tick int64, node string, n nodegroups.Interruption) {
	cloud, ok := a.cloud.(Lifecycle)
	open := a.openHooks(n)
	if !ok || len(open) == 0 {
		return
	}
	t := plan.Termination{Node: node, InstanceID: n.InstanceID, Reason: fmt.Sprintf("group %s ends it and waits by a lifecycle hook", n.ASG)}
	a.inBackground(ctx, t, true, func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for _, h := range n.Hooks() {
			go a.beat(ctx, cloud, h.Of(n))
		}
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
		for _, h := range open {
			err = errors.Join(err, a.complete(ctx, tick, cloud, h.Of(n)))
		}
		return err
	})
}

// openHooks are those of a notice that were not completed yet; where all are others', one without a name until the node is empty.
func (a *Actor) openHooks(n nodegroups.Interruption) []nodegroups.LifecycleHook {
	hooks := n.Hooks()
	if len(hooks) == 0 {
		hooks = []nodegroups.LifecycleHook{{}}
	}
	return slices.DeleteFunc(slices.Clone(hooks), func(h nodegroups.LifecycleHook) bool {
		_, done := a.completed.Load(n.InstanceID + "/" + h.Name)
		return done
	})
}

// complete ends the action of the one hook of a notice whose node is empty, if it is swell's.
func (a *Actor) complete(ctx context.Context, tick int64, cloud Lifecycle, n nodegroups.Interruption) error {
	if n.Hook == "" {
		a.completed.Store(n.InstanceID+"/", true)
		a.options.Log.Info("the node is empty; its lifecycle hook is another's to complete", "instance", n.InstanceID)
		return nil
	}
	intent := ledger.Entry{Phase: ledger.Intent, Action: "complete-lifecycle", Object: n.InstanceID, Reason: fmt.Sprintf("group %s waits by its lifecycle hook %s", n.ASG, n.Hook)}
	a.record(tick, intent)
	call, done := context.WithTimeout(ctx, callTimeout)
	defer done()
	err := cloud.Complete(call, n)
	a.record(tick, outcome(intent, err))
	if err == nil {
		a.completed.Store(n.InstanceID+"/"+n.Hook, true)
	}
	a.options.Log.Info("lifecycle action completed", "instance", n.InstanceID, "hook", n.Hook, "error", err)
	return err
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
