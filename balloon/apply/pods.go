// Package apply makes and deletes what holds a Balloon's room, pods or CapacityBuffers, and reads the workloads that it is for.
package apply

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/kubernetes"

	"swell/balloon"
)

// atOnce bounds the requests that one list of pods is worked off with.
const atOnce = 16

// Delete deletes a balloon pod without grace; one that is gone already is as wanted.
func Delete(ctx context.Context, kube kubernetes.Interface, namespace, name string) error {
	err := kube.CoreV1().Pods(namespace).Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting balloon pod %s/%s: %w", namespace, name, err)
	}
	return nil
}

// Create makes n pods of a Balloon in a zone, like the given one but for their names, until one is refused, and returns
// how many were made and the first error.
func Create(ctx context.Context, kube kubernetes.Interface, name, zone string, like *corev1.Pod, n int) (int, error) {
	var mu sync.Mutex
	made := 0
	var first error
	Each(n, func(int) {
		mu.Lock()
		refused := first != nil
		mu.Unlock()
		if refused {
			return
		}
		pod := like.DeepCopy()
		pod.Name = balloon.PodName(name, zone, rand.String(5))
		_, err := kube.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{})
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			made++
		} else if first == nil {
			first = fmt.Errorf("creating balloon pods %s/%s: %w; a ResourceQuota of the namespace must be scoped by priority class, and the class %s must exist", pod.Namespace, pod.Name, err, pod.Spec.PriorityClassName)
		}
	})
	return made, first
}

// Each calls f for 0 to n−1, a bounded number at once, and returns when all have ended.
func Each(n int, f func(int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	wg.Wait()
}
