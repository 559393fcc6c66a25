package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"

	"swell/scaler/ui"
)

// tunnelWithin is how long the API server may take to open a tunnel.
const tunnelWithin = 15 * time.Second

// Tunnel leads to the pod that leads, through the API server. It is opened when it is needed, and anew when it broke.
type Tunnel struct {
	config    *rest.Config
	kube      kubernetes.Interface
	namespace string
	port      int

	mu   sync.Mutex
	open *tunnel
}

// tunnel is one to one pod.
type tunnel struct {
	pod     string
	address string // on this machine
	ended   chan struct{}
	stop    func()
}

// NewTunnel makes a Tunnel to a port of the leader among the scalers of a namespace; nothing is opened yet.
func NewTunnel(config *rest.Config, namespace string, port int) (*Tunnel, error) {
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	return &Tunnel{config: config, kube: kube, namespace: namespace, port: port}, nil
}

// Dial connects to the leader's page, whatever address is asked for.
func (t *Tunnel) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	address, err := t.opened(ctx)
	if err != nil {
		return nil, err
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", address)
}

func (t *Tunnel) opened(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	leader, err := t.leader(ctx)
	if err != nil {
		return "", err
	}
	if t.open != nil {
		select {
		case <-t.open.ended:
		default:
			if t.open.pod == leader {
				return t.open.address, nil
			}
		}
		t.open.stop()
		t.open = nil
	}
	if t.open, err = t.begin(ctx, leader); err != nil {
		return "", err
	}
	return t.open.address, nil
}

// leader is the pod that holds the Lease.
func (t *Tunnel) leader(ctx context.Context) (string, error) {
	lease, err := t.kube.CoordinationV1().Leases(t.namespace).Get(ctx, ui.LeaseName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return "", fmt.Errorf("no scaler has led in namespace %s: there is no Lease %s; see --scaler-namespace", t.namespace, ui.LeaseName)
	case err != nil:
		return "", fmt.Errorf("asking who leads: %w", err)
	case lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "":
		return "", errors.New("no scaler leads at the moment")
	}
	return ui.PodOf(*lease.Spec.HolderIdentity), nil
}

func (t *Tunnel) begin(ctx context.Context, pod string) (*tunnel, error) {
	dialer, err := t.dialer(pod)
	if err != nil {
		return nil, fmt.Errorf("reaching pod %s: %w", pod, err)
	}
	stop, ready, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	said := &words{}
	forward, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{"0:" + strconv.Itoa(t.port)}, stop, ready, io.Discard, said)
	if err != nil {
		return nil, fmt.Errorf("reaching pod %s: %w", pod, err)
	}
	var failed error
	go func() {
		defer close(ended)
		failed = forward.ForwardPorts()
	}()
	one := &tunnel{pod: pod, ended: ended, stop: sync.OnceFunc(func() { close(stop) })}
	timer := time.NewTimer(tunnelWithin)
	defer timer.Stop()
	select {
	case <-ready:
	case <-ended:
		return nil, fmt.Errorf("reaching pod %s through the API server: %w", pod, errors.Join(failed, said.err()))
	case <-ctx.Done():
		one.stop()
		return nil, ctx.Err()
	case <-timer.C:
		one.stop()
		return nil, fmt.Errorf("reaching pod %s through the API server: no answer within %s", pod, tunnelWithin)
	}
	ports, err := forward.GetPorts()
	if err != nil || len(ports) == 0 {
		one.stop()
		return nil, fmt.Errorf("reaching pod %s through the API server: %w", pod, err)
	}
	one.address = net.JoinHostPort("127.0.0.1", strconv.Itoa(int(ports[0].Local)))
	return one, nil
}

// dialer speaks WebSocket, which proxies on the way let through, else SPDY: an older API server knows no other, and for it the right
// to create pods/portforward is enough, where WebSocket needs get too.
func (t *Tunnel) dialer(pod string) (httpstream.Dialer, error) {
	address := t.kube.CoreV1().RESTClient().Post().Resource("pods").Namespace(t.namespace).Name(pod).SubResource("portforward").URL()
	through, upgrader, err := spdy.RoundTripperFor(t.config)
	if err != nil {
		return nil, err
	}
	socket, err := portforward.NewSPDYOverWebsocketDialer(address, t.config)
	if err != nil {
		return nil, err
	}
	return portforward.NewFallbackDialer(socket, spdy.NewDialer(upgrader, &http.Client{Transport: through}, http.MethodPost, address), func(error) bool { return true }), nil
}

// words are what the library says on the way, which it gives to a writer.
type words struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.text.Len() < 1000 {
		w.text.Write(p)
	}
	return len(p), nil
}

func (w *words) err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := strings.TrimSpace(w.text.String()); s != "" {
		return errors.New(s)
	}
	return nil
}
