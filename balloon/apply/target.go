package apply

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
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
	Template corev1.PodTemplateSpec
}

// ReadTarget reads anything with a scale subresource and a pod template at spec.template: Deployments, StatefulSets,
// Argo Rollouts.
func ReadTarget(ctx context.Context, c client.Client, namespace string, ref v1alpha1.ScaleTarget) (Target, error) {
	what := fmt.Sprintf("%s %s/%s", ref.Kind, namespace, ref.Name)
	if ref.APIVersion == "apps/v1" && ref.Kind == "Deployment" {
		return readDeployment(ctx, c, client.ObjectKey{Namespace: namespace, Name: ref.Name})
	}
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return Target{}, fmt.Errorf("reading the workload %s: %w; give scaleTargetRef.apiVersion as group/version", what, err)
	}
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(gv.WithKind(ref.Kind))
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name}, object); err != nil {
		return Target{}, fmt.Errorf("reading the workload %s: %w; see that scaleTargetRef names it as it is", what, err)
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
	raw, found, err := unstructured.NestedMap(object.Object, "spec", "template")
	if err != nil || !found {
		return Target{}, fmt.Errorf("reading the workload %s: it has no pod template at spec.template; balloons need one to copy sizes from", what)
	}
	t := Target{Replicas: int(scale.Spec.Replicas), Selector: selector}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &t.Template); err != nil {
		return Target{}, fmt.Errorf("reading the pod template of %s: %w", what, err)
	}
	return t, nil
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

// readDeployment reads the most usual kind from the caller's cache.
func readDeployment(ctx context.Context, c client.Client, key client.ObjectKey) (Target, error) {
	var d appsv1.Deployment
	if err := c.Get(ctx, key, &d); err != nil {
		return Target{}, fmt.Errorf("reading the workload Deployment %s: %w; see that scaleTargetRef names it as it is", key, err)
	}
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		return Target{}, fmt.Errorf("reading the selector of Deployment %s: %w", key, err)
	}
	t := Target{Replicas: 1, Selector: selector, Template: d.Spec.Template}
	if d.Spec.Replicas != nil {
		t.Replicas = int(*d.Spec.Replicas)
	}
	return t, nil
}
