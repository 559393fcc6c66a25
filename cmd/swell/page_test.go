package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/cri-streaming/pkg/streaming/portforward"

	"swell/api/config"
	"swell/bench/testbed/controlplane"
	"swell/bench/testbed/process"
	"swell/bench/testbed/stack"
	"swell/scaler/ledger"
	"swell/scaler/ui"
)

// kubelet is the part of one that forwards ports, with its own code for that: everything leads to one address.
type kubelet struct {
	to   string
	mu   sync.Mutex
	pods []string
}

func (k *kubelet) PortForward(_ context.Context, name, _ string, port int32, stream io.ReadWriteCloser) error {
	k.mu.Lock()
	k.pods = append(k.pods, fmt.Sprintf("%s:%d", name, port))
	k.mu.Unlock()
	c, err := net.Dial("tcp", k.to)
	if err != nil {
		return err
	}
	defer c.Close()
	go func() { _, _ = io.Copy(c, stream) }()
	_, err = io.Copy(stream, c)
	return err
}

func (k *kubelet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/") // portForward/namespace/pod
	if len(parts) < 3 || parts[0] != "portForward" {
		http.NotFound(w, r)
		return
	}
	portforward.ServePortForward(w, r, k, parts[2], "", &portforward.V4Options{}, time.Minute, 10*time.Second, portforward.SupportedProtocols)
}

// TestPageThroughTheAPIServer runs the command as a person does: Lease, tunnel through the real API server to the leader's pod, the
// page behind the API server's word.
func TestPageThroughTheAPIServer(t *testing.T) {
	cluster, err := controlplane.Start(context.WithoutCancel(t.Context()), controlplane.Options{Binary: controlplane.BinaryForTest(t), Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	admin, err := kubernetes.NewForConfig(cluster.AdminConfig())
	if err != nil {
		t.Fatal(err)
	}
	book := writtenLedger(t)
	served := servePage(t, cluster, book)
	k := &kubelet{to: served}
	cluster.Process("kwok").Stop() // it stands in for every node's kubelet, and writes their status
	leaderOn(t, admin, k)
	reader, err := cluster.Kubeconfig("reader")
	if err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := swell(t, "page", "--json", "--kubeconfig", reader); code != 1 || !strings.Contains(stderr, "leases") {
		t.Errorf("without any right: exit %d: %s; want 1 and what is missing", code, stderr)
	}
	mayReach(t, admin, "reader")
	eventually(t, "without the right to the page", func() error {
		code, _, stderr := swell(t, "page", "--json", "--kubeconfig", reader)
		if code != 1 || !strings.Contains(stderr, `403: "reader" may not see the page`) {
			return fmt.Errorf("exit %d: %s", code, stderr)
		}
		return nil
	})
	if code, _, stderr := swell(t, "ledger", "fetch", "--out", filepath.Join(t.TempDir(), "ledger"), "--kubeconfig", reader); code != 1 || !strings.Contains(stderr, "403") {
		t.Errorf("the ledger without the right: exit %d: %s; want 1 and 403", code, stderr)
	}
	mayRead(t, admin, "reader")
	eventually(t, "with it", func() error {
		code, stdout, stderr := swell(t, "page", "--json", "--kubeconfig", reader)
		var s ui.State
		if code != 0 || json.Unmarshal([]byte(stdout), &s) != nil || s.Leader != "scaler-0" || s.Tick != 42 {
			return fmt.Errorf("exit %d: %s%s", code, stdout, stderr)
		}
		return nil
	})
	k.mu.Lock()
	if got := k.pods[0]; got != "scaler-0:8443" {
		t.Errorf("the tunnel led to %s, want the Lease's holder", got)
	}
	k.mu.Unlock()
	fetchLedger(t, reader, book)
	browse(t, reader)
}

// writtenLedger is a ledger of several files and some megabytes.
func writtenLedger(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	l, err := ledger.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for i := range 300 {
		reason := make([]byte, 4096)
		if _, err := rand.Read(reason); err != nil {
			t.Fatal(err)
		}
		if err := l.Append(ledger.Entry{At: at, Model: at, Phase: ledger.Note, Action: "start", Object: fmt.Sprint(i), Reason: hex.EncodeToString(reason)}); err != nil {
			t.Fatal(err)
		}
		if at = at.Add(time.Minute); i == 200 {
			if err := l.Rotate(at, at, time.Second); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// fetchLedger copies it as a person does, and compares the copy.
func fetchLedger(t *testing.T, kubeconfig, book string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ledger")
	code, stdout, stderr := swell(t, "ledger", "fetch", "--out", dir, "--kubeconfig", kubeconfig, "--json")
	var out fetchOutput
	if code != 0 || json.Unmarshal([]byte(stdout), &out) != nil || !out.OK || out.Files != 2 || out.Replica != "scaler-0" {
		t.Fatalf("exit %d: %s%s: want two files of scaler-0 that hold", code, stdout, stderr)
	}
	want, _, err := ledger.Read(book)
	if err != nil {
		t.Fatal(err)
	}
	got, torn, err := ledger.Read(dir)
	if err != nil || torn != 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("%d entries, %d torn, %v: want the %d that were written", len(got), torn, err, len(want))
	}
	if code, _, stderr := swell(t, "ledger", "fetch", "--out", dir, "--kubeconfig", kubeconfig); code != 1 || !strings.Contains(stderr, "another folder") {
		t.Errorf("into the same folder: exit %d: %s", code, stderr)
	}
}

// servePage serves the page of a replica that leads, with its own certificate, and gives its address.
func servePage(t *testing.T, cluster *controlplane.Cluster, book string) string {
	t.Helper()
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
	kube, err := kubernetes.NewForConfig(own)
	if err != nil {
		t.Fatal(err)
	}
	port, err := process.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	page := ui.New(ui.Options{Page: config.Page{Bind: address}, Kube: kube, Replica: "scaler-0", Archive: func(w io.Writer) error { return ledger.Archive(book, w) },
		Log: slog.New(slog.NewTextHandler(t.Output(), nil))}, nil)
	page.Show(ui.State{At: time.Now(), Tick: 42, Leader: "scaler-0", Mode: "Enforce"})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- page.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return address
}

// leaderOn makes the Lease and the pod of a leader on a node whose kubelet is k.
func leaderOn(t *testing.T, admin kubernetes.Interface, k *kubelet) {
	t.Helper()
	server := httptest.NewTLSServer(k)
	t.Cleanup(server.Close)
	_, port, _ := strings.Cut(server.Listener.Addr().String(), ":")
	if _, err := admin.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-0"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.CoreV1().Pods("swell-system").Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "scaler-0"}, Spec: corev1.PodSpec{NodeName: "node-0",
		Containers: []corev1.Container{{Name: "scaler", Image: "registry.k8s.io/pause:3.10"}}}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	holder := "scaler-0_8d6e1f5c-0000-0000-0000-000000000000"
	if _, err := admin.CoordinationV1().Leases("swell-system").Create(t.Context(), &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: ui.LeaseName},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var n int32
	if _, err := fmt.Sscan(port, &n); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node's kubelet", func() error { // the node's controllers write it too
		node, err := admin.CoreV1().Nodes().Get(t.Context(), "node-0", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if node.Status.DaemonEndpoints.KubeletEndpoint.Port == n {
			return nil
		}
		node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}
		node.Status.DaemonEndpoints.KubeletEndpoint.Port = n
		_, err = admin.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{})
		return fmt.Errorf("was written: %v", err)
	})
}

