package balloon

import (
	"fmt"
	"math"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	resourcehelper "k8s.io/component-helpers/resource"

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
	user        = int64(65535)
)

// PodFor is one balloon pod in a zone for a workload's pod template. Its name is left to the caller; see PodName.
// A chunk above 1 is an error for a workload that wants one pod a node.
func PodFor(b v1alpha1.Balloon, chunk float64, template corev1.PodTemplateSpec, zone string) (*corev1.Pod, error) {
	fail := func(what, mend string) error {
		return fmt.Errorf("making a balloon pod of %s/%s for zone %q: %s; %s", b.Namespace, b.Name, zone, what, mend)
	}
	if !(chunk > 0) || math.IsInf(chunk, 0) {
		return nil, fail(fmt.Sprintf("chunk is %g", chunk), "give a chunk above zero")
	}
	if zone == "" {
		return nil, fail("the zone has no name", "give the node label "+corev1.LabelTopologyZone)
	}
	if why := onePodANode(template); why != "" && chunk > 1 {
		return nil, fail(fmt.Sprintf("chunk is %g and the workload wants one pod a node (%s)", chunk, why), `set spec.chunk to "1"`)
	}
	requests := times(resourcehelper.PodRequests(&corev1.Pod{Spec: template.Spec}, resourcehelper.PodResourcesOptions{}), chunk)
	if len(requests) == 0 {
		return nil, fail("the workload's pods request nothing, so no place can be held for them", "give its containers resource requests")
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   b.Namespace,
			Labels:      map[string]string{Label: b.Name},
			Annotations: map[string]string{safeToEvict: "true"},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(&b,
				v1alpha1.GroupVersion.WithKind("Balloon"))},
		},
		Spec: corev1.PodSpec{
			PriorityClassName:             PriorityClass,
			TerminationGracePeriodSeconds: ptr(int64(0)),
			AutomountServiceAccountToken:  ptr(false),
			EnableServiceLinks:            ptr(false),
			SchedulerName:                 template.Spec.SchedulerName,
			RuntimeClassName:              template.Spec.RuntimeClassName,
			NodeSelector:                  copyMap(template.Spec.NodeSelector),
			Tolerations:                   append([]corev1.Toleration(nil), template.Spec.Tolerations...),
			TopologySpreadConstraints:     spreadOf(b.Name, template),
			Affinity:                      affinityOf(b.Name, template, zone),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: ptr(true), RunAsUser: ptr(user), RunAsGroup: ptr(user),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{container(requests)},
		},
	}
	return pod, nil
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

// times multiplies requests, rounding up to milli-CPUs and to whole units of the rest.
func times(l corev1.ResourceList, chunk float64) corev1.ResourceList {
	out := corev1.ResourceList{}
	for name, q := range l {
		switch {
		case q.IsZero():
		case name == corev1.ResourceCPU:
			out[name] = *resource.NewMilliQuantity(int64(math.Ceil(float64(q.MilliValue())*chunk-1e-9)), q.Format)
		default:
			out[name] = *resource.NewQuantity(int64(math.Ceil(float64(q.Value())*chunk-1e-9)), q.Format)
		}
	}
	return out
}

func ptr[T any](v T) *T { return &v }

func copyMap(m map[string]string) map[string]string {
	if m == nil {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

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
