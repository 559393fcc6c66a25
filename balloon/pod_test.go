package balloon_test

import (
	"maps"
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
	if want := map[string]string{balloon.Label: "web", "sidecar.istio.io/inject": "false", "admission.datadoghq.com/enabled": "false"}; !maps.Equal(p.Labels, want) {
		t.Errorf("labels are %v: a balloon must not be taken for the workload's own, and webhooks are to leave it alone", p.Labels)
	}
	o := p.OwnerReferences
	if len(o) != 1 || o[0].Kind != "Balloon" || o[0].APIVersion != "capacity.swell/v1alpha1" || o[0].UID != "u1" || !*o[0].Controller {
		t.Errorf("owned by %+v", o)
	}
	if p.Spec.PriorityClassName != "swell-balloon" || *p.Spec.Priority != -10 || *p.Spec.PreemptionPolicy != corev1.PreemptNever || *p.Spec.TerminationGracePeriodSeconds != 0 || *p.Spec.AutomountServiceAccountToken ||
		p.Annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] != "true" || p.Annotations["linkerd.io/inject"] != "disabled" || p.Spec.NodeSelector["pool"] != "general" || len(p.Spec.Tolerations) != 1 {
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

// What a balloon cannot stand in for is refused with the mend, and nothing is held in its place.
func TestWhatABalloonCannotStandInForIsRefused(t *testing.T) {
	claims := web()
	claims.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu"}}
	windows := web()
	windows.Spec.OS = &corev1.PodOS{Name: corev1.Windows}
	for names, template := range map[string]corev1.PodTemplateSpec{"gpu": claims, "Windows": windows} {
		if _, err := podFor("1a", 1, template); err == nil || !strings.Contains(err.Error(), names) || !strings.Contains(err.Error(), ";") {
			t.Errorf("%s: got %v", names, err)
		}
	}
}

// A port of the node is held by keeping apart from whoever has it, since a restricted namespace lets no balloon take it.
func TestABalloonKeepsApartFromAPortOfTheNode(t *testing.T) {
	host, sidecar := web(), web()
	host.Spec.HostNetwork = true
	host.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80}}
	always := corev1.ContainerRestartPolicyAlways
	sidecar.Spec.InitContainers = []corev1.Container{{Name: "mesh", RestartPolicy: &always, Ports: []corev1.ContainerPort{{HostPort: 9000}}}}
	for name, template := range map[string]corev1.PodTemplateSpec{"host network": host, "sidecar": sidecar} {
		p, err := podFor("1a", 0.5, template)
		if err != nil {
			t.Fatal(err)
		}
		if p.Spec.HostNetwork || len(p.Spec.Containers[0].Ports) > 0 {
			t.Errorf("%s: the balloon takes the port itself", name)
		}
		terms := p.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		if len(terms) != 2 || terms[0].LabelSelector.MatchLabels[balloon.Label] != "web" || terms[1].LabelSelector.MatchLabels["app"] != "web" || terms[0].TopologyKey != corev1.LabelHostname {
			t.Errorf("%s: apart by %+v", name, terms)
		}
		if _, err := podFor("1a", 2, template); err == nil {
			t.Errorf("%s: one balloon holds the place of two pods that no node takes", name)
		}
	}
}

// A term with mismatchLabelKeys on the workload's own label, or about other namespaces, is not about itself.
func TestAntiAffinityToOthersIsKeptAsItIs(t *testing.T) {
	own := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	for name, term := range map[string]corev1.PodAffinityTerm{
		"another tenant":    {TopologyKey: corev1.LabelHostname, LabelSelector: own, MismatchLabelKeys: []string{"app"}},
		"another namespace": {TopologyKey: corev1.LabelHostname, LabelSelector: own, Namespaces: []string{"other"}},
	} {
		template := web()
		template.Spec.Affinity.PodAntiAffinity = &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term}}
		p, err := podFor("1a", 2.5, template)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if terms := p.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution; len(terms) != 1 {
			t.Errorf("%s: became %+v", name, terms)
		}
	}
}

