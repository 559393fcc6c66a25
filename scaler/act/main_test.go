package act

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"swell/bench/testbed/controlplane"
)

// booted is the one control plane of this package's tests; it starts with the first test that asks for it.
var booted struct {
	once    sync.Once
	cluster *controlplane.Cluster
	kube    kubernetes.Interface
	err     error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if booted.cluster != nil {
		if err := booted.cluster.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// cluster is the control plane with one node, "roomy", that is never drained.
func cluster(t *testing.T) (*controlplane.Cluster, kubernetes.Interface) {
	t.Helper()
	binary := controlplane.BinaryForTest(t)
	booted.once.Do(func() {
		booted.cluster, booted.err = controlplane.Start(context.Background(), controlplane.Options{Binary: binary})
		if booted.err != nil {
			return
		}
		if booted.kube, booted.err = kubernetes.NewForConfig(booted.cluster.AdminConfig()); booted.err == nil {
			addNode(t, booted.kube, "roomy")
		}
	})
	if booted.err != nil {
		t.Fatal(booted.err)
	}
	return booted.cluster, booted.kube
}

// until polls; the limit only turns a hang into a failure.
func until(t *testing.T, what string, done func() (bool, string)) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		ok, state := done()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not so: %s", what, state)
		}
	}
}

func addNode(t *testing.T, kube kubernetes.Interface, name string) {
	t.Helper()
	size := corev1.ResourceList{"cpu": resource.MustParse("16"), "memory": resource.MustParse("64Gi"), "pods": resource.MustParse("110")}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"node": name}}, Status: corev1.NodeStatus{Capacity: size, Allocatable: size}}
	if _, err := kube.CoreV1().Nodes().Create(context.Background(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "node "+name+" is Ready", func() (bool, string) {
		n, err := kube.CoreV1().Nodes().Get(context.Background(), name, metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		for _, c := range n.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue && len(n.Spec.Taints) == 0 {
				return true, ""
			}
		}
		return false, fmt.Sprintf("%v %v", n.Status.Conditions, n.Spec.Taints)
	})
}

func addNamespace(t *testing.T, kube kubernetes.Interface) string {
	t.Helper()
	ns, err := kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "act-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return ns.Name
}

// wire is a client's way to the API server. It counts requests, and can break them.
type wire struct {
	mu     sync.Mutex
	seen   int
	method string // what is broken: requests of this method to a path that ends in suffix
	suffix string
	lose   int // the answers of that many are lost
	refuse int // that many after them get no further than here
}

func (w *wire) breakNext(method, suffix string, refuse, lose int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.method, w.suffix, w.refuse, w.lose = method, suffix, refuse, lose
}

func (w *wire) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

func (w *wire) take(r *http.Request) (refused, lost bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen++
	if r.Method != w.method || !strings.HasSuffix(r.URL.Path, w.suffix) {
		return false, false
	}
	switch {
	case w.lose > 0:
		w.lose--
		return false, true
	case w.refuse > 0:
		w.refuse--
		return true, false
	}
	return false, false
}

// through returns a client whose requests go over the wire.
func (w *wire) through(t *testing.T, c *controlplane.Cluster) kubernetes.Interface {
	t.Helper()
	config := c.AdminConfig()
	config.WrapTransport = func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			refused, lost := w.take(r)
			if refused {
				return nil, fmt.Errorf("%s %s: the wire is cut", r.Method, r.URL.Path)
			}
			answer, err := next.RoundTrip(r)
			if err == nil && lost {
				answer.Body.Close()
				return nil, fmt.Errorf("%s %s: the answer is lost", r.Method, r.URL.Path)
			}
			return answer, err
		})
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return kube
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
