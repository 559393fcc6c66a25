package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"swell/bench/testbed/controlplane"
)

const (
	external = "external.metrics.k8s.io/v1beta1"
	custom   = "custom.metrics.k8s.io/v1beta2"
)

// replica is one of several swell-metrics.
type replica struct {
	config string
	port   int
	listen string
	ready  atomic.Bool
	// answered counts the requests of a stream that it answered.
	answered atomic.Int64
	stop     context.CancelFunc
	done     chan error
}

// replica starts one more swell-metrics, which nobody knows yet.
func (r *rig) replica(extra string, flags ...string) *replica {
	r.t.Helper()
	p := &replica{config: filepath.Join(r.t.TempDir(), "metrics.yaml"), port: freePort(r.t), listen: fmt.Sprintf("127.0.0.1:%d", freePort(r.t)), done: make(chan error, 1)}
	text := fmt.Sprintf("listen: '%s'\nclusters: [{name: main, brokers: ['%s'], pollEvery: 500ms, staleAfter: 5s}]\nrateWindow: 10s\nstatusEvery: 500ms\n", p.listen, strings.Join(r.brokers, "','"))
	if err := os.WriteFile(p.config, []byte(text+extra), 0o600); err != nil {
		r.t.Fatal(err)
	}
	kubeconfig, err := r.cluster.ServiceAccountKubeconfig("swell-system", "swell-metrics")
	if err != nil {
		r.t.Fatal(err)
	}
	cert, key, err := r.cluster.ServingCert(fmt.Sprintf("swell-metrics-%d", p.port), controlplane.APIServiceHost(external), controlplane.APIServiceHost(custom))
	if err != nil {
		r.t.Fatal(err)
	}
	s := New(slog.New(slog.NewTextHandler(r.t.Output(), nil)))
	if err := s.Flags().Parse(append([]string{"--config", p.config, "--kubeconfig", kubeconfig, "--bind-address", "127.0.0.1",
		"--secure-port", strconv.Itoa(p.port), "--tls-cert-file", cert, "--tls-private-key-file", key}, flags...)); err != nil {
		r.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	go func() { p.done <- s.Run(ctx) }()
	r.t.Cleanup(func() { p.end(r.t) })
	return p
}

// end is SIGTERM and the wait for it.
func (p *replica) end(t *testing.T) {
	t.Helper()
	p.stop()
	err, running := <-p.done
	if !running {
		return
	}
	close(p.done)
	if err != nil {
		t.Errorf("swell-metrics stopped: %v", err)
	}
}

// probe is the kubelet's.
func (p *replica) probe() error {
	resp, err := http.Get("http://" + p.listen + "/readyz")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return err
}

// drained asks a replica that was told to end: it serves on for a while, though /readyz tells everybody to go elsewhere.
func (p *replica) drained(t *testing.T, b *balancer, path string) {
	t.Helper()
	p.stop()
	eventually(t, "/readyz fails while the replica serves", func() error {
		if err := p.probe(); err == nil || !strings.Contains(err.Error(), "shutting down") {
			return fmt.Errorf("the probe says %v", err)
		}
		return nil
	})
	if err := b.ask(p, path); err != nil {
		t.Errorf("while it drains: %v", err)
	}
}

// balancer sends requests to the replicas that were ready when last probed, as a Service does.
type balancer struct {
	client   *http.Client
	mu       sync.Mutex
	replicas []*replica
	next     int
}

func (b *balancer) add(p *replica) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.replicas = append(b.replicas, p)
}

func (b *balancer) probe(ctx context.Context) {
	for ctx.Err() == nil {
		b.mu.Lock()
		all := append([]*replica(nil), b.replicas...)
		b.mu.Unlock()
		for _, p := range all {
			p.ready.Store(p.probe() == nil)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (b *balancer) pick() *replica {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.replicas {
		b.next++
		if p := b.replicas[b.next%len(b.replicas)]; p.ready.Load() {
			return p
		}
	}
	return nil
}

// get asks one of the ready replicas.
func (b *balancer) get(path string) error {
	p := b.pick()
	if p == nil {
		return fmt.Errorf("GET %s: no replica is ready", path)
	}
	return b.ask(p, path)
}

func (b *balancer) ask(p *replica, path string) error {
	resp, err := b.client.Get(fmt.Sprintf("https://127.0.0.1:%d%s", p.port, path))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), `"value":`) {
		return fmt.Errorf("GET %s: %s: %s, %v", path, resp.Status, body, err)
	}
	p.answered.Add(1)
	return nil
}

func (r *rig) balancer(ctx context.Context) *balancer {
	r.t.Helper()
	config, err := r.cluster.Config("hpa", "system:masters")
	if err != nil {
		r.t.Fatal(err)
	}
	config.ServerName = controlplane.APIServiceHost(external)
	settings, err := rest.TLSConfigFor(config)
	if err != nil {
		r.t.Fatal(err)
	}
	b := &balancer{client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: settings}}}
	go b.probe(ctx)
	return b
}

// autoscaler makes an HPA that selects a group without a QueueConsumer.
func (r *rig) autoscaler(group string) {
	r.t.Helper()
	average := resource.MustParse("100")
	h := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: group, Namespace: namespace}, Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: group}, MaxReplicas: 5,
		Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ExternalMetricSourceType, External: &autoscalingv2.ExternalMetricSource{
			Metric: autoscalingv2.MetricIdentifier{Name: "kafka_consumergroup_lag",
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"cluster": "main", "group": group, "topic": "orders"}}},
			Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: &average}}}}}}
	if err := r.api.Create(r.t.Context(), h); err != nil {
		r.t.Fatal(err)
	}
}

// TestRolloutLeavesNoGap rolls two replicas one after the other while evaluations come without a pause. Each must be answered
// with a value: of the lag, of the replicas, which need rates, and of a group that nobody but an HPA names.
func TestRolloutLeavesNoGap(t *testing.T) {
	r := newRig(t)
	r.kafkaDo(100, false)
	r.workload()
	r.autoscaler("mailer")
	ctx, stop := context.WithCancel(t.Context())
	b := r.balancer(ctx)
	start := func(drain string) *replica {
		p := r.replica("", "--drain", drain)
		b.add(p)
		eventually(t, "a replica is ready", func() error {
			if !p.ready.Load() {
				return fmt.Errorf("the probe says %v", p.probe())
			}
			return nil
		})
		return p
	}
	first := start("1s")
	const base = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/"
	paths := []string{base + "kafka_consumergroup_desired_replicas?labelSelector=consumer%3Dorders", base + "kafka_consumergroup_lag?labelSelector=consumer%3Dorders",
		base + "kafka_consumergroup_lag?labelSelector=cluster%3Dmain,group%3Dmailer,topic%3Dorders"}
	var evaluations sync.WaitGroup
	for _, path := range paths {
		evaluations.Go(func() {
			for ctx.Err() == nil {
				if err := b.get(path); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	second := start("1s")
	first.end(t)
	third := start("1s")
	second.end(t)
	fourth := start("5s")
	stop()
	evaluations.Wait()
	fourth.drained(t, b, paths[0])
	for i, p := range []*replica{first, second, third, fourth} {
		if n := p.answered.Load(); n == 0 && i < 3 {
			t.Errorf("replica %d answered nothing", i)
		} else {
			t.Logf("replica %d answered %d evaluations", i, n)
		}
	}
}
