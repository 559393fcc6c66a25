package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"swell/scaler/notify"
	"swell/scaler/webhook"
)

// canary is the secret part of the address: it must stand in no log, no error and no metric.
const canary = "T00CANARY/B00CANARY/sEcReTcAnArY"

// slack answers as Slack's webhooks do, and refuses what their limits forbid.
type slack struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
	answer func(try int, w http.ResponseWriter) bool // false: the answer is given already
	tries  int
}

func serve(t *testing.T, answer func(try int, w http.ResponseWriter) bool) *slack {
	s := &slack{answer: answer}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tries++
		body, err := io.ReadAll(r.Body)
		if err != nil || r.URL.Path != "/services/"+canary || r.Method != http.MethodPost || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			t.Errorf("%s %s of %s: %v", r.Method, r.URL.Path, r.Header.Get("Content-Type"), err)
		}
		if s.answer != nil && !s.answer(s.tries, w) {
			return
		}
		if err := limits(body); err != nil {
			http.Error(w, "invalid_blocks", http.StatusBadRequest)
			t.Errorf("%v in %s", err, body)
			return
		}
		s.bodies = append(s.bodies, string(body))
		fmt.Fprint(w, "ok")
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *slack) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.bodies...)
}

var entity = regexp.MustCompile(`&(amp|lt|gt);`)

// limits are those of https://docs.slack.dev/reference/block-kit/blocks, and of its page on formatting text.
func limits(body []byte) error {
	var m struct {
		Text   string
		Blocks []struct {
			Type     string
			Text     *struct{ Type, Text string }
			Elements []struct{ Type, Text string }
		}
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return err
	}
	if m.Text == "" || len(m.Blocks) == 0 || len(m.Blocks) > 50 {
		return fmt.Errorf("the text has %d bytes, and there are %d blocks", len(m.Text), len(m.Blocks))
	}
	texts := map[string]string{"text": m.Text}
	for i, b := range m.Blocks {
		most := 3000
		if b.Type == "header" {
			most = 150
		}
		if b.Text == nil && len(b.Elements) == 0 || len(b.Elements) > 10 {
			return fmt.Errorf("block %d has no text, or too many elements", i)
		}
		if b.Text != nil {
			if n := utf8.RuneCountInString(b.Text.Text); n == 0 || n > most {
				return fmt.Errorf("block %d has %d characters", i, n)
			}
			if b.Type != "header" {
				texts[fmt.Sprint("block ", i)] = b.Text.Text
			}
		}
		for _, e := range b.Elements {
			texts[fmt.Sprint("elements of ", i)] = regexp.MustCompile(`<https?://[^<>|]+\|[^<>|]+>`).ReplaceAllString(e.Text, "")
		}
	}
	for where, text := range texts {
		if bare := entity.ReplaceAllString(text, ""); strings.ContainsAny(bare, "<>&") {
			return fmt.Errorf("%s is not escaped: %s", where, text)
		}
	}
	return nil
}

type counts struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counts) add(outcome string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[outcome]++
}

func (c *counts) want(t *testing.T, want map[string]int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !maps.Equal(c.n, want) {
		t.Errorf("outcomes are %v: want %v", c.n, want)
	}
}

