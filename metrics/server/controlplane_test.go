package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
	"swell/bench/testbed/controlplane"
)

const (
	namespace  = "shop"
	partitions = 12
)

// eventually polls until ask is nil; the limit only turns a hang into a failure.
func eventually(t *testing.T, what string, ask func() error) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// rig is a control plane, a Kafka cluster and swell-metrics between them.
type rig struct {
	t       *testing.T
	cluster *controlplane.Cluster
	api     client.Client
	core    kubernetes.Interface
	kafka   *kfake.Cluster
	data    string
	brokers []string
	port    int
	listen  string
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, data: t.TempDir()}
	var err error
	r.cluster, err = controlplane.Start(context.WithoutCancel(t.Context()), controlplane.Options{Binary: controlplane.BinaryForTest(t), Log: t.Output(),
		HPASyncPeriod: time.Second, HPADownscaleStabilization: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme), appsv1.AddToScheme(scheme), autoscalingv2.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cluster.InstallCRDs(t.Context(), filepath.Join(root, "charts", "swell", "crds")); err != nil {
		t.Fatal(err)
	}
	if r.api, err = client.New(r.cluster.AdminConfig(), client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	if r.core, err = kubernetes.NewForConfig(r.cluster.AdminConfig()); err != nil {
		t.Fatal(err)
	}
	r.apply(filepath.Join(root, "charts", "rendered", "swell-metrics-rbac.yaml"))
	r.startKafka(kfake.SeedTopics(partitions, "orders"))
	t.Cleanup(func() { r.kafka.Close() })
	return r
}

func (r *rig) apply(path string) {
	r.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	for d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		u := &unstructured.Unstructured{}
		if err := d.Decode(&u.Object); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			r.t.Fatalf("%s: %v", path, err)
		}
		if err := r.api.Apply(r.t.Context(), client.ApplyConfigurationFromUnstructured(u), client.FieldOwner("test")); err != nil {
			r.t.Fatalf("apply %s %s of %s: %v", u.GetKind(), u.GetName(), path, err)
		}
	}
}

// startKafka starts Kafka with what it held, on the ports that it had.
func (r *rig) startKafka(opts ...kfake.Opt) {
	r.t.Helper()
	opts = append(opts, kfake.NumBrokers(2), kfake.DataDir(r.data), kfake.SyncWrites())
	var ports []int
	for _, b := range r.brokers {
		_, p, _ := net.SplitHostPort(b)
		port, err := strconv.Atoi(p)
		if err != nil {
			r.t.Fatal(err)
		}
		ports = append(ports, port)
	}
	if len(ports) > 0 {
		opts = append(opts, kfake.Ports(ports...))
	}
	k, err := kfake.NewCluster(opts...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.kafka, r.brokers = k, k.ListenAddrs()
}

// serve runs swell-metrics and registers its APIs.
func (r *rig) serve() {
	r.t.Helper()
	dir := r.t.TempDir()
	config := filepath.Join(dir, "metrics.yaml")
	r.listen = fmt.Sprintf("127.0.0.1:%d", freePort(r.t))
	text := fmt.Sprintf("listen: '%s'\nclusters: [{name: main, brokers: ['%s'], pollEvery: 500ms}]\nrateWindow: 5s\nstatusEvery: 500ms\n", r.listen, strings.Join(r.brokers, "','"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	kubeconfig, err := r.cluster.ServiceAccountKubeconfig("swell-system", "swell-metrics")
	if err != nil {
		r.t.Fatal(err)
	}
	const external, custom = "external.metrics.k8s.io/v1beta1", "custom.metrics.k8s.io/v1beta2"
	cert, key, err := r.cluster.ServingCert("swell-metrics", controlplane.APIServiceHost(external), controlplane.APIServiceHost(custom))
	if err != nil {
		r.t.Fatal(err)
	}
	r.port = freePort(r.t)
	s := New(slog.New(slog.NewTextHandler(r.t.Output(), nil)))
	if err := s.Flags().Parse([]string{"--config", config, "--kubeconfig", kubeconfig, "--bind-address", "127.0.0.1",
		"--secure-port", strconv.Itoa(r.port), "--tls-cert-file", cert, "--tls-private-key-file", key}); err != nil {
		r.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	r.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			r.t.Errorf("swell-metrics stopped: %v", err)
		}
	})
	for _, gv := range []string{external, custom} {
		if err := r.cluster.RegisterAPIService(r.t.Context(), gv, r.port, r.cluster.CA()); err != nil {
			r.t.Fatal(err)
		}
	}
}

// workload makes a node, the consumers' Deployment, its QueueConsumer and its HPA.
func (r *rig) workload() {
	r.t.Helper()
	size := corev1.ResourceList{"cpu": resource.MustParse("32"), "memory": resource.MustParse("128Gi"), "pods": resource.MustParse("110")}
	one, no, zero := int32(1), false, int32(0)
	tolerance := resource.MustParse("0")
	labels := map[string]string{"app": "orders"}
	meta := metav1.ObjectMeta{Name: "orders", Namespace: namespace}
	target := v1alpha1.ScaleTarget{APIVersion: "apps/v1", Kind: "Deployment", Name: "orders"}
	average := resource.MustParse("1")
	for _, o := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-0"}, Status: corev1.NodeStatus{Capacity: size, Allocatable: size}},
		&appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Replicas: &one, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "orders", Image: "orders"}}}}}},
		&v1alpha1.QueueConsumer{ObjectMeta: meta, Spec: v1alpha1.QueueConsumerSpec{ScaleTargetRef: target,
			Kafka:       v1alpha1.KafkaGroup{Cluster: "main", Group: "orders", Topics: []string{"orders"}},
			DrainTarget: metav1.Duration{Duration: time.Minute}, RebalanceTime: metav1.Duration{Duration: 5 * time.Second},
			LateAfter: metav1.Duration{Duration: 30 * time.Second}, PerPodRate: v1alpha1.PerPodRate{Initial: "10", Learn: &no}}},
		&autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: meta, Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: target.APIVersion, Kind: target.Kind, Name: target.Name},
			MinReplicas:    &one, MaxReplicas: 20,
			Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{
				ScaleUp:   &autoscalingv2.HPAScalingRules{Tolerance: &tolerance, StabilizationWindowSeconds: &zero},
				ScaleDown: &autoscalingv2.HPAScalingRules{Tolerance: &tolerance, StabilizationWindowSeconds: &zero}},
			Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ExternalMetricSourceType, External: &autoscalingv2.ExternalMetricSource{
				Metric: autoscalingv2.MetricIdentifier{Name: "kafka_consumergroup_desired_replicas",
					Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"consumer": "orders"}}},
				Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: &average}}}}}},
	} {
		if err := r.api.Create(r.t.Context(), o); err != nil {
			r.t.Fatalf("create %T: %v", o, err)
		}
	}
}

