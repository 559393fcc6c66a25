package scaler_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/bench/measure"
	"swell/bench/testbed/aws"
	"swell/bench/testbed/controlplane"
	"swell/bench/testbed/stack"
	"swell/scaler/ledger"
	"swell/scaler/series"
)

// The tests of this file run the real program against a real control plane and AWS over HTTP, at ten times life.

const (
	speed        = 10
	instanceType = "m6i.4xlarge"
)

var (
	monday = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	prices = map[string]config.Price{instanceType: {OnDemand: 1, Spot: 0.35}}
)

// fleet is one spot group in each of three zones, n nodes in each.
func fleet(n int) aws.Fleet {
	f := aws.Fleet{
		Region: "ap-northeast-1",
		InstanceTypes: map[string]aws.InstanceType{instanceType: {VCPU: 16, MemoryMiB: 64 << 10,
			Allocatable: map[string]string{"cpu": "15500m", "memory": "60Gi", "pods": "110"}}},
		Prices: map[string]aws.Price{instanceType: {OnDemand: 1, Spot: 0.35}},
	}
	for _, zone := range []string{"a", "c", "d"} {
		f.Groups = append(f.Groups, aws.Group{
			Name: "spot-" + zone, Zone: "ap-northeast-1" + zone, Market: "spot", Max: 10, Desired: n, InstanceTypes: []string{instanceType},
			Tags: map[string]string{"swell/pool": "general", "swell/market": "spot"},
		})
	}
	return f
}

const pool = `
apiVersion: capacity.swell/v1alpha1
kind: CapacityPool
metadata: {name: general}
spec:
  groups: {tags: {swell/pool: %s}}
  scaleIn: {after: 2m}
`

const workload = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: %d
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: app, image: registry.k8s.io/pause:3.10, resources: {requests: {cpu: "1"}}}]
---
apiVersion: capacity.swell/v1alpha1
kind: Balloon
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  chunk: "2.5"
  min: %d
  max: 20
