package consumers

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/metrics/lag"
)

// All in the machine's time, as they pace the API server.
const (
	// selectorFor is how long a scale target's selector is used before it is read anew; most kinds never change it.
	selectorFor = 10 * time.Minute
	// noneFor is selectorFor while the selector selects no pods, or cannot be read any more: a target that is gone, or that was made
	// anew with another selector, loses the pods of the old one.
	noneFor = time.Minute
	// retryFor is selectorFor after a failure.
	retryFor = 5 * time.Second
	// unusedFor is how long the selector of a target that nobody counts is kept.
	unusedFor = 15 * time.Minute
	// selectorsPerSecond is how many scale targets are read in a second at most.
	selectorsPerSecond = 50
)

// Ready counts ready pods of scale targets: the selector from the scale subresource, the pods from memory.
// Counting never waits for the API server: Run reads the selectors.
type Ready struct {
	// Live asks the API server, Cached reads pods from memory.
	Live   client.SubResourceClientConstructor
	Cached client.Reader
	Clock  config.Clock

	mu        sync.Mutex
	selectors map[targetKey]*targetSelector
}

type targetKey struct {
	namespace string
	target    v1alpha1.ScaleTarget
}

// targetSelector has neither a selector nor an error until it was asked for.
type targetSelector struct {
	selector labels.Selector
	err      error
	// read is when the selector was read last, due when it is to be read next.
	read, due time.Time
	used      time.Time
}

// Pods counts the ready pods of a scale target and says when the last of them became ready, in model time.
// Before the target's selector was read they are Unknown.
func (r *Ready) Pods(ctx context.Context, namespace string, target v1alpha1.ScaleTarget) (lag.Pods, error) {
	key := targetKey{namespace, target}
	selector, err := r.selector(key)
	if err != nil || selector == nil {
		return lag.Pods{Ready: int(lag.Unknown)}, err
	}
	index, err := podsOf(ctx).index(ctx, r.Cached, namespace)
	if err != nil {
		return lag.Pods{}, fmt.Errorf("list the pods of %s %s/%s: %w", target.Kind, namespace, target.Name, err)
	}
	var p lag.Pods
	selected := false
	for pod := range index.selected(selector) {
		selected = true
		since, ready := readySince(pod)
		if !ready {
			continue
		}
		p.Ready++
		if at := r.Clock.At(since); at.After(p.LastReady) {
			p.LastReady = at
		}
	}
	if !selected {
		r.doubt(key)
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

// selector is what is known of a target's selector, and asks Run for it where nothing is.
func (r *Ready) selector(key targetKey) (labels.Selector, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	s := r.selectors[key]
	if s == nil {
		s = &targetSelector{due: now}
		if r.selectors == nil {
			r.selectors = map[targetKey]*targetSelector{}
		}
		r.selectors[key] = s
	}
	s.used = now
	return s.selector, s.err
}

// doubt makes a selector that selects nothing due soon.
func (r *Ready) doubt(key targetKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.selectors[key]; s != nil {
		if soon := s.read.Add(noneFor); soon.Before(s.due) {
			s.due = soon
		}
	}
}

// Run reads the selectors that are due, one at a time, until the context ends.
func (r *Ready) Run(ctx context.Context) {
	for {
		pause := time.Second
		if key, ok := r.next(time.Now()); ok {
			selector, err := r.ask(ctx, key)
			r.learn(key, selector, err)
			pause /= selectorsPerSecond
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// next is the target that is due the longest; those that nobody counts are forgotten.
func (r *Ready) next(now time.Time) (key targetKey, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := now
	for k, s := range r.selectors {
		switch {
		case now.Sub(s.used) > unusedFor:
			delete(r.selectors, k)
		case !s.due.After(first):
			key, first, ok = k, s.due, true
		}
	}
	return key, ok
}

func (r *Ready) learn(key targetKey, selector labels.Selector, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.selectors[key]
	if s == nil {
		return
	}
	now := time.Now()
	switch {
	case err == nil:
		s.selector, s.err, s.read, s.due = selector, nil, now, now.Add(selectorFor)
	case s.selector != nil && !apierrors.IsNotFound(err):
		s.read, s.due = now, now.Add(noneFor)
	default:
		s.selector, s.err, s.due = nil, err, now.Add(retryFor)
	}
}

func (r *Ready) ask(ctx context.Context, key targetKey) (labels.Selector, error) {
	s, err := readScale(ctx, r.Live, key.namespace, key.target)
	if err != nil {
		return nil, err
	}
	selector, err := labels.Parse(s.selector())
	if err != nil || selector.Empty() {
		return nil, fmt.Errorf("read the scale of %s %s/%s: its selector %q selects nothing of its own", key.target.Kind, key.namespace, key.target.Name, s.selector())
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
