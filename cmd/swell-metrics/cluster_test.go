package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/metric"
	"swell/api/v1alpha1"
	"swell/bench/testbed/controlplane"
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

func named(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name}
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

// rig is a control plane with nodes in two zones, and a Kafka cluster.
type rig struct {
	cluster *controlplane.Cluster
	api     client.Client
	core    kubernetes.Interface
	kafka   *kfake.Cluster
	// config is the configuration file of the swell-metrics that serves, listen its plain port.
	config, listen string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{}
	var err error
	if r.cluster, err = controlplane.Start(context.WithoutCancel(t.Context()), controlplane.Options{Binary: controlplane.BinaryForTest(t), Log: t.Output()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cluster.InstallCRDs(t.Context(), filepath.Join(root, "charts", "swell", "crds")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(v1alpha1.AddToScheme(clientgoscheme.Scheme), apiregistration.AddToScheme(clientgoscheme.Scheme)); err != nil {
		t.Fatal(err)
	}
	if r.api, err = client.New(r.cluster.AdminConfig(), client.Options{Scheme: clientgoscheme.Scheme}); err != nil {
		t.Fatal(err)
	}
	if r.core, err = kubernetes.NewForConfig(r.cluster.AdminConfig()); err != nil {
		t.Fatal(err)
	}
	size := corev1.ResourceList{"cpu": resource.MustParse("32"), "memory": resource.MustParse("128Gi"), "pods": resource.MustParse("110")}
	for _, zone := range []string{"a", "b"} {
		r.create(t, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-" + zone,
			Labels: map[string]string{corev1.LabelTopologyZone: zone, corev1.LabelHostname: "node-" + zone}},
			Status: corev1.NodeStatus{Capacity: size, Allocatable: size}})
	}
	if r.kafka, err = kfake.NewCluster(kfake.NumBrokers(2), kfake.SeedTopics(4, "orders")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.kafka.Close)
	return r
}

// probe asks what the kubelet asks, without a name and without a look at the certificate.
func (r *rig) probe(t *testing.T, all []*unstructured.Unstructured, port int) {
	t.Helper()
	kubelet := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	c := into[appsv1.Deployment](t, all, "Deployment", "swell-metrics").Spec.Template.Spec.Containers[0]
	for _, p := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe} {
		if p.HTTPGet.Port.StrVal != "https" || p.HTTPGet.Scheme != corev1.URISchemeHTTPS {
			t.Errorf("the probe %s is not of the secure port", p.HTTPGet)
		}
		eventually(t, p.HTTPGet.Path, func() error {
			resp, err := kubelet.Get(fmt.Sprintf("https://127.0.0.1:%d%s", port, p.HTTPGet.Path))
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return errors.New(resp.Status)
			}
			return nil
		})
	}
}

func (r *rig) create(t *testing.T, all ...client.Object) {
	t.Helper()
	for _, o := range all {
		if err := r.api.Create(t.Context(), o); err != nil {
			t.Fatalf("create %T: %v", o, err)
		}
	}
}

// behind has group orders commit at the start of a topic with n messages.
func (r *rig) behind(t *testing.T, n int) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(r.kafka.ListenAddrs()...), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = &kgo.Record{Topic: "orders", Value: []byte("order")}
	}
	if err := c.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	offsets := kadm.Offsets{}
	for p := range int32(4) {
		offsets.AddOffset("orders", p, 0, -1)
	}
	if err := kadm.NewClient(c).CommitAllOffsets(t.Context(), "orders", offsets); err != nil {
		t.Fatal(err)
	}
}

