package consumers

import (
	"context"
	"fmt"
	"sync"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/metrics/lag"
)

// selectorFor is how long a scale target's selector is remembered, in the machine's time; most kinds never change it.
const selectorFor = time.Minute

// Ready counts ready pods of scale targets: the selector from the scale subresource, the pods from memory.
type Ready struct {
	// Live asks the API server, Cached reads pods from memory.
	Live   client.Client
	Cached client.Reader
	Clock  config.Clock

	mu        sync.Mutex
	selectors map[targetKey]targetSelector
}

type targetKey struct {
	namespace string
	target    v1alpha1.ScaleTarget
}

type targetSelector struct {
	selector labels.Selector
	err      error
	until    time.Time
}

// Pods counts the ready pods of a scale target and says when the last of them became ready, in model time.
func (r *Ready) Pods(ctx context.Context, namespace string, target v1alpha1.ScaleTarget) (lag.Pods, error) {
	selector, err := r.selector(ctx, targetKey{namespace, target})
	if err != nil {
		return lag.Pods{}, err
	}
	var pods corev1.PodList
	if err := r.Cached.List(ctx, &pods, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: selector}, client.UnsafeDisableDeepCopy); err != nil {
		return lag.Pods{}, fmt.Errorf("list the pods of %s %s/%s: %w", target.Kind, namespace, target.Name, err)
	}
	var p lag.Pods
	for i := range pods.Items {
		since, ready := readySince(&pods.Items[i])
		if !ready {
			continue
		}
		p.Ready++
		if at := r.Clock.At(since); at.After(p.LastReady) {
			p.LastReady = at
		}
	}
	return p, nil
}

func readySince(pod *corev1.Pod) (time.Time, bool) {
	if pod.DeletionTimestamp != nil {
		return time.Time{}, false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime.Time, true
		}
	}
	return time.Time{}, false
}

func (r *Ready) selector(ctx context.Context, key targetKey) (labels.Selector, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, ok := r.selectors[key]
	if ok && time.Now().Before(old.until) {
		return old.selector, old.err
	}
	s := targetSelector{until: time.Now().Add(selectorFor)}
	s.selector, s.err = r.ask(ctx, key)
	if s.err != nil {
		s.until = time.Now().Add(selectorFor / 12)
		if old.selector != nil && !apierrors.IsNotFound(s.err) {
			s.selector, s.err, s.until = old.selector, nil, time.Now().Add(selectorFor)
		}
	}
	if r.selectors == nil {
		r.selectors = map[targetKey]targetSelector{}
	}
	r.selectors[key] = s
	return s.selector, s.err
}

func (r *Ready) ask(ctx context.Context, key targetKey) (labels.Selector, error) {
	object := &unstructured.Unstructured{}
	object.SetAPIVersion(key.target.APIVersion)
	object.SetKind(key.target.Kind)
	object.SetNamespace(key.namespace)
	object.SetName(key.target.Name)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	scale := &autoscalingv1.Scale{}
	if err := r.Live.SubResource("scale").Get(ctx, object, scale); err != nil {
		return nil, fmt.Errorf("read the scale of %s %s/%s: %w: check spec.scaleTargetRef", key.target.Kind, key.namespace, key.target.Name, err)
	}
	selector, err := labels.Parse(scale.Status.Selector)
	if err != nil || selector.Empty() {
		return nil, fmt.Errorf("read the scale of %s %s/%s: its selector %q selects nothing of its own", key.target.Kind, key.namespace, key.target.Name, scale.Status.Selector)
	}
	return selector, nil
}

// Slim keeps of a pod what counting needs, so that memory does not grow with pod templates.
func Slim(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	slim := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID,
		Labels: pod.Labels, ResourceVersion: pod.ResourceVersion, DeletionTimestamp: pod.DeletionTimestamp}}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			slim.Status.Conditions = []corev1.PodCondition{c}
		}
	}
	return slim, nil
}
