package act

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"swell/scaler/ledger"
)

// progressEvery bounds how often a drain that goes on is told of; model time.
const progressEvery = 30 * time.Second

// tell records what a drain still waits for, until ctx ends.
func (a *Actor) tell(ctx context.Context, node string, left func() []corev1.Pod) {
	began := a.options.Clock.Now()
	for {
		a.sleep(ctx, progressEvery)
		if ctx.Err() != nil {
			return
		}
		pods := left()
		if len(pods) == 0 {
			continue
		}
		what := fmt.Sprintf("after %s %d pods are left: %s", a.options.Clock.Now().Sub(began).Round(time.Second), len(pods), a.waits(ctx, pods))
		a.record(0, ledger.Entry{Phase: ledger.Note, Action: "drain", Object: node, Count: len(pods), Reason: what})
		a.options.Log.Info("drain", "node", node, "left", len(pods), "waits", what)
	}
}

// waits names the first pods, each with the disruption budget that allows no eviction now.
func (a *Actor) waits(ctx context.Context, pods []corev1.Pod) string {
	const named = 5
	var words []string
	for _, p := range pods[:min(len(pods), named)] {
		word := p.Namespace + "/" + p.Name
		if p.DeletionTimestamp != nil {
			word += " (ending)"
		} else if budgets := a.blocking(ctx, &p); len(budgets) > 0 {
			word += " (PodDisruptionBudget " + strings.Join(budgets, ", ") + ")"
		}
		words = append(words, word)
	}
	if len(pods) > named {
		words = append(words, fmt.Sprintf("and %d more", len(pods)-named))
	}
	return strings.Join(words, ", ")
}

func (a *Actor) blocking(ctx context.Context, p *corev1.Pod) []string {
	list, err := a.drains.PolicyV1().PodDisruptionBudgets(p.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil // then it is not known
	}
	var names []string
	for _, b := range list.Items {
		selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		if err == nil && selector.Matches(labels.Set(p.Labels)) && b.Status.DisruptionsAllowed == 0 {
			names = append(names, b.Name)
		}
	}
	slices.Sort(names)
	return names
}
