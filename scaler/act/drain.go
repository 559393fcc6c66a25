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

// startDrain drains a node and returns its instance in the background, once. An instance that is lost anyway is drained
// of pods without a controller too, and its node stays cordoned.
func (a *Actor) startDrain(ctx context.Context, tick int64, t plan.Termination, lost bool) {
	a.inBackground(t, lost, func() error { return a.drainAndTerminate(ctx, tick, t, lost) })
}

// inBackground does something to an instance and its node, one thing at a time, and leaves it alone for a while if that failed.
func (a *Actor) inBackground(t plan.Termination, lost bool, do func() error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, going := a.draining[t.InstanceID]; going || a.options.Clock.Now().Before(a.blocked[t.InstanceID]) {
		return
	}
	a.draining[t.InstanceID] = t.Node
	go func() {
		err := do()
		a.mu.Lock()
		defer a.mu.Unlock()
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
	for _, n := range a.draining {
		if n != "" {
			nodes = append(nodes, n)
		}
	}
	slices.Sort(nodes)
	return nodes
}

func (a *Actor) drainAndTerminate(ctx context.Context, tick int64, t plan.Termination, lost bool) error {
	if t.Node == "" {
		var err error
		if t.Node, err = a.nodeOf(ctx, t.InstanceID); err != nil {
			a.options.Log.Warn("terminate", "instance", t.InstanceID, "error", err)
			return err
		}
	}
	if t.Node != "" {
		intent := ledger.Entry{Phase: ledger.Intent, Action: "drain", Object: t.Node, Reason: t.Reason}
		a.record(tick, intent)
		err := a.drain(ctx, t, lost)
		a.record(tick, outcome(intent, err))
		if err != nil {
			a.options.Log.Warn("drain", "node", t.Node, "error", err)
			if !lost {
				a.takeBack(ctx, t.Node)
			}
			return err
		}
	}
	intent := ledger.Entry{Phase: ledger.Intent, Action: "terminate", Object: t.InstanceID, Reason: t.Reason}
	a.record(tick, intent)
	err := a.terminate(ctx, t)
	a.record(tick, outcome(intent, err))
	a.options.Log.Info("terminate", "node", t.Node, "instance", t.InstanceID, "reason", t.Reason, "error", err)
	switch {
	case err == nil:
		a.options.Returned(t.InstanceID)
	case t.Node != "" && !lost:
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
		if strings.HasSuffix(n.Spec.ProviderID, "/"+instanceID) {
			a.mu.Lock()
			a.draining[instanceID] = n.Name
			a.mu.Unlock()
			return n.Name, nil
		}
	}
	return "", nil
}

// terminate tries for as long as a drain may take; the call is repeatable.
func (a *Actor) terminate(ctx context.Context, t plan.Termination) error {
	deadline := a.options.Clock.Now().Add(retryDrain)
	for {
		err := a.intents.Check(ctx)
		if err == nil {
			err = a.lower(ctx, t)
		}
		if err == nil {
			return nil
		}
		if errors.Is(err, ErrNotLeader) || ctx.Err() != nil || a.options.Clock.Now().After(deadline) {
			return fmt.Errorf("returning instance %s: %w", t.InstanceID, err)
		}
		a.sleep(ctx, retryCall)
	}
}

// lower returns an instance, which lowers its group's desired capacity, though not between a raise of that and its repetition:
// this would undo it.
func (a *Actor) lower(ctx context.Context, t plan.Termination) error {
	turn := a.turn(t.Group)
	turn.Lock()
	defer turn.Unlock()
	if to := a.intents.aimed(t.Group, ""); to > 0 {
		return fmt.Errorf("group %s is being raised to %d, and whether it was is not known yet", t.Group, to)
	}
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return a.cloud.Terminate(call, t.InstanceID)
}

// drain cordons a node and evicts its pods as their disruption budgets allow, until none is left that would move.
func (a *Actor) drain(ctx context.Context, t plan.Termination, lost bool) error {
	a.began.Store(t.InstanceID, true)
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
		return fmt.Errorf("cordoning node %s (%t): %w", node, cordon, err)
	}
	return nil
}

// UncordonLeftovers takes back the drains that this scaler did not begin: a predecessor's, which may have cordoned more after it
// was overtaken. The next plan decides anew. An error names what is to be tried again.
func (a *Actor) UncordonLeftovers(ctx context.Context, nodes []*corev1.Node) error {
	var errs []error
	for _, n := range nodes {
		if n.Annotations[plan.DrainingAnnotation] == "" || a.ours(n.Spec.ProviderID[strings.LastIndex(n.Spec.ProviderID, "/")+1:]) {
			continue
		}
		if err := a.intents.Check(ctx); err != nil {
			return fmt.Errorf("taking back the drain of node %s: %w", n.Name, err)
		}
		if err := a.Uncordon(ctx, n.Name); err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// ours says whether this scaler has begun to drain an instance, or is about to cordon it.
func (a *Actor) ours(instanceID string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, began := a.began.Load(instanceID)
	_, going := a.draining[instanceID]
	return began || going
}

// logWriter makes log lines of what the drain library prints.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(b []byte) (int, error) {
	w.log.Debug("drain", "message", strings.TrimSpace(string(b)))
	return len(b), nil
}