// kubeconfig is that of a ServiceAccount, as its pods have it.
func (r *rig) kubeconfig(t *testing.T, namespace, name string) string {
	t.Helper()
	token, err := r.core.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["it"] = &clientcmdapi.Cluster{Server: r.cluster.URL(), CertificateAuthorityData: r.cluster.CA()}
	config.AuthInfos["it"] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	config.Contexts["it"] = &clientcmdapi.Context{Cluster: "it", AuthInfo: "it"}
	config.CurrentContext = "it"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// locked is a buffer for a log that is read while it is written.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serve runs swell-metrics as its pod does: by the Deployment's arguments, the ConfigMap and the ServiceAccount. Addresses alone are
// those of this machine.
func (r *rig) serve(t *testing.T) (log *locked) {
	t.Helper()
	all := objects(t, manifests, nil)
	r.config, r.listen = filepath.Join(t.TempDir(), "metrics.yaml"), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	r.configure(t, "")
	port := freePort(t)
	log = &locked{}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan int, 1)
	flags := append(args(t, all), "--config", r.config, "--kubeconfig", r.kubeconfig(t, home, "swell-metrics"), "--bind-address", "127.0.0.1",
		"--secure-port", strconv.Itoa(port), "--drain", "0s", "--reload-every", "100ms")
	go func() { done <- run(ctx, flags, log, newLog(log)) }()
	t.Cleanup(func() {
		stop()
		if code := <-done; code != 0 || t.Failed() {
			t.Errorf("swell-metrics ended with %d:\n%s", code, log)
		}
	})
	r.route(t, port)
	r.probe(t, all, port)
	return log
}

// configure writes the ConfigMap's file with Kafka's address here, and more.
func (r *rig) configure(t *testing.T, more string) {
	t.Helper()
	text := into[corev1.ConfigMap](t, objects(t, manifests, nil), "ConfigMap", "swell-metrics").Data["metrics.yaml"]
	for from, to := range map[string]string{
		"- brokers:\n  - kafka-1.kafka:9092\n": "- brokers: ['" + strings.Join(r.kafka.ListenAddrs(), "', '") + "']\n  pollEvery: 500ms\n",
		"listen: :8080":                        "listen: " + r.listen,
	} {
		if !strings.Contains(text, from) {
			t.Fatalf("the ConfigMap has no %s:\n%s", from, text)
		}
		text = strings.Replace(text, from, to, 1)
	}
	if err := os.WriteFile(r.config, []byte(text+"\nrateWindow: 5s\nstatusEvery: 500ms\n"+more), 0o600); err != nil {
		t.Fatal(err)
	}
}

