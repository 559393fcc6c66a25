package ui

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"
)

// What a reader must be allowed: to get the subresource page of CapacityPools in the whole cluster.
const (
	Verb        = "get"
	APIGroup    = "capacity.swell"
	Resource    = "capacitypools"
	Subresource = "page"
)

const (
	// rememberAccess is how long an answer of the API server about a token or a right is remembered.
	rememberAccess = 5 * time.Second
	// reviewWithin is how long one such answer may take.
	reviewWithin = 10 * time.Second
)

// access is who may see the page, by the API server's word.
type access struct {
	authenticator authenticator.Request
	authorizer    authorizer.Authorizer
}

// newAccess asks the API server behind kube: tokens by TokenReview, certificates by the CA that it publishes, rights by
// SubjectAccessReview. The names in X-Remote headers count for nothing: no front proxy stands before the page.
func newAccess(ctx context.Context, kube kubernetes.Interface, log *slog.Logger) (*access, error) {
	backoff := wait.Backoff{Duration: 200 * time.Millisecond, Factor: 1.5, Jitter: 0.2, Steps: 3}
	a := &access{}
	config := authenticatorfactory.DelegatingAuthenticatorConfig{
		TokenAccessReviewClient: kube.AuthenticationV1(), TokenAccessReviewTimeout: reviewWithin,
		WebhookRetryBackoff: &backoff, CacheTTL: rememberAccess,
	}
	ca, err := clientCA(ctx, kube, log)
	if err != nil {
		return nil, fmt.Errorf("setting up who may see the page: %w", err)
	}
	config.ClientCertificateCAContentProvider = ca
	if a.authenticator, _, err = config.New(); err != nil {
		return nil, fmt.Errorf("setting up who may see the page: %w", err)
	}
	a.authorizer, err = authorizerfactory.DelegatingAuthorizerConfig{
		SubjectAccessReviewClient: kube.AuthorizationV1(), AllowCacheTTL: rememberAccess, DenyCacheTTL: rememberAccess,
		WebhookRetryBackoff: &backoff,
	}.New()
	if err != nil {
		return nil, fmt.Errorf("setting up who may see the page: %w", err)
	}
	return a, nil
}

// clientCA follows the CA of client certificates that the API server publishes. While it cannot be read no certificate is taken.
func clientCA(ctx context.Context, kube kubernetes.Interface, log *slog.Logger) (dynamiccertificates.CAContentProvider, error) {
	ca, err := dynamiccertificates.NewDynamicCAFromConfigMapController("client-ca", "kube-system", "extension-apiserver-authentication", "client-ca-file", kube)
	if err != nil {
		return nil, err
	}
	if err := ca.RunOnce(ctx); err != nil {
		log.Warn("the page takes tokens only until the CA of client certificates can be read; bind the Role extension-apiserver-authentication-reader in kube-system", "error", err)
	}
	go ca.Run(ctx, 1)
	return ca, nil
}

// guard lets those through whom the API server knows and allows.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := s.access
		known, ok, err := a.authenticator.AuthenticateRequest(r)
		if err != nil || !ok {
			if err != nil {
				s.options.Log.Debug("the page: not authenticated", "from", r.RemoteAddr, "error", err)
			}
			w.Header().Set("WWW-Authenticate", `Bearer realm="swell"`)
			http.Error(w, "401: the page is for those whom the API server knows. Open it with \"swell page\", or send a bearer token or a client certificate of the cluster.\n"+
				"The API server's proxy does not pass on who asks, so that the page cannot be opened through it.", http.StatusUnauthorized)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), reviewWithin)
		defer cancel()
		decision, _, err := a.authorizer.Authorize(ctx, authorizer.AttributesRecord{User: known.User, Verb: Verb,
			APIGroup: APIGroup, APIVersion: "v1alpha1", Resource: Resource, Subresource: Subresource, ResourceRequest: true})
		if err != nil {
			s.options.Log.Warn("the page: asking whether a user may see it", "user", known.User.GetName(), "error", err)
			http.Error(w, "503: the API server does not answer whether you may see the page; try again", http.StatusServiceUnavailable)
			return
		}
		if decision != authorizer.DecisionAllow {
			http.Error(w, fmt.Sprintf("403: %q may not see the page. Bind the ClusterRole swell-scaler:page, or any that allows %s on %s/%s of %s.",
				known.User.GetName(), Verb, Resource, Subresource, APIGroup), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, known.User.GetName())))
	})
}

// userKey finds the reader's name in a request's context.
type userKey struct{}

func userOf(r *http.Request) string {
	name, _ := r.Context().Value(userKey{}).(string)
	return name
}
