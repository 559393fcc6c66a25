package scaler

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// kept is a ConfigMap that outlives one scaler, in the namespace of its Lease.
type kept struct {
	kube            kubernetes.Interface
	namespace, name string
}

// load gives what is kept; nothing is kept yet where there is no ConfigMap.
func (k kept) load(ctx context.Context) (map[string]string, error) {
	m, err := k.kube.CoreV1().ConfigMaps(k.namespace).Get(ctx, k.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading ConfigMap %s/%s: %w; let swell-scaler get ConfigMaps there", k.namespace, k.name, err)
	}
	return m.Data, nil
}

// save replaces what is kept.
func (k kept) save(ctx context.Context, data map[string]string) error {
	client := k.kube.CoreV1().ConfigMaps(k.namespace)
	var err error
	for range 3 {
		var m *corev1.ConfigMap
		m, err = client.Get(ctx, k.name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			m = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: k.namespace, Name: k.name, Labels: map[string]string{"app.kubernetes.io/managed-by": "swell-scaler"}}, Data: data}
			_, err = client.Create(ctx, m, metav1.CreateOptions{})
		case err == nil && maps.Equal(m.Data, data):
			return nil
		case err == nil:
			m.Data = data
			_, err = client.Update(ctx, m, metav1.UpdateOptions{})
		}
		if err == nil || !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("writing ConfigMap %s/%s: %w; let swell-scaler get, create and update ConfigMaps there", k.namespace, k.name, err)
	}
	return nil
}
