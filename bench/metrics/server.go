package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/bench/testbed/controlplane"
	"swell/bench/testbed/process"
)

const (
	namespace = "shop"
	// workloads are the Deployments, without replicas, that the QueueConsumers share.
	workloads = 20
	external  = "external.metrics.k8s.io/v1beta1"
	// rssLimit is what swell-metrics may hold at rssPartitions, in MiB.
	rssLimit      = 300
	rssPartitions = 100_000
)

// server is the real swell-metrics behind a real control plane.
type server struct {
	cluster *controlplane.Cluster
	process *process.Process
	// secure and plain are its ports' addresses.
	secure, plain string
}

// measureServer measures swell-metrics with a QueueConsumer for each group: memory, CPU and requests while nobody asks,
// then the latency of GETs.
func (b *bench) measureServer(ctx context.Context, at *site) (err error) {
	s := at.size
	b.say("swell-metrics: booting a control plane, making %d QueueConsumers", s.groups)
	srv := &server{}
	if srv.cluster, err = controlplane.Start(ctx, controlplane.Options{Log: io.Discard}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.cluster.Stop()) }()
	if err := b.fillCluster(ctx, srv.cluster, s); err != nil {
		return fmt.Errorf("fill the control plane: %w", err)
	}
	if err := b.startServer(ctx, srv, at.broker); err != nil {
		return fmt.Errorf("start swell-metrics: %w", err)
	}
	defer srv.process.Stop()
	if err := b.idle(ctx, srv, at.broker, s); err != nil {
		return fmt.Errorf("measure swell-metrics: %w", err)
	}
	if err := b.measureGets(ctx, srv, s); err != nil {
		return fmt.Errorf("ask swell-metrics: %w", err)
	}
	return b.memory(srv, s, "GETs")
}

// fillCluster makes what swell-metrics watches and what it may do.
func (b *bench) fillCluster(ctx context.Context, cluster *controlplane.Cluster, s size) error {
	root, err := controlplane.ModuleRoot()
	if err != nil {
		return err
	}
	if err := cluster.InstallCRDs(ctx, filepath.Join(root, "charts", "swell", "crds")); err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme), appsv1.AddToScheme(scheme)); err != nil {
		return err
	}
	c, err := client.New(cluster.AdminConfig(), client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	if err := applyFile(ctx, c, filepath.Join(root, "charts", "rendered", "swell-metrics-rbac.yaml")); err != nil {
		return err
	}
	objects := []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}}
	for i := range workloads {
		objects = append(objects, deployment(i))
	}
	for _, o := range objects {
		if err := c.Create(ctx, o); err != nil {
			return fmt.Errorf("make %T %s: %w", o, o.GetName(), err)
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for i := range s.groups {
		g.Go(func() error { return c.Create(ctx, consumer(i)) })
	}
	return g.Wait()
}

func deployment(i int) *appsv1.Deployment {
	name := fmt.Sprintf("workload-%02d", i)
	match := map[string]string{"app": name}
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: appsv1.DeploymentSpec{Replicas: ptr.To(int32(0)), Selector: &metav1.LabelSelector{MatchLabels: match},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: match},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app"}}}}}}
}

// consumer is the QueueConsumer of a group, and has the group's name.
func consumer(i int) *v1alpha1.QueueConsumer {
	return &v1alpha1.QueueConsumer{ObjectMeta: metav1.ObjectMeta{Name: groupName(i), Namespace: namespace},
		Spec: v1alpha1.QueueConsumerSpec{
			ScaleTargetRef: v1alpha1.ScaleTarget{APIVersion: "apps/v1", Kind: "Deployment", Name: fmt.Sprintf("workload-%02d", i%workloads)},
			Kafka:          v1alpha1.KafkaGroup{Cluster: "main", Group: groupName(i), Topics: []string{topicName(i)}},
			DrainTarget:    duration(time.Minute), RebalanceTime: duration(5 * time.Second), LateAfter: duration(lateAfter),
			PerPodRate: v1alpha1.PerPodRate{Initial: "10"}}}
}

func applyFile(ctx context.Context, c client.Client, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for d := kyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		u := &unstructured.Unstructured{}
		if err := d.Decode(&u.Object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		if err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner("bench")); err != nil {
			return fmt.Errorf("apply %s %s of %s: %w", u.GetKind(), u.GetName(), path, err)
		}
	}
}

