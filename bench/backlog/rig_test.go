package backlog_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"text/template"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/bench/testbed/aws"
	"swell/bench/testbed/controlplane"
	"swell/bench/testbed/load"
	"swell/bench/testbed/stack"
)

const (
	namespace  = "shop"
	speed      = 10
	partitions = 60
	podStart   = 20 * time.Second
)

// rig is a control plane with nodes enough, Kafka and swell-metrics. Its time runs tenfold.
type rig struct {
	*stack.Stack
	objects client.Client
	pods    *load.PodWatch
}

// newRig boots everything; topics are made with so many partitions each. What swell-metrics needs besides is made by configure,
// which may be nil, when all but swell-metrics is there.
func newRig(t *testing.T, topics map[string]int, configure func(*rig) stack.MetricsOptions) *rig {
	t.Helper()
	controlplane.BinaryForTest(t)
	fleet := aws.Fleet{
		Region:        "ap-northeast-1",
		InstanceTypes: map[string]aws.InstanceType{"m6i.4xlarge": {VCPU: 16, MemoryMiB: 64 << 10}},
		Prices:        map[string]aws.Price{"m6i.4xlarge": {OnDemand: 1, Spot: 0.35}},
		Groups: []aws.Group{{Name: "a", Zone: "ap-northeast-1a", Market: "on-demand", Min: 2, Desired: 2, Max: 2,
			InstanceTypes: []string{"m6i.4xlarge"}}},
	}
	st, err := stack.Start(context.WithoutCancel(t.Context()), stack.Options{Speed: speed, Fleet: fleet, Topics: topics,
		PodStart: podStart, HPAStabilization: 30 * time.Second, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Stack: st}
	t.Cleanup(func() {
		if t.Failed() {
			r.logMetrics(t)
		}
		if err := st.Stop(); err != nil {
			t.Error(err)
		}
	})
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme, appsv1.AddToScheme, autoscalingv2.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	if r.objects, err = client.New(st.Config(), client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	if err := r.objects.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
	now := time.Now()
	st.Clock = config.Clock{Speed: speed, Real: now, Model: now}
	var o stack.MetricsOptions
	if configure != nil {
		o = configure(r)
	}
	if err := st.StartMetrics(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	r.pods = load.WatchPods(st.Kube, namespace)
	if err := r.pods.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// workload is a Deployment with its QueueConsumer and its HPA, all of one name, which is also its topic's and its group's.
type workload struct {
	Name     string
	Replicas int
	// Min is the HPA's; default 1.
	Min int
	// PerPod is μ as declared, messages a second.
	PerPod float64
	Learn  bool
	// Drain is T in seconds; default 60.
	Drain int
	// Cluster is the Kafka cluster; default main.
	Cluster string
	// Spec is more of the QueueConsumer's spec, in YAML's flow style.
	Spec string
}

var manifest = template.Must(template.New("workload").Parse(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{.Name}}, namespace: shop}
spec:
  replicas: {{.Replicas}}
  selector: {matchLabels: {app: {{.Name}}}}
  template:
    metadata: {labels: {app: {{.Name}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: app, image: "registry.k8s.io/pause:3.10"}]
---
apiVersion: capacity.swell/v1alpha1
kind: QueueConsumer
metadata: {name: {{.Name}}, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{.Name}}}
  kafka: {cluster: {{.Cluster}}, group: {{.Name}}, topics: [{{.Name}}]}
  drainTarget: {{.Drain}}s
  perPodRate: {learn: {{.Learn}}, initial: "{{.PerPod}}"}
{{.Spec}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: {{.Name}}, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{.Name}}}
  minReplicas: {{.Min}}
  maxReplicas: 100
  metrics:
  - type: External
    external:
      metric: {name: kafka_consumergroup_desired_replicas, selector: {matchLabels: {consumer: {{.Name}}}}}
      target: {type: AverageValue, averageValue: "1"}
  behavior:
    scaleUp: {stabilizationWindowSeconds: 0, tolerance: "0", policies: [{type: Pods, value: 100, periodSeconds: 1}]}
    scaleDown: {tolerance: "0"}
`))

// apply makes the workload's objects and waits until its pods are ready.
func (r *rig) apply(t *testing.T, w workload) {
	t.Helper()
	w.Min, w.Drain = max(1, w.Min), max(w.Drain, 60)
	if w.Cluster == "" {
		w.Cluster = "main"
	}
	var text bytes.Buffer
	if err := manifest.Execute(&text, w); err != nil {
		t.Fatal(err)
	}
	if err := r.Apply(t.Context(), w.Name, text.Bytes()); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, "the first pods are ready", func() error {
		if n := len(r.pods.Ready(selector(w.Name))); n < w.Replicas {
			return fmt.Errorf("%d of %d", n, w.Replicas)
		}
		return nil
	})
}

func selector(name string) labels.Selector { return labels.SelectorFromSet(labels.Set{"app": name}) }

// eventually asks until there is no error; the limit only turns a hang into a failure.
func (r *rig) eventually(t *testing.T, what string, ask func() error) {
	t.Helper()
	err := stack.Poll(t.Context(), what, 2*time.Minute, func(context.Context) (bool, error) {
		err := ask()
		return err == nil, err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (r *rig) consumer(t *testing.T, name string) v1alpha1.QueueConsumer {
	t.Helper()
	var q v1alpha1.QueueConsumer
	if err := r.objects.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &q); err != nil {
		t.Fatal(err)
	}
	return q
}

// condition is a condition of the QueueConsumer; empty where it has none of the type.
func (r *rig) condition(t *testing.T, name, kind string) metav1.Condition {
	t.Helper()
	conditions := r.consumer(t, name).Status.Conditions
	if i := slices.IndexFunc(conditions, func(c metav1.Condition) bool { return c.Type == kind }); i >= 0 {
		return conditions[i]
	}
	return metav1.Condition{}
}

func (r *rig) replicas(t *testing.T, name string) int {
	t.Helper()
	var d appsv1.Deployment
	if err := r.objects.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &d); err != nil {
		t.Fatal(err)
	}
	return int(*d.Spec.Replicas)
}

// traffic is what produces to a workload's topic and what its pods read.
type traffic struct {
	player    *load.Player
	consumers *load.Consumers
}

// play starts producers and consumers; they end with the test.
func (r *rig) play(t *testing.T, name string, p load.PlayerOptions, c load.ConsumerOptions) *traffic {
	t.Helper()
	book := load.NewLedger(partitions)
	p.Brokers, p.Topic, p.Clock = []string{r.Kafka.Bootstrap}, name, r.Clock
	c.Brokers, c.Topic, c.Group, c.Clock, c.Selector = p.Brokers, name, name, r.Clock, selector(name)
	player, err := load.NewPlayer(p, book)
	if err != nil {
		t.Fatal(err)
	}
	if err := player.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	consumers, err := load.NewConsumers(c, book, r.pods)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{player.Run, consumers.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Logf("the load of %s: %v", name, err)
			}
		})
	}
	t.Cleanup(func() {
		stop()
		running.Wait()
		player.Close()
		consumers.Close()
	})
	return &traffic{player, consumers}
}

// steady is a rate that does not change, messages a model second.
func steady(rate float64) load.Curve { return func(time.Time) float64 { return rate } }

// burst is a steady rate and, from a time on, so many messages more within two seconds.
func burst(rate, messages float64, at time.Time) load.Curve {
	return func(now time.Time) float64 {
		if d := now.Sub(at); d >= 0 && d < 2*time.Second {
			return rate + messages/2
		}
		return rate
	}
}

// logMetrics shows the end of swell-metrics' log.
func (r *rig) logMetrics(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.Dir(), "swell-metrics.log"))
	if err != nil {
		t.Log(err)
		return
	}
	t.Logf("swell-metrics' log ends with:\n%s", text[max(0, len(text)-4000):])
}
