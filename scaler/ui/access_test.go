package ui_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"swell/api/config"
	"swell/bench/testbed/controlplane"
	"swell/bench/testbed/process"
	"swell/bench/testbed/stack"
	"swell/scaler/ui"
)

// served is the page of this process, behind a real API server.
type served struct {
	*ui.Server
	cluster *controlplane.Cluster
	admin   kubernetes.Interface
	url     *url.URL
	// log is what it logs, at every level.
	log *journal
	// stop ends it, and gives what Start returned.
	stop func() error
}

// serve starts a control plane and the page, with the rights of the scaler's own RBAC.
func serve(t *testing.T, elected <-chan struct{}) served {
	t.Helper()
	cluster, err := controlplane.Start(context.WithoutCancel(t.Context()), controlplane.Options{Binary: controlplane.BinaryForTest(t), Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	s := served{cluster: cluster, log: &journal{}}
	if s.admin, err = kubernetes.NewForConfig(cluster.AdminConfig()); err != nil {
		t.Fatal(err)
	}
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"bench/testbed/stack/platform.yaml", "charts/rendered/swell-scaler-rbac.yaml"} {
		if err := (&stack.Stack{Cluster: cluster}).ApplyFile(t.Context(), filepath.Join(root, file)); err != nil {
			t.Fatal(err)
		}
	}
	own, err := cluster.ServiceAccountConfig("swell-system", "swell-scaler")
	if err != nil {
		t.Fatal(err)
	}
	own.QPS, own.Burst = ui.KubeRate, 2*ui.KubeRate // as the program has it
	kube, err := kubernetes.NewForConfig(own)
	if err != nil {
		t.Fatal(err)
	}
	port, err := process.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := cluster.ServingCert("swell-page")
	if err != nil {
		t.Fatal(err)
	}
	s.url = &url.URL{Scheme: "https", Host: "127.0.0.1:" + itoa(port)}
	s.Server = ui.New(ui.Options{Page: config.Page{Bind: s.url.Host, CertFile: cert, KeyFile: key}, Kube: kube, Namespace: "swell-system", Replica: "scaler-0",
		Elected: elected, Archive: func(w io.Writer) error { _, err := io.WriteString(w, "the ledger"); return err },
		Log: slog.New(slog.NewTextHandler(io.MultiWriter(t.Output(), s.log), &slog.HandlerOptions{Level: slog.LevelDebug}))}, nil)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Start(ctx) }()
	s.stop = sync.OnceValue(func() error { stop(); return <-done })
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	until(t, "the page answers", 30*time.Second, func() (bool, string) {
		code, text := s.get(t, rest.AnonymousClientConfig(cluster.AdminConfig()), "/")
		return code != 0, text
	})
	return s
}

// get asks for a path with a configuration's credentials; 0 is no answer, and why.
func (s served) get(t *testing.T, who *rest.Config, path string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url.JoinPath(path).String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := as(t, s.cluster, who).RoundTrip(request)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(text)
}

func (s served) bearer(token string) *rest.Config {
	c := rest.AnonymousClientConfig(s.cluster.AdminConfig())
	c.BearerToken = token
	return c
}