// sender delivers to an address and keeps what it logs, in which the canary must not stand.
func sender(t *testing.T, address string, o webhook.Options) (*webhook.Sender, *counts) {
	t.Helper()
	var log bytes.Buffer
	var mu sync.Mutex
	c := &counts{n: map[string]int{}}
	o.Address = func() (string, error) { return address + "\n", nil }
	o.Render = func(m notify.Message) ([]byte, error) { return m.Slack("green", "https://swell.example/page?a=1&b=2") }
	o.Count, o.Wait = c.add, 5*time.Millisecond
	o.Log = slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil))
	s := webhook.New(o)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		mu.Lock()
		defer mu.Unlock()
		for _, text := range []string{log.String(), s.Problem()} {
			for _, part := range strings.Split(canary, "/") {
				if strings.Contains(text, part) {
					t.Errorf("the secret address is told: %s", text)
				}
			}
		}
	})
	return s, c
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func message(what ...string) notify.Message {
	m := notify.Message{At: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	for _, w := range what {
		m.Lines = append(m.Lines, notify.Line{Fact: notify.Fact{Severity: notify.Warning, Object: "group spot-a", What: w, Mend: "mend <it> & go on"}, Since: m.At, Count: 1})
	}
	return m
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

func TestAMessageKeepsToSlacksLimits(t *testing.T) {
	s := serve(t, nil)
	out, count := sender(t, s.URL+"/services/"+canary, webhook.Options{})
	out.Put(message("there is no price for <m6i> & co"))
	var many []string
	for i := range 700 {
		many = append(many, fmt.Sprintf("%d: %s", i, strings.Repeat("&<>é\xff", 300)))
	}
	out.Put(message(many...))
	long := message("x")
	long.Lines[0].Fact.Object = strings.Repeat("&*", 4000)
	out.Put(long)
	until(t, "all are there", func() bool { return len(s.got()) == 3 })
	for i, wanted := range [][]string{
		{`swell on green: 1 wrong`, `for \u0026lt;m6i\u0026gt; \u0026amp; co; mend \u0026lt;it\u0026gt; \u0026amp; go on`, `\u003chttps://swell.example/page?a=1\u0026amp;b=2|Live page\u003e`, "since 09:00 UTC"},
		{"700 wrong", "more are not shown"},
	} {
		for _, text := range wanted {
			if !strings.Contains(s.got()[i], text) {
				t.Errorf("message %d has no %q: %.2000s", i, text, s.got()[i])
			}
		}
	}
	count.want(t, map[string]int{"sent": 3})
}

func TestWhatPassesByIsTriedAgain(t *testing.T) {
	answers := []int{500, 429, 503, 200}
	var asked []time.Time
	s := serve(t, func(try int, w http.ResponseWriter) bool {
		asked = append(asked, time.Now())
		if code := answers[try-1]; code != 200 {
			if code == 429 {
				w.Header().Set("Retry-After", "1")
			}
			http.Error(w, "not now", code)
			return false
		}
		return true
	})
	out, count := sender(t, s.URL+"/services/"+canary, webhook.Options{})
	out.Put(message("one"))
	until(t, "it is there", func() bool { return len(s.got()) == 1 })
	count.want(t, map[string]int{"sent": 1, "retried": 3})
	if d := asked[2].Sub(asked[1]); d < time.Second {
		t.Errorf("asked again %s after 429 with Retry-After 1", d)
	}
	if p := out.Problem(); p != "" {
		t.Errorf("there is a problem still: %s", p)
	}
}

func TestARefusalIsNotRepeatedAndIsTold(t *testing.T) {
	for name, code := range map[string]int{"no_service": 404, "action_prohibited": 403, "invalid_token": 400, "moved": 302} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(try int, w http.ResponseWriter) bool {
				if try > 1 {
					return true
				}
				w.Header().Set("Location", "/elsewhere") // a redirection is not followed: it would carry what is told to another
				http.Error(w, name+" /services/"+canary, code)
				return false
			})
			out, count := sender(t, s.URL+"/services/"+canary, webhook.Options{})
			out.Put(message("one"))
			until(t, "it is refused", func() bool { return out.Problem() != "" })
			if p := out.Problem(); !strings.Contains(p, fmt.Sprint(code)) || !strings.Contains(p, name) || !strings.Contains(p, "make a new webhook") {
				t.Error(p)
			}
			out.Put(message("two"))
			until(t, "the next is there", func() bool { return len(s.got()) == 1 })
			if !strings.Contains(s.got()[0], "1 earlier messages could not be delivered") {
				t.Error(s.got()[0])
			}
			until(t, "the problem is over", func() bool { return out.Problem() == "" })
			count.want(t, map[string]int{"refused": 1, "sent": 1})
		})
	}
}

// A webhook that hangs holds nobody up, and what had no room in the queue is counted in the next message.
func TestNobodyWaitsForAWebhook(t *testing.T) {
	var release sync.WaitGroup
	release.Add(1)
	asked := make(chan struct{})
	s := serve(t, func(try int, _ http.ResponseWriter) bool {
		if try == 1 {
			close(asked)
		}
		release.Wait()
		return true
	})
	out, count := sender(t, s.URL+"/services/"+canary, webhook.Options{Queue: 3, Timeout: 20 * time.Second})
	out.Put(message("first"))
	<-asked
	put := make(chan struct{})
	go func() {
		for i := range 50 {
			out.Put(message(fmt.Sprint("message ", i)))
		}
		close(put)
	}()
	select {
	case <-put:
	case <-time.After(10 * time.Second):
		t.Fatal("Put waits for the webhook")
	}
	release.Done()
	until(t, "what was kept is there", func() bool { return len(s.got()) == 4 })
	if second := s.got()[1]; !strings.Contains(second, "message 47") || !strings.Contains(second, "47 earlier messages could not be delivered") {
		t.Error(second)
	}
	count.want(t, map[string]int{"sent": 4, "dropped": 47})
}

// No error that a network makes carries the address.
func TestTheAddressIsASecret(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for _, address := range []string{closed.URL + "/services/" + canary, "https://name:sEcReTcAnArY@127.0.0.1:1/services/" + canary,
		"http://[::1/services/" + canary, "ftp://host/" + canary, "services/" + canary, "http://host:port/" + canary, ""} {
		out, count := sender(t, address, webhook.Options{Tries: 2})
		out.Put(message("one"))
		until(t, "it was given up", func() bool {
			count.mu.Lock()
			defer count.mu.Unlock()
			return count.n["dropped"]+count.n["refused"] == 1
		})
		if out.Problem() == "" {
			t.Errorf("there is no problem with an address such as %.9s", address)
		}
		t.Log(out.Problem())
	}
}

func TestAnAddressThatCannotBeReadIsReadAgain(t *testing.T) {
	s := serve(t, nil)
	tries := 0
	sent := make(chan struct{})
	out := webhook.New(webhook.Options{Wait: time.Millisecond, Count: func(outcome string) {
		if outcome == "sent" {
			close(sent)
		}
	}, Render: func(m notify.Message) ([]byte, error) { return m.Slack("", "") },
		Address: func() (string, error) {
			if tries++; tries < 3 {
				return "", errors.New("no such file")
			}
			return s.URL + "/services/" + canary, nil
		}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go out.Run(ctx)
	out.Put(message("one"))
	select {
	case <-sent:
	case <-time.After(20 * time.Second):
		t.Fatal(out.Problem())
	}
}