func (r *rig) replicas() int32 {
	r.t.Helper()
	var d appsv1.Deployment
	if err := r.api.Get(r.t.Context(), client.ObjectKey{Namespace: namespace, Name: "orders"}, &d); err != nil {
		r.t.Fatal(err)
	}
	return *d.Spec.Replicas
}

func (r *rig) consumer() v1alpha1.QueueConsumer {
	r.t.Helper()
	var q v1alpha1.QueueConsumer
	if err := r.api.Get(r.t.Context(), client.ObjectKey{Namespace: namespace, Name: "orders"}, &q); err != nil {
		r.t.Fatal(err)
	}
	return q
}

func (r *rig) get(path string) (string, error) {
	raw, err := r.core.Discovery().RESTClient().Get().RequestURI(path).DoRaw(r.t.Context())
	return string(raw), err
}

// hpa is the status and message of the HPA's condition that its metrics can be read.
func (r *rig) hpa() (active bool, message string) {
	r.t.Helper()
	var h autoscalingv2.HorizontalPodAutoscaler
	if err := r.api.Get(r.t.Context(), client.ObjectKey{Namespace: namespace, Name: "orders"}, &h); err != nil {
		r.t.Fatal(err)
	}
	for _, c := range h.Status.Conditions {
		if c.Type == autoscalingv2.ScalingActive {
			return c.Status == corev1.ConditionTrue, c.Message
		}
	}
	return false, "no condition yet"
}

// kafkaDo produces n messages over the partitions, then commits each at its end if read, else where it was or at 0.
func (r *rig) kafkaDo(n int, read bool) {
	r.t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(r.brokers...), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = &kgo.Record{Topic: "orders", Value: []byte("order")}
	}
	if err := c.ProduceSync(r.t.Context(), records...).FirstErr(); err != nil {
		r.t.Fatal(err)
	}
	admin := kadm.NewClient(c)
	offsets := kadm.Offsets{}
	if read {
		ends, err := admin.ListEndOffsets(r.t.Context(), "orders")
		if err != nil {
			r.t.Fatal(err)
		}
		offsets = ends.Offsets()
	} else {
		for p := range int32(partitions) {
			offsets.AddOffset("orders", p, 0, -1)
		}
	}
	for _, group := range []string{"orders", "mailer"} {
		if err := admin.CommitAllOffsets(r.t.Context(), group, offsets); err != nil {
			r.t.Fatal(err)
		}
	}
}

