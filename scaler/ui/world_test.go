package ui_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"swell/api/config"
	"swell/bench/testbed/aws"
	"swell/bench/testbed/controlplane"
	"swell/bench/testbed/process"
	"swell/bench/testbed/stack"
	"swell/scaler/series"
	"swell/scaler/ui/local"
)

const (
	speed        = 10
	instanceType = "m6i.4xlarge"
)

var (
	monday = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	prices = map[string]config.Price{instanceType: {OnDemand: 1, Spot: 0.35}}
)

// fleet is a spot group of one node in each of three zones, and an on-demand group in the first.
func fleet() aws.Fleet {
	f := aws.Fleet{
		Region: "ap-northeast-1",
		InstanceTypes: map[string]aws.InstanceType{instanceType: {VCPU: 16, MemoryMiB: 64 << 10,
			Allocatable: map[string]string{"cpu": "15500m", "memory": "60Gi", "pods": "110"}}},
		Prices: map[string]aws.Price{instanceType: {OnDemand: 1, Spot: 0.35}},
	}
	for _, zone := range []string{"a", "c", "d"} {
		f.Groups = append(f.Groups, aws.Group{
			Name: "general-spot-" + zone, Zone: "ap-northeast-1" + zone, Market: "spot", Max: 10, Desired: 1, InstanceTypes: []string{instanceType},
			Tags: map[string]string{"swell/pool": "general", "swell/market": "spot"},
		})
	}
	f.Groups = append(f.Groups, aws.Group{Name: "general-ondemand-a", Zone: "ap-northeast-1a", Market: "on-demand", Max: 10, Desired: 1,
		InstanceTypes: []string{instanceType}, Tags: map[string]string{"swell/pool": "general", "swell/market": "on-demand"}})
	return f
}

const objects = `
apiVersion: capacity.swell/v1alpha1
kind: CapacityPool
metadata: {name: general}
spec:
  groups: {tags: {swell/pool: general}}
  purchase: {onDemandBase: 1}
  scaleIn: {after: 10m}
  holds: [{zone: ap-northeast-1a, nodes: 2, until: "2026-03-02T18:00:00Z"}]
  freeze: {until: "2026-03-02T12:00:00Z", reason: the campaign of spring}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 20
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
  min: 2
  max: 20
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: huge, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: huge}}
  template:
    metadata: {labels: {app: huge}}
    spec:
      containers: [{name: app, image: registry.k8s.io/pause:3.10, resources: {requests: {cpu: "64"}}}]
`

// world is a real control plane with the real scaler and its page.
type world struct {
	*stack.Stack
	t    *testing.T
	page *url.URL
}

// demand of a working day: a steep rise after nine.
func demand(at time.Time) float64 {
	hour := float64(at.Hour()) + float64(at.Minute())/60
	switch {
	case hour < 8:
		return 12
	case hour < 10:
		return 12 + (hour-8)*24
	case hour < 18:
		return 60
	}
	return max(60-(hour-18)*12, 12)
}

func start(t *testing.T) world {
	t.Helper()
	controlplane.BinaryForTest(t)
	st, err := stack.Start(t.Context(), stack.Options{Speed: speed, Fleet: fleet(), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	w := world{Stack: st, t: t}
	t.Cleanup(func() {
		if t.Failed() {
			raw, _ := os.ReadFile(filepath.Join(st.Dir(), "swell-scaler.log"))
			t.Logf("swell-scaler's log:\n%s", raw[max(0, len(raw)-20000):])
		}
		if err := st.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := st.Apply(t.Context(), "the test's objects", []byte(objects)); err != nil {
		t.Fatal(err)
	}
	noise := rand.New(rand.NewPCG(1, 1))
	past := series.Series{Start: monday.Add(-14 * 24 * time.Hour), Step: 5 * time.Minute}
	for range 14 * 24 * 12 {
		past.Append(demand(past.End())*(1+0.15*noise.NormFloat64()), 0)
	}
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
	port, err := process.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := st.Cluster.ServingCert("swell-page")
	if err != nil {
		t.Fatal(err)
	}
	w.page = &url.URL{Scheme: "https", Host: fmt.Sprintf("127.0.0.1:%d", port)}
	st.Clock = config.Clock{Speed: speed, Real: time.Now(), Model: monday}
	if err := st.StartScaler(t.Context(), stack.ScalerOptions{Region: "ap-northeast-1", Prices: prices,
		Files: []config.HistoryFile{{Namespace: "shop", Balloon: "web", File: path}},
		Page:  config.Page{Bind: w.page.Host, CertFile: cert, KeyFile: key}}); err != nil {
		t.Fatal(err)
	}
	return w
}

// trusted trusts the testbed's CA.
func trusted(c *controlplane.Cluster) rest.TLSClientConfig {
	return rest.TLSClientConfig{CAData: c.CA()}
}

// as is a transport to the page with a configuration's credentials.
func as(t *testing.T, c *controlplane.Cluster, config *rest.Config) http.RoundTripper {
	t.Helper()
	through, err := local.SignedIn(config, trusted(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	return through
}

func user(t *testing.T, c *controlplane.Cluster, name string, groups ...string) *rest.Config {
	t.Helper()
	config, err := c.Config(name, groups...)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// allow binds the page's role to a subject.
func allow(t *testing.T, kube kubernetes.Interface, s rbacv1.Subject) {
	t.Helper()
	_, err := kube.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{GenerateName: "page-"},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "swell-scaler:page"}, Subjects: []rbacv1.Subject{s}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// token of a ServiceAccount that is made for it.
func token(t *testing.T, kube kubernetes.Interface, account string) string {
	t.Helper()
	if _, err := kube.CoreV1().ServiceAccounts("shop").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	answer, err := kube.CoreV1().ServiceAccounts("shop").CreateToken(t.Context(), account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status.Token
}

func (w world) scale(replicas int) {
	w.t.Helper()
	patch := fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas)
	if _, err := w.Kube.AppsV1().Deployments("shop").Patch(w.t.Context(), "web", types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "scale"); err != nil {
		w.t.Fatal(err)
	}
}

func until(t *testing.T, what string, within time.Duration, done func() (bool, string)) {
	t.Helper()
	err := stack.Poll(t.Context(), what, within, func(context.Context) (bool, error) {
		ok, state := done()
		return ok, fmt.Errorf("%s", state)
	})
	if err != nil {
		t.Fatal(err)
	}
}
