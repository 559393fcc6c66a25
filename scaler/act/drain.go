package act

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubectl/pkg/drain"

	"swell/scaler/ledger"
	"swell/scaler/plan"
)

// startDrain drains and returns a node in the background, once.
func (a *Actor) startDrain(ctx context.Context, tick int64, t plan.Termination) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.draining[t.Node] {
		return
	}
	a.draining[t.Node] = true
	go func() {
		defer func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			delete(a.draining, t.Node)
		}()
		a.drainAndTerminate(ctx, tick, t)
	}()
}

// Draining are the nodes that are being emptied now.
func (a *Actor) Draining() map[string]bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	nodes := make(map[string]bool, len(a.draining))
	for n := range a.draining {
		nodes[n] = true
	}
	return nodes
}

func (a *Actor) drainAndTerminate(ctx context.Context, tick int64, t plan.Termination) {
	intent := ledger.Entry{Phase: ledger.Intent, Action: "drain", Object: t.Node, Reason: t.Reason}
	a.record(tick, intent)
	err := a.drain(ctx, t.Node)
	a.record(tick, outcome(intent, err))
	if err != nil {
		a.options.Log.Warn("drain", "node", t.Node, "error", err)
		if err := a.Uncordon(ctx, t.Node); err != nil {
			a.options.Log.Warn("uncordon", "node", t.Node, "error", err)
		}
		return
	}
	intent = ledger.Entry{Phase: ledger.Intent, Action: "terminate", Object: t.InstanceID, Reason: t.Reason}
	a.record(tick, intent)
	err = a.cloud.Terminate(ctx, t.InstanceID)
	a.record(tick, outcome(intent, err))
	a.options.Log.Info("terminate", "node", t.Node, "instance", t.InstanceID, "reason", t.Reason, "error", err)
}

// drain cordons a node and evicts its pods as their disruption budgets allow.
func (a *Actor) drain(ctx context.Context, node string) error {
	if err := a.setCordon(ctx, node, true); err != nil {
		return err
	}
	out := logWriter{log: a.options.Log.With("node", node)}
	h := &drain.Helper{
		Ctx: ctx, Client: a.kube, GracePeriodSeconds: -1, IgnoreAllDaemonSets: true, DeleteEmptyDirData: true,
		Timeout: a.options.Clock.Wait(a.options.DrainTimeout), Out: io.Discard, ErrOut: out,
	}
	pods, errs := h.GetPodsForDeletion(node)
	if len(errs) > 0 {
		return fmt.Errorf("draining node %s: %w; pods without a controller stay where they are", node, errs[0])
	}
	if err := h.DeleteOrEvictPods(pods.Pods()); err != nil {
		return fmt.Errorf("draining node %s: %w; a PodDisruptionBudget may not allow it yet", node, err)
	}
	return nil
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

// UncordonLeftovers takes back the drains that a predecessor had begun; the next plan decides anew.
func (a *Actor) UncordonLeftovers(ctx context.Context, nodes []*corev1.Node) error {
	for _, n := range nodes {
		if n.Annotations[plan.DrainingAnnotation] == "" {
			continue
		}
		if err := a.Uncordon(ctx, n.Name); err != nil {
			return err
		}
	}
	return nil
}

// logWriter makes log lines of what the drain library prints.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(b []byte) (int, error) {
	w.log.Debug("drain", "message", strings.TrimSpace(string(b)))
	return len(b), nil
}
