package main

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// life is how long a Node was there; a zero gone is that it still is.
type life struct {
	kind, market, zone string
	came, gone         time.Time
}

// nodeWatch sees Nodes come and go, whoever makes them.
type nodeWatch struct {
	mu    sync.Mutex
	lives map[types.UID]*life
}

func (w *nodeWatch) came(n *corev1.Node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lives[n.UID] == nil {
		w.lives[n.UID] = &life{kind: n.Labels[corev1.LabelInstanceTypeStable], market: cmp.Or(n.Labels[marketLabel], n.Labels["karpenter.sh/capacity-type"]),
			zone: n.Labels[corev1.LabelTopologyZone], came: time.Now()}
	}
}

func (w *nodeWatch) went(n *corev1.Node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l := w.lives[n.UID]; l != nil {
		l.gone = time.Now()
	}
}

// bill adds up the time between two instants for which instances were paid, and its price. An instance is paid for from boot
// before its Node came, which is its launch, until its Node is gone.
func (w *nodeWatch) bill(boot time.Duration, from, to time.Time) (hours map[string]float64, cost float64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	hours = map[string]float64{}
	for _, l := range w.lives {
		s, known := sizes[l.kind]
		if !known || l.market != spot && l.market != onDemand {
			return nil, 0, fmt.Errorf("a node of type %q and market %q has no price: every node must be one that a peer bought", l.kind, l.market)
		}
		begin, end := l.came.Add(-boot), l.gone
		if begin.Before(from) {
			begin = from
		}
		if end.IsZero() || end.After(to) {
			end = to
		}
		if h := end.Sub(begin).Hours(); h > 0 {
			hours[l.market] += h
			cost += h * s.price(l.market)
		}
	}
	return hours, cost, nil
}

// standing are the nodes that are there and what they cost an hour.
func (w *nodeWatch) standing() (nodes int, hourly float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.lives {
		if l.gone.IsZero() {
			nodes++
			hourly += sizes[l.kind].price(l.market)
		}
	}
	return nodes, hourly
}

// podWatch sees pods of the workloads run.
type podWatch struct {
	mu      sync.Mutex
	running map[types.UID]time.Time // and not gone
	changed chan struct{}
}

func (w *podWatch) see(p *corev1.Pod, gone bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, was := w.running[p.UID]
	switch {
	case gone || p.DeletionTimestamp != nil || p.Status.Phase != corev1.PodRunning:
		delete(w.running, p.UID)
	case !was:
		w.running[p.UID] = time.Now()
	}
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// count is how many run, and when the last of them began to.
func (w *podWatch) count() (n int, last time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, at := range w.running {
		if at.After(last) {
			last = at
		}
	}
	return len(w.running), last
}

// wait until so many run, and return when the last of them began to.
func (w *podWatch) wait(ctx context.Context, want int, limit time.Duration) (time.Time, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		n, last := w.count()
		if n == want {
			return last, nil
		}
		select {
		case <-w.changed:
		case <-timer.C:
			return last, fmt.Errorf("%d of %d pods run after %s; look at the scaler's log (--keep-logs)", n, want, limit)
		case <-ctx.Done():
			return last, fmt.Errorf("waiting for %d pods to run: %w", want, context.Cause(ctx))
		}
	}
}

// watch begins to look at Nodes and at the pods of the workloads.
func (s *site) watch(ctx context.Context) (*nodeWatch, *podWatch, error) {
	ctx, cancel := context.WithCancel(ctx)
	s.stop = append(s.stop, cancel)
	nodes := &nodeWatch{lives: map[types.UID]*life{}}
	pods := &podWatch{running: map[types.UID]time.Time{}, changed: make(chan struct{}, 1)}
	all := informers.NewSharedInformerFactory(s.Kube, 0)
	shop := informers.NewSharedInformerFactoryWithOptions(s.Kube, 0, informers.WithNamespace(namespace))
	nodeInformer, podInformer := all.Core().V1().Nodes().Informer(), shop.Core().V1().Pods().Informer()
	_, err := nodeInformer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { as(o, nodes.came) },
		DeleteFunc: func(o any) { as(o, nodes.went) },
	})
	if err != nil {
		return nil, nil, fmt.Errorf("watching nodes: %w", err)
	}
	_, err = podInformer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { as(o, func(p *corev1.Pod) { pods.see(p, false) }) },
		UpdateFunc: func(_, o any) { as(o, func(p *corev1.Pod) { pods.see(p, false) }) },
		DeleteFunc: func(o any) { as(o, func(p *corev1.Pod) { pods.see(p, true) }) },
	})
	if err != nil {
		return nil, nil, fmt.Errorf("watching pods: %w", err)
	}
	all.Start(ctx.Done())
	shop.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), nodeInformer.HasSynced, podInformer.HasSynced) {
		return nil, nil, fmt.Errorf("watching nodes and pods: %w", context.Cause(ctx))
	}
	return nodes, pods, nil
}

// as gives an informer's object, or the last that is known of a lost one, to use.
func as[T any](object any, use func(T)) {
	if lost, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = lost.Obj
	}
	if x, ok := object.(T); ok {
		use(x)
	}
}
