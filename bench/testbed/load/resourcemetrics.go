package load

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/metrics/pkg/apis/metrics/v1beta1"
)

// ResourceMetricsOptions say what the metrics API server of the testbed serves.
type ResourceMetricsOptions struct {
	// Listen is host:port; port 0 takes a free one. Default 127.0.0.1:0.
	Listen string
	// ServerNames are the DNS names that the certificate is for, such as metrics-server.kube-system.svc.
	ServerNames []string
	Pods        Pods
	// Use of a pod's CPU request as a share of it, at a machine's instant; false where nothing is known.
	Use func(Pod, time.Time) (float64, bool)
	// Default use of pods that Use does not know. 0 serves nothing for them.
	Default float64
	// Window that a sample stands for, machine time: the HPA controller waits one window after a pod is ready. Default 1s.
	Window time.Duration
}

// ResourceMetrics serves metrics.k8s.io/v1beta1 over HTTPS, as the aggregator expects it.
type ResourceMetrics struct {
	opt      ResourceMetricsOptions
	listener net.Listener
	ca       []byte
	server   *http.Server
}

// NewResourceMetrics listens; Run serves.
func NewResourceMetrics(opt ResourceMetricsOptions) (*ResourceMetrics, error) {
	if opt.Listen == "" {
		opt.Listen = "127.0.0.1:0"
	}
	if opt.Window == 0 {
		opt.Window = time.Second
	}
	if opt.Pods == nil || opt.Use == nil {
		return nil, errors.New("resource metrics: Pods and Use are missing: give both")
	}
	pair, ca, err := selfSigned(opt.ServerNames)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", opt.Listen)
	if err != nil {
		return nil, fmt.Errorf("listening for resource metrics on %s: %w; pick a free port", opt.Listen, err)
	}
	m := &ResourceMetrics{opt: opt, listener: listener, ca: ca}
	m.server = &http.Server{Handler: m.Handler(), ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}}
	return m, nil
}

// CABundle is the PEM certificate for the APIService's caBundle.
func (m *ResourceMetrics) CABundle() []byte { return m.ca }

// Addr is the host:port that is served.
func (m *ResourceMetrics) Addr() *net.TCPAddr { return m.listener.Addr().(*net.TCPAddr) }

// Run serves until ctx ends.
func (m *ResourceMetrics) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = m.server.Close() })
	defer stop()
	if err := m.server.ServeTLS(m.listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving resource metrics: %w", err)
	}
	return nil
}

// Handler of the API's paths.
func (m *ResourceMetrics) Handler() http.Handler {
	const root = "/apis/metrics.k8s.io/v1beta1"
	version := metav1.GroupVersionForDiscovery{GroupVersion: "metrics.k8s.io/v1beta1", Version: "v1beta1"}
	group := metav1.APIGroup{TypeMeta: metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}, Name: "metrics.k8s.io",
		Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /apis", fixed(metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}, Groups: []metav1.APIGroup{group}}))
	mux.HandleFunc("GET /apis/metrics.k8s.io", fixed(group))
	mux.HandleFunc("GET "+root, fixed(metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: version.GroupVersion,
		APIResources: []metav1.APIResource{
			{Name: "nodes", Kind: "NodeMetrics", Verbs: metav1.Verbs{"get", "list"}},
			{Name: "pods", Kind: "PodMetrics", Namespaced: true, Verbs: metav1.Verbs{"get", "list"}},
		}}))
	mux.HandleFunc("GET "+root+"/pods", m.listPods)
	mux.HandleFunc("GET "+root+"/namespaces/{namespace}/pods", m.listPods)
	mux.HandleFunc("GET "+root+"/namespaces/{namespace}/pods/{name}", m.getPod)
	mux.HandleFunc("GET "+root+"/nodes", m.listNodes)
	for _, path := range []string{"/healthz", "/readyz", "/livez"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) })
	}
	return mux
}

func fixed(object any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, object) }
}

