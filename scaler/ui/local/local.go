// Package local opens the scaler's page on the reader's own machine: it adds his credentials, and holds the line to the browser
// while there is none to the scaler.
package local

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	// firstWait and longestWait are between two tries to reach the scaler; beatEvery keeps the browser's line meanwhile.
	firstWait   = time.Second
	longestWait = 15 * time.Second
	beatEvery   = 5 * time.Second
	// silentFor is how long the scaler may say nothing on a stream; it says something every five seconds.
	silentFor = 20 * time.Second
)

// Server serves the page on a port of this machine, to one browser: who opens Address first has it.
type Server struct {
	// Address to open, with a secret that works once.
	Address string

	listener net.Listener
	server   *http.Server
	target   *url.URL
	through  http.RoundTripper
	proxy    *httputil.ReverseProxy
	secret   string // asked for once
	cookie   string // given for it
	used     atomic.Bool
}

// New serves what is at target, a URL as of the scaler's page, through a transport that has the reader's credentials. port 0 is
// any.
func New(ctx context.Context, target *url.URL, through http.RoundTripper, port int) (*Server, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("opening the page here: %w; give --port another number", err)
	}
	s := &Server{listener: listener, target: target, through: through, secret: rand.Text(), cookie: rand.Text()}
	s.Address = "http://" + listener.Addr().String() + "/?open=" + s.secret
	s.proxy = &httputil.ReverseProxy{
		Transport: through,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = target.Host
			r.Out.Header.Del("Cookie")
			r.Out.Header.Del("Authorization") // it is the transport's to set
		},
		ModifyResponse: func(answer *http.Response) error {
			answer.Header.Del("Set-Cookie") // 127.0.0.1 has other cookies, of all its ports
			for name := range ours {
				answer.Header.Del(name)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			away(w, plain(err))
		},
	}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	return s, nil
}

// Serve serves until ctx ends.
func (s *Server) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { s.server.Close() })
	defer stop()
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the page here: %w", err)
	}
	return nil
}

// ours are headers of every answer, whatever the scaler's has.
var ours = map[string]string{"Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin", "X-Content-Type-Options": "nosniff"}

// ServeHTTP lets nobody in but the browser that came with the secret: other users and pages of this machine reach the port too.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name, value := range ours {
		w.Header().Set(name, value)
	}
	if r.Host != s.listener.Addr().String() { // a name that leads here is another site's
		http.Error(w, "403: open it by its address, "+s.listener.Addr().String(), http.StatusForbidden)
		return
	}
	if given := r.URL.Query().Get("open"); r.URL.Path == "/" && given != "" {
		if !same(given, s.secret) || !s.used.CompareAndSwap(false, true) {
			http.Error(w, "403: this address was opened already; run the command again for a new one", http.StatusForbidden)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: s.cookieName(), Value: s.cookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
		if elsewhere(r) { // the cookie would not go with a redirection that began at another site, such as a terminal that is a web page
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("Content-Security-Policy", nothing)
			fmt.Fprint(w, `<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/"><title>swell</title><p><a href="/">The page</a></p></html>`)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	if elsewhere(r) {
		http.Error(w, "403: another page of this browser asks; open the address that the command printed", http.StatusForbidden)
		return
	}
	if c, err := r.Cookie(s.cookieName()); err != nil || !same(c.Value, s.cookie) {
		http.Error(w, "403: open the address that the command printed", http.StatusForbidden)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "405: the page is read-only", http.StatusMethodNotAllowed)
		return
	}
	if r.URL.Path == "/events" {
		s.hold(w, r)
		return
	}
	s.proxy.ServeHTTP(w, r)
}

// elsewhere says that a browser asks for a page of another site, or of another port of this machine, which the cookie is given to
// as well.
func elsewhere(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site != "" && site != "same-origin" && site != "none"
}

// cookieName has the port in it, as cookies are shared by the ports of a host.
func (s *Server) cookieName() string {
	return "swell-page-" + strconv.Itoa(s.listener.Addr().(*net.TCPAddr).Port)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// hold is the stream of events: one answer to the browser over as many of the scaler's as it takes. While there is none it says so,
// so that nothing fails in the browser.
func (s *Server) hold(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	line := &line{w: w, control: http.NewResponseController(w), last: r.Header.Get("Last-Event-ID")}
	lost := false
	for wait := firstWait; r.Context().Err() == nil; {
		got, err := s.follow(r.Context(), line, func() {
			if lost {
				_ = line.say("found", "")
			}
			lost = false
		})
		if line.broken != nil {
			return
		}
		if got {
			wait = firstWait
		}
		if err != nil {
			lost = true
			if line.say("lost", err.Error()) != nil {
				return
			}
		}
		if !line.beat(r.Context(), wait) {
			return
		}
		wait = min(2*wait, longestWait)
	}
}

// follow passes one of the scaler's streams on. got says that there was one; nil that it ended as it does now and then.
func (s *Server) follow(ctx context.Context, l *line, begun func()) (got bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(silentFor, cancel)
	defer silence.Stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.target.JoinPath("events").String(), nil)
	if err != nil {
		return false, err
	}
	if l.last != "" {
		request.Header.Set("Last-Event-ID", l.last)
	}
	answer, err := s.through.RoundTrip(request)
	if err != nil {
		return false, plain(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 500))
		return false, errors.New(string(text))
	}
	begun()
	lines := bufio.NewReader(io.LimitReader(answer.Body, 1<<30))
	for {
		text, err := lines.ReadBytes('\n')
		if len(text) > 0 && err == nil {
			silence.Reset(silentFor)
			l.pass(text)
		}
		switch {
		case l.broken != nil:
			return true, nil
		case errors.Is(err, io.EOF):
			return true, nil
		case err != nil:
			return true, plain(err)
		}
	}
}

