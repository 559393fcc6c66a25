package apply

import (
	"context"
	"fmt"
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
)

// Target is a scaled workload.
type Target struct {
	// Replicas that it was given.
	Replicas int
	Selector labels.Selector
	// Template of its pods, with what their RuntimeClass adds.
	Template corev1.PodTemplateSpec
	// Volumes are those of the template's persistent volumes that exist: its pods can only be where all of them are.
	Volumes []corev1.PersistentVolume
}

// ReadTarget reads anything with a scale subresource and a pod template at spec.template, or at that of the workload
// that spec.workloadRef names: Deployments, StatefulSets, Argo Rollouts.
func ReadTarget(ctx context.Context, c client.Client, namespace string, ref v1alpha1.ScaleTarget) (Target, error) {
	t, err := readWorkload(ctx, c, namespace, ref)
	if err != nil {
		return Target{}, err
	}
	what := fmt.Sprintf("%s %s/%s", ref.Kind, namespace, ref.Name)
	if err := AddRuntimeClass(ctx, c, &t.Template); err != nil {
		return Target{}, fmt.Errorf("reading the pod template of %s: %w", what, err)
	}
	if t.Volumes, err = volumesOf(ctx, c, namespace, t.Template); err != nil {
		return Target{}, fmt.Errorf("reading the volumes of %s: %w", what, err)
	}
	return t, nil
}

func readWorkload(ctx context.Context, c client.Client, namespace string, ref v1alpha1.ScaleTarget) (Target, error) {
	if ref.APIVersion == "apps/v1" {
		switch key := (client.ObjectKey{Namespace: namespace, Name: ref.Name}); ref.Kind {
		case "Deployment":
			return readDeployment(ctx, c, key)
		case "StatefulSet":
			return readStatefulSet(ctx, c, key)
		}
	}
	what := fmt.Sprintf("%s %s/%s", ref.Kind, namespace, ref.Name)
	object, err := readObject(ctx, c, namespace, ref)
	if err != nil {
		return Target{}, fmt.Errorf("reading the workload %s: %w", what, err)
	}
	scale, err := readScale(ctx, c, object)
	if err != nil {
		return Target{}, fmt.Errorf("reading the scale of %s: %w; scaleTargetRef needs a kind with the scale subresource", what, err)
	}
	selector, err := labels.Parse(scale.Status.Selector)
	if err != nil {
		return Target{}, fmt.Errorf("reading the scale of %s: its selector %q: %w; its controller should write a label selector there", what, scale.Status.Selector, err)
	}
	if selector.Empty() { // it would take every pod of the namespace for the workload's own
		return Target{}, fmt.Errorf("reading the scale of %s: it has no selector yet; its controller should write one to the status field that the kind's scale subresource names as labelSelectorPath", what)
	}
	t := Target{Replicas: int(scale.Spec.Replicas), Selector: selector}
	if t.Template, err = templateOf(ctx, c, object); err != nil {
		return Target{}, fmt.Errorf("reading the workload %s: %w", what, err)
	}
	return t, nil
}

func readObject(ctx context.Context, c client.Client, namespace string, ref v1alpha1.ScaleTarget) (*unstructured.Unstructured, error) {
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return nil, fmt.Errorf("%w; give scaleTargetRef.apiVersion as group/version", err)
	}
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(gv.WithKind(ref.Kind))
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name}, object); err != nil {
		return nil, fmt.Errorf("%w; see that scaleTargetRef names it as it is", err)
	}
	return object, nil
}

// templateOf is an object's pod template, or that of the workload which an Argo Rollout refers to in its place.
func templateOf(ctx context.Context, c client.Client, object *unstructured.Unstructured) (corev1.PodTemplateSpec, error) {
	var template corev1.PodTemplateSpec
	raw, found, err := unstructured.NestedMap(object.Object, "spec", "template")
	if err != nil {
		return template, fmt.Errorf("%w; balloons need a pod template at spec.template to copy sizes from", err)
	}
	if found {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &template); err != nil {
			return template, fmt.Errorf("reading spec.template: %w", err)
		}
	}
	if len(template.Spec.Containers) > 0 {
		return template, nil
	}
	ref, found, err := unstructured.NestedStringMap(object.Object, "spec", "workloadRef")
	if err != nil || !found {
		return template, fmt.Errorf("it has no pod template at spec.template and no spec.workloadRef; balloons need one to copy sizes from")
	}
	target := v1alpha1.ScaleTarget{APIVersion: ref["apiVersion"], Kind: ref["kind"], Name: ref["name"]}
	if target.APIVersion == "apps/v1" && target.Kind == "Deployment" {
		t, err := readDeployment(ctx, c, client.ObjectKey{Namespace: object.GetNamespace(), Name: target.Name})
		return t.Template, err
	}
	referred, err := readObject(ctx, c, object.GetNamespace(), target)
	if err != nil {
		return template, fmt.Errorf("reading its spec.workloadRef, %s %s: %w", target.Kind, target.Name, err)
	}
	unstructured.RemoveNestedField(referred.Object, "spec", "workloadRef") // one step is what Rollouts follow
	return templateOf(ctx, c, referred)
}

