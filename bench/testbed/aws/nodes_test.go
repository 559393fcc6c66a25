package aws_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	emulator "swell/bench/testbed/aws"
)

// apiServer holds Nodes and pods behind the few paths that the emulator uses.
type apiServer struct {
	mu      sync.Mutex
	nodes   map[string]corev1.Node
	pods    map[string]corev1.Pod
	refuse  int // answers 503 this many times
	changed chan struct{}
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		close(s.changed)
		s.changed = make(chan struct{})
	}()
	if s.refuse > 0 {
		s.refuse--
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/v1/"), "/")
	name := parts[len(parts)-1]
	w.Header().Set("Content-Type", "application/json")
	switch r.Method + " " + parts[0] {
	case "POST nodes":
		var n corev1.Node
		if err := json.NewDecoder(r.Body).Decode(&n); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.nodes[n.Name] = n
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(n)
	case "GET nodes":
		list := corev1.NodeList{TypeMeta: metav1.TypeMeta{Kind: "NodeList", APIVersion: "v1"}}
		for _, n := range s.nodes {
			list.Items = append(list.Items, n)
		}
		_ = json.NewEncoder(w).Encode(list)
	case "DELETE nodes":
		delete(s.nodes, name)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Success"}`)
	case "GET pods":
		list := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}}
		for _, p := range s.pods {
			if "spec.nodeName="+p.Spec.NodeName == r.URL.Query().Get("fieldSelector") {
				list.Items = append(list.Items, p)
			}
		}
		_ = json.NewEncoder(w).Encode(list)
	case "DELETE namespaces":
		var o metav1.DeleteOptions
		if err := json.NewDecoder(r.Body).Decode(&o); err == nil && o.GracePeriodSeconds != nil && *o.GracePeriodSeconds == 0 {
			delete(s.pods, name)
		}
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Success"}`)
	default:
		http.NotFound(w, r)
	}
}

// until waits for the server to have come to a state.
func (s *apiServer) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		s.mu.Lock()
		done, changed := ok(), s.changed
		s.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%s has not come to be", what)
		}
	}
}

func writeKubeconfig(t *testing.T, dir, url string) string {
	t.Helper()
	path := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(path, fmt.Appendf(nil, `{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],
  clusters: [{name: c, cluster: {server: %q}}], users: [{name: u, user: {token: t}}]}`, url), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestInstancesJoinAndLeaveTheCluster(t *testing.T) {
	s := &apiServer{nodes: map[string]corev1.Node{}, pods: map[string]corev1.Pod{}, changed: make(chan struct{}), refuse: 2}
	server := httptest.NewServer(s)
	defer server.Close()
	dir := t.TempDir()
	kubeconfig := writeKubeconfig(t, dir, server.URL)
	w := &world{t: t, dir: filepath.Join(dir, "log"), now: time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)}
	fleet, err := emulator.ReadFleet("testdata/fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	start := func() {
		w.e, err = emulator.New(emulator.Options{Fleet: fleet, Dir: w.dir, Seed: 7, Now: w.clock, Manual: true, Kubeconfig: kubeconfig, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
	}
	start()
	w.pass(10 * time.Minute)
	s.until(t, "a cluster of three Nodes", func() bool { return len(s.nodes) == 3 })

	chosen := w.e.Status().Instances[0]
	for _, i := range w.e.Status().Instances {
		if i.Group == "general-1a-spot" {
			chosen = i
		}
	}
	s.mu.Lock()
	node := s.nodes[chosen.Node]
	s.pods["p"] = corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "shop", UID: "1"}, Spec: corev1.PodSpec{NodeName: chosen.Node}}
	s.mu.Unlock()
	if node.Spec.ProviderID != "aws:///ap-northeast-1a/"+chosen.ID || len(node.Spec.Taints) != 1 || node.Spec.Taints[0].Value != "general" {
		t.Errorf("unexpected spec %+v", node.Spec)
	}
	for k, v := range map[string]string{"kubernetes.io/hostname": chosen.Node, "topology.kubernetes.io/zone": "ap-northeast-1a", "topology.kubernetes.io/region": "ap-northeast-1",
		"node.kubernetes.io/instance-type": "m6i.4xlarge", "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "swell/pool": "general"} {
		if node.Labels[k] != v {
			t.Errorf("label %s is %q, want %q", k, node.Labels[k], v)
		}
	}
	if cpu := node.Status.Allocatable[corev1.ResourceCPU]; cpu.String() != "15500m" || node.Status.Capacity.Cpu().String() != "16" {
		t.Errorf("unexpected status %+v", node.Status)
	}

	// the emulator dies with the instance's end still to come, and finds the Node when it is back
	if _, err := w.e.Control("interrupt", emulator.Order{Instances: []string{chosen.ID}}); err != nil {
		t.Fatal(err)
	}
	w.e.Close()
	start()
	defer func() { w.e.Close() }()
	w.pass(3 * time.Minute)
	s.until(t, "the end of the Node and of its pod", func() bool {
		_, there := s.nodes[chosen.Node]
		return !there && len(s.pods) == 0
	})
}
