package consumers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"

	"swell/api/v1alpha1"
	"swell/bench/testbed/controlplane"
	"swell/metrics/lag"
	"swell/metrics/store"
)

// world is a real control plane with two workloads, and Consumers that lead over it; what Kafka holds is written down.
type world struct {
	t   *testing.T
	api client.Client
	// self is by the chart's rights.
	self client.Client
	// ends are the groups' end offsets; all but the last held messages of each are read.
	ends, held map[string]*atomic.Int64
}

var groups = []string{"orders", "roll", "set"}

func kinds(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme), appsv1.AddToScheme(scheme), autoscalingv2.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	return scheme
}

func newWorld(t *testing.T) *world {
	t.Helper()
	scheme := kinds(t)
	running, err := controlplane.Start(context.WithoutCancel(t.Context()), controlplane.Options{Binary: controlplane.BinaryForTest(t), Log: t.Output(), HPASyncPeriod: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := running.Stop(); err != nil {
			t.Error(err)
		}
	})
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	if err := running.InstallCRDs(t.Context(), filepath.Join(root, "charts", "swell", "crds")); err != nil {
		t.Fatal(err)
	}
	if err := running.ApplyFile(t.Context(), filepath.Join(root, "charts", "rendered", "swell-metrics-rbac.yaml")); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, ends: map[string]*atomic.Int64{}, held: map[string]*atomic.Int64{}}
	for _, g := range groups {
		w.ends[g], w.held[g] = &atomic.Int64{}, &atomic.Int64{}
		w.ends[g].Store(100)
	}
	if w.api, err = client.New(running.AdminConfig(), client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	self, err := running.ServiceAccountConfig("swell-system", "swell-metrics")
	if err != nil {
		t.Fatal(err)
	}
	objects, err := cluster.New(self, func(o *cluster.Options) { o.Scheme = scheme })
	if err != nil {
		t.Fatal(err)
	}
	w.self = objects.GetClient()
	w.workloads()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{}, 3)
	run := func(f func()) { go func() { f(); done <- struct{}{} }() }
	live := &Ready{Live: objects.GetClient(), Cached: objects.GetCache()}
	st := store.New()
	m := newConfig()
	m.StatusEvery.Duration = 200 * time.Millisecond
	c := New(Options{Config: m, Store: st, Objects: objects.GetCache(), Pods: live.Pods, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	run(func() { _ = objects.Start(ctx) })
	for _, o := range []client.Object{&v1alpha1.QueueConsumer{}, &corev1.Pod{}} {
		if _, err := objects.GetCache().GetInformer(ctx, o); err != nil {
			t.Fatal(err)
		}
	}
	if !objects.GetCache().WaitForCacheSync(ctx) {
		t.Fatal("the cache does not sync")
	}
	run(func() { live.Run(ctx) })
	run(func() { c.WriteStatuses(ctx, objects.GetClient()) })
	go w.poll(ctx, c, st)
	t.Cleanup(func() {
		stop()
		for range 3 {
			<-done
		}
	})
	return w
}

// poll stands in for a poller.
func (w *world) poll(ctx context.Context, c *Consumers, st *store.Store) {
	for ctx.Err() == nil {
		at := time.Now()
		for _, g := range groups {
			end := w.ends[g].Load()
			st.Record(store.Key{Cluster: "main", Group: g}, store.Poll{At: at, Readings: []lag.Reading{
				{Topic: "orders", At: at, Commit: end - w.held[g].Load(), End: end, Stable: end, Readable: lag.Unknown, ShareLag: lag.Unknown}}})
		}
		c.Evaluate("main")
		time.Sleep(100 * time.Millisecond)
	}
}

func (w *world) create(o client.Object) {
	w.t.Helper()
	if err := w.api.Create(w.t.Context(), o); err != nil {
		w.t.Fatalf("create %T: %v", o, err)
	}
}

// workloads are a Deployment with an HPA, and something else that has a scale subresource.
func (w *world) workloads() {
	w.t.Helper()
	one, average := int32(1), resource.MustParse("1")
	labels := map[string]string{"app": "orders"}
	meta := metav1.ObjectMeta{Name: "orders", Namespace: "shop"}
	size := corev1.ResourceList{"cpu": resource.MustParse("32"), "memory": resource.MustParse("128Gi"), "pods": resource.MustParse("110")}
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}})
	w.create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-0"}, Status: corev1.NodeStatus{Capacity: size, Allocatable: size}})
	w.create(&appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Replicas: &one, Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "orders", Image: "orders"}}}}}})
	w.create(&autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: meta, Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "orders"}, MinReplicas: &one, MaxReplicas: 5,
		Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ExternalMetricSourceType, External: &autoscalingv2.ExternalMetricSource{
			Metric: autoscalingv2.MetricIdentifier{Name: "kafka_consumergroup_desired_replicas"}, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: &average}}}}}})
	set := map[string]string{"app": "set"}
	w.create(&appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "set", Namespace: "shop"}, Spec: appsv1.StatefulSetSpec{Replicas: &one, Selector: &metav1.LabelSelector{MatchLabels: set},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: set}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "set", Image: "set"}}}}}})
	preserve := true
	w.create(&apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "rollouts.argoproj.io"}, Spec: apiextensionsv1.CustomResourceDefinitionSpec{
		Group: "argoproj.io", Scope: apiextensionsv1.NamespaceScoped, Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "rollouts", Singular: "rollout", Kind: "Rollout", ListKind: "RolloutList"},
		Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1alpha1", Served: true, Storage: true,
			Schema:       &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &preserve}},
			Subresources: &apiextensionsv1.CustomResourceSubresources{Scale: &apiextensionsv1.CustomResourceSubresourceScale{SpecReplicasPath: ".spec.replicas", StatusReplicasPath: ".status.replicas", LabelSelectorPath: ptr(".status.selector")}}}}}})
	for i, target := range []v1alpha1.ScaleTarget{{APIVersion: "apps/v1", Kind: "Deployment", Name: "orders"}, {APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout", Name: "roll"}, {APIVersion: "apps/v1", Kind: "StatefulSet", Name: "set"}} {
		q := consumer(groups[i], "main")
		q.UID, q.Spec.ScaleTargetRef = "", target
		q.Spec.LateAfter.Duration = 30 * time.Second
		q.Spec.Zero = &v1alpha1.ScaleToZero{After: metav1.Duration{Duration: 2 * time.Second}}
		w.create(&q)
	}
	until(w.t, "rollouts can be made", func() bool {
		return w.api.Create(w.t.Context(), &unstructured.Unstructured{Object: map[string]any{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
			"metadata": map[string]any{"namespace": "shop", "name": "roll"}, "spec": map[string]any{"replicas": int64(1)}, "status": map[string]any{"selector": "app=roll"}}}) == nil
	})
}

