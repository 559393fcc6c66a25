package consumers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
)

// scales is an API server that has nothing but the scale subresource.
type scales struct {
	client.SubResourceClient
	mu    sync.Mutex
	asked int
	fail  error
}

func (s *scales) SubResource(string) client.SubResourceClient { return s }

func (s *scales) Get(_ context.Context, object, scale client.Object, _ ...client.SubResourceGetOption) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	scale.(*unstructured.Unstructured).Object = map[string]any{"status": map[string]any{"selector": "app=" + object.GetName()}}
	return s.fail
}

func (s *scales) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *scales) failWith(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// readyPods answers every list with two ready pods of each of a hundred targets.
type readyPods struct{ client.Reader }

func (readyPods) List(_ context.Context, l client.ObjectList, _ ...client.ListOption) error {
	var pods []corev1.Pod
	for i := range 100 {
		pod := readyPod(map[string]string{"app": scaleTarget(i).Name})
		pods = append(pods, pod, pod)
	}
	l.(*corev1.PodList).Items = pods
	return nil
}

func readyPod(of map[string]string) corev1.Pod {
	return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Labels: of},
		Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}}
}

func scaleTarget(i int) v1alpha1.ScaleTarget {
	return v1alpha1.ScaleTarget{APIVersion: "apps/v1", Kind: "Deployment", Name: fmt.Sprintf("d%d", i)}
}

func TestPodsNeverAsksWhileThePollWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &scales{}
		r := &Ready{Live: api, Cached: readyPods{}}
		const targets = 100
		for i := range targets {
			if p, err := r.Pods(t.Context(), "shop", scaleTarget(i)); err != nil || p.Ready != -1 {
				t.Fatalf("before its selector is known: %+v, %v; want -1 ready", p, err)
			}
		}
		if n := api.count(); n != 0 {
			t.Fatalf("%d requests were made by counting pods, want none", n)
		}
		go r.Run(t.Context())
		time.Sleep(time.Second)
		if n := api.count(); n == 0 || n > selectorsPerSecond+1 {
			t.Errorf("%d requests in the first second, want some and at most %d", n, selectorsPerSecond)
		}
		time.Sleep(selectorFor / 2)
		for i := range targets {
			if p, err := r.Pods(t.Context(), "shop", scaleTarget(i)); err != nil || p.Ready != 2 {
				t.Fatalf("after its selector was read: %+v, %v; want 2 ready", p, err)
			}
		}
		if n := api.count(); n != targets {
			t.Errorf("%d requests for %d selectors", n, targets)
		}
	})
}

func TestSelectorOutlivesAFailureButNotItsTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &scales{}
		r := &Ready{Live: api, Cached: readyPods{}}
		ask := func() (int, error) {
			p, err := r.Pods(t.Context(), "shop", scaleTarget(1))
			return p.Ready, err
		}
		go r.Run(t.Context())
		_, _ = ask()
		time.Sleep(2 * time.Second)
		api.failWith(errors.New("connection refused"))
		for range 3 {
			time.Sleep(selectorFor / 2)
			_, _ = ask()
		}
		if n, err := ask(); err != nil || n != 2 {
			t.Errorf("while the API server fails: %d, %v; want the 2 of the known selector", n, err)
		}
		api.failWith(apierrors.NewNotFound(schema.GroupResource{Resource: "deployments"}, "d1"))
		time.Sleep(noneFor + 2*time.Second)
		if _, err := ask(); err == nil || !strings.Contains(err.Error(), "check spec.scaleTargetRef") {
			t.Errorf("a target that is gone: %v", err)
		}
		time.Sleep(unusedFor + selectorFor)
		r.mu.Lock()
		kept := len(r.selectors)
		r.mu.Unlock()
		before := api.count()
		time.Sleep(2 * selectorFor)
		if kept != 0 || api.count() != before {
			t.Errorf("%d selectors are kept and %d requests made for what nobody counts", kept, api.count()-before)
		}
	})
}

func TestPodsOfAnythingWithAScale(t *testing.T) {
	for _, target := range []v1alpha1.ScaleTarget{{APIVersion: "apps/v1", Kind: "Deployment", Name: "orders"}, {APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout", Name: "orders"}} {
		a := newAPI(t)
		a.scale(target, 2)
		a.pods = []corev1.Pod{readyPod(map[string]string{"app": "orders"})}
		r := &Ready{Live: a, Cached: a}
		key := targetKey{"shop", target}
		_, _ = r.Pods(t.Context(), "shop", target)
		selector, err := r.ask(t.Context(), key)
		r.learn(key, selector, err)
		if p, err := r.Pods(t.Context(), "shop", target); err != nil || p.Ready != 1 {
			t.Errorf("%s: %+v, %v; want 1 ready", target.Kind, p, err)
		}
	}
}
