package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
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
	for _, needed := range []string{"create  events", "patch  events", "create authentication.k8s.io tokenreviews", "create authorization.k8s.io subjectaccessreviews", "list autoscaling horizontalpodautoscalers",
		"update apps deployments/scale", "update apps statefulsets/scale", "update argoproj.io rollouts/scale", "get apps deployments/scale",
		"watch capacity.swell queueconsumers", "list capacity.swell balloons", "watch capacity.swell balloons", "patch capacity.swell queueconsumers/status", "watch  pods", "get external.metrics.k8s.io queue_depth", "list custom.metrics.k8s.io pods/requests"} {
		if f := strings.Split(needed, " "); !may(f[0], f[1], f[2]) {
			t.Errorf("it may not %s", needed)
		}
	}
	for _, never := range []string{"get  secrets", "create  secrets", "update apps deployments", "patch capacity.swell queueconsumers", "patch capacity.swell balloons", "patch capacity.swell balloons/status", "delete  pods", "update autoscaling horizontalpodautoscalers"} {
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
	r.tokenIsAskedAbout(p)
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

// tokenIsAskedAbout comes with a token, past the aggregator: who that is, and whether he may, is asked of the API server.
func (r *rig) tokenIsAskedAbout(p *replica) {
	r.t.Helper()
	token, err := r.core.CoreV1().ServiceAccounts("default").CreateToken(r.t.Context(), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	direct := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	eventually(r.t, "a token's holder is known", func() error {
		request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d/metrics", p.port), nil)
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+token.Status.Token)
		resp, err := direct.Do(request)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusForbidden || !strings.Contains(string(body), "system:serviceaccount:default:default") {
			return fmt.Errorf("%s, %w: %s", resp.Status, err, body)
		}
		return nil
	})
}
