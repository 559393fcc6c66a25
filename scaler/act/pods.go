package act

import (
	"context"
	"fmt"

	"swell/balloon/apply"
	"swell/scaler/ledger"
	"swell/scaler/plan"
)

// deletePods deletes balloon pods.
func (a *Actor) deletePods(ctx context.Context, tick int64, action string, pods []plan.Pop, fail func(error)) {
	apply.Each(len(pods), func(i int) {
		p := pods[i]
		intent := ledger.Entry{Phase: ledger.Intent, Action: action, Object: p.Namespace + "/" + p.Name, Reason: p.Reason}
		a.record(tick, intent)
		err := apply.Delete(ctx, a.kube, p.Namespace, p.Name)
		a.record(tick, outcome(intent, err))
		fail(err)
	})
}

// createBalloons makes balloon pods.
func (a *Actor) createBalloons(ctx context.Context, tick int64, creates []plan.BalloonChange, fail func(error)) {
	for _, c := range creates {
		intent := ledger.Entry{
			Phase: ledger.Intent, Action: "create-balloons", Object: c.Namespace + "/" + c.Name, Count: c.Count,
			Reason: fmt.Sprintf("%d more wanted in %s", c.Count, c.Zone),
		}
		a.record(tick, intent)
		made, err := apply.Create(ctx, a.kube, c.Name, c.Zone, c.Pod, c.Count)
		done := outcome(intent, err)
		done.Count = made
		a.record(tick, done)
		fail(err)
	}
}
