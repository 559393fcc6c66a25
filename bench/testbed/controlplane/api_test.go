package controlplane_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"swell/bench/testbed/controlplane"
)

func TestTheAPIServerServesAsItsUsersExpect(t *testing.T) {
	cluster, client := boot(t, controlplane.Options{
		PodStart: time.Hour, SchedulerQPS: 60, SchedulerBurst: 120, SchedulerMaxBackoff: 2 * time.Second, HPASyncPeriod: 1500 * time.Millisecond, HPADownscaleStabilization: 30 * time.Second,
		HPACPUInitializationPeriod: 30 * time.Second, HPAInitialReadinessDelay: 3 * time.Second,
	})
	t.Run("flags", func(t *testing.T) { flagsArePassedOn(t, cluster) })
	t.Run("scheduler", func(t *testing.T) { schedulerIsConfigured(t, cluster) })
	t.Run("kinds", func(t *testing.T) { kindsAreEstablished(t, cluster, client) })
	t.Run("aggregation", func(t *testing.T) { aggregatedAPI(t, cluster, client) })
	t.Run("users", func(t *testing.T) { usersHaveTheirRights(t, cluster, client) })
	t.Run("pod start", func(t *testing.T) { podStart(t, client) })
}

// flagsArePassedOn reads the running processes' command lines; that they boot shows that the flags exist.
func flagsArePassedOn(t *testing.T, cluster *controlplane.Cluster) {
	for name, want := range map[string][]string{
		"kube-scheduler": {"--config " + filepath.Join(cluster.Dir(), "scheduler.yaml")},
		"kube-controller-manager": {"--kube-api-qps 200", "--kube-api-burst 400", "--horizontal-pod-autoscaler-sync-period 1.5s",
			"--horizontal-pod-autoscaler-downscale-stabilization 30s", "--horizontal-pod-autoscaler-cpu-initialization-period 30s",
			"--horizontal-pod-autoscaler-initial-readiness-delay 3s"},
	} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cluster.PIDs()[name]))
		if err != nil {
			t.Fatal(err)
		}
		line := strings.ReplaceAll(string(text), "\x00", " ")
		for _, flag := range want {
			if !strings.Contains(line, flag+" ") {
				t.Errorf("%s runs without %s: %s", name, flag, line)
			}
		}
	}
}

