package apply

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
	"swell/balloon"
)

// FieldManager owns what swell applies.
const FieldManager = "swell-scaler"

// ErrNoBuffers says that the cluster does not serve CapacityBuffers.
var ErrNoBuffers = errors.New("the cluster does not serve CapacityBuffer autoscaling.x-k8s.io/v1beta1; install the CustomResourceDefinition of cluster-autoscaler or Karpenter and turn its buffers on, or set spec.output to Pods")

var bufferKind = schema.GroupVersionKind{Group: "autoscaling.x-k8s.io", Version: "v1beta1", Kind: "CapacityBuffer"}

// outputKinds are what an output CapacityBuffer consists of.
var outputKinds = []schema.GroupVersionKind{bufferKind, corev1.SchemeGroupVersion.WithKind("PodTemplate")}

// Buffer is the room that one zone is to have, held by the scaler that owns the nodes.
type Buffer struct {
	Zone     string
	Replicas int
	// Pod is one balloon pod of the zone.
	Pod *corev1.Pod
}

// BufferName names the PodTemplate and the CapacityBuffer of a Balloon in a zone.
func BufferName(b *v1alpha1.Balloon, zone string) string { return b.Name + "-" + zone }

// ApplyBuffers makes a Balloon's CapacityBuffers, and the PodTemplates that they name, be these and no others. Fields
// that another manager holds are not taken from it: that is an error which names it.
func ApplyBuffers(ctx context.Context, c client.Client, b *v1alpha1.Balloon, buffers []Buffer) error {
	if _, err := c.RESTMapper().RESTMapping(bufferKind.GroupKind(), bufferKind.Version); meta.IsNoMatchError(err) {
		return fmt.Errorf("applying the buffers of Balloon %s/%s: %w", b.Namespace, b.Name, ErrNoBuffers)
	}
	wanted := map[string]bool{}
	for _, x := range buffers {
		name := BufferName(b, x.Zone)
		wanted[name] = true
		template, err := podTemplate(b, name, x.Pod)
		if err != nil {
			return err
		}
		// the buffer first: where there can be none, no template is left behind
		for _, object := range []*unstructured.Unstructured{capacityBuffer(b, name, x.Replicas), template} {
			if err := applyOne(ctx, c, object); err != nil {
				return err
			}
		}
	}
	return prune(ctx, c, b, wanted)
}

// DeleteBuffers takes a Balloon's CapacityBuffers and PodTemplates away; where none can be there is nothing to do.
func DeleteBuffers(ctx context.Context, c client.Client, b *v1alpha1.Balloon) error {
	return prune(ctx, c, b, nil)
}

// Buffered are the Balloons, by namespace and name, that CapacityBuffers or PodTemplates of any namespace are labelled for.
func Buffered(ctx context.Context, c client.Client) (map[client.ObjectKey]bool, error) {
	out := map[client.ObjectKey]bool{}
	for _, kind := range outputKinds {
		list, err := listOutput(ctx, c, kind, client.HasLabels{balloon.Label})
		if err != nil {
			return nil, fmt.Errorf("listing the %ss of all Balloons: %w", kind.Kind, err)
		}
		for i := range list {
			out[client.ObjectKey{Namespace: list[i].GetNamespace(), Name: list[i].GetLabels()[balloon.Label]}] = true
		}
	}
	return out, nil
}

func applyOne(ctx context.Context, c client.Client, object *unstructured.Unstructured) error {
	err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(FieldManager))
	what := fmt.Sprintf("applying %s %s/%s", object.GetKind(), object.GetNamespace(), object.GetName())
	switch {
	case err == nil:
		return nil
	case unserved(err, object):
		return fmt.Errorf("%s: %w", what, ErrNoBuffers)
	case apierrors.IsConflict(err):
		return fmt.Errorf("%s: %w; take these fields out of what the other manager applies, or set spec.output to Pods", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// unserved says whether a CapacityBuffer could not even be named to the server, or its kind is being taken away.
func unserved(err error, object *unstructured.Unstructured) bool {
	return object.GetKind() == bufferKind.Kind && (meta.IsNoMatchError(err) ||
		apierrors.IsNotFound(err) && strings.Contains(err.Error(), "could not find the requested resource") ||
		apierrors.IsForbidden(err) && strings.Contains(err.Error(), "custom resource definition is terminating"))
}

// prune deletes what belongs to the Balloon and is not wanted. Only what it controls goes, by UID.
func prune(ctx context.Context, c client.Client, b *v1alpha1.Balloon, wanted map[string]bool) error {
	for _, kind := range outputKinds {
		list, err := listOutput(ctx, c, kind, client.InNamespace(b.Namespace), client.MatchingLabels{balloon.Label: b.Name})
		if err != nil {
			return fmt.Errorf("listing the %ss of Balloon %s/%s: %w", kind.Kind, b.Namespace, b.Name, err)
		}
		for i := range list {
			object := &list[i]
			if wanted[object.GetName()] || !metav1.IsControlledBy(object, b) {
				continue
			}
			uid := object.GetUID()
			err := c.Delete(ctx, object, client.Preconditions{UID: &uid})
			if err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("deleting %s %s/%s: %w", kind.Kind, object.GetNamespace(), object.GetName(), err)
			}
		}
	}
	return nil
}

// listOutput lists from the server, since a cache would watch these kinds in all namespaces. A kind that is not served
// has no objects.
func listOutput(ctx context.Context, c client.Client, kind schema.GroupVersionKind, options ...client.ListOption) ([]unstructured.Unstructured, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	err := c.List(ctx, list, options...)
	if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
		return nil, nil
	}
	return list.Items, err
}

func owned(b *v1alpha1.Balloon, kind schema.GroupVersionKind, name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{}}
	u.SetGroupVersionKind(kind)
	u.SetNamespace(b.Namespace)
	u.SetName(name)
	u.SetLabels(map[string]string{balloon.Label: b.Name})
	u.SetOwnerReferences([]metav1.OwnerReference{*metav1.NewControllerRef(b, v1alpha1.GroupVersion.WithKind("Balloon"))})
	return u
}

func podTemplate(b *v1alpha1.Balloon, name string, pod *corev1.Pod) (*unstructured.Unstructured, error) {
	raw, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels, Annotations: pod.Annotations}, Spec: pod.Spec})
	if err != nil {
		return nil, fmt.Errorf("making PodTemplate %s/%s: %w", b.Namespace, name, err)
	}
	// what is empty is not swell's to own
	unstructured.RemoveNestedField(raw, "metadata", "creationTimestamp")
	u := owned(b, corev1.SchemeGroupVersion.WithKind("PodTemplate"), name)
	u.Object["template"] = raw
	return u, nil
}

func capacityBuffer(b *v1alpha1.Balloon, name string, replicas int) *unstructured.Unstructured {
	u := owned(b, bufferKind, name)
	u.Object["spec"] = map[string]any{
		"podTemplateRef":       map[string]any{"name": name},
		"replicas":             int64(replicas),
		"provisioningStrategy": "buffer.x-k8s.io/active-capacity",
	}
	return u
}
