package load

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

// Pod is a ready pod as far as load goes.
type Pod struct {
	Namespace, Name, Node string
	Labels                map[string]string
	Containers            []Container
}

// Container of a ready pod and what it requests.
type Container struct {
	Name        string
	CPU, Memory resource.Quantity
}

// Pods lists the ready pods that a selector picks, sorted by namespace and name.
type Pods interface {
	Ready(labels.Selector) []Pod
}

// PodWatch follows the pods of one namespace.
type PodWatch struct {
	lister listers.PodNamespaceLister
	synced cache.InformerSynced
	start  func(<-chan struct{})
}

// WatchPods prepares a watch of a namespace's pods; Start begins it.
func WatchPods(client kubernetes.Interface, namespace string) *PodWatch {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace))
	pods := factory.Core().V1().Pods()
	return &PodWatch{lister: pods.Lister().Pods(namespace), synced: pods.Informer().HasSynced, start: factory.Start}
}

// Start watches until ctx ends and returns once the pods are known.
func (w *PodWatch) Start(ctx context.Context) error {
	w.start(ctx.Done())
	wait, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if !cache.WaitForCacheSync(wait.Done(), w.synced) {
		return fmt.Errorf("watching pods: they were not listed within 30 s: %w; is the API server up, and may this client list pods?", context.Cause(wait))
	}
	return nil
}

// Ready pods that the selector picks and that nobody has asked to go.
func (w *PodWatch) Ready(selector labels.Selector) []Pod {
	pods, err := w.lister.List(selector)
	if err != nil { // the lister reads memory and knows no error
		return nil
	}
	var out []Pod
	for _, pod := range pods {
		if pod.DeletionTimestamp == nil && isReady(pod) {
			out = append(out, podOf(pod))
		}
	}
	slices.SortFunc(out, func(a, b Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return out
}

func isReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func podOf(pod *corev1.Pod) Pod {
	out := Pod{Namespace: pod.Namespace, Name: pod.Name, Node: pod.Spec.NodeName, Labels: pod.Labels}
	for _, c := range pod.Spec.Containers {
		out.Containers = append(out.Containers, Container{c.Name, *c.Resources.Requests.Cpu(), *c.Resources.Requests.Memory()})
	}
	return out
}