// TestWhoMaySeeThePage asks with real tokens and certificates, which the real API server judges.
func TestWhoMaySeeThePage(t *testing.T) {
	s := serve(t, nil)
	s.Show(ui.State{At: time.Now(), Leader: "scaler-0", Mode: "Enforce"})
	anonymous := rest.AnonymousClientConfig(s.cluster.AdminConfig())
	for _, path := range []string{"/", "/page.js", "/events", "/api/state.json", "/api/decisions.json", "/nothing"} {
		if code, text := s.get(t, anonymous, path); code != 401 || !strings.Contains(text, "swell page") {
			t.Errorf("anonymous at %s: %d %s, want 401 with the mend", path, code, text)
		}
	}
	nobody := token(t, s.admin, "nobody")
	if code, text := s.get(t, s.bearer(nobody), "/api/state.json"); code != 403 || !strings.Contains(text, "system:serviceaccount:shop:nobody") || !strings.Contains(text, "swell-scaler:page") {
		t.Errorf("a token without the right: %d %s, want 403 that names who and the role", code, text)
	}
	if code, text := s.get(t, s.bearer("not.a.token"), "/"); code != 401 {
		t.Errorf("an invented token: %d %s, want 401", code, text)
	}
	reader := token(t, s.admin, "reader")
	allow(t, s.admin, rbacv1.Subject{Kind: "ServiceAccount", Namespace: "shop", Name: "reader"})
	until(t, "a token with the right", 20*time.Second, func() (bool, string) { // RBAC comes to the API server by a watch
		code, text := s.get(t, s.bearer(reader), "/api/state.json")
		return code == 200 && strings.Contains(text, `"leader":"scaler-0"`), text
	})
	if code, text := s.get(t, s.bearer(reader), "/"); code != 200 || strings.Contains(text, reader) {
		t.Errorf("the page with the right: %d, %d bytes; want 200 without the token in it", code, len(text))
	}
	if code, text := s.get(t, user(t, s.cluster, "ann"), "/"); code != 403 || !strings.Contains(text, `"ann"`) {
		t.Errorf("a certificate without the right: %d %s, want 403", code, text)
	}
	allow(t, s.admin, rbacv1.Subject{Kind: "Group", APIGroup: rbacv1.GroupName, Name: "readers"})
	until(t, "a certificate of a group with the right", 20*time.Second, func() (bool, string) {
		code, text := s.get(t, user(t, s.cluster, "ben", "readers"), "/")
		return code == 200, text
	})
	stream := s.open(t, reader)
	if err := s.admin.CoreV1().ServiceAccounts("shop").Delete(t.Context(), "reader", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "a token that was revoked", 30*time.Second, func() (bool, string) {
		code, text := s.get(t, s.bearer(reader), "/")
		return code == 401, text
	})
	stream.Body.Close()
	s.headers(t)
	s.forged(t)
	for _, secret := range []string{reader, nobody, "not.a.token"} {
		if log := s.log.String(); strings.Contains(log, secret) || !strings.Contains(log, "not authenticated") {
			t.Errorf("a token is logged, or refusals are not: %.2000s", log)
		}
	}
}

// headers looks at what every answer carries, refusals too.
func (s served) headers(t *testing.T) {
	t.Helper()
	answer, err := as(t, s.cluster, rest.AnonymousClientConfig(s.cluster.AdminConfig())).RoundTrip(must(http.NewRequestWithContext(t.Context(), http.MethodGet, s.url.String(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	for name, want := range map[string]string{"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
		"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Www-Authenticate": "Bearer"} {
		if got := answer.Header.Get(name); !strings.Contains(got, want) {
			t.Errorf("%s is %q, want %q in it", name, got, want)
		}
	}
	if got := answer.Header.Get("Content-Security-Policy"); !strings.Contains(got, "frame-ancestors 'none'") || strings.Contains(got, "unsafe") {
		t.Errorf("the policy is %q", got)
	}
}

// forged tries what must not count: names in headers, and a certificate of another CA.
func (s served) forged(t *testing.T) {
	t.Helper()
	request := must(http.NewRequestWithContext(t.Context(), http.MethodGet, s.url.String(), nil))
	request.Header.Set("X-Remote-User", "admin")
	request.Header.Set("X-Remote-Group", "system:masters")
	answer, err := as(t, s.cluster, rest.AnonymousClientConfig(s.cluster.AdminConfig())).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 401 {
		t.Errorf("a name in X-Remote-User: %d, want 401", answer.StatusCode)
	}
	own, key := selfSigned(t, "admin", "system:masters")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{{Certificate: [][]byte{own}, PrivateKey: key}}}}}
	answer, err = client.Get(s.url.String())
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 401 {
		t.Errorf("a certificate of another CA: %d, want 401", answer.StatusCode)
	}
	post := must(http.NewRequestWithContext(t.Context(), http.MethodPost, s.url.String(), strings.NewReader("x")))
	answer, err = as(t, s.cluster, user(t, s.cluster, "root", "system:masters")).RoundTrip(post)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a POST: %d, want 405", answer.StatusCode)
	}
}

// open is a stream of events with its beginning read.
func (s served) open(t *testing.T, token string) *http.Response {
	t.Helper()
	answer, err := as(t, s.cluster, s.bearer(token)).RoundTrip(must(http.NewRequestWithContext(t.Context(), http.MethodGet, s.url.JoinPath("events").String(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(answer.Body).ReadString('\n'); err != nil || answer.StatusCode != 200 {
		t.Fatalf("%d %s %v", answer.StatusCode, line, err)
	}
	return answer
}
