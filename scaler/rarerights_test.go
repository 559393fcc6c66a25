package scaler

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"swell/bench/testbed/controlplane"
	"swell/scaler/guardrail"
	"swell/scaler/history"
)

// What happens once in weeks goes by the chart's rights too: an Event that comes again is counted, the history of a Balloon that is
// gone is deleted, and a policy of each kind is put back.
func TestWhatIsRareGoesByTheChartsRights(t *testing.T) {
	cluster, err := controlplane.Start(t.Context(), controlplane.Options{Binary: controlplane.BinaryForTest(t), Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.InstallCRDs(t.Context(), filepath.Join(root, "charts", "swell", "crds")); err != nil {
		t.Fatal(err)
	}
	if err := cluster.ApplyFile(t.Context(), filepath.Join(root, "charts", "rendered", "swell-scaler-rbac.yaml")); err != nil {
		t.Fatal(err)
	}
	config, err := cluster.ServiceAccountConfig("swell-system", "swell-scaler")
	if err != nil {
		t.Fatal(err)
	}
	self, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := kubernetes.NewForConfig(cluster.AdminConfig())
	if err != nil {
		t.Fatal(err)
	}
	anEventIsCounted(t, self, admin)
	aHistoryIsSwept(t, self)
	policiesArePutBack(t, cluster)
	useIsAskedFor(t, self)
}

// useIsAskedFor: there is no metrics-server, and the answer is that, not that the scaler may not ask.
func useIsAskedFor(t *testing.T, self kubernetes.Interface) {
	t.Helper()
	l := &Loop{kube: self}
	for _, what := range []string{"nodes", "pods"} {
		if err := l.metricsOf(t.Context(), what, &struct{}{}); !apierrors.IsNotFound(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func anEventIsCounted(t *testing.T, self, admin kubernetes.Interface) {
	t.Helper()
	l := &Loop{options: Options{Events: self}}
	stop, err := l.startEvents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "u"}}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		l.events.Eventf(pod, nil, corev1.EventTypeWarning, noGroupFits, "Planning", "no room")
		list, err := admin.EventsV1().Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: "reason=" + noGroupFits})
		if err == nil && (len(list.Items) != 1 || list.Items[0].Series == nil) {
			err = errors.New("it is not counted: " + fmt.Sprint(len(list.Items)) + " Events")
		}
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func aHistoryIsSwept(t *testing.T, self kubernetes.Interface) {
	t.Helper()
	c := history.Checkpoints{Kube: self, Namespace: "swell-system"}
	if _, err := c.Update(t.Context(), "shop", "gone", func(*history.Checkpoint) {}); err != nil {
		t.Fatal(err)
	}
	nobody := func(string, string) bool { return false }
	now := time.Now()
	if deleted, err := c.Sweep(t.Context(), now, nobody); err != nil || len(deleted) != 0 {
		t.Fatalf("at once %v is deleted, %v", deleted, err)
	}
	if deleted, err := c.Sweep(t.Context(), now.Add(history.KeepGone+time.Hour), nobody); err != nil || len(deleted) != 1 || deleted[0] != "shop/gone" {
		t.Errorf("after its time %v is deleted, %v", deleted, err)
	}
}

// policies are one of each kind that guard rails watch, with the spec that was good.
var policies = map[string]string{
	`apiVersion: capacity.swell/v1alpha1
kind: Balloon
metadata: {name: web, namespace: default}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, max: 2}`: `{"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "max": 9}`,
	`apiVersion: capacity.swell/v1alpha1
kind: CapacityPool
metadata: {name: general}
spec: {groups: {tags: {swell/pool: a}}}`: `{"groups": {"tags": {"swell/pool": "b"}}}`,
	`apiVersion: capacity.swell/v1alpha1
kind: DiurnalSchedule
metadata: {name: office, namespace: default}
spec: {timeZone: UTC}`: `{"timeZone": "Asia/Tokyo"}`,
}

func policiesArePutBack(t *testing.T, cluster *controlplane.Cluster) {
	t.Helper()
	config, err := cluster.ServiceAccountConfig("swell-system", "swell-scaler")
	if err != nil {
		t.Fatal(err)
	}
	self, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	admin, err := client.New(cluster.AdminConfig(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for text, good := range policies {
		if err := cluster.Apply(t.Context(), "a policy", []byte(text)); err != nil {
			t.Fatal(err)
		}
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
			t.Fatal(err)
		}
		if err := admin.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			t.Fatal(err)
		}
		// a JSON patch adds a note to annotations that are there
		object.SetAnnotations(map[string]string{"swell/bounds": "none"})
		if err := admin.Update(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		record := &guardrail.Record{Good: json.RawMessage(good), Watch: &guardrail.Watch{Generation: 2, Note: "generation 2: too many misses"}}
		patch, err := patchBack(railed{kind: object.GetKind(), object: object}, record)
		if err != nil {
			t.Fatal(err)
		}
		if err := self.Patch(t.Context(), object, patch); err != nil || object.GetGeneration() != 2 {
			t.Errorf("%s: generation %d, %v", object.GetKind(), object.GetGeneration(), err)
		}
	}
}
