package authtest

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// Provider is the token endpoint of an OpenID provider, by RFC 6749: it answers the client credentials grant of one client.
type Provider struct {
	// URL is its token endpoint.
	URL string

	mu sync.Mutex
	// how it answers; change it with Set.
	settings ProviderSettings
	requests []url.Values
	tokens   map[string]time.Time // and their ends; zero: none
}

// ProviderSettings are how a provider answers.
type ProviderSettings struct {
	ClientID, Secret string
	// Scope and Audience must be asked for.
	Scope, Audience string
	// SecretInBody takes the client's secret as parameters only; otherwise by basic authentication only.
	SecretInBody bool
	// ExpiresIn is the life of a token, seconds; 0 is left out of the answer.
	ExpiresIn int
	// Status, Type and Body replace the answer where Status is not 0.
	Status     int
	Type, Body string
}

// NewProvider starts a provider with the certificate of a server.
func NewProvider(t testing.TB, cert tls.Certificate, s ProviderSettings) *Provider {
	t.Helper()
	p := &Provider{settings: s, tokens: map[string]time.Time{}}
	server := httptest.NewUnstartedServer(p)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.Config.ErrorLog = quiet
	server.StartTLS()
	t.Cleanup(server.Close)
	p.URL = server.URL + "/oauth/token"
	return p
}

// Set changes how it answers.
func (p *Provider) Set(change func(*ProviderSettings)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.settings)
}

// Requests are the forms of all requests so far.
func (p *Provider) Requests() []url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]url.Values(nil), p.requests...)
}

// Issued says whether it gave a token that is not over and was not revoked.
func (p *Provider) Issued(token string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	end, ok := p.tokens[token]
	return ok && (end.IsZero() || time.Now().Before(end))
}

// Revoke takes back all tokens.
func (p *Provider) Revoke() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.tokens)
}

func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || r.URL.Path != "/oauth/token" {
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_request"})
		return
	}
	p.requests = append(p.requests, r.PostForm)
	s := p.settings
	if s.Status != 0 {
		w.Header().Set("Content-Type", s.Type)
		w.WriteHeader(s.Status)
		_, _ = w.Write([]byte(s.Body))
		return
	}
	// RFC 6749, 2.3.1: both halves of the basic credentials are encoded as a form's.
	id, secret, basic := r.BasicAuth()
	id, _ = url.QueryUnescape(id)
	secret, _ = url.QueryUnescape(secret)
	if s.SecretInBody {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	switch {
	case s.SecretInBody == basic, id != s.ClientID, secret != s.Secret:
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client", "error_description": "no such client with secret " + secret})
	case r.PostForm.Get("grant_type") != "client_credentials":
		answer(w, http.StatusBadRequest, map[string]any{"error": "unsupported_grant_type"})
	case r.PostForm.Get("scope") != s.Scope || r.PostForm.Get("audience") != s.Audience:
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_scope"})
	default:
		token := fmt.Sprintf("token-%d", len(p.requests))
		body := map[string]any{"access_token": token, "token_type": "bearer"}
		p.tokens[token] = time.Time{}
		if s.ExpiresIn != 0 {
			body["expires_in"] = s.ExpiresIn
			p.tokens[token] = time.Now().Add(time.Duration(s.ExpiresIn) * time.Second)
		}
		answer(w, http.StatusOK, body)
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
