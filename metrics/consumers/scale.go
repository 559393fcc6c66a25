package consumers

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
)

// scaleWithin is how long the API server may take for a scale, in the machine's time.
const scaleWithin = 5 * time.Second

// scale is a scale target's scale subresource as it was read.
type scale struct {
	object, body *unstructured.Unstructured
}

// readScale asks for the scale subresource of anything that has one.
func readScale(ctx context.Context, live client.SubResourceClientConstructor, namespace string, target v1alpha1.ScaleTarget) (scale, error) {
	s := scale{object: &unstructured.Unstructured{}, body: &unstructured.Unstructured{}}
	s.object.SetAPIVersion(target.APIVersion)
	s.object.SetKind(target.Kind)
	s.object.SetNamespace(namespace)
	s.object.SetName(target.Name)
	ctx, cancel := context.WithTimeout(ctx, scaleWithin)
	defer cancel()
	// The client takes a body of the same sort as the object alone: both are unstructured.
	if err := live.SubResource("scale").Get(ctx, s.object, s.body); err != nil {
		return scale{}, fmt.Errorf("read the scale of %s %s/%s: %w: check spec.scaleTargetRef", target.Kind, namespace, target.Name, err)
	}
	return s, nil
}

// replicas is how many the target is to have.
func (s scale) replicas() int {
	n, _, _ := unstructured.NestedInt64(s.body.Object, "spec", "replicas")
	return int(n)
}

// selector is that of the target's pods.
func (s scale) selector() string {
	text, _, _ := unstructured.NestedString(s.body.Object, "status", "selector")
	return text
}

// write sets the replicas, unless the target was changed since it was read.
func (s scale) write(ctx context.Context, live client.SubResourceClientConstructor, replicas int) error {
	body := s.body.DeepCopy()
	if err := unstructured.SetNestedField(body.Object, int64(replicas), "spec", "replicas"); err != nil {
		return fmt.Errorf("set the replicas: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, scaleWithin)
	defer cancel()
	if err := live.SubResource("scale").Update(ctx, s.object, client.WithSubResourceBody(body), fieldOwner); err != nil {
		return fmt.Errorf("scale %s %s/%s to %d: %w: let swell-metrics update its scale", s.object.GetKind(), s.object.GetNamespace(), s.object.GetName(), replicas, err)
	}
	return nil
}
