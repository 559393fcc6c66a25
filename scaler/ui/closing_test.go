package ui_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"swell/scaler/ui"
)

// bigState is a state that fills what a connection buffers within some changes.
func bigState(tick int64) ui.State {
	s := ui.State{At: time.Now(), Tick: tick, Leader: "scaler-0", Mode: "Enforce"}
	for range ui.MostProblems {
		s.Problems = append(s.Problems, ui.Problem{Object: fmt.Sprint("group ", tick), What: strings.Repeat("what it is ", 5000)})
	}
	return s
}

// When the scaler ends, or leads no more, which ends it, every line to a reader is closed at once: streams that are read, streams that
// nobody reads, connections that had an answer, and those that have not asked for anything; and nobody is served any more.
func TestTheEndClosesEveryConnection(t *testing.T) {
	s := serve(t, nil)
	s.Show(ui.State{At: time.Now(), Leader: "scaler-0", Mode: "Enforce"})
	var streams, held sync.WaitGroup
	until(t, "a reader is let in", 30*time.Second, func() (bool, string) {
		code, text := s.get(t, user(t, s.cluster, "root", "system:masters"), "/api/state.json")
		return code == 200, text
	})
	for reader := range 8 {
		who := user(t, s.cluster, fmt.Sprint("reader-", reader), "system:masters")
		for range 4 {
			answer, err := as(t, s.cluster, who).RoundTrip(must(http.NewRequestWithContext(t.Context(), http.MethodGet, s.url.JoinPath("events").String(), nil)))
			if err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewReader(answer.Body)
			if line, err := lines.ReadString('\n'); err != nil || answer.StatusCode != 200 {
				t.Fatalf("%d %s %v", answer.StatusCode, line, err)
			}
			streams.Go(func() {
				defer answer.Body.Close()
				_, _ = io.Copy(io.Discard, lines)
			})
		}
		for range 2 {
			s.deaf(t, who)
		}
		idle := s.idle(t, who)
		held.Go(func() {
			defer idle.Close()
			_, _ = io.Copy(io.Discard, idle)
		})
	}
	for range 300 { // more than are accepted at once
		c, err := net.Dial("tcp", s.url.Host)
		if err != nil {
			t.Fatal(err)
		}
		held.Go(func() {
			defer c.Close()
			_, _ = io.Copy(io.Discard, c)
		})
	}
	for tick := range int64(5) {
		s.Show(bigState(tick))
	}
	ended := make(chan error, 1)
	go func() {
		err := s.stop()
		streams.Wait()
		held.Wait()
		ended <- err
	}()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(8 * time.Second): // less than a handshake or a reader may take
		t.Fatal("the page goes on, or connections stay open, after the scaler has ended")
	}
	if c, err := net.Dial("tcp", s.url.Host); err == nil {
		c.Close()
		t.Error("the port is open still")
	}
}

// idle is a connection that had an answer and stays.
func (s served) idle(t *testing.T, who *rest.Config) net.Conn {
	t.Helper()
	secure, err := rest.TLSConfigFor(who)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tls.Dial("tcp", s.url.Host, secure)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c, "GET /icon.svg HTTP/1.1\r\nHost: %s\r\n\r\n", s.url.Host); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || answer.StatusCode != 200 || answer.Close {
		t.Fatalf("%v %v: want 200, and the connection kept", answer, err)
	}
	return c
}

// Readers that do not read are dropped, and their places given to others.
func TestWhoDoesNotReadIsDropped(t *testing.T) {
	s := serve(t, nil)
	who := user(t, s.cluster, "slow", "system:masters")
	until(t, "a reader is let in", 30*time.Second, func() (bool, string) {
		code, text := s.get(t, who, "/api/state.json")
		return code == 503, text // no plan was made
	})
	for range 8 {
		defer s.deaf(t, who).Close()
	}
	open := func() int {
		answer, err := as(t, s.cluster, who).RoundTrip(must(http.NewRequestWithContext(t.Context(), http.MethodGet, s.url.JoinPath("events").String(), nil)))
		if err != nil {
			return 0
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	until(t, "all places of one user are taken", 20*time.Second, func() (bool, string) { code := open(); return code == 503, fmt.Sprint(code) })
	tick := int64(0)
	until(t, "they are given to others", 90*time.Second, func() (bool, string) {
		tick++
		s.Show(bigState(tick))
		code := open()
		return code == 200, fmt.Sprint(code)
	})
}
