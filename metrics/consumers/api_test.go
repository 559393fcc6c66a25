package consumers

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"swell/api/config"
	"swell/api/v1alpha1"
)

// api is an API server that has QueueConsumers, pods, events, and scales of Deployments and Rollouts.
type api struct {
	client.Client
	mu        sync.Mutex
	consumers []v1alpha1.QueueConsumer
	scales    map[string]*autoscalingv1.Scale // by path
	pods      []corev1.Pod
	events    []corev1.Event
	// fails answers for a request before anything else; 0 is no failure.
	fails    func(method, path string) int
	requests []string
	clock    config.Clock
}

func newAPI(t *testing.T, items ...v1alpha1.QueueConsumer) *api {
	t.Helper()
	a := &api{consumers: items, scales: map[string]*autoscalingv1.Scale{}}
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	scheme := runtime.NewScheme()
	_, _ = v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme)
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, gvk := range []schema.GroupVersionKind{v1alpha1.GroupVersion.WithKind("QueueConsumer"), corev1.SchemeGroupVersion.WithKind("Pod"),
		corev1.SchemeGroupVersion.WithKind("Event"), {Group: "apps", Version: "v1", Kind: "Deployment"}, {Group: "argoproj.io", Version: "v1alpha1", Kind: "Rollout"}} {
		mapper.Add(gvk, meta.RESTScopeNamespace)
	}
	var err error
	a.Client, err = client.New(&rest.Config{Host: s.URL, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// scale puts a scale target there.
func (a *api) scale(target v1alpha1.ScaleTarget, replicas int32) *autoscalingv1.Scale {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := &autoscalingv1.Scale{TypeMeta: metav1.TypeMeta{APIVersion: "autoscaling/v1", Kind: "Scale"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: target.Name, ResourceVersion: "1"},
		Spec:       autoscalingv1.ScaleSpec{Replicas: replicas}, Status: autoscalingv1.ScaleStatus{Selector: "app=" + target.Name}}
	a.scales[scalePath(target)] = s
	return s
}

func scalePath(target v1alpha1.ScaleTarget) string {
	return fmt.Sprintf("/apis/%s/namespaces/shop/%ss/%s/scale", target.APIVersion, strings.ToLower(target.Kind), target.Name)
}

// byHand sets the replicas as a user does.
func (a *api) byHand(s *autoscalingv1.Scale, replicas int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s.Spec.Replicas = replicas
	s.ResourceVersion += "1"
}

func (a *api) replicas(s *autoscalingv1.Scale) int32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return s.Spec.Replicas
}

func (a *api) failWith(fails func(method, path string) int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fails = fails
}

// asked counts the requests so far whose method and path end so.
func (a *api) asked(method, suffix string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(a.requests), func(r string) bool {
		return !strings.HasPrefix(r, method) || !strings.HasSuffix(r, suffix)
	}))
}

// told are the events so far: reason and message.
func (a *api) told() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []string
	for _, e := range a.events {
		all = append(all, e.Type+" "+e.Reason+": "+e.Message)
	}
	return all
}

func (a *api) consumer(t *testing.T) v1alpha1.QueueConsumer {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	return *a.consumers[0].DeepCopy()
}

// jump makes it a model time. Machines cannot jump: what is written down in their time is moved along.
func (a *api) jump(at time.Time) config.Clock {
	a.mu.Lock()
	defer a.mu.Unlock()
	next := config.Clock{Real: time.Now(), Model: at}
	moved := next.RealTime(at).Sub(a.clock.RealTime(at))
	a.clock = next
	for i := range a.consumers {
		s := &a.consumers[i].Status
		if s.SampledAt != nil {
			s.SampledAt.Time = s.SampledAt.Add(moved)
		}
		if s.Hold != nil {
			s.Hold.At.Time = s.Hold.At.Add(moved)
		}
		for j := range s.Conditions {
			s.Conditions[j].LastTransitionTime.Time = s.Conditions[j].LastTransitionTime.Add(moved)
		}
	}
	return next
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests = append(a.requests, r.Method+" "+r.URL.Path)
	if a.fails != nil {
		if code := a.fails(r.Method, r.URL.Path); code != 0 {
			refuse(w, code, metav1.StatusReasonUnknown)
			return
		}
	}
	body, _ := io.ReadAll(r.Body)
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, "/queueconsumers"):
		reply(w, v1alpha1.QueueConsumerList{TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "QueueConsumerList"}, Items: a.consumers})
	case strings.HasSuffix(path, "/pods"):
		reply(w, corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, Items: a.pods})
	case strings.HasSuffix(path, "/status") && r.Method == http.MethodPatch:
		a.apply(w, path, r.Header.Get("Content-Type"), body)
	case a.scales[path] != nil:
		a.answerScale(w, r.Method, a.scales[path], body)
	case strings.HasSuffix(path, "/events") && r.Method == http.MethodPost:
		var e corev1.Event
		_ = json.Unmarshal(body, &e)
		a.events = append(a.events, e)
		reply(w, e)
	default:
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
	}
}

// apply takes a status as server-side apply does by its only owner: what is left out is gone, but for status.zero, which another
// owns and merges in.
func (a *api) apply(w http.ResponseWriter, path, how string, body []byte) {
	for i := range a.consumers {
		q := &a.consumers[i]
		if !strings.HasSuffix(path, "/"+q.Name+"/status") {
			continue
		}
		var next v1alpha1.QueueConsumer
		if err := yaml.Unmarshal(body, &next); err != nil {
			refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest)
			return
		}
		if how == string(types.MergePatchType) {
			q.Status.Zero = next.Status.Zero
		} else {
			next.Status.Zero = q.Status.Zero
			q.Status = next.Status
		}
		next = *q.DeepCopy()
		next.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("QueueConsumer"))
		reply(w, next)
		return
	}
	refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
}

func (a *api) answerScale(w http.ResponseWriter, method string, s *autoscalingv1.Scale, body []byte) {
	if method == http.MethodPut {
		var next autoscalingv1.Scale
		_ = json.Unmarshal(body, &next)
		if next.ResourceVersion != s.ResourceVersion {
			refuse(w, http.StatusConflict, metav1.StatusReasonConflict)
			return
		}
		s.Spec.Replicas = next.Spec.Replicas
		s.ResourceVersion += "1"
	}
	reply(w, s)
}

func reply(w http.ResponseWriter, object any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(object)
}

func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
		Code: int32(code), Reason: reason, Message: "refused"})
}
