package plan

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"swell/scaler/pack"
)

// evictions is what PodDisruptionBudgets still allow, as the eviction API would answer.
type evictions struct {
	byNamespace map[string][]*allowance
}

// allowance is one PodDisruptionBudget with what this plan leaves of it.
type allowance struct {
	name     string
	selector labels.Selector
	left     int
	// unhealthy pods are evicted whatever is left.
	unhealthy bool
}

func newEvictions(budgets []*policyv1.PodDisruptionBudget) *evictions {
	e := &evictions{byNamespace: map[string][]*allowance{}}
	for _, b := range budgets {
		a := &allowance{name: b.Name, left: int(b.Status.DisruptionsAllowed)}
		var err error
		if a.selector, err = metav1.LabelSelectorAsSelector(b.Spec.Selector); err != nil {
			a.selector, a.left = labels.Everything(), 0 // what it covers is not known
		}
		if b.Status.ObservedGeneration < b.Generation {
			a.left = 0 // its status is of an earlier spec
		}
		s := b.Status
		a.unhealthy = s.CurrentHealthy >= s.DesiredHealthy && s.DesiredHealthy > 0
		if p := b.Spec.UnhealthyPodEvictionPolicy; p != nil && *p == policyv1.AlwaysAllow {
			a.unhealthy = true
		}
		e.byNamespace[b.Namespace] = append(e.byNamespace[b.Namespace], a)
	}
	for _, list := range e.byNamespace {
		slices.SortFunc(list, func(a, b *allowance) int { return strings.Compare(a.name, b.name) })
	}
	return e
}

// of are the budgets that cover a pod.
func (e *evictions) of(p *pack.Pod) []*allowance {
	var out []*allowance
	for _, a := range e.byNamespace[p.Namespace] {
		if a.selector.Matches(labels.Set(p.Labels)) {
			out = append(out, a)
		}
	}
	return out
}

// counted is the budget that an eviction of the pod would be taken from; nil is none.
func (e *evictions) counted(p *pack.Pod) *allowance {
	if p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodPending {
		return nil
	}
	all := e.of(p)
	if len(all) == 0 || all[0].unhealthy && !isPodReady(p.Pod) {
		return nil
	}
	return all[0]
}

// refuses is why one of the pods cannot be evicted now. A budget that allows some of them lets the node go: the others
// follow as their replacements become ready.
func (e *evictions) refuses(pods []*pack.Pod) string {
	sorted := slices.SortedFunc(slices.Values(pods), func(a, b *pack.Pod) int { return cmp.Compare(a.Key(), b.Key()) })
	for _, p := range sorted {
		if all := e.of(p); len(all) > 1 {
			return "pod " + p.Key() + " is covered by two PodDisruptionBudgets, " + all[0].name + " and " + all[1].name + ", and the eviction API refuses such pods"
		}
		if a := e.counted(p); a != nil && a.left <= 0 {
			return "PodDisruptionBudget " + p.Namespace + "/" + a.name + " allows no eviction of pod " + p.Key() + " now"
		}
	}
	return ""
}

// take counts the pods as evicted.
func (e *evictions) take(pods []*pack.Pod) {
	for _, p := range pods {
		if a := e.counted(p); a != nil {
			a.left--
		}
	}
}

func isPodReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
