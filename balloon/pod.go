package balloon

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
)

const (
	// Label marks a balloon pod; its value is the name of its Balloon in the same namespace.
	Label = v1alpha1.BalloonLabel
	// PriorityClass of balloon pods: −10, which cluster-autoscaler still counts, and never preempting.
	PriorityClass = "swell-balloon"
	// Priority of that class.
	Priority = int32(-10)
	// Image of the only container.
	Image = "registry.k8s.io/pause:3.10"

	safeToEvict = "cluster-autoscaler.kubernetes.io/safe-to-evict"

	// What keeps a mesh's proxy and a tracer out of a pod that only holds room, of which they would take some.
	// https://istio.io/latest/docs/setup/additional-setup/sidecar-injection/
	// https://linkerd.io/2-edge/features/proxy-injection/
	// https://docs.datadoghq.com/containers/cluster_agent/admission_controller/
	noIstio   = "sidecar.istio.io/inject"
	noLinkerd = "linkerd.io/inject"
	noDatadog = "admission.datadoghq.com/enabled"
	user      = int64(65535)
)

// HashAnnotation on a balloon pod tells what it was made like; one that differs from what would be made now is replaced.
const HashAnnotation = "capacity.swell/pod-hash"

// MaxImages is how many images one balloon pod pulls ahead.
const MaxImages = 8

// Workload is what a Balloon's pods are made like.
type Workload struct {
	// Chunk is how many pods one balloon holds the place of, above zero.
	Chunk    float64
	Template corev1.PodTemplateSpec
	// Requests of one pod; nil is what the template asks for.
	Requests corev1.ResourceList
	// PullImages makes the template's images, the first MaxImages, image volumes of the balloon, so that its node pulls them.
	PullImages bool
}

// PodFor is one balloon pod in a zone for a workload. Its name is left to the caller; see PodName.
// What a balloon cannot stand in for (a chunk above 1 of a workload that wants one pod a node, claims of devices,
// Windows) is an error.
func PodFor(b v1alpha1.Balloon, zone string, w Workload) (*corev1.Pod, error) {
	w.Template.Namespace = b.Namespace // for terms that name namespaces
	template := w.Template
	requests := w.Requests
	if requests == nil {
		requests = PodRequests(template, nil)
	}
	requests = times(requests, w.Chunk)
	if what, mend := refusal(w, zone, requests); what != "" {
		return nil, fmt.Errorf("making a balloon pod of %s/%s for zone %q: %s; %s", b.Namespace, b.Name, zone, what, mend)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   b.Namespace,
			Labels:      map[string]string{Label: b.Name, noIstio: "false", noDatadog: "false"},
			Annotations: map[string]string{safeToEvict: "true", noLinkerd: "disabled"},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(&b,
				v1alpha1.GroupVersion.WithKind("Balloon"))},
		},
		Spec: corev1.PodSpec{
			// All three, so that a class of another value or one that preempts is refused, and not used.
			PriorityClassName:             PriorityClass,
			Priority:                      ptr(Priority),
			PreemptionPolicy:              ptr(corev1.PreemptNever),
			TerminationGracePeriodSeconds: ptr(int64(0)),
			AutomountServiceAccountToken:  ptr(false),
			EnableServiceLinks:            ptr(false),
			SchedulerName:                 template.Spec.SchedulerName,
			NodeSelector:                  maps.Clone(template.Spec.NodeSelector),
			Tolerations:                   slices.Clone(template.Spec.Tolerations),
			TopologySpreadConstraints:     spreadOf(b.Name, template),
			Affinity:                      affinityOf(b.Name, template, zone),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: ptr(true), RunAsUser: ptr(user), RunAsGroup: ptr(user),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{container(requests)},
		},
	}
	if w.PullImages {
		pullImages(pod, template)
	}
	hash, err := hashOf(pod.Spec)
	if err != nil {
		return nil, fmt.Errorf("making a balloon pod of %s/%s: %w", b.Namespace, b.Name, err)
	}
	pod.Annotations[HashAnnotation] = hash
	return pod, nil
}

