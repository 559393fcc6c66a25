package load

import (
	"context"
	"math"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	metrics "k8s.io/metrics/pkg/client/clientset/versioned"

	"swell/api/config"
)

func pod(name, app string, ready corev1.ConditionStatus) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{"app": app}},
		Spec: corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{{Name: "main", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}}}}},
		Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
	}
}

// TestResourceMetrics reads what is served with the client that the HPA controller uses.
func TestResourceMetrics(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watch := WatchPods(fake.NewClientset(pod("web-1", "web", corev1.ConditionTrue), pod("web-2", "web", corev1.ConditionTrue),
		pod("web-3", "web", corev1.ConditionFalse), pod("orders-1", "orders", corev1.ConditionTrue)), "shop")
	if err := watch.Start(ctx); err != nil {
		t.Fatal(err)
	}
	web, err := NewWeb(WebOptions{Demand: func(time.Time) float64 { return 1.5 }, Selector: labels.SelectorFromSet(labels.Set{"app": "web"}), Noise: -1}, watch)
	if err != nil {
		t.Fatal(err)
	}
	server, err := NewResourceMetrics(ResourceMetricsOptions{Pods: watch, Use: web.Use, ServerNames: []string{"resource-metrics.swell.svc"}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	conf := &rest.Config{Host: "https://" + server.Addr().String(), TLSClientConfig: rest.TLSClientConfig{CAData: server.CABundle(), ServerName: "resource-metrics.swell.svc"}}
	client := metrics.NewForConfigOrDie(conf)
	list, err := client.MetricsV1beta1().PodMetricses("shop").List(ctx, metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 2 {
		t.Fatalf("%d pods, want the two ready ones of web", len(list.Items))
	}
	for _, item := range list.Items {
		// 1.5 whole requests over 2 pods of 2 cores
		if use := item.Containers[0].Usage.Cpu().MilliValue(); use != 1500 {
			t.Errorf("%s uses %dm, want 1500m", item.Name, use)
		}
		if age := time.Since(item.Timestamp.Time); age > time.Minute || item.Window.Duration != time.Second {
			t.Errorf("%s: sample of %s ago over %s", item.Name, age, item.Window.Duration)
		}
	}
	if _, err := client.MetricsV1beta1().PodMetricses("shop").Get(ctx, "web-2", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := client.MetricsV1beta1().PodMetricses("shop").Get(ctx, "web-3", metav1.GetOptions{}); !errors.IsNotFound(err) {
		t.Errorf("a pod that is not ready: %v, want not found", err)
	}
	nodes, err := client.MetricsV1beta1().NodeMetricses().List(ctx, metav1.ListOptions{})
	if err != nil || len(nodes.Items) != 1 || nodes.Items[0].Usage.Cpu().MilliValue() != 3000 {
		t.Errorf("nodes %v, %v", nodes, err)
	}
	found, err := discovery.NewDiscoveryClientForConfigOrDie(conf).ServerResourcesForGroupVersion("metrics.k8s.io/v1beta1")
	if err != nil || len(found.APIResources) != 2 {
		t.Errorf("discovery %v, %v", found, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWebCountsWhatIsNotServed(t *testing.T) {
	pods := &members{}
	pods.set("a", "b")
	web, err := NewWeb(WebOptions{Demand: func(time.Time) float64 { return 3 }, Selector: labels.SelectorFromSet(labels.Set{"app": "web"}), Clock: config.Clock{}}, pods)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	web.step(start, start.Add(10*time.Second))
	got := web.Stats()
	// 3 whole requests want 6 pods at 50 %; 2 are there, which at 100 % serve 2
	want := WebStats{Demand: 3, Wanted: 6, Ready: 2, Dropped: 1, WantedPodSeconds: 60, UnservedPodSeconds: 40, DroppedSeconds: 10}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	use, ok := web.Use(Pod{Labels: map[string]string{"app": "web"}}, start)
	if !ok || math.Abs(use-1) > 0.2 {
		t.Errorf("use %g, %v: want the burst", use, ok)
	}
}
