package ui_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// journal keeps what is logged.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// raw sends a request as it stands, by somebody who may see the page, and gives the answer.
func (s served) raw(t *testing.T, who *rest.Config, text string) (code int, body string) {
	t.Helper()
	secure, err := rest.TLSConfigFor(who)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tls.Dial("tcp", s.url.Host, secure)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	go func() { _, _ = io.WriteString(c, text) }() // it may be refused before its end
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	raw, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(raw)
}

// Paths lead to what the page has and to nothing else, headers are bounded, and who sends nothing more is dropped.
func TestHostileRequests(t *testing.T) {
	s := serve(t, nil)
	root := user(t, s.cluster, "root", "system:masters")
	until(t, "a reader is let in", 30*time.Second, func() (bool, string) {
		code, text := s.get(t, root, "/api/ledger.tar")
		return code == 200 && text == "the ledger", text
	})
	secure, err := rest.TLSConfigFor(root)
	if err != nil {
		t.Fatal(err)
	}
	slow, err := tls.Dial("tcp", s.url.Host, secure)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	dropped := make(chan struct{})
	go func() {
		defer close(dropped)
		_, _ = fmt.Fprintf(slow, "GET / HTTP/1.1\r\nHost: %s\r\n", s.url.Host)
		for i := 0; ; i++ { // a header every half second
			if _, err := fmt.Fprintf(slow, "X-%d: y\r\n", i); err != nil {
				return
			}
			time.Sleep(500 * time.Millisecond)
		}
	}()
	for _, path := range []string{"/../../etc/passwd", "/api/../../../etc/passwd", "/api/ledger.tar/../../../../etc/passwd", "/api/ledger.tar/etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
		"/api%2f..%2f..%2fetc%2fpasswd", "//etc/passwd", "/page.html", "/server.go", "/page.css/../page.html", "/api/ledger.tar%00/etc/passwd"} {
		code, text := s.raw(t, root, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, s.url.Host))
		if code == 200 || code >= 500 || strings.Contains(text, "root:") || strings.Contains(text, "{{define") {
			t.Errorf("%s: %d %.200s", path, code, text)
		}
	}
	if code, text := s.raw(t, root, fmt.Sprintf("GET /api/ledger.tar?path=../../etc/passwd&dir=/etc HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", s.url.Host)); code != 200 || text != "the ledger" {
		t.Errorf("a question after the ledger's path: %d %.200s, want the ledger", code, text)
	}
	for what, head := range map[string]string{"one long header": "X: " + strings.Repeat("x", 1<<20), "many headers": strings.Repeat("X: y\r\n", 1<<17), "a long token": "Authorization: Bearer " + strings.Repeat("x", 1<<20)} {
		if code, text := s.raw(t, root, fmt.Sprintf("GET / HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n", s.url.Host, head)); code != 431 && code != 0 {
			t.Errorf("%s: %d %.200s, want 431", what, code, text)
		}
	}
	if code, text := s.raw(t, root, fmt.Sprintf("GET / HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000000000\r\nConnection: close\r\n\r\n", s.url.Host)); code == 0 {
		t.Errorf("a request that announces a gigabyte: %s", text)
	}
	select {
	case <-dropped:
	case <-time.After(40 * time.Second):
		t.Error("who sends a header every half second is not dropped")
	}
}
