package auth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"swell/api/config"
)

// bearer is OAUTHBEARER with tokens of an OpenID provider. A token serves all connections until it is nearly over.
type bearer struct {
	cluster config.KafkaCluster
	tokens  tokens
	pool    rotating[*x509.CertPool]
	secret  rotating[string]
	client  clientcredentials.Config

	mu sync.Mutex
	// offered is what each broker was last given and has not accepted.
	offered map[string]offer
}

// offer is a token that was given to a broker.
type offer struct {
	token string
	at    time.Time
}

// answerWithin is the time after which a token that was not accepted counts as refused; before that, another connection to
// the same broker may still be waiting for the answer.
const answerWithin = time.Second

func newBearer(k config.KafkaCluster, log *slog.Logger) *bearer {
	o := k.SASL.OAuth
	b := &bearer{
		cluster: k, offered: map[string]offer{},
		pool: rotating[*x509.CertPool]{log: log, load: func() (*x509.CertPool, error) { return readPool(fieldOf(k, "sasl.oauth.caFile"), o.CAFile) }},
		secret: rotating[string]{log: log, load: func() (string, error) {
			return readSecret(fieldOf(k, "sasl.oauth.clientSecretFile"), o.ClientSecretFile)
		}},
		client: clientcredentials.Config{ClientID: o.ClientID, TokenURL: o.TokenURL, Scopes: o.Scopes},
	}
	if o.Audience != "" {
		b.client.EndpointParams = url.Values{"audience": {o.Audience}}
	}
	b.tokens = tokens{fetch: b.fetch, timeout: timeout(k), now: time.Now, log: log}
	return b
}

func (b *bearer) Name() string { return string(config.SASLOAuthBearer) }

// Authenticate gives a broker a token.
func (b *bearer) Authenticate(ctx context.Context, broker string) (sasl.Session, []byte, error) {
	b.mu.Lock()
	if last, ok := b.offered[broker]; ok && time.Since(last.at) > answerWithin {
		// It was not accepted, whatever its age says: the provider may have changed its keys.
		b.tokens.drop(last.token)
		delete(b.offered, broker)
	}
	b.mu.Unlock()
	token, err := b.tokens.get(ctx)
	if err != nil {
		return nil, nil, explained{fmt.Errorf("log in to Kafka cluster %q: %w", b.cluster.Name, err)}
	}
	b.mu.Lock()
	b.offered[broker] = offer{token: token, at: time.Now()}
	b.mu.Unlock()
	session, first, err := oauth.Auth{Token: token, Extensions: b.cluster.SASL.OAuth.Extensions}.AsMechanism().Authenticate(ctx, broker)
	return &bearerSession{Session: session, of: b, broker: broker, token: token}, first, err
}

// bearerSession learns what a broker says to a token.
type bearerSession struct {
	sasl.Session
	of            *bearer
	broker, token string
}

// Challenge is called with the broker's answer: empty where it accepted the token, else its reason as RFC 7628 has it.
func (s *bearerSession) Challenge(answer []byte) (bool, []byte, error) {
	s.of.mu.Lock()
	delete(s.of.offered, s.broker)
	s.of.mu.Unlock()
	if len(answer) > 0 {
		s.of.tokens.drop(s.token)
		return false, nil, explained{fmt.Errorf("log in to Kafka cluster %q at broker %s: it answered %.200q: it refused %s",
			s.of.cluster.Name, s.broker, withoutSecrets(string(answer), s.token), login(s.of.cluster))}
	}
	return s.Session.Challenge(answer)
}

// fetch asks the provider for a token. Only one call runs at a time.
func (b *bearer) fetch(ctx context.Context) (*oauth2.Token, error) {
	o := b.cluster.SASL.OAuth
	secret, err := b.secret.get()
	if err != nil {
		return nil, err
	}
	pool, err := b.pool.get()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	// A redirect would take the secret to somewhere that nobody configured.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client := &http.Client{Transport: transport, CheckRedirect: stay}
	b.client.ClientSecret = secret
	token, err := b.request(context.WithValue(ctx, oauth2.HTTPClient, client))
	if err != nil {
		return nil, fmt.Errorf("get a token from %s for client %q: %s", o.TokenURL, o.ClientID, withoutSecrets(b.describe(err), secret))
	}
	if t := token.Type(); t != "Bearer" {
		return nil, fmt.Errorf("get a token from %s for client %q: it gave one of type %q: configure the client for bearer tokens there", o.TokenURL, o.ClientID, t)
	}
	if strings.ContainsFunc(token.AccessToken, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fmt.Errorf("get a token from %s for client %q: it is not of printable ASCII: check %s", o.TokenURL, o.ClientID, fieldOf(b.cluster, "sasl.oauth.tokenURL"))
	}
	return token, nil
}

// request sends the secret by basic authentication, which every provider should take, or else in the body, and keeps to what
// worked. Where neither does, the more telling answer is returned.
func (b *bearer) request(ctx context.Context) (*oauth2.Token, error) {
	if b.client.AuthStyle != oauth2.AuthStyleAutoDetect {
		return b.client.Token(ctx)
	}
	b.client.AuthStyle = oauth2.AuthStyleInHeader
	token, first := b.client.Token(ctx)
	if first == nil {
		return token, nil
	}
	if clientUnknown(first) {
		b.client.AuthStyle = oauth2.AuthStyleInParams
		token, err := b.client.Token(ctx)
		if err == nil {
			return token, nil
		}
		if !clientUnknown(err) {
			first = err
		}
	}
	b.client.AuthStyle = oauth2.AuthStyleAutoDetect
	return nil, first
}

// clientUnknown says whether a provider may have missed the client's secret where it looks for it.
func clientUnknown(err error) bool {
	var refused *oauth2.RetrieveError
	return errors.As(err, &refused) && (refused.Response.StatusCode == http.StatusUnauthorized ||
		refused.ErrorCode == "invalid_client" || refused.ErrorCode == "invalid_request")
}

// describe says why the provider gave no token, and the mend. The body of an answer is left out, since nobody knows what
// is in it.
func (b *bearer) describe(err error) string {
	k := b.cluster
	var refused *oauth2.RetrieveError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &refused):
		what := "it answered " + refused.Response.Status
		if refused.ErrorCode != "" {
			what += fmt.Sprintf(", error %.100q", refused.ErrorCode)
		}
		if refused.ErrorDescription != "" {
			what += fmt.Sprintf(" (%.200q)", refused.ErrorDescription)
		}
		if refused.Response.StatusCode >= 500 {
			return what + ": see the provider's log; it is asked again at the next connection"
		}
		return fmt.Sprintf("%s: check clientID, scopes and audience of %s, and the secret in %s", what, fieldOf(k, "sasl.oauth"), k.SASL.OAuth.ClientSecretFile)
	case errors.As(err, &unknown):
		return fmt.Sprintf("%v: name the authority of the provider's certificate with %s", err, fieldOf(k, "sasl.oauth.caFile"))
	default:
		return fmt.Sprintf("%v: check that %s is its token endpoint and can be reached from here", err, fieldOf(k, "sasl.oauth.tokenURL"))
	}
}

// withoutSecrets takes a secret out of what a provider said, plain or as a form sends it.
func withoutSecrets(text, secret string) string {
	return strings.NewReplacer(secret, "***", url.QueryEscape(secret), "***").Replace(text)
}
