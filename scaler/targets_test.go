package scaler

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
	"swell/scaler/observe"
)

// rolloutServer serves one Rollout and its scale, and counts how often each is read.
func rolloutServer(t *testing.T, replicas, reads *atomic.Int32) client.Client {
	t.Helper()
	type object = map[string]any
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const group = "argoproj.io/v1alpha1"
		name := object{"name": "web", "namespace": "shop"}
		answers := map[string]object{
			"/api": {"kind": "APIVersions", "versions": []string{"v1"}},
			"/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []object{{"name": "argoproj.io", "versions": []object{{"groupVersion": group, "version": "v1alpha1"}},
				"preferredVersion": object{"groupVersion": group, "version": "v1alpha1"}}}},
			"/apis/" + group: {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group, "resources": []object{{"name": "rollouts", "namespaced": true, "kind": "Rollout"},
				{"name": "rollouts/scale", "namespaced": true, "kind": "Scale", "group": "autoscaling", "version": "v1"}}},
			"/apis/" + group + "/namespaces/shop/rollouts/web": {"apiVersion": group, "kind": "Rollout", "metadata": name,
				"spec": object{"template": object{"spec": object{"containers": []object{{"name": "app"}}}}}},
			"/apis/" + group + "/namespaces/shop/rollouts/web/scale": {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": name,
				"spec": object{"replicas": replicas.Load()}, "status": object{"selector": "app=web"}},
		}
		answer, known := answers[r.URL.Path]
		w.Header().Set("Content-Type", "application/json")
		if !known {
			w.WriteHeader(http.StatusNotFound)
			answer = object{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
		}
		if len(r.URL.Path) > len("/apis/"+group) {
			reads.Add(1)
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	c, err := client.New(&rest.Config{Host: s.URL}, client.Options{Scheme: clientgoscheme.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Ticks of a second do not ask the API server each time for a kind that no cache has; new pods make them ask at once.
func TestAWorkloadOfAnotherKindIsReadNowAndThen(t *testing.T) {
	var replicas, reads atomic.Int32
	replicas.Store(3)
	l := &Loop{client: rolloutServer(t, &replicas, &reads), outputs: map[string]*output{}}
	b := &v1alpha1.Balloon{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
	b.Spec.ScaleTargetRef = v1alpha1.ScaleTarget{APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout", Name: "web"}
	world, now := &observe.World{}, time.Unix(1e9, 0)
	tick := func() int {
		t.Helper()
		now = now.Add(time.Second)
		target, err := l.target(t.Context(), now, world, b)
		if err != nil {
			t.Fatal(err)
		}
		return target.Replicas
	}
	for range 20 {
		tick()
	}
	if n := reads.Load(); n != 8 {
		t.Errorf("20 ticks of a second read %d objects: want two at the first and in every five seconds", n)
	}
	tick()
	replicas.Store(5)
	world.Snapshot.Pods = []*corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-4", UID: "4", Labels: map[string]string{"app": "web"}}}}
	if n := tick(); n != 5 {
		t.Errorf("%d replicas after a pod was made: want the 5 of now", n)
	}
	b.Spec.ScaleTargetRef.Name = "gone"
	before := reads.Load()
	for range 5 {
		now = now.Add(time.Second)
		if _, err := l.target(t.Context(), now, world, b); err == nil {
			t.Error("a workload that is not there was read")
		}
	}
	if n := reads.Load() - before; n != 1 {
		t.Errorf("a workload that is not there was asked for %d times in five seconds", n)
	}
}
