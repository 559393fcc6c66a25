package auth

import (
	"bytes"
	"context"
	"testing"
	"time"

	"swell/api/config"
)

// A broker may refuse a token with a code, of which the mechanism hears nothing.
func TestATokenThatWasNotAcceptedIsNotOfferedAgain(t *testing.T) {
	c := &tokenClock{at: time.Unix(1e9, 0), life: time.Hour}
	k := config.KafkaCluster{Name: "main", SASL: &config.KafkaSASL{Mechanism: config.SASLOAuthBearer, OAuth: &config.OAuthClient{}}}
	b := newBearer(k, nil)
	b.tokens.fetch, b.tokens.now = c.tokens(&bytes.Buffer{}).fetch, func() time.Time { return c.at }
	offered := func(broker string) string {
		if _, _, err := b.Authenticate(context.Background(), broker); err != nil {
			t.Fatal(err)
		}
		return b.offered[broker].token
	}
	silentFor := func(broker string, d time.Duration) {
		b.offered[broker] = offer{token: b.offered[broker].token, at: time.Now().Add(-d)}
	}
	if got := offered("a:1"); got != "token-1" {
		t.Error(got)
	}
	if got := offered("a:1"); got != "token-1" { // beside the first, not after it
		t.Error(got)
	}
	silentFor("a:1", 2*answerWithin)
	if got := offered("a:1"); got != "token-2" {
		t.Error(got)
	}
	session, _, err := b.Authenticate(context.Background(), "b:1")
	if err != nil {
		t.Fatal(err)
	}
	if done, _, err := session.Challenge(nil); !done || err != nil {
		t.Error(done, err)
	}
	if got := offered("b:1"); got != "token-2" {
		t.Error(got)
	}
	silentFor("a:1", 2*answerWithin)
	b.tokens.drop("token-2")
	if got := offered("b:1"); got != "token-3" {
		t.Error(got)
	}
	if got := offered("a:1"); got != "token-3" { // its refusal of token-2 says nothing about token-3
		t.Error(got)
	}
}
