package controlplane

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// ListsEnv, when it is set, has API servers stream no lists, as where their feature WatchList is turned off: clients list
// what they watch.
const ListsEnv = "SWELL_LISTS"

// component is one process of the control plane.
type component struct {
	name string
	args []string
	// health answers 200 when the component is ready.
	health string
}

func (c *Cluster) etcd() component {
	client := fmt.Sprintf("http://127.0.0.1:%d", c.ports.etcd)
	peer := fmt.Sprintf("http://127.0.0.1:%d", c.ports.etcdPeer)
	return component{name: "etcd", health: client + "/health", args: []string{
		"--data-dir", filepath.Join(c.dir, "etcd"),
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default=" + peer,
		"--unsafe-no-fsync", // a store that is thrown away: this is what makes thousands of pods cheap
		"--quota-backend-bytes", strconv.Itoa(4 << 30),
		"--log-level", "warn",
	}}
}

func (c *Cluster) apiServer(f files) component {
	var gates []string
	if os.Getenv(ListsEnv) != "" {
		gates = []string{"--feature-gates", "WatchList=false"}
	}
	return component{name: "kube-apiserver", health: c.url + "/readyz", args: append(gates,
		"--etcd-servers", fmt.Sprintf("http://127.0.0.1:%d", c.ports.etcd),
		"--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--secure-port", strconv.Itoa(c.ports.api),
		"--endpoint-reconciler-type", "none", // no pod dials the API server here
		"--tls-cert-file", f.serverCert, "--tls-private-key-file", f.serverKey, "--client-ca-file", f.ca,
		"--authorization-mode", "RBAC",
		"--allow-privileged", // as clusters have it whose nodes run agents
		"--service-cluster-ip-range", "10.96.0.0/16",
		"--service-account-issuer", "https://kubernetes.default.svc",
		"--service-account-key-file", f.serviceAccountKey, "--service-account-signing-key-file", f.serviceAccountKey,
		"--requestheader-client-ca-file", f.frontCA, "--requestheader-allowed-names", frontProxyUser,
		"--requestheader-username-headers", "X-Remote-User", "--requestheader-group-headers", "X-Remote-Group",
		"--requestheader-extra-headers-prefix", "X-Remote-Extra-",
		"--proxy-client-cert-file", f.proxyCert, "--proxy-client-key-file", f.proxyKey,
		// pods need no token mounted, so no wait for their namespace's service account
		"--disable-admission-plugins", "ServiceAccount",
		// a bench measures swell's load, so the API server must not queue it
		"--enable-priority-and-fairness=false", "--max-requests-inflight", "4000", "--max-mutating-requests-inflight", "4000",
		// blocking: the default batches drop events when they are full; size 0: one file, never rotated
		"--audit-policy-file", f.auditPolicy, "--audit-log-path", c.AuditLog(), "--audit-log-mode", "blocking", "--audit-log-maxsize", "0",
		"--profiling=false",
	)}
}

func (c *Cluster) controllerManager(f files) component {
	args := []string{
		"--kubeconfig", f.controllers, "--authentication-kubeconfig", f.controllers, "--authorization-kubeconfig", f.controllers,
		"--use-service-account-credentials=true", "--service-account-private-key-file", f.serviceAccountKey, "--root-ca-file", f.ca,
		"--leader-elect=false", "--bind-address", "127.0.0.1", "--secure-port", strconv.Itoa(c.ports.controllers),
		"--controllers", "*,-node-ipam-controller,-cloud-node-lifecycle-controller,-service-lb-controller,-node-route-controller",
		"--kube-api-qps", strconv.Itoa(c.options.ControllerQPS), "--kube-api-burst", strconv.Itoa(c.options.ControllerBurst),
		"--profiling=false",
	}
	for _, d := range []struct {
		flag  string
		value time.Duration
	}{
		{"sync-period", c.options.HPASyncPeriod}, {"downscale-stabilization", c.options.HPADownscaleStabilization},
		{"cpu-initialization-period", c.options.HPACPUInitializationPeriod}, {"initial-readiness-delay", c.options.HPAInitialReadinessDelay},
	} {
		if d.value > 0 {
			args = append(args, "--horizontal-pod-autoscaler-"+d.flag, d.value.String())
		}
	}
	return component{name: "kube-controller-manager", args: args, health: fmt.Sprintf("https://127.0.0.1:%d/healthz", c.ports.controllers)}
}

func (c *Cluster) scheduler(f files) component {
	args := []string{
		"--config", f.schedulerConfig, "--authentication-kubeconfig", f.scheduler, "--authorization-kubeconfig", f.scheduler,
		"--bind-address", "127.0.0.1", "--secure-port", strconv.Itoa(c.ports.scheduler),
	}
	return component{name: "kube-scheduler", args: args, health: fmt.Sprintf("https://127.0.0.1:%d/readyz", c.ports.scheduler)}
}

// kwok stands in for the kubelet of every node.
func (c *Cluster) kwok(f files) component {
	address := fmt.Sprintf("127.0.0.1:%d", c.ports.kwok)
	return component{name: "kwok", health: "http://" + address + "/readyz", args: []string{
		"--kubeconfig", f.kwok, "--config", f.stages, "--manage-all-nodes", "--node-lease-duration-seconds", "40", "--server-address", address,
	}}
}