// startServer starts swell-metrics, has the API server pass external metrics on to it, and waits until it knows every group.
func (b *bench) startServer(ctx context.Context, srv *server, kafka *broker) error {
	port, err := process.FreePorts(2)
	if err != nil {
		return err
	}
	srv.secure, srv.plain = fmt.Sprintf("https://127.0.0.1:%d", port), fmt.Sprintf("127.0.0.1:%d", port+1)
	configured, err := b.writeConfig("metrics.yaml", config.Metrics{Listen: srv.plain, APIs: []config.MetricsAPI{config.ExternalMetrics},
		Clusters: []config.KafkaCluster{{Name: "main", Brokers: kafka.addresses, PollEvery: duration(b.serverEvery)}}})
	if err != nil {
		return err
	}
	kubeconfig, err := srv.cluster.ServiceAccountKubeconfig("swell-system", "swell-metrics")
	if err != nil {
		return err
	}
	cert, key, err := srv.cluster.ServingCert("swell-metrics", controlplane.APIServiceHost(external))
	if err != nil {
		return err
	}
	srv.process, err = process.Start(ctx, process.Spec{Name: "swell-metrics", Path: b.metrics, Log: b.log("swell-metrics"),
		Args: []string{"--config", configured, "--kubeconfig", kubeconfig, "--bind-address", "127.0.0.1", "--secure-port", fmt.Sprint(port),
			"--tls-cert-file", cert, "--tls-private-key-file", key}})
	if err != nil {
		return err
	}
	return srv.cluster.RegisterAPIService(ctx, external, port, srv.cluster.CA())
}

// scraped is what swell-metrics says of itself.
type scraped struct {
	polls int
	// known is how many QueueConsumers' lag it serves.
	known int
}

func (srv *server) scrape(ctx context.Context) (scraped, error) {
	text, err := do(ctx, "GET", "http://"+srv.plain+"/metrics")
	if err != nil {
		return scraped{}, err
	}
	var m scraped
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "kafka_consumergroup_lag{"):
			m.known++
		case strings.HasPrefix(line, "swell_kafka_polls_total{"):
			value, err := strconv.ParseFloat(strings.Fields(line)[1], 64)
			if err != nil {
				return m, fmt.Errorf("read /metrics: %q: %w", line, err)
			}
			m.polls = int(value)
		}
	}
	return m, nil
}

// await looks once in each period until so many polls are done and every group is known. It looks no oftener, since what
// it asks for is work too.
func (srv *server) await(ctx context.Context, groups, polls int, every, limit time.Duration) (m scraped, err error) {
	for deadline := time.Now().Add(limit); ; {
		m, err = srv.scrape(ctx)
		switch {
		case err == nil && m.known == groups && m.polls >= polls:
			return m, nil
		case err == nil && time.Now().After(deadline):
			err = fmt.Errorf("waiting for %d polls of %d groups: %d groups are known after %d polls in %s", polls, groups, m.known, m.polls, limit)
			return m, err
		case time.Now().After(deadline):
			return m, err
		}
		select {
		case <-ctx.Done():
			return m, ctx.Err()
		case <-srv.process.Done():
			return m, srv.process.Wait()
		case <-time.After(every):
		}
	}
}

// idle measures the program while it polls, judges and writes statuses, and nobody asks.
func (b *bench) idle(ctx context.Context, srv *server, kafka *broker, s size) error {
	first, err := srv.await(ctx, s.groups, 2, b.serverEvery, 2*time.Minute)
	if err != nil {
		return err
	}
	b.say("swell-metrics: every group is known; %d polls more", b.serverPolls)
	traffic, err := kafka.of(ctx, pollerClient)
	if err != nil {
		return err
	}
	cpu, err := cpuOf(srv.process.PID())
	if err != nil {
		return err
	}
	period := time.Duration(b.serverPolls) * b.serverEvery
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(period):
	}
	last, err := srv.await(ctx, s.groups, first.polls+b.serverPolls, b.serverEvery, time.Minute+3*period)
	if err != nil {
		return err
	}
	cpuAfter, err := cpuOf(srv.process.PID())
	if err != nil {
		return err
	}
	after, err := kafka.of(ctx, pollerClient)
	if err != nil {
		return err
	}
	polls, rest := float64(last.polls-first.polls), after.since(traffic)
	l := b.sized(s).with("process", "swell-metrics", "polls", polls)
	b.add("requests_per_poll", "requests", float64(rest.Requests)/polls, l)
	b.add("poll_bytes", "B", float64(rest.bytes())/polls, l)
	b.add("poll_cpu_ms", "ms", milliseconds(cpuAfter-cpu)/polls, l)
	b.say("  %.2f requests a poll (%s), %.1f ms of CPU a poll with %d QueueConsumers judged and written", float64(rest.Requests)/polls, kinds(rest),
		milliseconds(cpuAfter-cpu)/polls, s.groups)
	return b.memory(srv, s, fmt.Sprintf("%d polls", last.polls))
}

// memory writes what swell-metrics holds by now.
func (b *bench) memory(srv *server, s size, after string) error {
	m, err := memoryOf(srv.process.PID())
	if err != nil {
		return err
	}
	l := b.sized(s).with("process", "swell-metrics", "after", after)
	b.add("rss_mib", "MiB", m.RSS, l)
	b.add("rss_peak_mib", "MiB", m.Peak, l)
	b.add("rss_anonymous_mib", "MiB", m.Anonymous, l)
	b.say("  after %s: %.0f MiB resident (%.0f of them backed by no file), %.0f at most", after, m.RSS, m.Anonymous, m.Peak)
	if s.total() >= rssPartitions {
		b.atMost("rss_mib after "+after, m.RSS, rssLimit)
	}
	return nil
}