// AddRuntimeClass adds what the API server will add to the workload's pods: overhead, node selector and tolerations.
func AddRuntimeClass(ctx context.Context, c client.Reader, t *corev1.PodTemplateSpec) error {
	if t.Spec.RuntimeClassName == nil || *t.Spec.RuntimeClassName == "" {
		return nil
	}
	var class nodev1.RuntimeClass
	if err := c.Get(ctx, client.ObjectKey{Name: *t.Spec.RuntimeClassName}, &class); err != nil {
		return fmt.Errorf("reading RuntimeClass %s: %w; create it, or correct runtimeClassName", *t.Spec.RuntimeClassName, err)
	}
	t.Spec = *t.Spec.DeepCopy()
	if class.Overhead != nil {
		t.Spec.Overhead = class.Overhead.PodFixed
	}
	if class.Scheduling != nil {
		if t.Spec.NodeSelector == nil {
			t.Spec.NodeSelector = map[string]string{}
		}
		maps.Copy(t.Spec.NodeSelector, class.Scheduling.NodeSelector)
		t.Spec.Tolerations = append(t.Spec.Tolerations, class.Scheduling.Tolerations...)
	}
	return nil
}

// volumesOf reads the volumes that the template's claims are bound to. Claims that are made for each pod bind where
// the pod goes and bind it to nothing before.
func volumesOf(ctx context.Context, c client.Client, namespace string, t corev1.PodTemplateSpec) ([]corev1.PersistentVolume, error) {
	var out []corev1.PersistentVolume
	for _, v := range t.Spec.Volumes {
		if v.PersistentVolumeClaim == nil {
			continue
		}
		var claim corev1.PersistentVolumeClaim
		name := v.PersistentVolumeClaim.ClaimName
		if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &claim); err != nil {
			return nil, fmt.Errorf("reading PersistentVolumeClaim %s: %w; the workload's pods wait for it too", name, err)
		}
		if claim.Spec.VolumeName == "" {
			continue
		}
		var volume corev1.PersistentVolume
		if err := c.Get(ctx, client.ObjectKey{Name: claim.Spec.VolumeName}, &volume); err != nil {
			return nil, fmt.Errorf("reading PersistentVolume %s of claim %s: %w", claim.Spec.VolumeName, name, err)
		}
		out = append(out, volume)
	}
	return out, nil
}

// readScale reads the scale subresource. The client takes an unstructured object's subresource as unstructured only.
func readScale(ctx context.Context, c client.Client, of *unstructured.Unstructured) (autoscalingv1.Scale, error) {
	var scale autoscalingv1.Scale
	raw := &unstructured.Unstructured{}
	raw.SetGroupVersionKind(autoscalingv1.SchemeGroupVersion.WithKind("Scale"))
	if err := c.SubResource("scale").Get(ctx, of, raw); err != nil {
		return scale, err
	}
	return scale, runtime.DefaultUnstructuredConverter.FromUnstructured(raw.Object, &scale)
}

// readDeployment and readStatefulSet read the most usual kinds from the caller's cache.
func readDeployment(ctx context.Context, c client.Client, key client.ObjectKey) (Target, error) {
	var d appsv1.Deployment
	if err := c.Get(ctx, key, &d); err != nil {
		return Target{}, fmt.Errorf("reading the workload Deployment %s: %w; see that scaleTargetRef names it as it is", key, err)
	}
	t, err := targetOf(d.Spec.Replicas, d.Spec.Selector, d.Spec.Template)
	if err != nil {
		err = fmt.Errorf("reading the selector of Deployment %s: %w", key, err)
	}
	return t, err
}

func readStatefulSet(ctx context.Context, c client.Client, key client.ObjectKey) (Target, error) {
	var s appsv1.StatefulSet
	if err := c.Get(ctx, key, &s); err != nil {
		return Target{}, fmt.Errorf("reading the workload StatefulSet %s: %w; see that scaleTargetRef names it as it is", key, err)
	}
	t, err := targetOf(s.Spec.Replicas, s.Spec.Selector, s.Spec.Template)
	if err != nil {
		err = fmt.Errorf("reading the selector of StatefulSet %s: %w", key, err)
	}
	return t, err
}

func targetOf(replicas *int32, selector *metav1.LabelSelector, template corev1.PodTemplateSpec) (Target, error) {
	t := Target{Replicas: 1, Template: template}
	if replicas != nil {
		t.Replicas = int(*replicas)
	}
	var err error
	t.Selector, err = metav1.LabelSelectorAsSelector(selector)
	return t, err
}
