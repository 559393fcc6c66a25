package server

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// TestRightsAreThoseThatAreNeeded asks the API server what the chart's rules make of swell-metrics.
func TestRightsAreThoseThatAreNeeded(t *testing.T) {
	r := newRig(t)
	config, err := r.cluster.ServiceAccountConfig("swell-system", "swell-metrics")
	if err != nil {
		t.Fatal(err)
	}
	self, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	may := func(verb, group, resource string) bool {
		t.Helper()
		resource, sub, _ := strings.Cut(resource, "/")
		review, err := self.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Group: group, Resource: resource, Subresource: sub}}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return review.Status.Allowed
	}
	for _, needed := range []string{"create  events", "patch  events", "create events.k8s.io events", "patch events.k8s.io events", "list autoscaling horizontalpodautoscalers",
		"update apps deployments/scale", "update apps statefulsets/scale", "update argoproj.io rollouts/scale", "get apps deployments/scale",
		"watch capacity.swell queueconsumers", "list capacity.swell balloons", "watch capacity.swell balloons", "patch capacity.swell queueconsumers/status", "watch  pods", "get external.metrics.k8s.io queue_depth", "list custom.metrics.k8s.io pods/requests"} {
		if f := strings.Split(needed, " "); !may(f[0], f[1], f[2]) {
			t.Errorf("it may not %s", needed)
		}
	}
	for _, never := range []string{"get  secrets", "update apps deployments", "patch capacity.swell queueconsumers", "patch capacity.swell balloons", "patch capacity.swell balloons/status", "delete  pods", "update autoscaling horizontalpodautoscalers"} {
		if f := strings.Split(never, " "); may(f[0], f[1], f[2]) {
			t.Errorf("it may %s", never)
		}
	}
	r.externalAlone()
}

// externalAlone serves one of the two API groups.
func (r *rig) externalAlone() {
	r.t.Helper()
	p := r.replica("apis: [External]\n", "--drain", "0s")
	b := r.balancer(r.t.Context())
	r.kafkaDo(30, false)
	eventually(r.t, "the external API", func() error {
		return b.ask(p, "/apis/"+external+"/namespaces/shop/kafka_consumergroup_lag?labelSelector=cluster%3Dmain,group%3Dorders")
	})
	err := b.ask(p, "/apis/"+custom)
	if err == nil || !strings.Contains(err.Error(), "404") {
		r.t.Errorf("the other API: %v", err)
	}
	for _, path := range []string{"/healthz", "/livez", "/readyz"} {
		eventually(r.t, path+" on the secure port", func() error {
			resp, err := b.client.Get(fmt.Sprintf("https://127.0.0.1:%d%s", p.port, path))
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return errors.New(resp.Status)
			}
			return nil
		})
	}
}
