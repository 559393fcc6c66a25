package scaler

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
)

// templateServer serves PodTemplates of all namespaces with a number of lists, or forbids them. It knows no CapacityBuffers.
func templateServer(t *testing.T, forbidden *atomic.Bool, lists *atomic.Int32) client.Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer := map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
		code := http.StatusNotFound
		switch {
		case r.URL.Path == "/api":
			code, answer = 200, map[string]any{"kind": "APIVersions", "versions": []string{"v1"}}
		case r.URL.Path == "/apis":
			code, answer = 200, map[string]any{"kind": "APIGroupList", "apiVersion": "v1", "groups": []any{}}
		case r.URL.Path == "/api/v1":
			code, answer = 200, map[string]any{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1",
				"resources": []map[string]any{{"name": "podtemplates", "namespaced": true, "kind": "PodTemplate", "verbs": []string{"list"}}}}
		case strings.HasSuffix(r.URL.Path, "/podtemplates"):
			lists.Add(1)
			if forbidden.Load() {
				code, answer["reason"], answer["code"] = 403, "Forbidden", 403
				break
			}
			code, answer = 200, map[string]any{"kind": "PodTemplateList", "apiVersion": "v1", "metadata": map[string]any{}, "items": []any{}}
		}
		w.WriteHeader(code)
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

// The first decisions of a scaler ask once for what earlier outputs have left, however many Balloons there are; that it
// cannot ask is said by each.
func TestLeftoversAreAskedForOnce(t *testing.T) {
	var forbidden atomic.Bool
	var lists atomic.Int32
	forbidden.Store(true)
	l := &Loop{client: templateServer(t, &forbidden, &lists), outputs: map[string]*output{}}
	now := time.Unix(1e9, 0)
	round := func() (says []metav1.Condition) {
		for i := range 20 {
			b := &v1alpha1.Balloon{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprint("web-", i)}}
			s := size{balloon: b}
			l.withoutBuffers(t.Context(), now, l.outputOf(b), &s)
			says = append(says, s.says...)
		}
		return says
	}
	for range 3 {
		says := round()
		if len(says) != 20 || says[0].Type != buffersGone || says[0].Reason != "CannotList" || lists.Load() != 1 {
			t.Fatalf("after %d lists that are forbidden, 20 Balloons say %+v", lists.Load(), says)
		}
	}
	forbidden.Store(false)
	now = now.Add(askLeftovers)
	for range 3 {
		if says := round(); len(says) != 0 || lists.Load() != 2 {
			t.Fatalf("after %d lists: %+v", lists.Load(), says)
		}
	}
}
