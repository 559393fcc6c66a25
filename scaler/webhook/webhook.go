// Package webhook delivers messages to an address that is a secret, beside whoever has something to say.
package webhook

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"swell/scaler/notify"
)

// Options of a Sender. Its times are machine time.
type Options struct {
	// Address gives the webhook's address. It is asked for before each call, so that a Secret may be replaced.
	Address func() (string, error)
	// Render writes the body of a message.
	Render func(notify.Message) ([]byte, error)
	// Count is told the outcome of each message and each call: sent, retried, refused or dropped. nil is nobody.
	Count func(outcome string)
	Log   *slog.Logger
	// Timeout of one call; zero is 10 s.
	Timeout time.Duration
	// Wait before the first repetition, twice as long before each that follows, at most MostWait; zero is 1 s and 5 minutes.
	Wait, MostWait time.Duration
	// Tries of one message; zero is 8.
	Tries int
	// Queue is how many messages wait at most; zero is 32. Beyond it the oldest is dropped.
	Queue int
	// Agent is the User-Agent.
	Agent string
}

// Sender delivers messages one after another.
type Sender struct {
	options Options
	client  *http.Client
	more    chan struct{}

	mu      sync.Mutex
	queue   []notify.Message
	busy    bool // with a message that was taken from it
	dropped int
	problem string
}

// New is a Sender; Run delivers.
func New(o Options) *Sender {
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	o.Wait, o.MostWait = cmp.Or(o.Wait, time.Second), cmp.Or(o.MostWait, 5*time.Minute)
	o.Tries, o.Queue = cmp.Or(o.Tries, 8), cmp.Or(o.Queue, 32)
	if o.Count == nil {
		o.Count = func(string) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	client := &http.Client{Timeout: o.Timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &Sender{options: o, client: client, more: make(chan struct{}, 1)}
}

// Put has a message delivered. It never waits.
func (s *Sender) Put(m notify.Message) {
	s.mu.Lock()
	s.queue = append(s.queue, m)
	if over := len(s.queue) - s.options.Queue; over > 0 {
		s.queue = s.queue[over:]
		s.dropped += over
		for range over {
			s.options.Count("dropped")
		}
	}
	s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// Problem is why the last message could not be delivered; empty is that it was, or that there was none.
func (s *Sender) Problem() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.problem
}

// Idle says that no message waits or is on its way: each was delivered or given up.
func (s *Sender) Idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue) == 0 && !s.busy
}

// Run delivers until ctx ends.
func (s *Sender) Run(ctx context.Context) {
	for {
		m, ok := s.take()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-s.more:
			}
			continue
		}
		if !s.deliver(ctx, m) {
			return
		}
		s.mu.Lock()
		s.busy = false
		s.mu.Unlock()
	}
}

func (s *Sender) take() (notify.Message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return notify.Message{}, false
	}
	m := s.queue[0]
	s.queue, s.busy = s.queue[1:], true
	m.Dropped, s.dropped = s.dropped, 0
	return m, true
}

// outcome of one call that did not succeed.
type failure struct {
	err   error
	final bool          // it is of no use to try again
	after time.Duration // what the server asked to wait; zero is nothing
}

// deliver tries a message until it is taken, refused or tried often enough; false is that ctx ended.
func (s *Sender) deliver(ctx context.Context, m notify.Message) bool {
	wait := s.options.Wait
	for try := 1; ; try++ {
		f := s.call(ctx, m)
		if f == nil {
			s.options.Count("sent")
			s.say("")
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if f.final || try == s.options.Tries {
			outcome := "dropped"
			if f.final {
				outcome = "refused"
			}
			s.options.Count(outcome)
			s.mu.Lock()
			s.dropped += 1 + m.Dropped
			s.mu.Unlock()
			s.say(f.err.Error())
			s.options.Log.Warn("a message to the webhook was given up", "outcome", outcome, "tries", try, "error", f.err)
			return true
		}
		s.options.Count("retried")
		s.say(f.err.Error())
		pause := min(max(wait, f.after), max(s.options.MostWait, f.after))
		wait = min(2*wait, s.options.MostWait)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
		}
	}
}

func (s *Sender) say(problem string) {
	s.mu.Lock()
	s.problem = problem
	s.mu.Unlock()
}

// mostRetryAfter bounds what a server may ask to wait.
const mostRetryAfter = time.Hour

func (s *Sender) call(ctx context.Context, m notify.Message) *failure {
	address, err := s.options.Address()
	if err != nil {
		return &failure{err: fmt.Errorf("reading the webhook's address: %w", err)}
	}
	address = strings.TrimSpace(address)
	if u, err := url.Parse(address); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return &failure{err: errors.New("reading the webhook's address: it is no URL that begins with https://; correct the file or Secret")}
	}
	body, err := s.options.Render(m)
	if err != nil {
		return &failure{err: err, final: true}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return &failure{err: errors.New("calling the webhook: its address cannot be used; correct the file or Secret"), final: true}
	}
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	if s.options.Agent != "" {
		request.Header.Set("User-Agent", s.options.Agent)
	}
	response, err := s.client.Do(request)
	if err != nil {
		var wrapped *url.Error // names the address, which is a secret
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return &failure{err: fmt.Errorf("calling the webhook: %s; look at the network's way out", redact(err.Error(), address))}
	}
	defer response.Body.Close()
	const shown = 200
	text, _ := io.ReadAll(io.LimitReader(response.Body, shown))
	return answered(response, redact(strings.Join(strings.Fields(strings.ToValidUTF8(string(text), "?")), " "), address))
}

// answered judges an answer: 429 and 5xx pass by, other refusals do not.
func answered(response *http.Response, text string) *failure {
	status := response.StatusCode
	if status >= 200 && status < 300 {
		return nil
	}
	err := fmt.Errorf("calling the webhook: it answered %d %q", status, text)
	if status == http.StatusTooManyRequests || status >= 500 {
		return &failure{err: err, after: min(retryAfter(response.Header.Get("Retry-After"), time.Now()), mostRetryAfter)}
	}
	return &failure{err: fmt.Errorf("%w; make a new webhook, and put its address into the file or Secret", err), final: true}
}

// retryAfter reads seconds or a date.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(strings.TrimSpace(value)); err == nil && seconds > 0 {
		return time.Duration(min(seconds, int(mostRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// redact takes an address and what makes it secret out of a text.
func redact(text, address string) string {
	const hidden = "(the webhook's address)"
	text = strings.ReplaceAll(text, address, hidden)
	u, err := url.Parse(address)
	if err != nil {
		return text
	}
	for _, part := range []string{u.RequestURI(), u.Path, u.RawQuery} {
		if len(part) > 1 {
			text = strings.ReplaceAll(text, part, hidden)
		}
	}
	for _, part := range strings.Split(u.Path, "/") {
		if len(part) >= 8 { // Slack's tokens have 9 and more
			text = strings.ReplaceAll(text, part, hidden)
		}
	}
	if password, has := u.User.Password(); has && password != "" {
		text = strings.ReplaceAll(text, password, hidden)
	}
	return text
}
