package scaler

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
	"swell/balloon/apply"
)

// scaled is how far a workload is with its replicas.
type scaled struct {
	replicas int // given
	status   int // counted by its controller
	updated  int // of the newest template; below zero is not told
	selector labels.Selector
	managed  []metav1.ManagedFieldsEntry
}

// rollout says in words that pods of an older template run, or is empty.
func (s scaled) rollout() string {
	if s.updated < 0 || s.updated >= s.status {
		return ""
	}
	return fmt.Sprintf("a rollout runs: %d of %d pods are of an older template", s.status-s.updated, s.status)
}

func (l *Loop) readScaled(ctx context.Context, b *v1alpha1.Balloon) (scaled, error) {
	ref, key := b.Spec.ScaleTargetRef, client.ObjectKey{Namespace: b.Namespace, Name: b.Spec.ScaleTargetRef.Name}
	target, err := apply.ReadTarget(ctx, l.client, b.Namespace, ref)
	if err != nil {
		return scaled{}, err
	}
	s := scaled{replicas: target.Replicas, status: target.Replicas, updated: -1, selector: target.Selector}
	if ref.APIVersion == "apps/v1" && ref.Kind == "Deployment" {
		var d appsv1.Deployment
		if err := l.client.Get(ctx, key, &d); err != nil {
			return s, fmt.Errorf("reading Deployment %s: %w", key, err)
		}
		s.status, s.updated, s.managed = int(d.Status.Replicas), int(d.Status.UpdatedReplicas), d.ManagedFields
		return s, nil
	}
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return s, fmt.Errorf("reading %s %s: %w", ref.Kind, key, err)
	}
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(gv.WithKind(ref.Kind))
	if err := l.client.Get(ctx, key, o); err != nil {
		return s, fmt.Errorf("reading %s %s: %w", ref.Kind, key, err)
	}
	s.managed = o.GetManagedFields()
	if n, ok, err := unstructured.NestedInt64(o.Object, "status", "replicas"); ok && err == nil {
		s.status = int(n)
	}
	if n, ok, err := unstructured.NestedInt64(o.Object, "status", "updatedReplicas"); ok && err == nil {
		s.updated = int(n)
	}
	return s, nil
}