// nothing is the policy of a page that loads nothing.
const nothing = "default-src 'none'; frame-ancestors 'none'"

// away is shown in place of the page while the scaler cannot be reached, and asks for it again.
func away(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Security-Policy", nothing)
	fmt.Fprintf(w, `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">`+
		`<meta http-equiv="refresh" content="3"><title>swell</title><main><h1>swell</h1><p role="status">The scaler cannot be reached: %s. It is tried again.</p></main></html>`,
		html.EscapeString(err.Error()))
}

// plain is an error in the words that matter to a reader: no addresses of tunnels.
func plain(err error) error {
	var op *net.OpError
	switch {
	case errors.As(err, &op):
		return fmt.Errorf("it cannot be reached (%v)", op.Err)
	case errors.Is(err, context.Canceled):
		return errors.New("it says nothing any more")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it broke off")
	}
	return err
}

// line is the browser's stream. It is given whole events, whatever breaks off.
type line struct {
	w       http.ResponseWriter
	control *http.ResponseController
	last    string // id of the newest decision that was passed on
	event   []byte // so far
	broken  error
}

// pass takes one line of the scaler's.
func (l *line) pass(text []byte) {
	l.event = append(l.event, text...)
	if len(text) > 1 {
		return
	}
	for part := range bytes.Lines(l.event) {
		if id, ok := bytes.CutPrefix(part, []byte("id: ")); ok {
			l.last = string(bytes.TrimSpace(id))
		}
	}
	l.write(l.event)
	l.event = l.event[:0]
}

func (l *line) write(text []byte) {
	if l.broken != nil {
		return
	}
	_ = l.control.SetWriteDeadline(time.Now().Add(silentFor))
	if _, l.broken = l.w.Write(text); l.broken == nil {
		l.broken = l.control.Flush()
	}
}

// say is an event of our own.
func (l *line) say(kind, why string) error {
	raw, err := json.Marshal(map[string]string{"why": why})
	if err != nil {
		return err
	}
	l.event = l.event[:0]
	l.write([]byte("event: " + kind + "\ndata: " + string(raw) + "\n\n"))
	return l.broken
}

// beat waits, and keeps the browser's line meanwhile; false is that the browser went.
func (l *line) beat(ctx context.Context, wait time.Duration) bool {
	for wait > 0 && l.broken == nil {
		step := min(wait, beatEvery)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(step):
		}
		wait -= step
		l.write([]byte(": waiting\n\n"))
	}
	return l.broken == nil
}
