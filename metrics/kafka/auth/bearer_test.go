package auth_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"swell/api/config"
	"swell/metrics/kafka/auth"
	"swell/metrics/kafka/auth/authtest"
)

// bearerCluster is a cluster that takes tokens of a provider, with the configuration for it.
func bearerCluster(t *testing.T, s authtest.ProviderSettings) (config.KafkaCluster, *authtest.Provider, *authtest.Logins) {
	t.Helper()
	a := authtest.NewAuthority(t, "provider's")
	s.ClientID, s.Secret, s.Scope, s.Audience = "swell", secret, "kafka.read kafka.describe", "kafka"
	p := authtest.NewProvider(t, a.Server(inAnHour).TLS(t), s)
	c := brokers(t)
	logins := authtest.VerifySASL(c, "OAUTHBEARER", func(first []byte) ([]byte, error) {
		token, extensions, err := authtest.ParseBearer(first)
		switch {
		case err != nil:
			return nil, err
		case !p.Issued(token):
			return nil, authtest.Unaccepted(`{"status":"invalid_token","seen":"` + token + `"}`)
		case extensions["logicalCluster"] != "lkc-1" || len(extensions) != 1:
			return nil, fmt.Errorf("extensions %v", extensions)
		}
		return nil, nil
	})
	dir := t.TempDir()
	k := clusterAt(c)
	k.SASL = &config.KafkaSASL{Mechanism: config.SASLOAuthBearer, OAuth: &config.OAuthClient{
		TokenURL: p.URL, ClientID: "swell", ClientSecretFile: authtest.Write(t, dir, "secret", []byte(secret)),
		Scopes: []string{"kafka.read", "kafka.describe"}, Audience: "kafka", CAFile: authtest.Write(t, dir, "ca.crt", a.PEM),
		Extensions: map[string]string{"logicalCluster": "lkc-1"},
	}}
	return k, p, logins
}

