package backfill

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	// tries of a request that a server could not answer, with waits of retryFirst and twice as long each time, or as long as it
	// says, at most retryMost.
	tries      = 4
	retryFirst = time.Second
	retryMost  = 2 * time.Minute
	// mostAnswer bounds what an answer may take: a query that is not aggregated may give thousands of series.
	mostAnswer = 16 << 20
)

var errTooLarge = errors.New("the answer is larger than 16 MiB; aggregate the query to one series")

// transport asks again where that may help, and bounds answers.
type transport struct {
	next http.RoundTripper
	// prepare sets credentials on each try.
	prepare func(*http.Request) error
	// wait is how long a server asks to be left alone; 0 is not said.
	wait func(http.Header) time.Duration
	// sleep waits, or returns the context's error.
	sleep func(context.Context, time.Duration) error
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	delay := retryFirst
	for n := 1; ; n++ {
		again := r.Clone(r.Context())
		if r.GetBody != nil {
			body, err := r.GetBody()
			if err != nil {
				return nil, err
			}
			again.Body = body
		}
		if err := t.prepare(again); err != nil {
			return nil, err
		}
		response, err := t.next.RoundTrip(again)
		wait := delay
		if err == nil {
			if response.StatusCode != http.StatusTooManyRequests && response.StatusCode < 500 {
				response.Body = &bounded{response.Body, mostAnswer}
				return response, nil
			}
			wait = max(wait, t.wait(response.Header))
		}
		var untrusted *tls.CertificateVerificationError
		if n == tries || wait > retryMost || r.Context().Err() != nil || errors.As(err, &untrusted) {
			if response != nil {
				response.Body = &bounded{response.Body, mostAnswer}
			}
			return response, err
		}
		if response != nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<16)) // so that the connection can be used again
			_ = response.Body.Close()
		}
		if err := t.sleep(r.Context(), wait); err != nil {
			return nil, err
		}
		delay *= 2
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// retryAfter is what RFC 9110 calls so, in seconds.
func retryAfter(h http.Header) time.Duration { return seconds(h.Get("Retry-After")) }

func seconds(text string) time.Duration {
	s, err := strconv.ParseFloat(text, 64)
	if err != nil || !(s > 0 && s < 1e6) {
		return 0
	}
	return time.Duration(s * float64(time.Second))
}

// bounded is a body that fails when it is too long.
type bounded struct {
	io.ReadCloser
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return n, errTooLarge
	}
	return n, err
}

func statusError(status int, body string) error {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return fmt.Errorf("it refuses the credentials (%d): %s; correct them in the configuration of swell-scaler", status, clip(body))
	case status == http.StatusTooManyRequests:
		return fmt.Errorf("too many requests (429), after %d tries", tries)
	}
	return fmt.Errorf("it answers %d: %s", status, clip(body))
}
