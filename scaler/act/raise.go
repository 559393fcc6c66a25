package act

import (
	"context"
	"fmt"
	"time"

	"swell/nodegroups"
)

// ask launches by token or, where that is not allowed, raises the group's desired capacity to a number that was written to
// the fence before. An intent that has its number asks for that alone.
func (a *Actor) ask(ctx context.Context, in *Intent) (nodegroups.Launched, error) {
	if in.Target > 0 {
		turn := a.turn(in.Group)
		turn.Lock()
		defer turn.Unlock()
		if a.passed(in) {
			return nodegroups.Launched{Raised: 1}, nil // the groups are to be read again
		}
		return a.raise(ctx, in, nil)
	}
	if _, known := a.noToken.Load(in.Group); !known { // launches by token need not wait for one another
		got, err := a.byToken(ctx, in)
		if err != nil || got.RaiseTo == 0 {
			return got, err
		}
		a.noToken.Store(in.Group, true)
	}
	turn := a.turn(in.Group)
	turn.Lock()
	defer turn.Unlock()
	got, err := a.byToken(ctx, in)
	if err != nil || got.RaiseTo == 0 {
		a.noToken.Delete(in.Group) // it may be by now
		return got, err
	}
	if why := a.outdated(in.Group, got); why != "" {
		return nodegroups.Launched{}, fmt.Errorf("raising the desired capacity of group %s by %d: AWS's answer is from before %s; nothing needs doing, it is asked again with the next plan, and believed %s after that",
			in.Group, in.Count, why, nodegroups.ListedWithin)
	}
	// what others ask for and has not been answered comes on top
	target := got.RaiseTo + max(0, a.intents.aimed(in.Group, in.Token)-got.RaiseFrom)
	target = min(target, max(got.RaiseMost, got.RaiseTo))
	if err := a.intents.Aim(ctx, in.Token, target); err != nil {
		return nodegroups.Launched{}, err
	}
	in.Target, in.aimedAt = target, time.Now()
	return a.raise(ctx, in, got.Failures)
}

// byToken launches by token. That a call is refused does not tell what an earlier one did whose answer was lost, so nothing else
// is asked for until AWS's lists show it; then the intent has ended, and the next plan counts what is there.
func (a *Actor) byToken(ctx context.Context, in *Intent) (nodegroups.Launched, error) {
	got, err := a.cloud.Launch(ctx, in.Group, in.Zone, in.Count, in.Token)
	switch {
	case err != nil:
		in.unsureAt = time.Now()
	case !got.Refused || in.unsureAt.IsZero():
	case time.Since(in.unsureAt) <= nodegroups.ListedWithin:
		return nodegroups.Launched{}, fmt.Errorf("launching %d instances in group %s: the call is refused now, and whether one at %s launched them is not known until AWS lists them; nothing needs doing, the plans count what it lists %s after that call",
			in.Count, in.Group, in.unsureAt.Format(time.RFC3339), nodegroups.ListedWithin)
	default:
		got.RaiseTo = 0
	}
	return got, err
}

// raise asks for the intent's number; failures are why that is less than was wanted.
func (a *Actor) raise(ctx context.Context, in *Intent, failures []nodegroups.LaunchFailure) (nodegroups.Launched, error) {
	r, ok := a.cloud.(Raiser)
	if !ok {
		return nodegroups.Launched{}, fmt.Errorf("raising group %s to %d: this scaler's cloud cannot; let it call autoscaling:LaunchInstances", in.Group, in.Target)
	}
	got, err := r.Raise(ctx, in.Group, in.Target)
	got.Failures = append(failures, got.Failures...)
	if err == nil && len(got.Failures) == 0 {
		got.Raised = max(got.Raised, 1) // reached before, by a call whose answer was lost: the groups are to be read again
	}
	if err == nil && got.Raised > 0 {
		a.noteRaise(in.Group, in.Target)
	}
	return got, err
}

func (a *Actor) turn(group string) lock {
	turn, _ := a.turns.LoadOrStore(group, newLock())
	return turn.(lock)
}

// lock is held during calls. It is a channel because the simulation's virtual time stands still while one waits for a mutex.
type lock chan struct{}

func newLock() lock { return make(lock, 1) }

func (l lock) Lock()   { l <- struct{}{} }
func (l lock) Unlock() { <-l }
