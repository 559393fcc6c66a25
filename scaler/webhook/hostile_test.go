package webhook_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"swell/scaler/notify"
	"swell/scaler/webhook"
)

// An endpoint that means harm costs so many calls of so long each, whatever it does, and learns nothing and says nothing of the
// address: it redirects, hangs before or within its answer, breaks off, answers for ever, or repeats the address in its parts.
func TestAnEndpointThatMeansHarm(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	const tries = 3
	answers := map[string]func(net.Conn){
		"hangs":      func(c net.Conn) { time.Sleep(time.Minute) },
		"breaks off": func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Le") },
		"is no HTTP": func(c net.Conn) { fmt.Fprint(c, "\x00\x01"+canary+"\r\n\r\n") },
		"hangs within": func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 503 No\r\nContent-Length: 1000\r\n\r\nnot")
			time.Sleep(time.Minute)
		},
		"is endless":    func(c net.Conn) { endless(c, "HTTP/1.1 503 No\r\n\r\n") },
		"endless heads": func(c net.Conn) { endless(c, "HTTP/1.1 200 OK\r\n") },
		"only announces": func(c net.Conn) {
			for {
				if _, err := fmt.Fprint(c, "HTTP/1.1 103 Early Hints\r\n\r\n"); err != nil {
					return
				}
			}
		},
		"asks for years": func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 503 No\r\nRetry-After: -1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		},
		"repeats the path": func(c net.Conn) { fmt.Fprintf(c, "HTTP/1.1 500 No\r\nConnection: close\r\n\r\n%s", canary) },
		"repeats escaped": func(c net.Conn) {
			fmt.Fprintf(c, "HTTP/1.1 500 No\r\nConnection: close\r\n\r\n%s", strings.ReplaceAll("/services/"+canary, "/", "%2F"))
		},
	}
	for _, code := range []int{301, 302, 303, 307, 308} {
		answers[fmt.Sprint("redirects ", code)] = func(c net.Conn) {
			fmt.Fprintf(c, "HTTP/1.1 %d Moved\r\nLocation: %s/%s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", code, other.URL, canary)
		}
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, asked := speaks(t, answer)
			out, count := sender(t, "http://"+address+"/services/"+canary, webhook.Options{Tries: tries, Timeout: 300 * time.Millisecond})
			out.Put(message("one"))
			until(t, "it was given up", func() bool {
				count.mu.Lock()
				defer count.mu.Unlock()
				return count.n["dropped"]+count.n["refused"] == 1
			})
			if n := asked.Load(); n > tries {
				t.Errorf("it was called %d times, more than %d", n, tries)
			}
			if p := out.Problem(); p == "" || len(p) > 1000 {
				t.Errorf("the problem has %d bytes: %.1200s", len(p), p)
			} else {
				t.Log(p)
			}
		})
	}
	t.Cleanup(func() {
		if n := elsewhere.Load(); n != 0 {
			t.Errorf("where it redirects to was called %d times", n)
		}
	})
}

func endless(c net.Conn, begin string) {
	fmt.Fprint(c, begin)
	for {
		if _, err := fmt.Fprint(c, "X: "+strings.Repeat(canary, 100)+"\r\n"); err != nil {
			return
		}
	}
}

// speaks takes calls and answers each as it is told, in bytes.
func speaks(t *testing.T, answer func(net.Conn)) (address string, asked *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	asked = &atomic.Int64{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					asked.Add(1)
					_ = r.Body.Close()
					answer(c)
				}
			}()
		}
	}()
	return l.Addr().String(), asked
}

// A Sender says when nothing is on its way any more: what was told may be kept then, and not before.
func TestASenderSaysWhenAllIsDelivered(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, func(try int, w http.ResponseWriter) bool {
		if try == 1 {
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return false
		}
		<-release
		return true
	})
	out, _ := sender(t, s.URL+"/services/"+canary, webhook.Options{Timeout: 20 * time.Second})
	if !out.Idle() {
		t.Error("it is busy before it has a message")
	}
	out.Put(message("one"))
	for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if out.Idle() {
			t.Fatal("it is idle before the message is there")
		}
	}
	close(release)
	until(t, "it is idle", out.Idle)
	if len(s.got()) != 1 {
		t.Error("it was idle before the message was there")
	}
	ended := webhook.New(webhook.Options{Address: func() (string, error) { return s.URL, nil }, Render: func(notify.Message) ([]byte, error) { return nil, nil }})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ended.Put(message("two"))
	ended.Run(ctx)
	if ended.Idle() {
		t.Error("a message that an end overtook counts as delivered")
	}
}
