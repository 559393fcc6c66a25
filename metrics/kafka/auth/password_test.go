package auth_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"swell/api/config"
	"swell/metrics/kafka/auth"
	"swell/metrics/kafka/auth/authtest"
)

const secret = "pass,word=1"

func TestPasswords(t *testing.T) {
	for _, mechanism := range []config.SASLMechanism{config.SASLPlain, config.SASLScramSHA256, config.SASLScramSHA512} {
		t.Run(string(mechanism), func(t *testing.T) {
			dir := t.TempDir()
			k := clusterAt(brokers(t, kfake.EnableSASL(), kfake.Superuser(string(mechanism), "swell", secret)))
			file := authtest.Write(t, dir, "password", []byte(secret+"\n"))
			k.SASL = &config.KafkaSASL{Mechanism: mechanism, Username: "swell", PasswordFile: file}
			i, err := auth.New(k, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			if err := askAs(t, i, k); err != nil {
				t.Fatal(err)
			}
			authtest.Write(t, dir, "password", nil)
			if err := askAs(t, i, k); err != nil {
				t.Errorf("the file is empty for a moment: %v", err)
			}
			authtest.Write(t, dir, "password", []byte("not-this-one"))
			wantError(t, askAs(t, i, k), []string{"not-this-one"}, `user "swell"`, file, "clusters[name=main].sasl.passwordFile")
			authtest.Write(t, dir, "password", []byte(secret))
			if err := askAs(t, i, k); err != nil {
				t.Errorf("the password is right again: %v", err)
			}
		})
	}
}

func TestPasswordsThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	k := clusterAt(brokers(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "swell", secret)))
	for _, tc := range []struct{ file, want string }{
		{dir + "/nowhere", "no such file"}, {dir, "is a directory"}, {authtest.Write(t, dir, "empty", []byte("\n")), "is empty"},
	} {
		k.SASL = &config.KafkaSASL{Mechanism: config.SASLPlain, Username: "swell", PasswordFile: tc.file}
		wantError(t, ask(t, k), nil, tc.file, tc.want, "clusters[name=main].sasl.passwordFile")
	}
}

func TestTheBrokersOfferAnotherMechanism(t *testing.T) {
	k := clusterAt(brokers(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "swell", secret)))
	wantError(t, ask(t, k), nil, "wants a login, by PLAIN", "give clusters[name=main].sasl")
	k.SASL = &config.KafkaSASL{Mechanism: config.SASLOAuthBearer, OAuth: &config.OAuthClient{}}
	wantError(t, ask(t, k), nil, "OAUTHBEARER", "clusters[name=main].sasl.mechanism")
}

// A broker of Apache Kafka answers with a code where kfake hangs up.
func TestABrokerThatSaysWhyItRefuses(t *testing.T) {
	c := brokers(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "swell", secret))
	c.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		resp.ErrorCode, resp.ErrorMessage = kerr.SaslAuthenticationFailed.Code, kmsg.StringPtr("Authentication failed: Invalid username or password")
		return resp, nil, true
	})
	k := clusterAt(c)
	file := authtest.Write(t, t.TempDir(), "password", []byte("not-this-one"))
	k.SASL = &config.KafkaSASL{Mechanism: config.SASLPlain, Username: "swell", PasswordFile: file}
	wantError(t, ask(t, k), []string{"not-this-one"}, "Invalid username or password", `the brokers refused user "swell"`, file)
}

// Brokers with connections.max.reauth.ms have a standing connection log in again, with the password as it is then.
func TestAStandingConnectionTakesTheNewPassword(t *testing.T) {
	dir := t.TempDir()
	c := brokers(t, kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "swell", secret), kfake.BrokerConfigs(map[string]string{"connections.max.reauth.ms": "1500"}))
	k := clusterAt(c)
	k.SASL = &config.KafkaSASL{Mechanism: config.SASLScramSHA256, Username: "swell", PasswordFile: authtest.Write(t, dir, "password", []byte(secret))}
	i := identity(t, k)
	client, err := kgo.NewClient(append(i.Options(), kgo.SeedBrokers(k.Brokers...), kgo.RequestRetries(0))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	metadata := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, client)
		return i.Explain(err)
	}
	if err := metadata(); err != nil {
		t.Fatal(err)
	}
	authtest.Write(t, dir, "password", []byte("not-this-one"))
	time.Sleep(1600 * time.Millisecond)
	wantError(t, metadata(), []string{"not-this-one"}, `user "swell"`)
	authtest.Write(t, dir, "password", []byte(secret))
	if err := metadata(); err != nil {
		t.Error(err)
	}
}

// kfake hangs up on a wrong password, which must not be taken for a port without TLS.
func TestAWrongPasswordOverTLS(t *testing.T) {
	dir := t.TempDir()
	authority := authtest.NewAuthority(t, "brokers")
	pair := authority.Server(inAnHour, "127.0.0.1").TLS(t)
	c := brokers(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}}), kfake.EnableSASL(), kfake.Superuser("PLAIN", "swell", secret))
	k := clusterAt(c)
	k.TLS = &config.KafkaTLS{CAFile: authtest.Write(t, dir, "ca.crt", authority.PEM)}
	file := authtest.Write(t, dir, "password", []byte("not-this-one"))
	k.SASL = &config.KafkaSASL{Mechanism: config.SASLPlain, Username: "swell", PasswordFile: file}
	wantError(t, ask(t, k), []string{"not-this-one", "TLS port"}, `user "swell"`, file, "clusters[name=main].sasl.passwordFile")
}