`

// world is a stack with the scaler running on it.
type world struct {
	*stack.Stack
	t *testing.T
}

// start boots a stack with the pool and the workload, and the scaler on it. The past is the demand of two weeks, in pods.
func start(t *testing.T, f aws.Fleet, replicas, minBalloons int, past float64) world {
	t.Helper()
	return startWith(t, f, replicas, past, fmt.Sprintf(`{"min": %d}`, minBalloons))
}

// startWith is start with a piece of the Balloon's spec.
func startWith(t *testing.T, f aws.Fleet, replicas int, past float64, spec string) world {
	t.Helper()
	if past == 0 {
		return startAfter(t, f, replicas, series.Series{}, spec)
	}
	return startAfter(t, f, replicas, fortnight(func(time.Time) float64 { return past }), spec)
}

// fortnight is two weeks of demand, in pods.
func fortnight(demand func(time.Time) float64) series.Series {
	s := series.Series{Start: monday.Add(-14 * 24 * time.Hour), Step: 5 * time.Minute}
	for range 14 * 24 * 12 {
		s.Append(demand(s.End()), 0)
	}
	return s
}

// startAfter is start with a past of its own, which may be empty. A control plane mostly waits, so that several run beside one another.
func startAfter(t *testing.T, f aws.Fleet, replicas int, past series.Series, spec string) world {
	t.Helper()
	return startConfigured(t, f, replicas, past, spec, stack.ScalerOptions{})
}

// startConfigured is startAfter with more of the scaler's options.
func startConfigured(t *testing.T, f aws.Fleet, replicas int, past series.Series, spec string, options stack.ScalerOptions) world {
	t.Helper()
	t.Parallel()
	controlplane.BinaryForTest(t)
	st, err := stack.Start(t.Context(), stack.Options{Speed: speed, Fleet: f, Seed: 1, Log: nil})
	if err != nil {
		t.Fatal(err)
	}
	w := world{st, t}
	t.Cleanup(func() {
		if t.Failed() {
			raw, _ := os.ReadFile(filepath.Join(st.Dir(), "swell-scaler.log"))
			t.Logf("swell-scaler's log:\n%s", raw)
		}
		if err := st.Stop(); err != nil {
			t.Error(err)
		}
	})
	w.apply(fmt.Sprintf(pool, "general"))
	w.apply(fmt.Sprintf(workload, replicas, 0))
	w.patch("web", spec)
	w.until("the first pods run", func() (bool, string) {
		n := w.bound("app=web")
		return n == replicas, fmt.Sprintf("%d of %d are bound", n, replicas)
	})
	st.Clock = config.Clock{Speed: speed, Real: time.Now(), Model: monday}
	options.Region, options.Prices, options.QueueURL = "ap-northeast-1", prices, st.AWSEndpoint()+"/123456789012/interruptions"
	if past.Len() > 0 {
		path := filepath.Join(st.Dir(), "past.csv")
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := series.Write(file, past); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		options.Files = []config.HistoryFile{{Namespace: "shop", Balloon: "web", File: path}}
	}
	if err := st.StartScaler(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w world) apply(yaml string) {
	w.t.Helper()
	if err := w.Apply(w.t.Context(), "the test's objects", []byte(yaml)); err != nil {
		w.t.Fatal(err)
	}
}

func (w world) until(what string, done func() (bool, string)) {
	w.t.Helper()
	err := stack.Poll(w.t.Context(), what, 40*time.Second, func(context.Context) (bool, error) {
		ok, state := done()
		return ok, fmt.Errorf("%s", state)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w world) pods(selector string) []corev1.Pod {
	w.t.Helper()
	list, err := w.Kube.CoreV1().Pods("shop").List(w.t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		w.t.Fatal(err)
	}
	return list.Items
}

func (w world) bound(selector string) int {
	n := 0
	for _, p := range w.pods(selector) {
		if p.Spec.NodeName != "" && p.DeletionTimestamp == nil {
			n++
		}
	}
	return n
}

func (w world) scale(replicas int) {
	w.t.Helper()
	patch := fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas)
	if _, err := w.Kube.AppsV1().Deployments("shop").Patch(w.t.Context(), "web", types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "scale"); err != nil {
		w.t.Fatal(err)
	}
}

// launched is how many instances were launched after the fleet's first, by AWS's own log.
func (w world) launched() int {
	w.t.Helper()
	n := 0
	for _, i := range w.instances() {
		if i.Cause != "initial" {
			n++
		}
	}
	return n
}

// settled waits until the balloons are as wanted and bound, and nothing more is launched for half a minute of model time.
func (w world) settled(balloons int) {
	w.t.Helper()
	var since time.Time
	last := -1
	w.until(fmt.Sprintf("%d balloons are bound and nothing moves", balloons), func() (bool, string) {
		n, all, launched := w.bound(balloonSelector), len(w.pods(balloonSelector)), w.launched()
		if n != balloons || all != balloons || launched != last {
			since, last = time.Now(), launched
		}
		return time.Since(since) > 3*time.Second, fmt.Sprintf("%d of %d balloons are bound, %d instances were launched", n, all, launched)
	})
}

const balloonSelector = "capacity.swell/balloon=web"

// belief is what a ledger says was done.
type belief struct {
	launched, terminated   map[string]bool // instances by id
	launches, made, popped int
}

func (w world) believes() belief {
	w.t.Helper()
	entries, torn, err := ledger.Read(w.LedgerDir())
	if err != nil || torn > 0 {
		w.t.Fatalf("reading the ledger: %v, %d torn lines", err, torn)
	}
	x := belief{launched: map[string]bool{}, terminated: map[string]bool{}}
	for _, e := range entries {
		if e.Phase != ledger.Done {
			continue
		}
		switch e.Action {
		case "launch":
			x.launches++
			for _, id := range e.Instances {
				x.launched[id] = true
			}
		case "terminate":
			x.terminated[e.Object] = true
		case "create-balloons":
			x.made += e.Count
		case "pop", "delete-balloon":
			x.popped++
		}
	}
	return x
}

// compareWithLedger holds what swell believes it launched and made against AWS's own log and the API server's audit log.
func (w world) compareWithLedger() {
	w.t.Helper()
	x := w.believes()
	run, _, err := measure.Measure(measure.Options{
		Policy: "test", AuditLogs: []string{w.Cluster.AuditLog()}, Clock: w.Clock, From: w.Clock.Real, To: time.Now(),
		Instances: filepath.Join(w.AWSDir(), "instances.jsonl"), Calls: filepath.Join(w.AWSDir(), "calls.jsonl"),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if run.Launched != len(x.launched) || run.Launches != x.launches {
		w.t.Errorf("the summary has %d instances of %d calls launched, the ledger %d of %d", run.Launched, run.Launches, len(x.launched), x.launches)
	}
	for _, i := range w.instances() {
		if i.Cause != "initial" && !x.launched[i.ID] {
			w.t.Errorf("AWS launched %s, which is not in the ledger", i.ID)
		}
		delete(x.launched, i.ID)
		if gone := !i.Terminating.IsZero() || !i.Terminated.IsZero(); gone != x.terminated[i.ID] {
			w.t.Errorf("instance %s: gone by AWS's log %t, returned by the ledger %t", i.ID, gone, x.terminated[i.ID])
		}
	}
	if len(x.launched) > 0 {
		w.t.Errorf("the ledger has launches that AWS does not know: %v", x.launched)
	}
	pods, _, err := measure.ReadAudit(w.Cluster.AuditLog())
	if err != nil {
		w.t.Fatal(err)
	}
	created := 0
	for _, p := range pods {
		if p.Balloon != "" {
			created++
		}
	}
	if created != x.made {
		w.t.Errorf("the audit log has %d balloon pods created, the ledger %d", created, x.made)
	}
	if left := len(w.pods(balloonSelector)); left > created-x.popped {
		w.t.Errorf("%d balloon pods are left of %d created, and the ledger has %d deletions", left, created, x.popped)
	}
}

// interrupt has AWS give notice to one spot instance, and returns its id.
func (w world) interrupt() string {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.AWSEndpoint()+"/_control/interrupt", strings.NewReader(`{"count": 1}`))
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		w.t.Fatalf("interrupting: %d %s %v", response.StatusCode, body, err)
	}
	id := regexp.MustCompile(`i-[0-9a-f]+`).FindString(string(body))
	if id == "" {
		w.t.Fatalf("interrupting: no instance in %s", body)
	}
	return id
}

// balloonPod is the name of a balloon pod of web in one of the zones.
var balloonPod = regexp.MustCompile(`^web-1[acd]-[a-z0-9]{5}$`)

// evictedOnly holds the audit log against the promise that no pod of the workload goes from a node but by the eviction
// of its own or with its ReplicaSet scaled down.
func (w world) evictedOnly() {
	w.t.Helper()
	raw, err := os.ReadFile(w.Cluster.AuditLog())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, line := range bytes.Split(raw, []byte("\n")) {
		var e struct {
			Verb      string `json:"verb"`
			User      struct{ Username string }
			ObjectRef struct{ Resource, Subresource, Namespace, Name string }
		}
		if json.Unmarshal(line, &e) != nil || e.Verb != "delete" || e.ObjectRef.Resource != "pods" || e.ObjectRef.Namespace != "shop" {
			continue
		}
		if strings.HasSuffix(e.User.Username, ":swell-scaler") && e.ObjectRef.Subresource == "" && !balloonPod.MatchString(e.ObjectRef.Name) || e.User.Username == "aws" {
			w.t.Errorf("%s deleted pod %s without an eviction", e.User.Username, e.ObjectRef.Name)
		}
	}
}

func (w world) instances() []measure.Instance {
	w.t.Helper()
	instances, _, err := measure.ReadInstances(filepath.Join(w.AWSDir(), "instances.jsonl"))
	if err != nil {
		w.t.Fatal(err)
	}
	return instances
}

func (w world) calls() []measure.Call {
	w.t.Helper()
	calls, _, err := measure.ReadCalls(filepath.Join(w.AWSDir(), "calls.jsonl"))
	if err != nil {
		w.t.Fatal(err)
	}
	return calls
}

// alive is how many instances AWS bills.
func (w world) alive() int {
	n := 0
	for _, i := range w.instances() {
		if i.Terminated.IsZero() {
			n++
		}
	}
	return n
}

func (w world) poolCondition(name string) string {
	w.t.Helper()
	raw, err := w.Kube.Discovery().RESTClient().Get().AbsPath("/apis/capacity.swell/v1alpha1/capacitypools/" + name).DoRaw(w.t.Context())
	if err != nil {
		return err.Error()
	}
	return conditionOf(raw)
}

// conditionOf is the status and message of a CapacityPool's Ready condition.
func conditionOf(raw []byte) string {
	var pool v1alpha1.CapacityPool
	if err := json.Unmarshal(raw, &pool); err != nil {
		return err.Error()
	}
	for _, c := range pool.Status.Conditions {
		if c.Type == "Ready" {
			return string(c.Status) + " " + c.Message
		}
	}
	return "no condition yet"
}

// coresByZone is what the pods on each node ask for, for each zone's nodes.
func (w world) coresByZone() map[string][]float64 {
	w.t.Helper()
	nodes, err := w.Kube.CoreV1().Nodes().List(w.t.Context(), metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	asked := map[string]float64{}
	for _, p := range w.pods("") {
		if p.DeletionTimestamp == nil {
			asked[p.Spec.NodeName] += p.Spec.Containers[0].Resources.Requests.Cpu().AsApproximateFloat64()
		}
	}
	zones := map[string][]float64{}
	for _, n := range nodes.Items {
		zone := n.Labels[corev1.LabelTopologyZone]
		zones[zone] = append(zones[zone], asked[n.Name])
	}
	return zones
}