func mayReach(t *testing.T, admin kubernetes.Interface, name string) {
	t.Helper()
	subject := []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: name}}
	if _, err := admin.RbacV1().Roles("swell-system").Create(t.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "reach"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"get"}},
		{APIGroups: []string{""}, Resources: []string{"pods/portforward"}, Verbs: []string{"create"}},
	}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.RbacV1().RoleBindings("swell-system").Create(t.Context(), &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "reach"},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reach"}, Subjects: subject}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func mayRead(t *testing.T, admin kubernetes.Interface, name string) {
	t.Helper()
	if _, err := admin.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "read"},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "swell-scaler:page"},
		Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: name}}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// browse opens the printed address as a browser does, and as somebody else.
func browse(t *testing.T, kubeconfig string) {
	t.Helper()
	var out lockedBuffer
	root := rootCommand()
	root.SetArgs([]string{"page", "--no-browser", "--kubeconfig", kubeconfig})
	root.SetOut(&out)
	root.SetErr(&out)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- root.ExecuteContext(ctx) }()
	var address string
	eventually(t, "the address", func() error {
		address = regexp.MustCompile(`http://127\.0\.0\.1:\d+/\?open=\S+`).FindString(out.String())
		if address == "" {
			return fmt.Errorf("%s", out.String())
		}
		return nil
	})
	plain, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	plain.RawQuery = ""
	ask := func(client *http.Client, address, host string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(text)
	}
	if code, _ := ask(http.DefaultClient, plain.String(), ""); code != 403 {
		t.Errorf("without the secret: %d, want 403", code)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	if code, text := ask(browser, address, ""); code != 200 || !strings.Contains(text, "scaler-0") || !strings.Contains(text, "<h2") {
		t.Errorf("the address: %d %.300s", code, text)
	}
	if code, _ := ask(http.DefaultClient, address, ""); code != 403 {
		t.Errorf("the address a second time: %d, want 403", code)
	}
	if code, text := ask(browser, plain.String()+"api/state.json", ""); code != 200 || !strings.Contains(text, `"tick":42`) {
		t.Errorf("with the cookie: %d %.300s", code, text)
	}
	if code, _ := ask(browser, plain.String(), "evil.example:"+plain.Port()); code != 403 {
		t.Errorf("by a name that leads here: %d, want 403", code)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func eventually(t *testing.T, what string, ask func() error) {
	t.Helper()
	err := stack.Poll(t.Context(), what, time.Minute, func(context.Context) (bool, error) {
		err := ask()
		return err == nil, err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBadUsesOfPage(t *testing.T) {
	config := write(t, "kubeconfig", "apiVersion: v1\nkind: Config\nclusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}]\ncontexts: [{name: a, context: {cluster: a, user: a}}]\ncurrent-context: a\nusers: [{name: a, user: {token: secret}}]\n")
	for args, want := range map[string]struct {
		code int
		says string
	}{
		"page here":                  {2, `"here" is not expected`},
		"page --kubeconfig /nowhere": {2, "read the kubeconfig"},
		"page --json --url http://127.0.0.1 --kubeconfig " + config:                  {2, "--url is"},
		"page --json --ca-file x --kubeconfig " + config:                             {2, "--ca-file is for --url alone"},
		"page --json --url https://127.0.0.1:1 --ca-file /no --kubeconfig " + config: {2, "--ca-file"},
		"page --json --url https://127.0.0.1:1 --kubeconfig " + config:               {1, "see that its configuration has page.bind"},
		"page --json --kubeconfig " + config:                                         {1, "asking who leads"},
	} {
		code, _, stderr := swell(t, strings.Fields(args)...)
		if code != want.code || !strings.Contains(stderr, want.says) || strings.Contains(stderr, "secret") {
			t.Errorf("swell %s: exit %d: %s, want %d and %q", args, code, stderr, want.code, want.says)
		}
	}
}
