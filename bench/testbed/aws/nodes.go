package aws

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// nodeWriter keeps the cluster's Nodes in step with the instances: a kubelet's registration, the cloud controller's
// deletion and the pod collector's clean-up in one.
type nodeWriter struct {
	client kubernetes.Interface
	fleet  Fleet
	log    *slog.Logger
	ctx    context.Context
	busy   sync.WaitGroup

	mu    sync.Mutex
	queue map[string]*nodeJob // by Node name; what is wanted last wins
	slots chan struct{}
}

// nodeJob is one Node that is to be there, or not.
type nodeJob struct {
	instance instance
	node     *corev1.Node // nil: it is to be gone
	running  bool
	again    bool
}

func newNodeWriter(kubeconfig string, f Fleet, log *slog.Logger) (*nodeWriter, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w; give --kubeconfig the path of one", err)
	}
	config.QPS, config.Burst, config.UserAgent = 200, 400, "aws-emulator"
	config.ContentType = "application/json" // readable in the audit log
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig %s: %w; correct it", kubeconfig, err)
	}
	return &nodeWriter{client: client, fleet: f, log: log, queue: map[string]*nodeJob{}, slots: make(chan struct{}, 16)}, nil
}

// start begins the work, and removes Nodes of instances that ended while nobody looked.
func (w *nodeWriter) start(ctx context.Context, gone map[string]instance) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ctx = ctx
	for name, j := range w.queue {
		w.run(name, j)
	}
	if len(gone) > 0 {
		w.busy.Go(func() { w.sweep(ctx, gone) })
	}
}

func (w *nodeWriter) wait() { w.busy.Wait() }

func (w *nodeWriter) post(i instance, g Group) { w.want(i, nodeOf(i, g, w.fleet)) }

func (w *nodeWriter) remove(i instance) { w.want(i, nil) }

func (w *nodeWriter) want(i instance, node *corev1.Node) {
	name := dnsName(i.IP, w.fleet.Region)
	w.mu.Lock()
	defer w.mu.Unlock()
	j := w.queue[name]
	if j == nil {
		j = &nodeJob{}
		w.queue[name] = j
	}
	j.instance, j.node, j.again = i, node, true
	if w.ctx != nil && !j.running {
		w.run(name, j)
	}
}

// run works on one Node until it is as wanted. The lock is held.
func (w *nodeWriter) run(name string, j *nodeJob) {
	j.running = true
	w.busy.Go(func() {
		for w.ctx.Err() == nil {
			w.mu.Lock()
			if !j.again {
				delete(w.queue, name)
				w.mu.Unlock()
				return
			}
			node := j.node
			j.again = false
			w.mu.Unlock()
			w.slots <- struct{}{}
			err := w.settle(name, node)
			<-w.slots
			if err == nil || w.ctx.Err() != nil {
				continue
			}
			w.log.Warn("the Node is not as it should be, trying again", "node", name, "error", err)
			w.mu.Lock()
			j.again = true
			w.mu.Unlock()
			select {
			case <-w.ctx.Done():
			case <-time.After(time.Second):
			}
		}
	})
}

func (w *nodeWriter) settle(name string, node *corev1.Node) error {
	ctx, cancel := context.WithTimeout(w.ctx, 15*time.Second)
	defer cancel()
	if node != nil {
		_, err := w.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	}
	if err := w.client.CoreV1().Nodes().Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting the Node: %w", err)
	}
	pods, err := w.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + name})
	if err != nil {
		return fmt.Errorf("listing the pods of a Node that is gone: %w", err)
	}
	now := int64(0)
	for _, p := range pods.Items {
		err := w.client.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now, Preconditions: metav1.NewUIDPreconditions(string(p.UID))})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("deleting the pod %s/%s of a Node that is gone: %w", p.Namespace, p.Name, err)
		}
	}
	return nil
}

// sweep removes the Nodes of ended instances that a kill left behind.
func (w *nodeWriter) sweep(ctx context.Context, gone map[string]instance) {
	for ctx.Err() == nil {
		nodes, err := w.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err == nil {
			for _, n := range nodes.Items {
				id := n.Spec.ProviderID[strings.LastIndexByte(n.Spec.ProviderID, '/')+1:]
				if i, ok := gone[id]; ok {
					w.remove(i)
				}
			}
			return
		}
		w.log.Warn("the Nodes could not be listed, trying again", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func dnsName(ip, region string) string {
	return "ip-" + strings.ReplaceAll(ip, ".", "-") + "." + region + ".compute.internal"
}

// nodeOf is the Node that an instance's kubelet registers.
func nodeOf(i instance, g Group, f Fleet) *corev1.Node {
	name := dnsName(i.IP, f.Region)
	labels := map[string]string{
		corev1.LabelHostname: name, corev1.LabelTopologyZone: i.Zone, corev1.LabelTopologyRegion: f.Region,
		corev1.LabelInstanceTypeStable: i.Type, corev1.LabelArchStable: "amd64", corev1.LabelOSStable: "linux",
	}
	for k, v := range g.Labels {
		labels[k] = v
	}
	var taints []corev1.Taint
	for _, t := range g.Taints {
		key, value, effect := splitTaint(t)
		taints = append(taints, corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffect(effect)})
	}
	t := f.InstanceTypes[i.Type]
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:              *resource.NewQuantity(int64(t.VCPU), resource.DecimalSI),
		corev1.ResourceMemory:           *resource.NewQuantity(t.MemoryMiB<<20, resource.BinarySI),
		corev1.ResourcePods:             resource.MustParse("234"),
		corev1.ResourceEphemeralStorage: resource.MustParse("80Gi"),
	}
	allocatable := capacity.DeepCopy()
	for k, v := range t.Allocatable {
		allocatable[corev1.ResourceName(k)] = resource.MustParse(v)
	}
	// a node has at least what it gives
	for k, v := range allocatable {
		if c, ok := capacity[k]; !ok || c.Cmp(v) < 0 {
			capacity[k] = v
		}
	}
	now := metav1.Now()
	ready := corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "the emulated kubelet is ready", LastHeartbeatTime: now, LastTransitionTime: now}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"}},
		Spec:       corev1.NodeSpec{ProviderID: "aws:///" + i.Zone + "/" + i.ID, Taints: taints},
		Status: corev1.NodeStatus{Capacity: capacity, Allocatable: allocatable, Conditions: []corev1.NodeCondition{ready},
			Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: i.IP}, {Type: corev1.NodeHostName, Address: name}},
			NodeInfo:  corev1.NodeSystemInfo{KubeletVersion: "v1.36.3", OperatingSystem: "linux", Architecture: "amd64", ContainerRuntimeVersion: "containerd://2.1.0"}},
	}
}
