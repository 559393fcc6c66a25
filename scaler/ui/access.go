package ui

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/request/x509"
	"k8s.io/apiserver/pkg/authentication/user"
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
	// askWithin is how long a request may take until it is let in or refused.
	askWithin = waitInLine + 2*reviewWithin + writeWithin
)

// KubeRate is how many calls a second the client of a Server should be allowed: reviews of tokens that were not seen before, as many
// answers on rights, and what readers who were let in before need.
const KubeRate = 2*ReviewRate + 10

// access is who may see the page, by the API server's word.
type access struct {
	authenticator authenticator.Request
	tokens        *tokens
	authorizer    authorizer.Authorizer
}

// newAccess asks the API server behind kube: tokens by TokenReview, certificates by the CA that it publishes, rights by
// SubjectAccessReview. The names in X-Remote headers count for nothing: no front proxy stands before the page.
func newAccess(ctx context.Context, kube kubernetes.Interface, log *slog.Logger) (*access, error) {
	ca, err := clientCA(ctx, kube, log)
	if err != nil {
		return nil, fmt.Errorf("setting up who may see the page: %w", err)
	}
	a := &access{tokens: newTokens(kube)}
	a.authenticator = group.NewAuthenticatedGroupAdder(union.New(x509.NewDynamic(ca.VerifyOptions, x509.CommonNameUserConversion), bearertoken.New(a.tokens)))
	backoff := wait.Backoff{Duration: 200 * time.Millisecond, Factor: 1.5, Jitter: 0.2, Steps: 3}
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
		asks := &asker{from: sourceOf(r.RemoteAddr)}
		who, ok := s.known(w, r, asks)
		if !ok || !s.allowed(w, r, who) {
			return
		}
		if asks.token != "" {
			s.access.tokens.letIn(asks.token, time.Now())
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeWithin))
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, who.GetName())))
	})
}

// known is who asks; false is that the answer was given.
func (s *Server) known(w http.ResponseWriter, r *http.Request, asks *asker) (user.Info, bool) {
	known, ok, err := s.access.authenticator.AuthenticateRequest(r.WithContext(context.WithValue(r.Context(), askerKey{}, asks)))
	switch {
	case err == nil && ok:
		return known.User, true
	case errors.Is(err, errBusy):
		s.refuse(w, http.StatusTooManyRequests, "too many who are not known ask for the page at once; try again in some seconds")
	case errors.Is(err, errNoAnswer):
		s.options.Log.Warn("the page: asking whose a token is", "error", err)
		s.refuse(w, http.StatusServiceUnavailable, "the API server does not say who you are; try again")
	default:
		if err != nil {
			s.options.Log.Debug("the page: not authenticated", "from", r.RemoteAddr, "error", err)
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="swell"`)
		s.refuse(w, http.StatusUnauthorized, "the page is for those whom the API server knows. Open it with \"swell page\", or send a bearer token or a client certificate of the cluster.\n"+
			"The API server's proxy does not pass on who asks, so that the page cannot be opened through it.")
	}
	return nil, false
}

// refuse answers and closes the connection: who is not let in keeps no place.
func (s *Server) refuse(w http.ResponseWriter, code int, text string) {
	if code != http.StatusUnauthorized {
		w.Header().Set("Retry-After", "5")
	}
	w.Header().Set("Connection", "close")
	http.Error(w, fmt.Sprintf("%d: %s", code, text), code)
}

// allowed says whether somebody may see the page; false is that the answer was given.
func (s *Server) allowed(w http.ResponseWriter, r *http.Request, who user.Info) bool {
	ctx, cancel := context.WithTimeout(r.Context(), reviewWithin)
	defer cancel()
	decision, _, err := s.access.authorizer.Authorize(ctx, authorizer.AttributesRecord{User: who, Verb: Verb,
		APIGroup: APIGroup, APIVersion: "v1alpha1", Resource: Resource, Subresource: Subresource, ResourceRequest: true})
	if err != nil {
		s.options.Log.Warn("the page: asking whether a user may see it", "user", who.GetName(), "error", err)
		s.refuse(w, http.StatusServiceUnavailable, "the API server does not answer whether you may see the page; try again")
		return false
	}
	if decision != authorizer.DecisionAllow {
		http.Error(w, fmt.Sprintf("403: %q may not see the page. Bind the ClusterRole swell-scaler:page, or any that allows %s on %s/%s of %s.",
			who.GetName(), Verb, Resource, Subresource, APIGroup), http.StatusForbidden)
		return false
	}
	return true
}

// userKey finds the reader's name in a request's context.
type userKey struct{}

func userOf(r *http.Request) string {
	name, _ := r.Context().Value(userKey{}).(string)
	return name
}
