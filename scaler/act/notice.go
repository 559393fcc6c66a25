package act

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"swell/scaler/ledger"
	"swell/scaler/plan"
)

// errGoes is the cause of a drain's end where its instance goes by itself.
var errGoes = errors.New("the instance goes now")

// drainAfter is how long evictions are tried from a node whose instance has gone: its pods are made anew elsewhere before anybody
// finds its kubelet silent. Model time.
const drainAfter = 2 * time.Minute

// task is what is done to an instance in the background.
type task struct {
	node string
	// since is when it began, model time.
	since time.Time
	// goes is when the instance goes by itself, model time; zero is never. The timer ends its drain then, by cut.
	goes  time.Time
	timer *time.Timer
	cut   context.CancelCauseFunc
}

// follow makes the drains under way end when the notices of the plan, and of the lifecycle actions beside it, say that the
// instances go. One whose notice was withdrawn, or whose pool was frozen, waits for its pods again.
func (a *Actor) follow(replacements []plan.Termination) {
	a.mu.Lock()
	defer a.mu.Unlock()
	goes := maps.Clone(a.held)
	for _, t := range replacements {
		goes[t.InstanceID] = t.Deadline
	}
	for id, t := range a.draining {
		a.aim(t, goes[id])
	}
}

// aim sets when a task's instance goes. The lock is held.
func (a *Actor) aim(t *task, goes time.Time) {
	if goes.Equal(t.goes) {
		return
	}
	if t.timer != nil {
		t.timer.Stop()
	}
	t.goes, t.timer = goes, nil
	if goes.IsZero() {
		return
	}
	left := goes.Sub(a.options.Clock.Now())
	if left <= 0 {
		t.cut(errGoes)
		return
	}
	t.timer = time.AfterFunc(a.options.Clock.Wait(left), func() { t.cut(errGoes) })
}

// going says that the instance of a drain's context goes now.
func going(until context.Context) bool { return errors.Is(context.Cause(until), errGoes) }

// goes says that an instance that is being drained goes by itself.
func (a *Actor) goes(instanceID string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.draining[instanceID].goes.IsZero()
}

// drainUntil drains a node until it is empty or its instance goes by itself, whichever is first. Where the instance goes, what
// stops a drain before then only holds it up.
func (a *Actor) drainUntil(until context.Context, tick int64, t plan.Termination, lost bool) error {
	intent := ledger.Entry{Phase: ledger.Intent, Action: "drain", Object: t.Node, Reason: t.Reason}
	a.record(tick, intent)
	err := a.drain(until, t, lost)
	for err != nil && until.Err() == nil && a.goes(t.InstanceID) && !errors.Is(a.intents.Check(until), ErrNotLeader) {
		a.sleep(until, retryCall)
		err = a.drain(until, t, lost)
	}
	if err != nil && going(until) {
		err = fmt.Errorf("%w; instance %s goes now, and what is left on its node with it", err, t.InstanceID)
	}
	a.record(tick, outcome(intent, err))
	if err != nil {
		a.options.Log.Warn("drain", "node", t.Node, "error", err)
	}
	return err
}

// drainAfterwards evicts what is left on the node of an instance that was returned because it goes.
func (a *Actor) drainAfterwards(ctx context.Context, tick int64, t plan.Termination) {
	ctx, cancel := context.WithTimeout(ctx, a.options.Clock.Wait(drainAfter)) // however long its pods' grace is
	defer cancel()
	intent := ledger.Entry{Phase: ledger.Intent, Action: "drain", Object: t.Node, Reason: t.Reason}
	a.record(tick, intent)
	err := a.drain(ctx, t, true)
	a.record(tick, outcome(intent, err))
	if err != nil {
		a.options.Log.Info("drain", "node", t.Node, "error", err)
	}
}
