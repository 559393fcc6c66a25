package act

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"swell/balloon/apply"
	"swell/scaler/ledger"
	"swell/scaler/plan"
)

// deletePods deletes balloon pods.
func (a *Actor) deletePods(ctx context.Context, tick int64, action string, pods []plan.Pop, fail func(error)) {
	pods = a.stillThere(pods)
	apply.Each(len(pods), func(i int) {
		p := pods[i]
		intent := ledger.Entry{Phase: ledger.Intent, Action: action, Object: p.Namespace + "/" + p.Name, Reason: p.Reason}
		a.record(tick, intent)
		err := apply.Delete(ctx, a.kube, p.Namespace, p.Name)
		a.record(tick, outcome(intent, err))
		if err == nil {
			a.mu.Lock()
			a.deleted[p.Namespace+"/"+p.Name] = time.Now()
			a.mu.Unlock()
		}
		fail(err)
	})
}

// lagging is for how long a cache may still show a pod that was deleted; machine time.
const lagging = 10 * time.Second

// stillThere leaves out the pods that were deleted a moment ago.
func (a *Actor) stillThere(pods []plan.Pop) []plan.Pop {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(a.deleted, func(_ string, at time.Time) bool { return now.Sub(at) > lagging })
	return slices.DeleteFunc(slices.Clone(pods), func(p plan.Pop) bool {
		_, gone := a.deleted[p.Namespace+"/"+p.Name]
		return gone
	})
}

const (
	// firstWait and lastWait bound how long a Balloon whose pods were refused is left alone; model time, doubling between.
	firstWait = 10 * time.Second
	lastWait  = 5 * time.Minute
)

// refusal is why a Balloon's pods could not be made, and when to try again.
type refusal struct {
	err   error
	wait  time.Duration
	until time.Time
}

// Refused is why the pods of a Balloon, given by namespace/name, could not be made when that was last tried, and whether
// it is to be tried again now; nil is that nothing is known against it.
func (a *Actor) Refused(name string) (err error, again bool) {
	r := a.refused[name]
	if r == nil {
		return nil, true
	}
	return r.err, !a.options.Clock.Now().Before(r.until)
}

// createBalloons makes balloon pods. A Balloon whose pods are refused is left alone for a while.
func (a *Actor) createBalloons(ctx context.Context, tick int64, creates []plan.BalloonChange, fail func(error)) {
	for _, c := range creates {
		name := c.Namespace + "/" + c.Name
		if _, again := a.Refused(name); !again {
			continue
		}
		intent := ledger.Entry{
			Phase: ledger.Intent, Action: "create-balloons", Object: name, Count: c.Count,
			Reason: fmt.Sprintf("%d more wanted in %s", c.Count, c.Zone),
		}
		a.record(tick, intent)
		made, err := apply.Create(ctx, a.kube, c.Name, c.Zone, c.Pod, c.Count)
		done := outcome(intent, err)
		done.Count = made
		a.record(tick, done)
		a.refuse(name, err)
		fail(err)
	}
}

// refuse notes how the making of a Balloon's pods went.
func (a *Actor) refuse(name string, err error) {
	if err == nil {
		delete(a.refused, name)
		return
	}
	r := a.refused[name]
	if r == nil {
		r = &refusal{wait: firstWait / 2}
		a.refused[name] = r
	}
	r.err, r.wait = err, min(2*r.wait, lastWait)
	r.until = a.options.Clock.Now().Add(r.wait)
}

// Check is ErrNotLeader when another scaler has taken over, for what is done beside plans.
func (a *Actor) Check(ctx context.Context) error { return a.intents.Check(ctx) }
