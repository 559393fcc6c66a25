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
	// timeout of one try, from its beginning to the end of its answer.
	timeout time.Duration
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
		response, err := t.try(r)
		wait := delay
		if err == nil {
			if response.StatusCode != http.StatusTooManyRequests && response.StatusCode < 500 {
				return response, nil
			}
			wait = max(wait, t.wait(response.Header))
		}
		var untrusted *tls.CertificateVerificationError
		var unprepared prepareError
		if n == tries || wait > retryMost || r.Context().Err() != nil || errors.As(err, &untrusted) || errors.As(err, &unprepared) {
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

// prepareError is of our own credentials, which no server's answer can mend.
type prepareError struct{ error }

func (e prepareError) Unwrap() error { return e.error }

// try asks once. The body of its answer is to be closed, and fails where it is too long or takes too long.
func (t *transport) try(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), t.timeout)
	again := r.Clone(ctx)
	fail := func(err error) (*http.Response, error) {
		if errors.Is(err, context.DeadlineExceeded) && r.Context().Err() == nil {
			err = fmt.Errorf("no answer within %s: %w", t.timeout, err)
		}
		cancel()
		return nil, err
	}
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return fail(prepareError{err})
		}
		again.Body = body
	}
	if err := t.prepare(again); err != nil {
		return fail(prepareError{err})
	}
	response, err := t.next.RoundTrip(again)
	if err != nil {
		return fail(err)
	}
	response.Body = &bounded{response.Body, mostAnswer, cancel}
	return response, nil
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

// bounded is a body that fails when it is too long; closing it ends its try.
type bounded struct {
	io.ReadCloser
	left int
	done context.CancelFunc
}

func (b *bounded) Close() error {
	defer b.done()
	return b.ReadCloser.Close()
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
