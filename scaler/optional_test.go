package scaler

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// quotaServer serves ResourceQuotas, or forbids them.
func quotaServer(t *testing.T, allowed *atomic.Bool) *rest.Config {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		kind := func(k string) metav1.TypeMeta { return metav1.TypeMeta{Kind: k, APIVersion: "v1"} }
		var answer any
		switch {
		case r.URL.Path == "/api":
			answer = metav1.APIVersions{TypeMeta: kind("APIVersions"), Versions: []string{"v1"}}
		case r.URL.Path == "/apis":
			answer = metav1.APIGroupList{TypeMeta: kind("APIGroupList")}
		case r.URL.Path == "/api/v1":
			answer = metav1.APIResourceList{TypeMeta: kind("APIResourceList"), GroupVersion: "v1",
				APIResources: []metav1.APIResource{{Name: "resourcequotas", Namespaced: true, Kind: "ResourceQuota", Verbs: metav1.Verbs{"list", "watch"}}}}
		case !allowed.Load():
			w.WriteHeader(http.StatusForbidden)
			answer = metav1.Status{TypeMeta: kind("Status"), Status: "Failure", Reason: metav1.StatusReasonForbidden, Code: http.StatusForbidden}
		case r.URL.Query().Get("sendInitialEvents") != "": // as a server that cannot stream lists
			w.WriteHeader(http.StatusUnprocessableEntity)
			answer = metav1.Status{TypeMeta: kind("Status"), Status: "Failure", Reason: metav1.StatusReasonInvalid, Code: http.StatusUnprocessableEntity}
		case r.URL.Query().Get("watch") != "":
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		default:
			answer = corev1.ResourceQuotaList{TypeMeta: kind("ResourceQuotaList"), ListMeta: metav1.ListMeta{ResourceVersion: "1"},
				Items: []corev1.ResourceQuota{{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "team"}}}}
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return &rest.Config{Host: s.URL}
}

// A kind that the scaler's role leaves out is an error of those who need it, and holds no plan up; once it is allowed, it
// is read.
func TestAForbiddenKindHoldsNothingUp(t *testing.T) {
	var allowed atomic.Bool
	config := quotaServer(t, &allowed)
	caches, err := cache.New(config, cache.Options{Scheme: clientgoscheme.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: clientgoscheme.Scheme, Cache: &client.CacheOptions{Reader: caches}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // the bound of a failure
	ended := make(chan error)
	go func() { ended <- caches.Start(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	l := &Loop{client: c}
	if err := l.Watch(ctx, onlyOptional{caches}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := l.quota(ctx, "shop", nil)
		if !errors.Is(err, errUnread) || ctx.Err() != nil {
			t.Fatalf("quotas that are forbidden: %v, and %v", err, ctx.Err())
		}
	}
	// All of storage is waited for at once: seven waits would hold the first plan up.
	if err := l.client.List(ctx, &corev1.PersistentVolumeList{}); !errors.Is(err, errUnread) {
		t.Errorf("volumes that are forbidden: %v", err)
	}
	for kind := range storageKinds {
		if _, watched := l.client.(*optional).kinds[kind]; !watched {
			t.Errorf("%v is waited for on its own", kind)
		}
	}
	allowed.Store(true)
	var list corev1.ResourceQuotaList
	for err = errUnread; errors.Is(err, errUnread) && sleep(ctx, 10*time.Millisecond); {
		err = l.client.List(ctx, &list, client.InNamespace("shop"))
	}
	if err != nil || len(list.Items) != 1 {
		t.Errorf("quotas that are allowed at last: %d, %v", len(list.Items), err)
	}
}

// onlyOptional leaves out the informers that the server of this file has no kinds for.
type onlyOptional struct{ cache.Cache }

func (c onlyOptional) GetInformer(ctx context.Context, object client.Object, options ...cache.InformerGetOption) (cache.Informer, error) {
	if _, ok := object.(*corev1.ResourceQuota); ok {
		return c.Cache.GetInformer(ctx, object, options...)
	}
	return c.Cache.GetInformer(ctx, &corev1.ResourceQuota{}, cache.BlockUntilSynced(false))
}