// A workload that is required to be near itself has balloons that prefer it: the first of them could never be placed else.
func TestAffinityToItselfBecomesAPreference(t *testing.T) {
	template := web()
	itself := corev1.PodAffinityTerm{TopologyKey: corev1.LabelTopologyZone, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}}
	cache := corev1.PodAffinityTerm{TopologyKey: corev1.LabelTopologyZone, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "cache"}}}
	template.Spec.Affinity.PodAffinity = &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{itself, cache}}
	p, err := podFor("1a", 1, template)
	if err != nil {
		t.Fatal(err)
	}
	a := p.Spec.Affinity.PodAffinity
	if r := a.RequiredDuringSchedulingIgnoredDuringExecution; len(r) != 1 || r[0].LabelSelector.MatchLabels["app"] != "cache" {
		t.Errorf("required: %+v", r)
	}
	if w := a.PreferredDuringSchedulingIgnoredDuringExecution; len(w) != 1 || w[0].PodAffinityTerm.LabelSelector.MatchLabels["app"] != "web" {
		t.Errorf("preferred: %+v", w)
	}
}

// Where the workload names zones itself, the pin is still found: terms are alternatives.
func TestThePinIsFoundBesideTheWorkloadsOwnZones(t *testing.T) {
	template := web()
	zone := func(z string) corev1.NodeSelectorTerm {
		return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{z}}}}
	}
	template.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms = []corev1.NodeSelectorTerm{zone("1a"), zone("1c")}
	p, err := podFor("1c", 1, template)
	if err != nil {
		t.Fatal(err)
	}
	if got := balloon.PinnedZone(p); got != "1c" {
		t.Errorf("pinned to %q, want 1c", got)
	}
}

func TestImagesComeAsVolumes(t *testing.T) {
	template := web()
	template.Spec.ServiceAccountName = "web"
	template.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "pull"}}
	template.Spec.Containers[0].Image, template.Spec.Containers[1].Image = "web:1", "side:1"
	template.Spec.InitContainers = []corev1.Container{{Name: "first", Image: "web:1"}}
	for i := range balloon.MaxImages {
		template.Spec.InitContainers = append(template.Spec.InitContainers, corev1.Container{Name: "more", Image: "more:" + string(rune('a'+i))})
	}
	w := balloon.Workload{Chunk: 1, Template: template, PullImages: true}
	p, err := balloon.PodFor(guard, "1a", w)
	if err != nil {
		t.Fatal(err)
	}
	var images []string
	for _, v := range p.Spec.Volumes {
		images = append(images, v.Image.Reference)
		if v.Image.PullPolicy != corev1.PullIfNotPresent {
			t.Errorf("%s is pulled %s", v.Name, v.Image.PullPolicy)
		}
	}
	if len(images) != balloon.MaxImages || images[0] != "web:1" || images[1] != "side:1" || images[2] != "more:a" {
		t.Errorf("volumes of %v", images)
	}
	if p.Spec.ServiceAccountName != "web" || len(p.Spec.ImagePullSecrets) != 1 || *p.Spec.AutomountServiceAccountToken {
		t.Errorf("pulled with %+v", p.Spec)
	}
	w.PullImages = false
	plain, err := balloon.PodFor(guard, "1a", w)
	if err != nil {
		t.Fatal(err)
	}
	if len(plain.Spec.Volumes) > 0 || plain.Spec.ServiceAccountName != "" || len(plain.Spec.ImagePullSecrets) > 0 {
		t.Errorf("unasked for: %+v", plain.Spec)
	}
	if plain.Annotations[balloon.HashAnnotation] == p.Annotations[balloon.HashAnnotation] {
		t.Error("two pods that differ have the same hash")
	}
	again, err := balloon.PodFor(guard, "1a", w)
	if err != nil || again.Annotations[balloon.HashAnnotation] != plain.Annotations[balloon.HashAnnotation] {
		t.Errorf("the same pod has another hash, %v", err)
	}
}
