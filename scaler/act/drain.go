package act

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"swell/nodegroups"
	"swell/scaler/ledger"
	"swell/scaler/plan"
)

const (
	// retryDrain is how long a node whose drain failed is left alone; it doubles with each failure in a row, up to retryDrainMost.
	// Model time.
	retryDrain     = 2 * time.Minute
	retryDrainMost = time.Hour
	// retryCall is the wait between two tries of a call that failed; model time.
	retryCall = 10 * time.Second
	// callTimeout bounds one call to AWS; machine time.
	callTimeout = 15 * time.Second
)

// returning is an instance that is drained and returned.
type returning struct {
	plan.Termination
	// lost says that it goes anyway: it is drained of pods without a controller too, and its node stays cordoned.
	lost bool
	// useless says that it is of no use to anybody: a group that is at its minimum is left to replace it.
	useless bool
}

// startDrain drains a node and returns its instance in the background, once.
func (a *Actor) startDrain(ctx context.Context, tick int64, t returning) {
	if a.countedOut(t.InstanceID) {
		return
	}
	a.inBackground(ctx, t.Termination, t.lost, func(until context.Context) error { return a.drainAndTerminate(ctx, until, tick, t) })
}

// inBackground does something to an instance and its node, one thing at a time, and leaves it alone for a while if that failed.
// The context that it is given ends when the instance goes by itself.
func (a *Actor) inBackground(ctx context.Context, t plan.Termination, lost bool, do func(until context.Context) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	wait := a.blocked[t.InstanceID].at.Sub(a.options.Clock.Now())
	if lost && wait > retryCall {
		wait = 0 // its drain failed when nobody knew yet that it is lost
	}
	if a.draining[t.InstanceID] != nil || wait > 0 {
		return
	}
	until, cut := context.WithCancelCause(ctx)
	under := &task{node: t.Node, since: a.options.Clock.Now(), cut: cut}
	a.draining[t.InstanceID] = under
	a.aim(under, t.Deadline)
	go func() {
		err := do(until)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.aim(under, time.Time{})
		cut(nil)
		delete(a.draining, t.InstanceID)
		a.block(t.InstanceID, lost, err)
	}()
}

// retry is when a drain that failed is tried again, model time, and what it waits then if it fails again.
type retry struct {
	at   time.Time
	wait time.Duration
}

// block leaves an instance alone for a while if its drain failed. The lock is held.
func (a *Actor) block(instanceID string, lost bool, err error) {
	now := a.options.Clock.Now()
	maps.DeleteFunc(a.blocked, func(_ string, r retry) bool { return now.Sub(r.at) > retryDrainMost }) // nobody asked for it since
	wait := max(retryDrain, min(a.blocked[instanceID].wait, retryDrainMost))
	delete(a.blocked, instanceID)
	switch {
	case err == nil:
	case lost:
		a.blocked[instanceID] = retry{at: now.Add(retryCall)} // it has minutes at most
	default:
		a.blocked[instanceID] = retry{at: now.Add(wait), wait: 2 * wait}
	}
}

// Draining are the names of the nodes that are being emptied now, sorted.
func (a *Actor) Draining() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var nodes []string
	for _, t := range a.draining {
		if t.node != "" {
			nodes = append(nodes, t.node)
		}
	}
	slices.Sort(nodes)
	return nodes
}

