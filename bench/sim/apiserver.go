package sim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"swell/scaler/plan"
)

// apiRequest is a request to the API server, taken apart.
type apiRequest struct {
	by, method, resource, name, sub, node string
	body                                  []byte
}

func readRequest(r *http.Request) apiRequest {
	q := apiRequest{method: r.Method}
	if r.Body != nil {
		q.body, _ = io.ReadAll(r.Body) // it is in memory
		r.Body.Close()
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if parts[0] == "api" {
		parts = parts[1:]
	} else if len(parts) > 1 {
		parts = parts[2:]
	}
	if len(parts) > 0 {
		parts = parts[1:] // the version
	}
	if len(parts) > 2 && parts[0] == "namespaces" {
		parts = parts[2:]
	}
	for i, to := range []*string{&q.resource, &q.name, &q.sub} {
		if i < len(parts) {
			*to = parts[i]
		}
	}
	q.node = strings.TrimPrefix(r.URL.Query().Get("fieldSelector"), "spec.nodeName=")
	return q
}

// serve carries a request out as the API server does.
func (w *world) serve(q apiRequest) (int, any) {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	answer, err := w.answer(q)
	if err != nil {
		status := apierrors.NewInternalError(err).Status()
		if known, ok := err.(apierrors.APIStatus); ok {
			status = known.Status()
		}
		status.Kind, status.APIVersion = "Status", "v1"
		return int(status.Code), status
	}
	code := http.StatusOK
	if q.method == http.MethodPost {
		code = http.StatusCreated
	}
	return code, answer
}

func (w *world) answer(q apiRequest) (any, error) {
	switch q.method + " " + q.resource + " " + q.sub {
	case "GET  ":
		return metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: "v1", APIResources: []metav1.APIResource{
			{Name: "pods", Namespaced: true, Kind: "Pod"}, {Name: "pods/eviction", Namespaced: true, Group: "policy", Version: "v1", Kind: "Eviction"},
		}}, nil
	case "GET configmaps ":
		if m := w.store.maps[q.name]; m != nil {
			return m, nil
		}
	case "POST configmaps ", "PUT configmaps ":
		return w.writeMap(q)
	case "GET pods ":
		if q.name == "" {
			list := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}}
			for _, p := range w.store.on(q.node) {
				list.Items = append(list.Items, *p)
			}
			return list, nil
		}
		if p := w.store.pods[q.name]; p != nil {
			return p, nil
		}
	case "POST pods ":
		return w.createPod(q)
	case "DELETE pods ":
		if p := w.store.pods[q.name]; p != nil {
			if p.Labels[v1BalloonLabel] == "" {
				w.violate("pod %s was deleted, past its disruption budget", p.Name)
			}
			delete(w.store.pods, q.name)
			w.say("balloon %s deleted", p.Name)
			return metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess}, nil
		}
	case "POST pods eviction":
		return w.evict(q)
	case "GET nodes ":
		if q.name == "" {
			list := corev1.NodeList{TypeMeta: metav1.TypeMeta{Kind: "NodeList", APIVersion: "v1"}}
			for _, n := range w.store.sortedNodes() {
				list.Items = append(list.Items, *n)
			}
			return list, nil
		}
		if n := w.store.nodes[q.name]; n != nil {
			return n, nil
		}
	case "PATCH nodes ":
		return w.patchNode(q)
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: q.resource}, q.name)
}

func (w *world) writeMap(q apiRequest) (any, error) {
	m := &corev1.ConfigMap{}
	if err := json.Unmarshal(q.body, m); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	resource := schema.GroupResource{Resource: "configmaps"}
	have := w.store.maps[m.Name]
	switch {
	case q.method == http.MethodPost && have != nil:
		return nil, apierrors.NewAlreadyExists(resource, m.Name)
	case q.method == http.MethodPut && have == nil:
		return nil, apierrors.NewNotFound(resource, m.Name)
	case q.method == http.MethodPut && m.ResourceVersion != "" && m.ResourceVersion != have.ResourceVersion:
		return nil, apierrors.NewConflict(resource, m.Name, fmt.Errorf("the object has been modified; please apply your changes to the latest version and try again"))
	}
	m.TypeMeta = metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"}
	m.ResourceVersion = w.store.next()
	if m.Name == intentsName && (have == nil || have.Data["holder"] != m.Data["holder"]) {
		w.heldAt = w.now()
	}
	w.store.maps[m.Name] = m
	return m, nil
}

func (w *world) createPod(q apiRequest) (any, error) {
	p := &corev1.Pod{}
	if err := json.Unmarshal(q.body, p); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if w.store.pods[p.Name] != nil {
		return nil, apierrors.NewAlreadyExists(schema.GroupResource{Resource: "pods"}, p.Name)
	}
	p.TypeMeta = metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"}
	p.CreationTimestamp, p.Status.Phase = metav1.NewTime(w.now()), corev1.PodPending
	w.say("balloon %s created", p.Name)
	return w.store.putPod(p), nil
}

// evict does as the API server does: it refuses what a budget does not allow, with the budget as the cause.
func (w *world) evict(q apiRequest) (any, error) {
	p := w.store.pods[q.name]
	if p == nil {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, q.name)
	}
	if p.DeletionTimestamp == nil {
		if b := w.store.budgets[p.Labels["app"]]; b != nil && p.Status.Phase == corev1.PodRunning && w.allowed(b, p.Labels["app"]) < 1 {
			w.fire("budget blocks")
			err := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0)
			err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: policyv1.DisruptionBudgetCause, Message: "The disruption budget " + b.Name + " needs more healthy pods"}}
			return nil, err
		}
		if n := w.store.nodes[p.Spec.NodeName]; n != nil && !n.Spec.Unschedulable && q.by == w.store.holder() {
			w.violate("pod %s was evicted from node %s, which is not cordoned: another may be bound to it", p.Name, n.Name)
		}
		w.remove(p)
		w.say("pod %s evicted from %s", p.Name, p.Spec.NodeName)
	}
	return metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess}, nil
}

// allowed is how many pods of an app may be disrupted now.
func (w *world) allowed(b *policyv1.PodDisruptionBudget, app string) int {
	healthy := 0
	for _, p := range w.store.pods {
		if p.Labels["app"] == app && p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil {
			healthy++
		}
	}
	return healthy - b.Spec.MinAvailable.IntValue()
}

func (w *world) patchNode(q apiRequest) (any, error) {
	n := w.store.nodes[q.name]
	if n == nil {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "nodes"}, q.name)
	}
	var patch struct {
		Metadata struct {
			Annotations map[string]*string `json:"annotations"`
		} `json:"metadata"`
		Spec struct {
			Unschedulable *bool `json:"unschedulable"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(q.body, &patch); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	n = n.DeepCopy()
	for k, v := range patch.Metadata.Annotations {
		if v == nil {
			delete(n.Annotations, k)
		} else {
			if n.Annotations == nil {
				n.Annotations = map[string]string{}
			}
			n.Annotations[k] = *v
		}
	}
	if patch.Spec.Unschedulable != nil {
		n.Spec.Unschedulable = *patch.Spec.Unschedulable
		w.say("node %s cordoned by %s: %t", n.Name, q.by, n.Spec.Unschedulable)
	}
	if _, drains := patch.Metadata.Annotations[plan.DrainingAnnotation]; drains {
		w.cordoned[n.Name] = q.by
	}
	return w.store.putNode(n), nil
}