func identity(t *testing.T, k config.KafkaCluster) *auth.Identity {
	t.Helper()
	i, err := auth.New(k, nil)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestOneTokenServesManyConnections(t *testing.T) {
	for name, s := range map[string]authtest.ProviderSettings{"basic": {ExpiresIn: 3600}, "in the body": {ExpiresIn: 3600, SecretInBody: true}} {
		t.Run(name, func(t *testing.T) {
			k, p, logins := bearerCluster(t, s)
			i := identity(t, k)
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					if err := askAs(t, i, k); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			want := 1
			if s.SecretInBody {
				want = 2 // the first try is by basic authentication
			}
			if n := len(p.Requests()); n != want || logins.Accepted.Load() < 20 || logins.Refused.Load() != 0 {
				t.Errorf("%d requests to the provider, %d logins, %d refused", n, logins.Accepted.Load(), logins.Refused.Load())
			}
		})
	}
}

func TestTokensAreRenewedUnderLoad(t *testing.T) {
	k, p, logins := bearerCluster(t, authtest.ProviderSettings{ExpiresIn: 1})
	i := identity(t, k)
	var wg sync.WaitGroup
	end := time.Now().Add(3 * time.Second)
	for range 3 {
		wg.Go(func() {
			for time.Now().Before(end) && !t.Failed() {
				if err := askAs(t, i, k); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	// How often is tokens_test.go's; here, no token may be over that a broker is given.
	if n := int64(len(p.Requests())); n < 2 || logins.Refused.Load() != 0 || logins.Accepted.Load() < 3*n {
		t.Errorf("%d tokens, %d logins, %d refused", n, logins.Accepted.Load(), logins.Refused.Load())
	}
}

func TestATokenOfUnknownLifeServesOnce(t *testing.T) {
	k, p, _ := bearerCluster(t, authtest.ProviderSettings{})
	i := identity(t, k)
	for range 3 {
		if err := askAs(t, i, k); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(p.Requests()); n < 3 {
		t.Errorf("%d tokens for 3 clients", n)
	}
}

func TestATokenThatBrokersRefuseIsNotKept(t *testing.T) {
	k, p, _ := bearerCluster(t, authtest.ProviderSettings{ExpiresIn: 3600})
	i := identity(t, k)
	if err := askAs(t, i, k); err != nil {
		t.Fatal(err)
	}
	p.Revoke()
	wantError(t, askAs(t, i, k), []string{secret, "token-"}, "invalid_token", "***", `client "swell"`, "clusters[name=main].sasl.oauth", p.URL)
	if err := askAs(t, i, k); err != nil {
		t.Errorf("with a new token: %v", err)
	}
}

func TestProvidersThatGiveNoToken(t *testing.T) {
	for name, tc := range map[string]struct {
		set  func(*authtest.ProviderSettings)
		k    func(*config.OAuthClient)
		want []string
	}{
		"wrong secret": {set: func(s *authtest.ProviderSettings) { s.Secret = "another" }, want: []string{"401", "invalid_client", "***", "clientID"}},
		"wrong scope":  {k: func(o *config.OAuthClient) { o.Scopes = nil }, want: []string{"400", "invalid_scope", "scopes"}},
		"server error": {set: func(s *authtest.ProviderSettings) { s.Status, s.Type, s.Body = 500, "text/plain", "oops "+secret }, want: []string{"500", "log"}},
		"garbage": {set: func(s *authtest.ProviderSettings) {
			s.Status, s.Type, s.Body = 200, "application/json", "<html>"+secret
		}, want: []string{"parse json", "sasl.oauth.tokenURL"}},
		"no token": {set: func(s *authtest.ProviderSettings) { s.Status, s.Type, s.Body = 200, "application/json", "{}" }, want: []string{"missing access_token"}},
		"error in 200": {set: func(s *authtest.ProviderSettings) {
			s.Status, s.Type, s.Body = 200, "application/json", `{"error":"slow_down"}`
		}, want: []string{"slow_down"}},
		"redirect": {set: func(s *authtest.ProviderSettings) { s.Status, s.Type, s.Body = 307, "text/plain", "" }, want: []string{"307"}},
		"mac token": {set: func(s *authtest.ProviderSettings) {
			s.Status, s.Type, s.Body = 200, "application/json", `{"access_token":"a","token_type":"mac"}`
		}, want: []string{"bearer tokens"}},
		"broken token": {set: func(s *authtest.ProviderSettings) {
			s.Status, s.Type, s.Body = 200, "application/json", `{"access_token":"a\u0001auth=b"}`
		}, want: []string{"printable"}},
		"authority":     {k: func(o *config.OAuthClient) { o.CAFile = "" }, want: []string{"unknown authority", "clusters[name=main].sasl.oauth.caFile"}},
		"nobody there":  {k: func(o *config.OAuthClient) { o.TokenURL = "https://127.0.0.1:1/token" }, want: []string{"refused", "https://127.0.0.1:1/token"}},
		"no secret":     {k: func(o *config.OAuthClient) { o.ClientSecretFile = "nowhere" }, want: []string{"nowhere", "clusters[name=main].sasl.oauth.clientSecretFile"}},
		"wrong CA file": {k: func(o *config.OAuthClient) { o.CAFile = o.ClientSecretFile }, want: []string{"clusters[name=main].sasl.oauth.caFile"}},
	} {
		t.Run(name, func(t *testing.T) {
			k, p, logins := bearerCluster(t, authtest.ProviderSettings{ExpiresIn: 3600})
			if tc.set != nil {
				p.Set(tc.set)
			}
			if tc.k != nil {
				tc.k(k.SASL.OAuth)
			}
			wantError(t, ask(t, k), []string{secret, "pass%2Cword"}, tc.want...)
			if logins.Accepted.Load()+logins.Refused.Load() != 0 {
				t.Error("the broker was asked")
			}
		})
	}
}

func TestBearerBrokersThatAnswerWithACode(t *testing.T) {
	k, _, _ := bearerCluster(t, authtest.ProviderSettings{ExpiresIn: 3600})
	k.SASL.OAuth.Extensions = nil
	err := ask(t, k)
	wantError(t, err, []string{secret}, "extensions map[]", "the token of client")
	if errors.Unwrap(err) == nil {
		t.Error("the cause is lost")
	}
}