// drainAndTerminate returns an instance when its node is empty. One that goes by itself is returned then at the latest, while its
// group still counts it: once the group has missed it, it is replaced a second time. That is no eviction: what a disruption budget
// holds on it until then, AWS ends.
func (a *Actor) drainAndTerminate(ctx, until context.Context, tick int64, t returning) error {
	if t.Node == "" {
		var err error
		if t.Node, err = a.nodeOf(until, t.InstanceID); err != nil && !going(until) {
			a.options.Log.Warn("terminate", "instance", t.InstanceID, "error", err)
			return err
		}
	}
	if t.Node != "" && !going(until) {
		if err := a.drainUntil(until, tick, t.Termination, t.lost); err != nil && !going(until) {
			if !t.lost {
				a.takeBack(ctx, t.Termination)
			}
			return err
		}
	}
	gone := going(until)
	intent := ledger.Entry{Phase: ledger.Intent, Action: "terminate", Object: t.InstanceID, Reason: t.Reason, Group: t.Group, Pool: t.Pool, Node: t.Node}
	a.record(tick, intent)
	replaced, err := a.terminate(ctx, t)
	a.record(tick, a.witnessed(outcome(intent, err), t.InstanceID))
	a.options.Log.Info("terminate", "node", t.Node, "instance", t.InstanceID, "reason", t.Reason, "replaced", replaced, "error", err)
	switch {
	case err == nil:
		a.noteBegun(t.InstanceID, func(b *begun) { b.returned = true })
		if replaced {
			a.options.Replaced(t.InstanceID)
			a.record(tick, ledger.Entry{Phase: ledger.Note, Action: "launch", Object: t.Group, Count: 1,
				Reason: fmt.Sprintf("the group is at its minimum and replaces instance %s by itself", t.InstanceID)})
		} else {
			a.options.Returned(t.InstanceID)
		}
		if gone && t.Node != "" {
			a.drainAfterwards(ctx, tick, t.Termination)
		}
	case t.Node != "" && !t.lost && !gone:
		a.takeBack(ctx, t.Termination)
	}
	return err
}

// witnessed is an outcome with the activity by which AWS ended an instance.
func (a *Actor) witnessed(e ledger.Entry, instanceID string) ledger.Entry {
	if w, ok := a.cloud.(Witness); ok {
		if id := w.ActivityOf(instanceID); id != "" {
			e.Activities = []string{id}
		}
	}
	return e
}

// nodeOf is the name of an instance's Node at the API server; empty is that it has none. A plan may come from a cache that does
// not show it yet, and its pods would end with the instance.
func (a *Actor) nodeOf(ctx context.Context, instanceID string) (string, error) {
	nodes, err := a.kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", fmt.Errorf("looking for the Node of instance %s before it is returned: %w; it is tried again with a later plan", instanceID, err)
	}
	for _, n := range nodes.Items {
		if instanceOf(&n) == instanceID {
			a.mu.Lock()
			a.draining[instanceID].node = n.Name
			a.mu.Unlock()
			return n.Name, nil
		}
	}
	return "", nil
}

// terminate tries for as long as a drain may take; the calls are repeatable. An instance that had no Node and has one by then is
// left to a later plan, as pods would end with it undrained.
func (a *Actor) terminate(ctx context.Context, t returning) (replaced bool, err error) {
	deadline := a.options.Clock.Now().Add(retryDrain)
	for {
		if err = a.intents.Check(ctx); err == nil {
			var tried bool
			tried, err = a.end(ctx, t)
			replaced = replaced || tried // by then a call whose answer was lost may have had its effect
		}
		if err == nil {
			return replaced, nil
		}
		if errors.Is(err, nodegroups.ErrAtMinimum) || errors.Is(err, ErrNotLeader) || ctx.Err() != nil || a.options.Clock.Now().After(deadline) {
			return false, fmt.Errorf("returning instance %s: %w", t.InstanceID, err)
		}
		a.sleep(ctx, retryCall)
		if t.Node != "" {
			continue
		}
		switch node, err := a.nodeOf(ctx, t.InstanceID); {
		case err != nil:
			return false, err
		case node != "":
			return false, fmt.Errorf("returning instance %s: it has become node %s meanwhile; nothing needs doing, the next plan decides anew", t.InstanceID, node)
		}
	}
}

// end ends an instance. To lower its group's desired capacity with it between a raise of that and its repetition would undo the
// raise. A group at its minimum refuses to be lowered however often it is asked, unless a launch is under way that raises it: it is
// left to replace what is useless.
func (a *Actor) end(ctx context.Context, t returning) (replaced bool, err error) {
	turn := a.turn(t.Group)
	turn.Lock()
	defer turn.Unlock()
	if to := a.intents.aimed(t.Group, ""); to > 0 {
		return false, fmt.Errorf("group %s is being raised to %d, and whether it was is not known yet; nothing needs doing, it is returned once AWS has answered", t.Group, to)
	}
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err = a.cloud.Terminate(call, t.InstanceID)
	if err == nil {
		a.noteReturn(t.Group, t.InstanceID)
	}
	r, able := a.cloud.(Replacer)
	if !errors.Is(err, nodegroups.ErrAtMinimum) || !t.useless || !able {
		return false, err
	}
	if a.intents.launching(t.Group) {
		return false, fmt.Errorf("group %s is at its minimum, and whether a launch has raised it is not known yet; nothing needs doing, it is returned once AWS has answered", t.Group)
	}
	return true, r.Replace(call, t.InstanceID)
}