// schedulerIsConfigured asks the running scheduler what it took from its file.
func schedulerIsConfigured(t *testing.T, cluster *controlplane.Cluster) {
	config := cluster.AdminConfig()
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cluster.PIDs()["kube-scheduler"]))
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(string(line), "--secure-port\x00")
	port, _, _ = strings.Cut(port, "\x00")
	config.Host = "https://127.0.0.1:" + port
	config.TLSClientConfig.CAData, config.TLSClientConfig.Insecure = nil, true // it serves a certificate that it made itself
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := client.Get(config.Host + "/configz")
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"qps":60`, `"burst":120`, `"podMaxBackoffSeconds":2,`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the scheduler does not run with %s: %.600s", want, text)
		}
	}
}

func kindsAreEstablished(t *testing.T, cluster *controlplane.Cluster, client kubernetes.Interface) {
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	crds := filepath.Join(root, "charts", "swell", "crds")
	for range 2 { // a second time changes nothing
		if err := cluster.InstallCRDs(t.Context(), crds); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the four kinds served", func() error {
		list, err := client.Discovery().ServerResourcesForGroupVersion("capacity.swell/v1alpha1")
		if err != nil {
			return err
		}
		kinds := map[string]bool{}
		for _, r := range list.APIResources {
			kinds[r.Kind] = true
		}
		for _, kind := range []string{"QueueConsumer", "DiurnalSchedule", "Balloon", "CapacityPool"} {
			if !kinds[kind] {
				return fmt.Errorf("no %s among %v", kind, kinds)
			}
		}
		return nil
	})

	broken := filepath.Join(t.TempDir(), "pod.yaml")
	if err := os.WriteFile(broken, []byte("kind: Pod\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := cluster.InstallCRDs(t.Context(), filepath.Dir(broken)); err == nil || !strings.Contains(err.Error(), broken) {
		t.Errorf("a file that holds no kind: %v", err)
	}
	if err := cluster.InstallCRDs(t.Context(), t.TempDir()); err == nil {
		t.Error("an empty folder was taken")
	}
}

// aggregatedAPI serves one path behind TLS that asks for the API server's own certificate, as an aggregated
// server must, and reads it through the API server.
func aggregatedAPI(t *testing.T, cluster *controlplane.Cluster, client kubernetes.Interface) {
	const api = "external.metrics.k8s.io/v1beta1"
	cert, key, err := cluster.ServingCert("metrics", controlplane.APIServiceHost(api))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	front := x509.NewCertPool()
	front.AppendCertsFromPEM(cluster.FrontProxyCA())
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.VerifiedChains) == 0 { // the availability check comes without one
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/apis/"+api {
			fmt.Fprintf(w, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":%q,"resources":[]}`, api)
			return
		}
		fmt.Fprintf(w, `{"path":%q,"user":%q}`, r.URL.Path, r.Header.Get("X-Remote-User"))
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: front}
	server.StartTLS()
	defer server.Close()
	var port int
	if _, err := fmt.Sscanf(server.URL, "https://127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	if err := cluster.RegisterAPIService(t.Context(), api, port, cluster.CA()); err != nil {
		t.Fatal(err)
	}
	answer, err := client.Discovery().RESTClient().Get().AbsPath("/apis/" + api + "/namespaces/shop/lag").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"path":"/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/lag","user":"admin"}`; string(answer) != want {
		t.Errorf("through the API server came %s, want %s", answer, want)
	}
	if err := cluster.RegisterAPIService(t.Context(), "v1", port, nil); err == nil || !strings.Contains(err.Error(), "group/version") {
		t.Errorf("a version without a group: %v", err)
	}
}

// usersHaveTheirRights asks with client certificates and with a service account's token.
func usersHaveTheirRights(t *testing.T, cluster *controlplane.Cluster, admin kubernetes.Interface) {
	token, err := admin.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	bearer, err := kubernetes.NewForConfig(&rest.Config{Host: cluster.URL(), BearerToken: token.Status.Token, TLSClientConfig: rest.TLSClientConfig{CAData: cluster.CA()}})
	if err != nil {
		t.Fatal(err)
	}
	who, err := bearer.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := who.Status.UserInfo.Username; got != "system:serviceaccount:default:default" {
		t.Errorf("the token's user is %q", got)
	}
	for user, want := range map[string]bool{"system:masters": true, "nobodies": false} {
		path, err := cluster.Kubeconfig("someone:odd/name", user)
		if err != nil {
			t.Fatal(err)
		}
		config, err := clientcmd.BuildConfigFromFlags("", path)
		if err != nil {
			t.Fatal(err)
		}
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
		if allowed := err == nil; allowed != want || (err != nil && !apierrors.IsForbidden(err)) {
			t.Errorf("group %s lists nodes: %v, want allowed %v", user, err, want)
		}
	}
}

// podStart: with a start-up time of an hour, only the pod whose annotation says otherwise becomes Ready.
func podStart(t *testing.T, client kubernetes.Interface) {
	addNodes(t, client, 1)
	for name, annotations := range map[string]map[string]string{"slow": nil, "quick": {controlplane.PodStartAnnotation: "10ms"}} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations, Labels: map[string]string{"app": "web"}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web"}}}}
		if _, err := client.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the quick pod Ready and the slow one bound", func() error {
		names, err := readyPods(t.Context(), client)
		if err != nil {
			return err
		}
		slow, err := client.CoreV1().Pods("default").Get(t.Context(), "slow", metav1.GetOptions{})
		if err == nil && (len(names) != 1 || names[0] != "quick" || slow.Spec.NodeName == "") {
			err = fmt.Errorf("ready: %v, slow is on node %q", names, slow.Spec.NodeName)
		}
		return err
	})
}
