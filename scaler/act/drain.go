package act

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubectl/pkg/drain"

	"swell/nodegroups"
	"swell/scaler/ledger"
	"swell/scaler/plan"
)

const (
	// retryDrain is how long a node whose drain failed is left alone; model time.
	retryDrain = 2 * time.Minute
	// retryCall is the wait between two tries of a call that failed; model time.
	retryCall = 10 * time.Second
	// retryEviction is the wait after an eviction that a disruption budget refused; machine time, as it spares the API server.
	retryEviction = time.Second
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
	a.inBackground(ctx, t.Termination, t.lost, func(until context.Context) error { return a.drainAndTerminate(ctx, until, tick, t) })
}

// inBackground does something to an instance and its node, one thing at a time, and leaves it alone for a while if that failed.
// The context that it is given ends when the instance goes by itself.
func (a *Actor) inBackground(ctx context.Context, t plan.Termination, lost bool, do func(until context.Context) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	wait := a.blocked[t.InstanceID].Sub(a.options.Clock.Now())
	if lost && wait > retryCall {
		wait = 0 // its drain failed when nobody knew yet that it is lost
	}
	if a.draining[t.InstanceID] != nil || wait > 0 {
		return
	}
	until, cut := context.WithCancelCause(ctx)
	under := &task{node: t.Node, cut: cut}
	a.draining[t.InstanceID] = under
	a.aim(under, t.Deadline)
	go func() {
		err := do(until)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.aim(under, time.Time{})
		cut(nil)
		delete(a.draining, t.InstanceID)
		delete(a.blocked, t.InstanceID)
		if err != nil {
			wait := retryDrain
			if lost {
				wait = retryCall // it has minutes at most
			}
			a.blocked[t.InstanceID] = a.options.Clock.Now().Add(wait)
		}
	}()
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
				a.takeBack(ctx, t.Node)
			}
			return err
		}
	}
	gone := going(until)
	intent := ledger.Entry{Phase: ledger.Intent, Action: "terminate", Object: t.InstanceID, Reason: t.Reason}
	a.record(tick, intent)
	replaced, err := a.terminate(ctx, t)
	a.record(tick, outcome(intent, err))
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
		a.takeBack(ctx, t.Node)
	}
	return err
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

// terminate tries for as long as a drain may take; the calls are repeatable.
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
	if err := a.setCordon(ctx, t.Node, true); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		return err
	}
	timeout := t.DrainTimeout
	if timeout == 0 {
		timeout = 10 * time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, a.options.Clock.Wait(timeout))
	defer cancel()
	h := &drain.Helper{
		Ctx: ctx, Client: a.kube, GracePeriodSeconds: -1, IgnoreAllDaemonSets: true, DeleteEmptyDirData: true, Force: lost,
		EvictErrorRetryDelay: retryEviction, Timeout: a.options.Clock.Wait(timeout), Out: io.Discard, ErrOut: logWriter{log: a.options.Log.With("node", t.Node)},
	}
	go a.tell(ctx, t.Node, func() []corev1.Pod {
		pods, errs := h.GetPodsForDeletion(t.Node)
		if len(errs) > 0 {
			return nil
		}
		return pods.Pods()
	})
	for {
		pods, errs := h.GetPodsForDeletion(t.Node)
		if len(errs) > 0 {
			return fmt.Errorf("draining node %s: %w; pods without a controller stay where they are", t.Node, errs[0])
		}
		if len(pods.Pods()) == 0 {
			return nil // a pod that was bound while the cordon was on its way has gone too
		}
		if err := h.DeleteOrEvictPods(pods.Pods()); err != nil {
			return fmt.Errorf("draining node %s: %w; a PodDisruptionBudget may not allow it yet", t.Node, err)
		}
	}
}

// takeBack uncordons a node whose drain failed, and tries until it is done: a node that stays cordoned is paid for and of
// no use. A scaler that was overtaken leaves the node to its successor, which may be draining it by now.
func (a *Actor) takeBack(ctx context.Context, node string) {
	for {
		err := a.intents.Check(ctx)
		if err == nil {
			err = a.Uncordon(ctx, node)
		}
		if err == nil || apierrors.IsNotFound(err) || ctx.Err() != nil {
			return
		}
		a.options.Log.Warn("uncordon", "node", node, "error", err)
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

// Uncordon takes a drain back.
func (a *Actor) Uncordon(ctx context.Context, node string) error {
	return a.setCordon(ctx, node, false)
}

func (a *Actor) setCordon(ctx context.Context, node string, cordon bool) error {
	annotation := "null"
	if cordon {
		annotation = `"true"`
	}
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%s}},"spec":{"unschedulable":%t}}`, plan.DrainingAnnotation, annotation, cordon)
	_, err := a.kube.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "swell-scaler"})
	if err != nil {
		return fmt.Errorf("setting the cordon of node %s to %t: %w; let swell-scaler patch nodes", node, cordon, err)
	}
	return nil
}

// UncordonLeftovers takes back the drains that this scaler did not begin: a predecessor's, which may have cordoned more after it
// was overtaken; and its own that nobody asks for any more. The next plan decides anew. An error names what is to be tried again.
func (a *Actor) UncordonLeftovers(ctx context.Context, nodes []*corev1.Node) error {
	var errs []error
	for _, n := range nodes {
		if n.Annotations[plan.DrainingAnnotation] == "" || a.ours(instanceOf(n)) || a.options.Ending(instanceOf(n)) {
			continue
		}
		if err := a.intents.Check(ctx); err != nil {
			return fmt.Errorf("taking back the drain of node %s: %w", n.Name, err)
		}
		if err := a.Uncordon(ctx, n.Name); err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	a.forgetGone(nodes)
	return errors.Join(errs...)
}

// logWriter makes log lines of what the drain library prints.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(b []byte) (int, error) {
	w.log.Debug("drain", "message", strings.TrimSpace(string(b)))
	return len(b), nil
}
