package balloon_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
	"swell/balloon"
)

func web() corev1.PodTemplateSpec {
	own := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
		Spec: corev1.PodSpec{
			NodeSelector: map[string]string{"pool": "general"},
			Tolerations:  []corev1.Toleration{{Key: "spot", Operator: corev1.TolerationOpExists}},
			Containers: []corev1.Container{
				{Name: "web", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
					corev1.ResourceCPU: resource.MustParse("1"), corev1.ResourceMemory: resource.MustParse("1Gi")}}},
				{Name: "side", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
					corev1.ResourceCPU: resource.MustParse("101m")}}},
			},
			TopologySpreadConstraints: []corev1.TopologySpreadConstraint{
				{MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: own},
				{MaxSkew: 2, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: own},
			},
			Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{
					{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "arch", Operator: corev1.NodeSelectorOpIn, Values: []string{"amd64"}}}},
					{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "arch", Operator: corev1.NodeSelectorOpIn, Values: []string{"arm64"}}}},
				}}}},
		},
	}
}

var guard = v1alpha1.Balloon{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "u1"}}

func podFor(zone string, chunk float64, template corev1.PodTemplateSpec) (*corev1.Pod, error) {
	return balloon.PodFor(guard, zone, balloon.Workload{Chunk: chunk, Template: template})
}

func TestPod(t *testing.T) {
	template := web()
	p, err := podFor("ap-northeast-1a", 2.5, template)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Labels) != 1 || p.Labels[balloon.Label] != "web" {
		t.Errorf("labels are %v: a balloon must not be taken for the workload's own", p.Labels)
	}
	o := p.OwnerReferences
	if len(o) != 1 || o[0].Kind != "Balloon" || o[0].APIVersion != "capacity.swell/v1alpha1" || o[0].UID != "u1" || !*o[0].Controller {
		t.Errorf("owned by %+v", o)
	}
	if p.Spec.PriorityClassName != "swell-balloon" || *p.Spec.TerminationGracePeriodSeconds != 0 || *p.Spec.AutomountServiceAccountToken ||
		p.Annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] != "true" || p.Spec.NodeSelector["pool"] != "general" || len(p.Spec.Tolerations) != 1 {
		t.Errorf("got %+v", p.Spec)
	}
	r := p.Spec.Containers[0].Resources.Requests
	if r.Cpu().String() != "2753m" || r.Memory().String() != "2560Mi" {
		t.Errorf("requests %v and %v, want 2.5 × 1101m rounded up and 2.5 Gi", r.Cpu(), r.Memory())
	}
	for i, term := range p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		if first := term.MatchExpressions[0]; len(term.MatchExpressions) != 2 ||
			first.Key != corev1.LabelTopologyZone || first.Values[0] != "ap-northeast-1a" {
			t.Errorf("term %d is not pinned: %+v", i, term)
		}
	}
	s := p.Spec.TopologySpreadConstraints
	if len(s) != 1 || s[0].TopologyKey != corev1.LabelHostname || s[0].LabelSelector.MatchLabels[balloon.Label] != "web" {
		t.Errorf("spread by %+v", s)
	}
	c := p.Spec.Containers[0].SecurityContext
	if !*p.Spec.SecurityContext.RunAsNonRoot || *c.AllowPrivilegeEscalation || c.Capabilities.Drop[0] != "ALL" ||
		p.Spec.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Error("the pod does not keep to the restricted profile")
	}
	if n := len(template.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchExpressions); n != 1 {
		t.Error("the workload's template was changed")
	}
}

func TestOnePodANode(t *testing.T) {
	apart := web()
	apart.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{TopologyKey: corev1.LabelHostname,
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}}}}}
	port := web()
	port.Spec.Containers[0].Ports = []corev1.ContainerPort{{HostPort: 80}}
	for name, template := range map[string]corev1.PodTemplateSpec{"anti-affinity": apart, "host port": port} {
		if _, err := podFor("1a", 2.5, template); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "spec.chunk") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	p, err := podFor("1a", 1, apart)
	if err != nil {
		t.Fatal(err)
	}
	terms := p.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	if len(terms) != 2 || terms[1].LabelSelector.MatchLabels[balloon.Label] != "web" {
		t.Errorf("two balloons could share a node: %+v", terms)
	}
}

func TestNoPlaceForNothing(t *testing.T) {
	template := web()
	template.Spec.Containers = []corev1.Container{{Name: "web"}}
	if _, err := podFor("1a", 1, template); err == nil || !strings.Contains(err.Error(), "resource requests") {
		t.Errorf("got %v", err)
	}
	if _, err := podFor("", 1, web()); err == nil {
		t.Error("a balloon without a zone")
	}
}

func TestPodName(t *testing.T) {
	if got := balloon.PodName("web", "ap-northeast-1a", "x7k2p"); got != "web-1a-x7k2p" {
		t.Error(got)
	}
	if got := balloon.PodName(strings.Repeat("w", 80), "ap-northeast-1a", "x7k2p"); len(got) != 63 || !strings.HasSuffix(got, "w-1a-x7k2p") {
		t.Error(got)
	}
}
