package observe

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/balloon"
	"swell/balloon/apply"
	"swell/scaler/plan"
)

// made is what a pod is made from: a template, or a pod of the same template, which tells what admission adds.
type made struct {
	labels      map[string]string
	annotations map[string]string
	spec        *corev1.PodSpec
	gates       []corev1.PodSchedulingGate
	bare        bool
}

func fromTemplate(t corev1.PodTemplateSpec) made {
	return made{labels: t.Labels, annotations: t.Annotations, spec: &t.Spec, gates: t.Spec.SchedulingGates, bare: true}
}

// likeOneOf is made as the youngest of the pods was, or of the template where there are none. A pod's scheduling gates are
// the template's: they are taken off it before it runs.
func likeOneOf(pods []*corev1.Pod, t corev1.PodTemplateSpec) made {
	if len(pods) == 0 {
		return fromTemplate(t)
	}
	p := slices.MaxFunc(pods, func(a, b *corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return made{labels: p.Labels, annotations: p.Annotations, spec: &p.Spec, gates: t.Spec.SchedulingGates}
}

// template is a copy of its own.
func (m made) template() corev1.PodTemplateSpec {
	t := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: maps.Clone(m.labels), Annotations: maps.Clone(m.annotations)}, Spec: *m.spec.DeepCopy()}
	t.Spec.NodeName, t.Spec.EphemeralContainers, t.Spec.SchedulingGates = "", nil, slices.Clone(m.gates)
	return t
}

func podOf(kind string, owner metav1.ObjectMeta, template corev1.PodTemplateSpec) *corev1.Pod {
	yes := true
	p := &corev1.Pod{ObjectMeta: *template.ObjectMeta.DeepCopy(), Spec: *template.Spec.DeepCopy()}
	p.Namespace, p.Name = owner.Namespace, owner.Name
	p.CreationTimestamp = owner.CreationTimestamp
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: owner.Name, UID: owner.UID, Controller: &yes}}
	return p
}

// withoutHash are the labels of a Deployment's template, of those of its ReplicaSet's.
func withoutHash(l map[string]string) map[string]string {
	l = maps.Clone(l)
	delete(l, appsv1.DefaultDeploymentUniqueLabelKey)
	return l
}

// addClaims gives a StatefulSet's pod its claims, in place of volumes of the same names.
func addClaims(p *corev1.Pod, templates []corev1.PersistentVolumeClaim) {
	for _, t := range templates {
		p.Spec.Volumes = slices.DeleteFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == t.Name })
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: t.Name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: t.Name + "-" + p.Name}}})
	}
}

// foreseeClaims makes what is not there yet of a promised pod's claims a claim that comes with the pod, which the packer
// makes up from its template.
func foreseeClaims(promises []promise, v plan.Volumes) {
	have := map[string]bool{}
	for _, c := range v.Claims {
		have[c.Namespace+"/"+c.Name] = true
	}
	for _, p := range promises {
		for _, t := range p.claims {
			i := slices.IndexFunc(p.Pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == t.Name })
			source := &p.Pod.Spec.Volumes[i].VolumeSource
			if source.PersistentVolumeClaim == nil { // the API server takes two templates of one name; the pod has the last
				continue
			}
			if !have[p.Pod.Namespace+"/"+source.PersistentVolumeClaim.ClaimName] {
				*source = corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{
					ObjectMeta: metav1.ObjectMeta{Labels: t.Labels, Annotations: t.Annotations}, Spec: t.Spec}}}
			}
		}
	}
}

// admit adds to the pods that are their templates' alone what the API server will: requests where only limits are given, those of
// the namespace's LimitRanges, what their RuntimeClass adds and the priority of their class. What a webhook adds is not known
// before the first pod. A pod of which this cannot be read is left out, with a problem.
func (w *World) admit(ctx context.Context, c client.Reader, promises []promise, ranges map[string][]corev1.LimitRange) ([]promise, error) {
	var classes *schedulingv1.PriorityClassList
	var out []promise
	for _, p := range promises {
		if !p.bare {
			out = append(out, p)
			continue
		}
		if classes == nil {
			classes = &schedulingv1.PriorityClassList{}
			if err := c.List(ctx, classes, client.UnsafeDisableDeepCopy); err != nil {
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				w.Problems = append(w.Problems, plan.Problem{Object: "PriorityClasses", What: fmt.Sprintf("reading them: %v", err),
					Mend: "allow list and watch of priorityclasses.scheduling.k8s.io; until then pods that do not exist yet are taken to have the priority 0"})
			}
		}
		template := corev1.PodTemplateSpec{Spec: requestsIn(ranges[p.Pod.Namespace], balloon.RequestsDefaulted(p.Pod.Spec))}
		if err := apply.AddRuntimeClass(ctx, c, &template); err != nil {
			w.Problems = append(w.Problems, plan.Problem{Object: "pod template of " + p.of(), What: err.Error(), Mend: "until then no room is made ahead of its pods"})
			continue
		}
		p.Pod.Spec = template.Spec
		prioritise(&p.Pod.Spec, classes.Items)
		out = append(out, p)
	}
	return out, nil
}

// of names the workload.
func (p promise) of() string {
	o := metav1.GetControllerOf(p.Pod)
	return fmt.Sprintf("%s %s/%s", o.Kind, p.Pod.Namespace, o.Name)
}

// prioritise gives a pod the priority of its class, or of the cluster's default one, the lowest of several, as the API
// server does.
func prioritise(s *corev1.PodSpec, classes []schedulingv1.PriorityClass) {
	if s.Priority != nil {
		return
	}
	for i := range classes {
		k := &classes[i]
		if s.PriorityClassName == k.Name || s.PriorityClassName == "" && k.GlobalDefault && (s.Priority == nil || k.Value < *s.Priority) {
			value := k.Value
			s.Priority = &value
			s.PreemptionPolicy = k.PreemptionPolicy
		}
	}
}
