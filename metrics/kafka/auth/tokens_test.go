package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

// tokenClock is a provider and its time: each token lives a hundred seconds.
type tokenClock struct {
	at      time.Time
	fetched int
	fail    error
	hang    chan struct{}
	life    time.Duration
}

func (c *tokenClock) tokens(log *bytes.Buffer) *tokens {
	return &tokens{timeout: 20 * time.Millisecond, now: func() time.Time { return c.at }, log: slog.New(slog.NewTextHandler(log, nil)),
		fetch: func(context.Context) (*oauth2.Token, error) {
			if c.hang != nil {
				<-c.hang
			}
			if c.fail != nil {
				return nil, c.fail
			}
			c.fetched++
			token := &oauth2.Token{AccessToken: fmt.Sprint("token-", c.fetched)}
			if c.life != 0 {
				token.Expiry = c.at.Add(c.life)
			}
			return token, nil
		}}
}

func TestATokenIsRenewedBeforeItsEnd(t *testing.T) {
	c := &tokenClock{at: time.Unix(1e9, 0), life: 100 * time.Second}
	start, down := c.at, errors.New("the provider is down")
	tokens := c.tokens(&bytes.Buffer{})
	for _, step := range []struct {
		seconds int
		fail    error
		want    string // empty: an error
	}{
		{0, nil, "token-1"}, {79, down, "token-1"}, {80, nil, "token-2"}, {159, nil, "token-2"},
		{165, down, "token-2"}, {166, nil, "token-2"}, {176, nil, "token-3"}, // asked again after ten seconds only
		{260, down, "token-3"}, {265, down, "token-3"}, {266, down, ""}, {267, nil, "token-4"}, // not used in its last ten seconds
	} {
		c.at, c.fail = start.Add(time.Duration(step.seconds)*time.Second), step.fail
		got, err := tokens.get(context.Background())
		if got != step.want || (err != nil) != (step.want == "") {
			t.Errorf("at %d s: %q, %v; want %q", step.seconds, got, err, step.want)
		}
	}
}

func TestAFailedRenewalIsLogged(t *testing.T) {
	c := &tokenClock{at: time.Unix(1e9, 0), life: 100 * time.Second}
	var log bytes.Buffer
	tokens := c.tokens(&log)
	if _, err := tokens.get(context.Background()); err != nil {
		t.Fatal(err)
	}
	c.at, c.fail = c.at.Add(85*time.Second), errors.New("the provider is down")
	for range 5 {
		if token, err := tokens.get(context.Background()); token != "token-1" || err != nil {
			t.Errorf("%q, %v", token, err)
		}
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), "the provider is down") || strings.Contains(log.String(), "token-1") {
		t.Errorf("want one warning without the token:\n%s", log.String())
	}
}

func TestNobodyWaitsLongForAProviderThatHangs(t *testing.T) {
	c := &tokenClock{at: time.Unix(1e9, 0), life: 100 * time.Second}
	tokens := c.tokens(&bytes.Buffer{})
	if _, err := tokens.get(context.Background()); err != nil {
		t.Fatal(err)
	}
	c.at, c.hang = c.at.Add(85*time.Second), make(chan struct{})
	if token, err := tokens.get(context.Background()); token != "token-1" || err != nil {
		t.Errorf("%q, %v: want the old one, which still serves", token, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	tokens.drop("token-1")
	if token, err := tokens.get(ctx); token != "" || !errors.Is(err, context.Canceled) {
		t.Errorf("%q, %v: want no token", token, err)
	}
	close(c.hang)
	if token, err := tokens.get(context.Background()); token != "token-2" || err != nil {
		t.Errorf("%q, %v", token, err)
	}
}
