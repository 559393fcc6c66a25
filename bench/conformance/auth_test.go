package conformance_test

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"swell/api/config"
)

var authCases = []testCase{
	{"SASL PLAIN over TLS", func(e *env) { asUser(e, config.SASLPlain) }},
	{"SCRAM-SHA-256 over TLS", func(e *env) { asUser(e, config.SASLScramSHA256) }},
	{"SCRAM-SHA-512 over TLS", func(e *env) { asUser(e, config.SASLScramSHA512) }},
	{"mutual TLS", mutual},
	{"wrong password", wrongPassword},
	{"brokers of another authority", otherAuthority},
	{"no certificate of its own", noCertificate},
}

// realCases need what kfake does not have.
var realCases = []testCase{{"OAUTHBEARER over TLS", bearer}}

// readable makes a topic and a group that a principal may ask about.
func (e *env) readable(principal string) ask {
	e.Helper()
	e.topic(e.name, 1)
	e.produce(e.name, 0, 5)
	e.commit(e.name, e.name, 0, 2)
	if principal != "" {
		e.allow(principal, kadm.OpDescribe, []string{e.name}, []string{e.name})
	}
	return committed(e.name, e.name)
}

func asUser(plain *env, mechanism config.SASLMechanism) {
	e := newEnvOn(plain.T, plain.target, plain.name, plain.target.operator...)
	a := e.readable(reader)
	cluster := e.asReader()
	cluster.SASL.Mechanism = mechanism
	w := newWatch(e.T, cluster, a)
	w.poll()
	w.expect(a, lags{at(e.name, 0): known(3)})
}

// bearer gets its token from an endpoint, as an OpenID Connect provider has it; the broker takes it unsigned.
func bearer(e *env) {
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id, secret, ok := r.BasicAuth(); (!ok || id != "reader" || secret != "client-secret") && (r.FormValue("client_id") != "reader" || r.FormValue("client_secret") != "client-secret") {
			http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": unsigned("reader"), "token_type": "Bearer", "expires_in": 600})
	}))
	defer provider.Close()
	a := e.readable(reader)
	cluster := clusterAt(e.target.sasl)
	cluster.TLS = &config.KafkaTLS{CAFile: e.target.pki.authorityFile}
	cluster.SASL = &config.KafkaSASL{Mechanism: config.SASLOAuthBearer, OAuth: &config.OAuthClient{TokenURL: provider.URL, ClientID: "reader",
		ClientSecretFile: file(e.T, e.TempDir(), "secret", []byte("client-secret"))}}
	w := newWatch(e.T, cluster, a)
	w.poll()
	w.expect(a, lags{at(e.name, 0): known(3)})
}

// unsigned is a token of RFC 7519 without a signature.
func unsigned(subject string) string {
	part := func(claims map[string]any) string {
		text, _ := json.Marshal(claims) // of strings and numbers
		return base64.RawURLEncoding.EncodeToString(text)
	}
	now := time.Now()
	return part(map[string]any{"alg": "none"}) + "." + part(map[string]any{"sub": subject, "iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix()}) + "."
}

func mutual(plain *env) {
	e, principal := plain, "User:"+mutualUser
	if plain.target.isFake() {
		// kfake does not tell who comes by a certificate, only that it has one.
		pair, err := tls.LoadX509KeyPair(plain.target.pki.clientCertFile, plain.target.pki.clientKeyFile)
		if err != nil {
			plain.Fatal(err)
		}
		dial := plain.target.pki.client()
		dial.Certificates = []tls.Certificate{pair}
		e, principal = newEnvOn(plain.T, plain.target, plain.name, kgo.SeedBrokers(plain.target.mutual...), kgo.DialTLSConfig(dial)), ""
	}
	a := e.readable(principal)
	cluster := clusterAt(e.target.mutual)
	cluster.TLS = &config.KafkaTLS{CAFile: e.target.pki.authorityFile, CertFile: e.target.pki.clientCertFile, KeyFile: e.target.pki.clientKeyFile}
	w := newWatch(e.T, cluster, a)
	w.poll()
	w.expect(a, lags{at(e.name, 0): known(3)})
}

// refused expects a poll that fails, a group that says why, and nothing that is known.
func (e *env) refused(cluster config.KafkaCluster, words ...string) {
	e.Helper()
	a := committed(e.name, e.name)
	w := newWatch(e.T, cluster, a)
	err := w.poller.Poll(e.Context())
	if err == nil {
		e.Fatal("the poll worked")
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			e.Errorf("error %q does not say %q", err, word)
		}
	}
	if view := w.view(a); view.Problem == "" || len(view.Readings) != 0 {
		e.Errorf("the group reads as %+v, want a problem and no partition", view)
	}
}

func wrongPassword(e *env) {
	cluster := e.asReader()
	cluster.SASL.PasswordFile = file(e.T, e.TempDir(), "password", []byte("another"))
	e.refused(cluster, clusterName, "sasl.passwordFile")
}

func otherAuthority(e *env) {
	cluster := e.asReader()
	cluster.TLS.CAFile = newPKI(e.T).authorityFile
	e.refused(cluster, clusterName, "tls.caFile")
}

func noCertificate(e *env) {
	cluster := clusterAt(e.target.mutual)
	cluster.TLS = &config.KafkaTLS{CAFile: e.target.pki.authorityFile}
	e.refused(cluster, clusterName, "tls.certFile")
}
