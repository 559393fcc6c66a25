package certificate

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"swell/bench/testbed/controlplane"
)

// apis are those of the chart; the first one is asked.
var apis = []string{api, "v1beta2.custom.metrics.k8s.io", "v1beta1.custom.metrics.k8s.io"}

const (
	api  = "v1beta1.external.metrics.k8s.io"
	path = "/apis/external.metrics.k8s.io/v1beta1"
)

// bed is a control plane that knows an APIService without an authority, behind which the Keeper's certificate is served.
type bed struct {
	t          *testing.T
	admin      dynamic.Interface
	kube       kubernetes.Interface
	keepers    []*Keeper
	clock      atomic.Int64 // what the keepers take for now, in seconds
	handshakes atomic.Int64
}

func newBed(t *testing.T) *bed {
	cluster, err := controlplane.Start(t.Context(), controlplane.Options{Binary: controlplane.BinaryForTest(t), Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	b := &bed{t: t}
	if b.kube, err = kubernetes.NewForConfig(cluster.AdminConfig()); err != nil {
		t.Fatal(err)
	}
	if b.admin, err = dynamic.NewForConfig(cluster.AdminConfig()); err != nil {
		t.Fatal(err)
	}
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.ApplyFile(t.Context(), filepath.Join(root, "charts", "rendered", "swell-metrics-rbac.yaml")); err != nil {
		t.Fatal(err)
	}
	self, err := cluster.ServiceAccountConfig("swell-system", "swell-metrics")
	if err != nil {
		t.Fatal(err)
	}
	kube, err := kubernetes.NewForConfig(self)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := dynamic.NewForConfig(self)
	if err != nil {
		t.Fatal(err)
	}
	b.clock.Store(time.Now().Unix())
	for range 2 {
		b.keepers = append(b.keepers, New(Options{Kube: kube, Dynamic: objects, Namespace: "swell-system", Secret: "swell-metrics-tls", Name: dialed,
			APIServices: apis, Lives: Lives{Settle: time.Hour}, Now: func() time.Time { return time.Unix(b.clock.Load(), 0) },
			Log: slog.New(slog.NewTextHandler(t.Output(), nil))}))
	}
	return b
}

// serve answers the aggregated API with the newest certificate of the first keeper, and registers it.
func (b *bed) serve() {
	b.t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: "external.metrics.k8s.io/v1beta1"})
	}))
	server.Config.SetKeepAlivesEnabled(false) // each request shakes hands anew
	server.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		b.handshakes.Add(1)
		pair, err := tls.X509KeyPair(b.keepers[0].CurrentCertKeyContent())
		return &pair, err
	}}
	server.StartTLS()
	b.t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	port, err := strconv.Atoi(at.Port())
	if err != nil {
		b.t.Fatal(err)
	}
	// without kube-proxy no cluster address leads anywhere; the API server dials an external name as it stands
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "swell-metrics", Namespace: "swell-system"},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost", Ports: []corev1.ServicePort{{Port: int32(port)}}}}
	if _, err := b.kube.CoreV1().Services("swell-system").Create(b.t.Context(), service, metav1.CreateOptions{}); err != nil {
		b.t.Fatal(err)
	}
	for _, name := range apis {
		version, group, _ := strings.Cut(name, ".")
		object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": map[string]any{"name": name},
			"spec": map[string]any{"group": group, "version": version, "groupPriorityMinimum": int64(100), "versionPriority": int64(100),
				"service": map[string]any{"namespace": "swell-system", "name": "swell-metrics", "port": int64(port)}}}}
		if _, err := b.admin.Resource(apiServices).Create(b.t.Context(), object, metav1.CreateOptions{}); err != nil {
			b.t.Fatal(err)
		}
	}
}

// ask reads through the API server, which must believe the certificate.
func (b *bed) ask() error {
	raw, err := b.kube.Discovery().RESTClient().Get().AbsPath(path).DoRaw(b.t.Context())
	if err != nil {
		return fmt.Errorf("%w: %s", err, raw)
	}
	return nil
}

// look is what each replica does once, at the same time.
func (b *bed) look() {
	b.t.Helper()
	var all sync.WaitGroup
	for _, k := range b.keepers {
		all.Go(func() {
			if err := k.Look(b.t.Context()); err != nil {
				b.t.Error(err)
			}
		})
	}
	all.Wait()
	first, _ := b.keepers[0].CurrentCertKeyContent()
	second, _ := b.keepers[1].CurrentCertKeyContent()
	if string(first) != string(second) {
		b.t.Error("two replicas serve different certificates")
	}
}

func (b *bed) secret() map[string][]byte {
	b.t.Helper()
	s, err := b.kube.CoreV1().Secrets("swell-system").Get(b.t.Context(), "swell-metrics-tls", metav1.GetOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	return s.Data
}

// The API server trusts what two replicas made at the same time, and goes on to through a change of the certificate and of the
// authority, by the rights of the chart.
func TestTheAPIServerTrustsEveryRotation(t *testing.T) {
	b := newBed(t)
	if err := b.keepers[0].Look(t.Context()); err == nil || !strings.Contains(err.Error(), "swell-metrics-tls") || !strings.Contains(err.Error(), "make it, empty") {
		t.Errorf("without a Secret: %v", err)
	}
	empty := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "swell-metrics-tls", Namespace: "swell-system"}}
	if _, err := b.kube.CoreV1().Secrets("swell-system").Create(t.Context(), empty, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	// in the past, so that what begins later is not in the API server's future
	now := time.Now()
	b.clock.Store(now.Add(-41 * 30 * 24 * time.Hour).Unix())
	if err := b.keepers[0].Look(t.Context()); err == nil || !strings.Contains(err.Error(), api) {
		t.Errorf("without an APIService: %v", err)
	}
	b.serve()

	b.clock.Store(now.Add(-2 * time.Hour).Unix()) // a third of the authority's life is left, and the certificate ended
	b.look()
	if n := strings.Count(string(b.secret()[authorityCerts]), "BEGIN"); n != 2 {
		t.Fatalf("%d authorities are published, want the old and the new one", n)
	}
	old := string(b.secret()[servingCert])
	b.eventually("the API server believes a certificate of the old authority", b.ask)

	b.clock.Store(now.Unix()) // the new authority has settled
	b.look()
	if string(b.secret()[servingCert]) == old {
		t.Error("the new authority signs nothing")
	}
	for range 20 {
		if err := b.ask(); err != nil {
			t.Errorf("after the change of the authority: %v", err)
		}
	}
	// somebody applies the APIService anew, without the authority
	if _, err := b.admin.Resource(apiServices).Patch(t.Context(), api, "application/merge-patch+json", []byte(`{"spec":{"caBundle":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	b.eventually("nobody is believed without an authority", func() error {
		if b.ask() == nil {
			return errors.New("it still answers")
		}
		return nil
	})
	b.look()
	b.eventually("the API server believes again", b.ask)
	if b.handshakes.Load() < 20 {
		t.Errorf("%d handshakes: the certificate was hardly looked at", b.handshakes.Load())
	}
}

func (b *bed) eventually(what string, ask func() error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 2*time.Minute)
	defer cancel()
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			b.t.Fatalf("%s: %v", what, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
