package scaler

import (
	"context"
	"slices"
	"time"

	"swell/api/v1alpha1"
	"swell/nodegroups"
	"swell/scaler/notices"
	"swell/scaler/observe"
)

// newNotices keeps notices on the Nodes that l may change.
func (l *Loop) newNotices() *notices.Keeper {
	o := notices.Options{Clock: l.clock, Kube: l.kube, Groups: l.groups, Log: l.options.Log, News: l.interrupted}
	if cloud, ok := l.cloud.(interface {
		Complete(context.Context, nodegroups.Interruption) error
	}); ok {
		o.Complete = cloud.Complete
	}
	return notices.NewKeeper(o)
}

// receiveInterruptions notes instances that are about to be lost.
func (l *Loop) receiveInterruptions(ctx context.Context) {
	if l.options.Config.AWS.QueueURL == "" || l.options.Config.Mode == v1alpha1.Observe {
		return // a notice that is received here is hidden from others that read the queue
	}
	for ctx.Err() == nil {
		list, err := l.cloud.Interruptions(ctx)
		if err != nil {
			l.options.Log.Warn("receiving interruptions", "error", err)
			sleep(ctx, time.Second)
			continue
		}
		l.notices.Take(ctx, l.client, list)
	}
}

// interrupted asks for a plan, as an instance is about to be lost.
func (l *Loop) interrupted(n nodegroups.Interruption, group string) {
	interruptions.WithLabelValues(string(n.Kind)).Inc()
	if r := l.recorder; r != nil {
		r.told(n)
	}
	l.options.Log.Info("interruption", "instance", n.InstanceID, "group", group, "kind", string(n.Kind), "deadline", n.Deadline)
	l.Kick()
}

// readNotices puts what stands on Nodes into the snapshot, and has lifecycle actions ended.
func (l *Loop) readNotices(ctx context.Context, now time.Time, world *observe.World) {
	l.notices.Read(ctx, now, world, func(node string, n nodegroups.Interruption) {
		l.actor.EndLifecycle(ctx, l.tick, node, drainTimeoutOf(world, n.InstanceID), n)
	})
}

// drainTimeoutOf is that of an instance's pool; zero is not known.
func drainTimeoutOf(w *observe.World, instanceID string) time.Duration {
	for _, g := range w.Snapshot.Groups {
		if !slices.ContainsFunc(g.Instances, func(i nodegroups.Instance) bool { return i.ID == instanceID }) {
			continue
		}
		for _, p := range w.Pools {
			if p.Name == g.Pool {
				return max(0, p.Spec.ScaleIn.DrainTimeout.Duration)
			}
		}
	}
	return 0
}