func ptr(s string) *string { return &s }

func (w *world) replicas(kind, apiVersion, name string) int64 {
	w.t.Helper()
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind}}
	if err := w.api.Get(w.t.Context(), client.ObjectKey{Namespace: "shop", Name: name}, u); err != nil {
		w.t.Fatal(err)
	}
	n, _, _ := unstructured.NestedInt64(u.Object, "spec", "replicas")
	return n
}

func (w *world) deployment() int64 { return w.replicas("Deployment", "apps/v1", "orders") }

func (w *world) idle(name string) metav1.Condition {
	w.t.Helper()
	var q v1alpha1.QueueConsumer
	if err := w.api.Get(w.t.Context(), client.ObjectKey{Namespace: "shop", Name: name}, &q); err != nil {
		w.t.Fatal(err)
	}
	if c := meta.FindStatusCondition(q.Status.Conditions, conditionIdle); c != nil {
		return *c
	}
	return metav1.Condition{}
}

func (w *world) told(name, reason string) bool {
	w.t.Helper()
	var l corev1.EventList
	if err := w.api.List(w.t.Context(), &l, client.InNamespace("shop")); err != nil {
		w.t.Fatal(err)
	}
	for _, e := range l.Items {
		if e.InvolvedObject.Kind == "QueueConsumer" && e.InvolvedObject.Name == name && e.Reason == reason && e.Source.Component == "swell-metrics" {
			return true
		}
	}
	return false
}

func TestZeroOnAControlPlane(t *testing.T) {
	w := newWorld(t)
	until(t, "the idle Deployment is at none", func() bool { return w.deployment() == 0 })
	until(t, "the idle Rollout is at none", func() bool { return w.replicas("Rollout", "argoproj.io/v1alpha1", "roll") == 0 })
	until(t, "the idle StatefulSet is at none", func() bool { return w.replicas("StatefulSet", "apps/v1", "set") == 0 })
	for _, g := range groups {
		until(t, g+" says so", func() bool {
			c := w.idle(g)
			return c.Reason == reasonScaledToZero && c.Status == metav1.ConditionTrue && w.told(g, reasonScaledToZero)
		})
	}
	until(t, "the HPA leaves it alone", func() bool {
		var h autoscalingv2.HorizontalPodAutoscaler
		if err := w.api.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "orders"}, &h); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(fmt.Sprint(h.Status.Conditions), "ScalingDisabled")
	})
	w.held["orders"].Store(1)
	w.ends["orders"].Add(1)
	until(t, "one pod is back", func() bool { return w.deployment() == 1 && w.told("orders", reasonScaledFromZero) })
	until(t, "its pod is ready and counted", func() bool {
		var q v1alpha1.QueueConsumer
		if err := w.api.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "orders"}, &q); err != nil {
			t.Fatal(err)
		}
		return w.idle("orders").Reason == reasonMessagesWait
	})

	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "orders"}}
	if err := w.api.Patch(t.Context(), d, client.RawPatch("application/merge-patch+json", []byte(`{"spec": {"replicas": 0}}`))); err != nil {
		t.Fatal(err)
	}
	until(t, "none by hand, with a message waiting, is left", func() bool { return w.idle("orders").Reason == reasonZeroByHand })
	if n := w.deployment(); n != 0 {
		t.Errorf("%d replicas, want none", n)
	}
	w.ends["orders"].Add(1)
	w.held["orders"].Add(1)
	until(t, "a new message brings one back", func() bool { return w.deployment() == 1 })
	w.countsEvents()
}

// countsEvents: an Event that comes again is the same one with a count.
func (w *world) countsEvents() {
	w.t.Helper()
	var q v1alpha1.QueueConsumer
	if err := w.api.Get(w.t.Context(), client.ObjectKey{Namespace: "shop", Name: "orders"}, &q); err != nil {
		w.t.Fatal(err)
	}
	events := startEvents(w.t.Context(), w.self)
	for range 2 {
		events.tell(&q, note{corev1.EventTypeNormal, "Again", "the same as before"})
	}
	until(w.t, "the Event is counted", func() bool {
		var l corev1.EventList
		if err := w.api.List(w.t.Context(), &l, client.InNamespace("shop")); err != nil {
			w.t.Fatal(err)
		}
		for _, e := range l.Items {
			if e.Reason == "Again" {
				return e.Count == 2
			}
		}
		return false
	})
}
