package balloon

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// QuotaMend is what makes a quota count everything but balloons.
const QuotaMend = "scope it by priority class: spec.scopeSelector {matchExpressions: [{scopeName: PriorityClass, operator: NotIn, values: [" + PriorityClass + "]}]}"

// QuotaEater says why a namespace's quotas would count a balloon pod against the workloads'; empty is that none would.
// A quota that names the balloons' class among its scopes is meant for them and is no problem.
func QuotaEater(quotas []corev1.ResourceQuota, pod *corev1.Pod) string {
	var found []string
	for _, q := range quotas {
		if !counts(q.Spec, pod) || meant(q.Spec) {
			continue
		}
		var eaten []string
		for name := range q.Spec.Hard {
			if takes(name, pod) {
				eaten = append(eaten, string(name))
			}
		}
		slices.Sort(eaten)
		if len(eaten) > 0 {
			found = append(found, fmt.Sprintf("ResourceQuota %s (%s)", q.Name, strings.Join(eaten, ", ")))
		}
	}
	slices.Sort(found)
	return strings.Join(found, ", ")
}

// counts says whether a quota's scopes take a pod, as the API server's admission does: all of them must.
func counts(s corev1.ResourceQuotaSpec, pod *corev1.Pod) bool {
	terms := slices.Clone(selectorOf(s))
	for _, scope := range s.Scopes {
		terms = append(terms, corev1.ScopedResourceSelectorRequirement{ScopeName: scope, Operator: corev1.ScopeSelectorOpExists})
	}
	for _, t := range terms {
		if !takenBy(t, pod) {
			return false
		}
	}
	return true
}

func selectorOf(s corev1.ResourceQuotaSpec) []corev1.ScopedResourceSelectorRequirement {
	if s.ScopeSelector == nil {
		return nil
	}
	return s.ScopeSelector.MatchExpressions
}

// takenBy is one scope's word on a pod with requests, without a deadline, and with a priority class.
func takenBy(t corev1.ScopedResourceSelectorRequirement, pod *corev1.Pod) bool {
	switch t.ScopeName {
	case corev1.ResourceQuotaScopeTerminating:
		return pod.Spec.ActiveDeadlineSeconds != nil
	case corev1.ResourceQuotaScopeNotTerminating:
		return pod.Spec.ActiveDeadlineSeconds == nil
	case corev1.ResourceQuotaScopeBestEffort:
		return false
	case corev1.ResourceQuotaScopePriorityClass:
		switch t.Operator {
		case corev1.ScopeSelectorOpIn:
			return slices.Contains(t.Values, pod.Spec.PriorityClassName)
		case corev1.ScopeSelectorOpNotIn:
			return !slices.Contains(t.Values, pod.Spec.PriorityClassName)
		}
		return t.Operator == corev1.ScopeSelectorOpExists
	case corev1.ResourceQuotaScopeCrossNamespacePodAffinity:
		return false // only few workloads have such terms, and then the quota is about the terms
	}
	return true
}

// meant says whether a quota names the balloons' class.
func meant(s corev1.ResourceQuotaSpec) bool {
	return slices.ContainsFunc(selectorOf(s), func(t corev1.ScopedResourceSelectorRequirement) bool {
		return t.ScopeName == corev1.ResourceQuotaScopePriorityClass && t.Operator == corev1.ScopeSelectorOpIn && slices.Contains(t.Values, PriorityClass)
	})
}

// takes says whether a quota's resource counts something of the pod.
func takes(name corev1.ResourceName, pod *corev1.Pod) bool {
	switch name {
	case corev1.ResourcePods, "count/pods":
		return true
	}
	plain := corev1.ResourceName(strings.TrimPrefix(string(name), "requests."))
	if limit, ok := strings.CutPrefix(string(name), "limits."); ok {
		// a pod without the limit is refused by such a quota
		return limit == string(corev1.ResourceCPU) || limit == string(corev1.ResourceMemory)
	}
	var asked resource.Quantity
	for _, c := range pod.Spec.Containers {
		asked.Add(c.Resources.Requests[plain])
	}
	return !asked.IsZero()
}