func TestHPAFollowsTheBacklog(t *testing.T) {
	r := newRig(t)
	r.kafkaDo(0, false)
	r.workload()
	r.serve()
	eventually(t, "the HPA reads the metric", func() error {
		if active, message := r.hpa(); !active {
			return errors.New(message)
		}
		return nil
	})

	r.kafkaDo(3000, false)
	eventually(t, "the Deployment follows the backlog", func() error {
		q := r.consumer()
		if q.Status.DesiredReplicas == nil || q.Status.Lag == nil || *q.Status.Lag != 3000 {
			return fmt.Errorf("status %+v", q.Status)
		}
		if got := r.replicas(); got < 6 || got != *q.Status.DesiredReplicas {
			return fmt.Errorf("%d replicas, want %d: %s", got, *q.Status.DesiredReplicas, q.Status.Why)
		}
		return nil
	})
	held := r.replicas()
	t.Logf("%d replicas: %s", held, r.consumer().Status.Why)
	r.checkMetrics(held)
	r.checkAccess()

	r.kafka.Close()
	eventually(t, "the metric is an error and the object says so", func() error {
		if body, err := r.get("/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/kafka_consumergroup_desired_replicas?labelSelector=consumer%3Dorders"); err == nil {
			return fmt.Errorf("still served: %s", body)
		}
		if active, _ := r.hpa(); active {
			return errors.New("the HPA still reads it")
		}
		c := r.consumer().Status.Conditions
		if len(c) != 1 || c[0].Status != metav1.ConditionFalse || !strings.Contains(c[0].Message, "clusters[name=main].brokers") || !strings.Contains(c[0].Message, r.brokers[0]) {
			return fmt.Errorf("conditions %+v", c)
		}
		return nil
	})
	if _, message := r.hpa(); !strings.Contains(message, "clusters[name=main]") {
		t.Errorf("the HPA's message does not name the Kafka cluster: %s", message)
	}
	if got := r.replicas(); got != held {
		t.Errorf("%d replicas while Kafka is down, want %d held", got, held)
	}

	r.startKafka()
	r.kafkaDo(0, true)
	eventually(t, "the backlog is gone and the Deployment falls", func() error {
		if got := r.replicas(); got != 1 {
			return fmt.Errorf("%d replicas: %+v", got, r.consumer().Status)
		}
		return nil
	})
}

// checkMetrics reads each metric through the aggregator.
func (r *rig) checkMetrics(replicas int32) {
	r.t.Helper()
	const lag = `"value":"3k"`
	desired := fmt.Sprintf(`"value":"%d"`, replicas)
	external, custom := "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/", "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/queueconsumers.capacity.swell/"
	for path, want := range map[string]string{
		external + "kafka_consumergroup_lag?labelSelector=consumer%3Dorders":                            lag,
		external + "kafka_consumergroup_lag?labelSelector=cluster%3Dmain,group%3Dorders,topic%3Dorders": lag,
		custom + "orders/kafka_consumergroup_lag":                                                       lag,
		custom + "orders/kafka_consumergroup_desired_replicas":                                          desired,
		custom + "*/kafka_consumergroup_desired_replicas":                                               desired,
		"/apis/external.metrics.k8s.io/v1beta1":                                                         "kafka_consumergroup_desired_replicas",
		"/apis/custom.metrics.k8s.io/v1beta2":                                                           "queueconsumers.capacity.swell/kafka_consumergroup_lag",
	} {
		eventually(r.t, path, func() error {
			body, err := r.get(path)
			if err != nil {
				return fmt.Errorf("%w: %s", err, body)
			}
			if !strings.Contains(body, want) {
				return fmt.Errorf("no %s in %s", want, body)
			}
			return nil
		})
	}
	if body, err := r.get(external + "kafka_consumergroup_lag?labelSelector=cluster%3Dother,group%3Dorders"); err == nil || !strings.Contains(body, "give one of main") {
		r.t.Errorf("a cluster that is not configured: %v: %s", err, body)
	}
	text := r.plain("/metrics")
	for _, want := range []string{
		`kafka_consumergroup_lag{cluster="main",consumergroup="orders",topic="orders"} 3000`,
		fmt.Sprintf(`kafka_consumergroup_desired_replicas{cluster="main",consumer="orders",consumergroup="orders",namespace="shop"} %d`, replicas),
		`swell_kafka_requests_total{cluster="main"}`,
	} {
		if !strings.Contains(text, want) {
			r.t.Errorf("/metrics has no %s", want)
		}
	}
	r.plain("/healthz")
	r.plain("/readyz")
}

// plain reads from the plain port.
func (r *rig) plain(path string) string {
	r.t.Helper()
	resp, err := http.Get("http://" + r.listen + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		r.t.Errorf("GET %s: %s, %v", path, resp.Status, err)
	}
	return string(body)
}

// checkAccess asks without a name, and by a name that nobody gave the right.
func (r *rig) checkAccess() {
	r.t.Helper()
	path := "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/kafka_consumergroup_lag?labelSelector=consumer%3Dorders"
	plain := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := plain.Get(fmt.Sprintf("https://127.0.0.1:%d%s", r.port, path))
	if err != nil {
		r.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		r.t.Errorf("anonymous got %d, want 403", resp.StatusCode)
	}
	config, err := r.cluster.Config("nobody")
	if err != nil {
		r.t.Fatal(err)
	}
	nobody, err := kubernetes.NewForConfig(config)
	if err != nil {
		r.t.Fatal(err)
	}
	var code int
	nobody.Discovery().RESTClient().Get().RequestURI(path).Do(r.t.Context()).StatusCode(&code)
	if code != http.StatusForbidden {
		r.t.Errorf("a user without rights got %d through the aggregator, want 403", code)
	}
}
