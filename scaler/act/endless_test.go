package act

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"swell/api/config"
	"swell/scaler/ledger"
	"swell/scaler/plan"
)

// endless speaks the API server's protocol, with pods that are evicted and whose end nobody confirms, as those of a dead kubelet
// or with a long grace.
type endless struct {
	perNode int
	// usual is how many calls the usual client has, all in all; zero is no bound.
	usual int
	// grace of the pods, and the status of their nodes' condition Ready.
	grace time.Duration
	ready corev1.ConditionStatus

	mu    sync.Mutex
	fence *corev1.ConfigMap
	ends  map[string]metav1.Time // evicted pods' deletion timestamps
	calls map[string]int
	// dir is the ledger's.
	dir string
	// providerID and uid of all nodes, and the claim of all pods.
	providerID, uid, claim string
	// over says that the kubelets have confirmed the end of all pods, and held that a disruption budget holds them.
	over, held bool
}

func (e *endless) pod(name, node string) corev1.Pod {
	grace := int64(e.grace / time.Second)
	p := corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name,
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(&appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "web"}}, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))}},
		Spec: corev1.PodSpec{NodeName: node, TerminationGracePeriodSeconds: &grace}, Status: corev1.PodStatus{Phase: corev1.PodRunning}}
	p.UID = types.UID(name)
	if e.claim != "" {
		p.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: e.claim}}}}
	}
	if at, evicted := e.ends[name]; evicted {
		p.DeletionTimestamp = &at
	}
	return p
}

func (e *endless) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	last := parts[len(parts)-1]
	w.Header().Set("Content-Type", "application/json")
	switch {
	case last == "readyz":
		_, _ = w.Write([]byte("ok"))
	case last == "eviction":
		e.calls["evict"]++
		if e.held {
			e.answer(w, 429, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Reason: metav1.StatusReasonTooManyRequests, Code: 429})
			return
		}
		e.ends[parts[len(parts)-2]] = metav1.NewTime(time.Now().Add(e.grace))
		e.answer(w, 201, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Success"})
	case strings.Contains(r.URL.Path, "/configmaps"):
		e.configMap(w, r)
	case len(parts) == 4 && parts[2] == "nodes":
		e.node(w, r, last)
	case r.URL.Path == "/api/v1/pods":
		e.calls["list"]++
		node := strings.TrimPrefix(r.URL.Query().Get("fieldSelector"), "spec.nodeName=")
		list := corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}}
		for i := range e.perNode {
			if name := fmt.Sprintf("%s-%d", node, i); !e.over {
				list.Items = append(list.Items, e.pod(name, node))
			}
		}
		e.answer(w, 200, list)
	default:
		e.calls[r.Method+" "+r.URL.Path]++
		e.answer(w, 200, map[string]any{"apiVersion": "policy/v1", "kind": "PodDisruptionBudgetList", "items": []any{}})
	}
}

func (e *endless) answer(w http.ResponseWriter, code int, x any) {
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(x)
}

func (e *endless) node(w http.ResponseWriter, r *http.Request, name string) {
	if r.Method == http.MethodPatch {
		var patch struct{ Spec struct{ Unschedulable bool } }
		_ = json.NewDecoder(r.Body).Decode(&patch)
		e.calls[fmt.Sprintf("cordon %t", patch.Spec.Unschedulable)]++
	}
	e.answer(w, 200, corev1.Node{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Node"}, ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(e.uid)}, Spec: corev1.NodeSpec{ProviderID: e.providerID},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: e.ready}}}})
}

func (e *endless) configMap(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && e.fence == nil {
		e.answer(w, 404, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Reason: metav1.StatusReasonNotFound, Code: 404})
		return
	}
	if r.Method != http.MethodGet {
		var m corev1.ConfigMap
		_ = json.NewDecoder(r.Body).Decode(&m)
		m.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}
		e.fence = &m
	}
	e.answer(w, 200, e.fence)
}

// change changes what it answers.
func (e *endless) change(to func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	to()
}

// count is how often a call was made.
func (e *endless) count(call string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls[call]
}

// against is an actor whose drains have a client of their own, as cmd/swell-scaler has it.
func (e *endless) against(t *testing.T, c Cloud, speed float64) *Actor {
	t.Helper()
	e.ends, e.calls = map[string]metav1.Time{}, map[string]int{}
	if e.ready == "" {
		e.ready = corev1.ConditionTrue
	}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	client := func(rate float32, burst int) kubernetes.Interface {
		kube, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}, QPS: rate, Burst: burst})
		if err != nil {
			t.Fatal(err)
		}
		return kube
	}
	fence, usual := client(20, 40), client(100, 200)
	if e.usual > 0 {
		usual = client(0.001, e.usual)
	}
	in, _, err := TakeOver(t.Context(), fence, "swell-system", intentsName, "first")
	if err != nil {
		t.Fatal(err)
	}
	e.dir = t.TempDir()
	book, err := ledger.Open(e.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { book.Close() })
	a := New(nil, usual, c, in, book, Options{Clock: config.Clock{Speed: speed, Real: time.Now(), Model: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}, Drains: client(50, 100), Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() {
		until(t, "the drains have ended", func() (bool, string) { return scaler{Actor: a}.idle(), "" })
	})
	return a
}

// Nodes drain, 20 pods each in their grace. Of the client that launches are made with they take two calls each, for the cordon, and
// a wait costs one look a node.
func TestDrainsTakeNoCallsFromLaunches(t *testing.T) {
	const nodes, pods = 8, 20
	e := &endless{perNode: pods, grace: time.Minute, usual: 2 * nodes}
	a := e.against(t, nil, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for i := range nodes {
		a.startDrain(ctx, 1, returning{Termination: plan.Termination{Node: fmt.Sprintf("node-%d", i), InstanceID: fmt.Sprintf("i-%d", i), Group: "g", DrainTimeout: time.Minute}})
	}
	until(t, "all pods are evicted", func() (bool, string) {
		e.mu.Lock()
		defer e.mu.Unlock()
		return len(e.ends) == pods*nodes, fmt.Sprintf("%d evicted", len(e.ends))
	})
	before, asked, at := e.count("list"), e.count("evict"), time.Now()
	until(t, "each node was looked at twice more", func() (bool, string) { return e.count("list") >= before+2*nodes, "" })
	if rounds := int(time.Since(at)/firstLook) + 2; e.count("list")-before > rounds*nodes {
		t.Errorf("%d lists in %s", e.count("list")-before, time.Since(at))
	}
	if again := e.count("evict") - asked; again != 0 {
		t.Errorf("%d pods were evicted that end already", again)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for call, n := range e.calls {
		if strings.HasPrefix(call, "GET") {
			t.Errorf("%s: %d times: want no reading of single pods", call, n)
		}
	}
}