// refusal is why there is no balloon for a workload, with the mend; empty is that there is one.
func refusal(w Workload, zone string, requests corev1.ResourceList) (what, mend string) {
	spec := w.Template.Spec
	alone := onePodANode(w.Template)
	switch {
	case !(w.Chunk > 0) || math.IsInf(w.Chunk, 0):
		return fmt.Sprintf("chunk is %g", w.Chunk), "give a chunk above zero"
	case zone == "":
		return "the zone has no name", "give the node label " + corev1.LabelTopologyZone
	case alone != "" && w.Chunk > 1:
		return fmt.Sprintf("chunk is %g and two of the workload's pods cannot be side by side (%s)", w.Chunk, alone), `set spec.chunk to "1"`
	case len(spec.ResourceClaims) > 0:
		return fmt.Sprintf("the workload claims devices (resourceClaims: %s), and a balloon's claim would keep them from the workload's own pods",
			spec.ResourceClaims[0].Name), "hold room for it with a schedule of nodes (a CapacityPool's holds), or let it go without a Balloon"
	case spec.OS != nil && spec.OS.Name == corev1.Windows:
		return "the workload runs on Windows and balloons do not", "let it go without a Balloon"
	case len(requests) == 0:
		return "the workload's pods request nothing, so no place can be held for them", "give its containers resource requests"
	}
	return "", ""
}

// Images are the different images of a template, those of its containers first.
func Images(t corev1.PodTemplateSpec) []string {
	var out []string
	for _, c := range slices.Concat(t.Spec.Containers, t.Spec.InitContainers) {
		if c.Image != "" && !slices.Contains(out, c.Image) {
			out = append(out, c.Image)
		}
	}
	return out
}

// pullImages makes the template's images volumes. Kubelets pull the image of every such volume, whether or not a
// container mounts it; the secrets and the service account are what they pull with.
func pullImages(pod *corev1.Pod, t corev1.PodTemplateSpec) {
	images := Images(t)
	for i, image := range images[:min(len(images), MaxImages)] {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: fmt.Sprintf("image-%d", i), VolumeSource: corev1.VolumeSource{
			Image: &corev1.ImageVolumeSource{Reference: image, PullPolicy: corev1.PullIfNotPresent}}})
	}
	pod.Spec.ImagePullSecrets = slices.Clone(t.Spec.ImagePullSecrets)
	pod.Spec.ServiceAccountName = t.Spec.ServiceAccountName
}

func hashOf(spec corev1.PodSpec) (string, error) {
	raw, err := json.Marshal(spec)
	if err != nil {
		return "", err
	}
	h := fnv.New64a()
	h.Write(raw)
	return strconv.FormatUint(h.Sum64(), 36), nil
}

func container(requests corev1.ResourceList) corev1.Container {
	c := corev1.Container{
		Name: "balloon", Image: Image, ImagePullPolicy: corev1.PullIfNotPresent,
		Resources: corev1.ResourceRequirements{Requests: requests},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: ptr(false), ReadOnlyRootFilesystem: ptr(true),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
	}
	// Extended resources and huge pages are refused without equal limits.
	for name, q := range requests {
		if name != corev1.ResourceCPU && name != corev1.ResourceMemory && name != corev1.ResourceEphemeralStorage {
			if c.Resources.Limits == nil {
				c.Resources.Limits = corev1.ResourceList{}
			}
			c.Resources.Limits[name] = q
		}
	}
	return c
}

// PodName is <balloon>-<zone's last part>-<suffix>, shortened to the 63 characters of a label.
func PodName(balloon, zone, suffix string) string {
	tail := zone
	for i := len(zone) - 1; i >= 0; i-- {
		if zone[i] == '-' {
			tail = zone[i+1:]
			break
		}
	}
	end := "-" + tail + "-" + suffix
	if room := 63 - len(end); len(balloon) > room && room > 0 {
		balloon = balloon[:room]
	}
	return balloon + end
}

func ptr[T any](v T) *T { return &v }

// PinnedZone is the zone that a pod is pinned to by its node selector or required node affinity; empty is none.
func PinnedZone(p *corev1.Pod) string {
	if zone := p.Spec.NodeSelector[corev1.LabelTopologyZone]; zone != "" {
		return zone
	}
	if p.Spec.Affinity == nil || p.Spec.Affinity.NodeAffinity == nil || p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return ""
	}
	for _, term := range p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		for _, e := range term.MatchExpressions {
			if e.Key == corev1.LabelTopologyZone && e.Operator == corev1.NodeSelectorOpIn && len(e.Values) == 1 {
				return e.Values[0]
			}
		}
	}
	return ""
}
