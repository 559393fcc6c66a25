package balloon_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/balloon"
)

func TestAQuotaThatWouldCountBalloonsIsNamed(t *testing.T) {
	hard := func(names ...corev1.ResourceName) corev1.ResourceQuotaSpec {
		s := corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{}}
		for _, n := range names {
			s.Hard[n] = resource.MustParse("10")
		}
		return s
	}
	class := func(s corev1.ResourceQuotaSpec, op corev1.ScopeSelectorOperator, values ...string) corev1.ResourceQuotaSpec {
		s.ScopeSelector = &corev1.ScopeSelector{MatchExpressions: []corev1.ScopedResourceSelectorRequirement{{ScopeName: corev1.ResourceQuotaScopePriorityClass, Operator: op, Values: values}}}
		return s
	}
	scoped := func(s corev1.ResourceQuotaSpec, scopes ...corev1.ResourceQuotaScope) corev1.ResourceQuotaSpec {
		s.Scopes = scopes
		return s
	}
	pod, err := podFor("1a", 1, web())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spec corev1.ResourceQuotaSpec
		want string
	}{
		"pods":                      {hard("pods"), "ResourceQuota q (pods)"},
		"counted pods":              {hard("count/pods"), "ResourceQuota q (count/pods)"},
		"cores and memory":          {hard("requests.cpu", "memory"), "ResourceQuota q (memory, requests.cpu)"},
		"limits, which it has none": {hard("limits.cpu"), "ResourceQuota q (limits.cpu)"},
		"what no balloon has":       {hard("requests.nvidia.com/gpu", "services", "persistentvolumeclaims"), ""},
		"all classes but theirs":    {class(hard("pods"), corev1.ScopeSelectorOpNotIn, "swell-balloon"), ""},
		"all classes but another":   {class(hard("pods"), corev1.ScopeSelectorOpNotIn, "other"), "ResourceQuota q (pods)"},
		"the workloads' classes":    {class(hard("pods"), corev1.ScopeSelectorOpIn, "high"), ""},
		"a quota of their own":      {class(hard("pods"), corev1.ScopeSelectorOpIn, "swell-balloon"), ""},
		"pods without a class":      {class(hard("pods"), corev1.ScopeSelectorOpDoesNotExist), ""},
		"pods with any class":       {class(hard("pods"), corev1.ScopeSelectorOpExists), "ResourceQuota q (pods)"},
		"jobs":                      {scoped(hard("pods"), corev1.ResourceQuotaScopeTerminating), ""},
		"servers":                   {scoped(hard("pods"), corev1.ResourceQuotaScopeNotTerminating), "ResourceQuota q (pods)"},
		"pods without requests":     {scoped(hard("pods"), corev1.ResourceQuotaScopeBestEffort), ""},
		"servers of other classes":  {scoped(class(hard("pods"), corev1.ScopeSelectorOpNotIn, "swell-balloon"), corev1.ResourceQuotaScopeNotTerminating), ""},
	} {
		got := balloon.QuotaEater([]corev1.ResourceQuota{{ObjectMeta: metav1.ObjectMeta{Name: "q"}, Spec: c.spec}}, pod)
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