// route leads the Service to a port of this machine, since no pod runs and no address of the cluster leads anywhere.
func (r *rig) route(t *testing.T, port int) {
	t.Helper()
	service := &corev1.Service{ObjectMeta: named(home, "swell-metrics")}
	if err := r.api.Delete(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	r.create(t, &corev1.Service{ObjectMeta: named(home, "swell-metrics"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost",
		Ports: []corev1.ServicePort{{Name: "https", Port: int32(port)}}}})
	var services apiregistration.APIServiceList
	if err := r.api.List(t.Context(), &services); err != nil {
		t.Fatal(err)
	}
	for _, a := range services.Items {
		if a.Spec.Service == nil {
			continue
		}
		old := a.DeepCopy()
		p := int32(port)
		a.Spec.Service.Port = &p
		if err := r.api.Patch(t.Context(), &a, client.MergeFrom(old)); err != nil {
			t.Fatal(err)
		}
	}
}

// get asks as the HPA controller does. An administrator would be allowed without swell-metrics asking whether he may.
func (r *rig) get(t *testing.T, path string) (string, error) {
	t.Helper()
	config, err := r.cluster.Config("system:serviceaccount:kube-system:horizontal-pod-autoscaler", "system:serviceaccounts", "system:authenticated")
	if err != nil {
		t.Fatal(err)
	}
	hpa, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hpa.Discovery().RESTClient().Get().RequestURI(path).DoRaw(t.Context())
	return string(raw), err
}

// TestInACluster installs swell-metrics as docs/install-metrics.md says, asks it as an HPA does, and compares /metrics with its page.
func TestInACluster(t *testing.T) {
	r := newRig(t)
	r.behind(t, 400)
	r.install(t)
	log := r.serve(t)
	for _, path := range []string{
		"/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/kafka_consumergroup_lag?labelSelector=cluster%3Dmain,group%3Dorders",
		"/apis/custom.metrics.k8s.io/v1beta2", "/apis/custom.metrics.k8s.io/v1beta1",
	} {
		eventually(t, path, func() error {
			body, err := r.get(t, path)
			if err == nil && !strings.Contains(body, `"value":"400"`) && !strings.Contains(body, "kafka_consumergroup_desired_replicas") {
				err = errors.New("not swell's")
			}
			if err != nil {
				return fmt.Errorf("%w: %s", err, body)
			}
			return nil
		})
	}
	r.consumer(t)
	for _, version := range []string{"v1beta1", "v1beta2"} {
		path := "/apis/custom.metrics.k8s.io/" + version + "/namespaces/shop/queueconsumers.capacity.swell/orders/kafka_consumergroup_lag"
		if body, err := r.get(t, path); err != nil || !strings.Contains(body, `"value":"400"`) {
			t.Errorf("%s: %v: %s", path, err, body)
		}
	}
	r.people(t)
	r.comparePage(t)
	if !strings.Contains(log.String(), `"msg":"polling","cluster":"main","every":"500ms"`) {
		t.Errorf("the log does not say how often is polled:\n%s", log)
	}
}

// people asks what those with a built-in role may do.
func (r *rig) people(t *testing.T) {
	t.Helper()
	for _, role := range []string{"view", "edit"} {
		r.create(t, &rbacv1.RoleBinding{ObjectMeta: named("shop", role), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: role + "er"}}})
	}
	may := func(user, verb, group, resource string) bool {
		review, err := r.core.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: "shop", Verb: verb, Group: group, Resource: resource}}}, metav1.CreateOptions{})
		return err == nil && review.Status.Allowed
	}
	const external = "external.metrics.k8s.io"
	eventually(t, "the roles are part of the built-in ones", func() error {
		for _, m := range []string{metric.Lag, metric.LateMessages, metric.LagSeconds, metric.ProduceRate, metric.ConsumeRate, metric.PartitionLag, metric.DesiredReplicas} {
			if !may("viewer", "get", external, m) {
				return fmt.Errorf("whoever views may not read %s", m)
			}
		}
		if !may("viewer", "get", v1alpha1.GroupVersion.Group, "queueconsumers") || !may("editer", "create", v1alpha1.GroupVersion.Group, "queueconsumers") {
			return errors.New("QueueConsumers cannot be read, or written")
		}
		return nil
	})
	if may("viewer", "create", v1alpha1.GroupVersion.Group, "queueconsumers") || may("editer", "get", external, "another") {
		t.Error("they may do more than they should")
	}
}

// consumer makes a QueueConsumer and awaits what swell-metrics writes as its ServiceAccount.
func (r *rig) consumer(t *testing.T) {
	t.Helper()
	no, none, labels := false, int32(0), map[string]string{"app": "orders"}
	r.create(t, &corev1.Namespace{ObjectMeta: named("", "shop")}, &appsv1.Deployment{ObjectMeta: named("shop", "orders"), Spec: appsv1.DeploymentSpec{
		Replicas: &none, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "orders", Image: "orders"}}}}}}, &v1alpha1.QueueConsumer{ObjectMeta: named("shop", "orders"), Spec: v1alpha1.QueueConsumerSpec{
		ScaleTargetRef: v1alpha1.ScaleTarget{APIVersion: "apps/v1", Kind: "Deployment", Name: "orders"},
		Kafka:          v1alpha1.KafkaGroup{Cluster: "main", Group: "orders", Topics: []string{"orders"}}, DrainTarget: metav1.Duration{Duration: time.Minute},
		LateAfter: metav1.Duration{Duration: time.Second}, PerPodRate: v1alpha1.PerPodRate{Initial: "10", Learn: &no}}})
	eventually(t, "a status is written", func() error {
		var q v1alpha1.QueueConsumer
		if err := r.api.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "orders"}, &q); err != nil {
			return err
		}
		if q.Status.DesiredReplicas == nil || q.Status.LateMessages == nil {
			return fmt.Errorf("%+v", q.Status)
		}
		return nil
	})
}

// plain reads from the plain port.
func (r *rig) plain(path string) (*http.Response, error) {
	return http.Get("http://" + r.listen + path)
}