// drain cordons a node and evicts its pods as their disruption budgets allow, until none is left that would move.
func (a *Actor) drain(ctx context.Context, t plan.Termination, lost bool) error {
	a.noteBegun(t.InstanceID, func(*begun) {})
	node, err := a.cordon(ctx, t)
	if node == nil || err != nil {
		return err
	}
	return a.newEmptying(t, lost, node).run(ctx)
}

// cordon keeps pods off the Node of an instance, and gives it; nil is that there is none any more. Its name may be another's by now.
func (a *Actor) cordon(ctx context.Context, t plan.Termination) (*corev1.Node, error) {
	n, err := a.kube.CoreV1().Nodes().Get(ctx, t.Node, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && !isOf(n, t.InstanceID) {
		return nil, nil
	}
	if err == nil {
		err = a.patchNode(ctx, n.Name, plan.Cordon(n))
	}
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cordoning node %s: %w; let swell-scaler get and patch nodes", t.Node, err)
	}
	return n, nil
}

// takeBack uncordons a node whose drain failed, and tries until it is done: a node that stays cordoned is paid for and of
// no use. A scaler that was overtaken leaves the node to its successor, which may be draining it by now.
func (a *Actor) takeBack(ctx context.Context, t plan.Termination) {
	for {
		err := a.intents.Check(ctx)
		if err == nil {
			err = a.uncordon(ctx, t.Node, t.InstanceID)
		}
		if err == nil || apierrors.IsNotFound(err) || ctx.Err() != nil {
			return
		}
		a.options.Log.Warn("uncordon", "node", t.Node, "error", err)
		if errors.Is(err, ErrNotLeader) {
			return
		}
		a.sleep(ctx, retryCall)
	}
}

// sleep waits for model time to pass, or for the end of ctx.
func (a *Actor) sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(a.options.Clock.Wait(d)):
	}
}

// uncordon takes a drain back, unless the Node's name is another instance's by now.
func (a *Actor) uncordon(ctx context.Context, node, instanceID string) error {
	n, err := a.kube.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if err == nil && !isOf(n, instanceID) {
		return nil
	}
	if err == nil {
		err = a.patchNode(ctx, node, plan.Uncordon(n))
	}
	if err != nil {
		return fmt.Errorf("uncordoning node %s: %w; let swell-scaler get and patch nodes", node, err)
	}
	return nil
}

func (a *Actor) patchNode(ctx context.Context, node string, patch []byte) error {
	_, err := a.kube.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "swell-scaler"})
	return err
}

// UncordonLeftovers takes back the drains that this scaler did not begin: a predecessor's, which may have cordoned more after it
// was overtaken; and its own that nobody asks for any more. The next plan decides anew. A node that a notice stands on is closed
// until that is withdrawn: the scheduler would bind to it first, as it is the emptiest. An error names what is to be tried again.
func (a *Actor) UncordonLeftovers(ctx context.Context, nodes []*corev1.Node) error {
	var errs []error
	for _, n := range nodes {
		if n.Annotations[plan.DrainingAnnotation] == "" || n.Annotations[nodegroups.InterruptionAnnotation] != "" || a.ours(instanceOf(n)) || a.options.Ending(instanceOf(n)) {
			continue
		}
		if err := a.intents.Check(ctx); err != nil {
			return fmt.Errorf("taking back the drain of node %s: %w", n.Name, err)
		}
		if err := a.uncordon(ctx, n.Name, instanceOf(n)); err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	a.forgetGone(nodes)
	return errors.Join(errs...)
}