func (m *ResourceMetrics) listPods(w http.ResponseWriter, r *http.Request) {
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		writeStatus(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	list := v1beta1.PodMetricsList{TypeMeta: metav1.TypeMeta{Kind: "PodMetricsList", APIVersion: "metrics.k8s.io/v1beta1"}, Items: []v1beta1.PodMetrics{}}
	now := time.Now()
	for _, pod := range m.opt.Pods.Ready(selector) {
		if namespace := r.PathValue("namespace"); namespace != "" && namespace != pod.Namespace {
			continue
		}
		if metrics, ok := m.metrics(pod, now); ok {
			list.Items = append(list.Items, metrics)
		}
	}
	writeJSON(w, http.StatusOK, list)
}

func (m *ResourceMetrics) getPod(w http.ResponseWriter, r *http.Request) {
	for _, pod := range m.opt.Pods.Ready(labels.Everything()) {
		if pod.Namespace != r.PathValue("namespace") || pod.Name != r.PathValue("name") {
			continue
		}
		if metrics, ok := m.metrics(pod, time.Now()); ok {
			writeJSON(w, http.StatusOK, metrics)
			return
		}
	}
	writeStatus(w, http.StatusNotFound, metav1.StatusReasonNotFound, fmt.Sprintf("no metrics of pod %s/%s", r.PathValue("namespace"), r.PathValue("name")))
}

func (m *ResourceMetrics) listNodes(w http.ResponseWriter, _ *http.Request) {
	now := time.Now()
	use := map[string]*resource.Quantity{}
	var names []string
	for _, pod := range m.opt.Pods.Ready(labels.Everything()) {
		metrics, ok := m.metrics(pod, now)
		if !ok || pod.Node == "" {
			continue
		}
		if use[pod.Node] == nil {
			use[pod.Node] = resource.NewMilliQuantity(0, resource.DecimalSI)
			names = append(names, pod.Node)
		}
		for _, c := range metrics.Containers {
			use[pod.Node].Add(*c.Usage.Cpu())
		}
	}
	list := v1beta1.NodeMetricsList{TypeMeta: metav1.TypeMeta{Kind: "NodeMetricsList", APIVersion: "metrics.k8s.io/v1beta1"}, Items: []v1beta1.NodeMetrics{}}
	for _, name := range names {
		list.Items = append(list.Items, v1beta1.NodeMetrics{ObjectMeta: metav1.ObjectMeta{Name: name}, Timestamp: metav1.NewTime(now),
			Window: metav1.Duration{Duration: m.opt.Window}, Usage: corev1.ResourceList{corev1.ResourceCPU: *use[name]}})
	}
	writeJSON(w, http.StatusOK, list)
}

// metrics of one pod; its use is dealt out over the containers by their requests.
func (m *ResourceMetrics) metrics(pod Pod, now time.Time) (v1beta1.PodMetrics, bool) {
	share, ok := m.opt.Use(pod, now)
	if !ok {
		if m.opt.Default == 0 {
			return v1beta1.PodMetrics{}, false
		}
		share = m.opt.Default
	}
	out := v1beta1.PodMetrics{
		TypeMeta:   metav1.TypeMeta{Kind: "PodMetrics", APIVersion: "metrics.k8s.io/v1beta1"},
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, Labels: pod.Labels, CreationTimestamp: metav1.NewTime(now)},
		Timestamp:  metav1.NewTime(now), Window: metav1.Duration{Duration: m.opt.Window},
	}
	for _, c := range pod.Containers {
		out.Containers = append(out.Containers, v1beta1.ContainerMetrics{Name: c.Name, Usage: corev1.ResourceList{
			corev1.ResourceCPU:    *resource.NewMilliQuantity(int64(share*float64(c.CPU.MilliValue())), resource.DecimalSI),
			corev1.ResourceMemory: c.Memory,
		}})
	}
	return out, true
}

func writeStatus(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	writeJSON(w, code, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message})
}

func writeJSON(w http.ResponseWriter, code int, object any) {
	body, err := json.Marshal(object)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(body)
}
