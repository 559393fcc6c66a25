package auth

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

// tokens keeps one token and renews it in time. Any number of callers cause one request to the provider.
type tokens struct {
	fetch   func(context.Context) (*oauth2.Token, error)
	timeout time.Duration // of one fetch
	now     func() time.Time
	log     *slog.Logger

	mu    sync.Mutex
	token string
	// renewAt is when a new one is fetched, at four fifths of its life; until is when it is used no more, shortly before its
	// end. Both are zero for a token whose life the provider did not tell: it serves one caller.
	renewAt, until time.Time
	flight         *flight
}

// flight is one request to the provider.
type flight struct {
	done  chan struct{}
	token string
	err   error
}

// retryAfter is the pause before a provider that failed is asked again while the token still serves.
const retryAfter = 10 * time.Second

// get gives a token that is good for a while. While it is being renewed all wait for the new one, but not for long where
// the old one still serves.
func (t *tokens) get(ctx context.Context) (string, error) {
	t.mu.Lock()
	now := t.now()
	old, serves := t.token, t.token != "" && now.Before(t.until)
	if serves && now.Before(t.renewAt) {
		t.mu.Unlock()
		return old, nil
	}
	if t.flight == nil {
		t.flight = &flight{done: make(chan struct{})}
		go t.fly(context.WithoutCancel(ctx), t.flight)
	}
	f := t.flight
	t.mu.Unlock()
	var patience <-chan time.Time
	if serves {
		timer := time.NewTimer(t.timeout / 4)
		defer timer.Stop()
		patience = timer.C
	}
	select {
	case <-f.done:
		if f.err != nil && serves {
			return old, nil
		}
		return f.token, f.err
	case <-patience:
		return old, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (t *tokens) fly(ctx context.Context, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	token, err := t.fetch(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	switch {
	case err == nil:
		f.token = token.AccessToken
		t.token, t.renewAt, t.until = token.AccessToken, time.Time{}, time.Time{}
		if life := token.Expiry.Sub(now); !token.Expiry.IsZero() && life > 0 {
			t.renewAt, t.until = now.Add(life*4/5), token.Expiry.Add(-min(10*time.Second, life/10))
		}
	case now.Before(t.until):
		f.err = err
		t.renewAt = now.Add(retryAfter)
		t.log.Warn("go on with the token as it is: it could not be renewed", "error", err, "until", t.until)
	default:
		f.err = err
	}
	t.flight = nil
	close(f.done)
}

// drop forgets a token that a broker did not take.
func (t *tokens) drop(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token {
		t.token = ""
	}
}
