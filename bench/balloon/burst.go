package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/bench/measure"
	"swell/bench/testbed/aws"
	"swell/bench/testbed/stack"
	"swell/scaler/ledger"
	"swell/scaler/series"
)

const (
	// pods of 1.5 cores are ten to a node of 15.5; balloons of 1.56 pods are six, and leave less than one pod's room.
	pods = 300
	// past is the demand that was seen: a forecast that allows for a twentieth more asks for no room beyond the burst.
	past         = 280
	nodes        = 30
	heldBalloons = 180
	zones        = 3
	instanceType = "m6i.4xlarge"
)

var balloons = map[string]int{popped: heldBalloons, preempted: heldBalloons}

const manifests = `
apiVersion: capacity.swell/v1alpha1
kind: CapacityPool
metadata: {name: general}
spec:
  groups: {tags: {swell/pool: general}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: app, image: registry.k8s.io/pause:3.10, resources: {requests: {cpu: 1500m}}}]
---
apiVersion: capacity.swell/v1alpha1
kind: Balloon
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  chunk: "1.56"
  max: 180
`

// bench is a control plane with its nodes, the workload, and swell-scaler, running or not.
type bench struct {
	stack *stack.Stack
	log   io.Writer
}

func boot(ctx context.Context, log io.Writer) (*bench, error) {
	b := &bench{log: log}
	b.say("booting a control plane with %d nodes", nodes)
	fleet := aws.Fleet{
		Region: "ap-northeast-1",
		InstanceTypes: map[string]aws.InstanceType{instanceType: {VCPU: 16, MemoryMiB: 64 << 10,
			Allocatable: map[string]string{"cpu": "15500m", "memory": "60Gi", "pods": "110"}}},
		Prices: map[string]aws.Price{instanceType: {OnDemand: 1, Spot: 0.35}},
		Boot:   map[string]aws.Boot{},
	}
	for _, zone := range []string{"a", "c", "d"} {
		fleet.Boot["ap-northeast-1"+zone] = aws.Boot{P50: 5 * time.Second, P95: 6 * time.Second}
		fleet.Groups = append(fleet.Groups, aws.Group{Name: "spot-" + zone, Zone: "ap-northeast-1" + zone, Market: "spot", Max: nodes, Desired: nodes / zones,
			InstanceTypes: []string{instanceType}, Tags: map[string]string{"swell/pool": "general", "swell/market": "spot"}})
	}
	st, err := stack.Start(ctx, stack.Options{Fleet: fleet, Seed: 1})
	if err != nil {
		return nil, err
	}
	b.stack = st
	if err := b.prepare(ctx); err != nil {
		_ = st.Stop() // the first error tells more
		return nil, err
	}
	return b, nil
}

// prepare applies the workload, gives it a past of nearly as many pods as the burst has, and starts and stops the scaler once.
func (b *bench) prepare(ctx context.Context) error {
	if err := b.stack.Apply(ctx, "the workload", []byte(manifests)); err != nil {
		return err
	}
	b.stack.Clock = config.Clock{Speed: 1, Real: time.Now(), Model: time.Now()}
	const step = 5 * time.Minute
	weeks := 14 * 24 * time.Hour
	seen := series.Series{Start: b.stack.Clock.Model.Truncate(step).Add(-weeks), Step: step}
	for range int(weeks / step) {
		seen.Append(past, 0)
	}
	path := filepath.Join(b.stack.Dir(), "past.csv")
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("writing the past: %w", err)
	}
	if err := series.Write(file, seen); err != nil {
		file.Close()
		return err
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("writing the past: %w", err)
	}
	err = b.stack.StartScaler(ctx, stack.ScalerOptions{Region: "ap-northeast-1", Prices: map[string]config.Price{instanceType: {OnDemand: 1, Spot: 0.35}},
		QueueURL: b.stack.AWSEndpoint() + "/123456789012/interruptions", Files: []config.HistoryFile{{Namespace: "shop", Balloon: "web", File: path}}})
	if err != nil {
		return err
	}
	b.stack.Scaler.Stop()
	return nil
}

// burst brings about what a way begins with, and measures it. It ends with no pods and the scaler stopped.
func (b *bench) burst(ctx context.Context, way string) (s sample, err error) {
	if way == free {
		if err := b.deleteBalloons(ctx); err != nil {
			return s, err
		}
	} else {
		if err := b.startScaler(ctx); err != nil {
			return s, err
		}
		defer b.stack.Scaler.Stop()
		if err := b.waitPods(ctx, balloonSelector, heldBalloons); err != nil {
			return s, err
		}
		if way == preempted {
			b.stack.Scaler.Stop()
		}
	}
	bought, pops, err := b.counts()
	if err != nil {
		return s, err
	}
	took, err := b.scaleAndWait(ctx)
	if err != nil {
		return s, err
	}
	s.seconds = took.Seconds()
	if way == popped { // what follows a burst counts as its price
		if err := sleep(ctx, 5*time.Second); err != nil {
			return s, err
		}
	}
	after, popsAfter, err := b.counts()
	if err != nil {
		return s, err
	}
	s.bought, s.pops = after-bought, popsAfter-pops
	if (s.pops > 0) != (way == popped) {
		return s, fmt.Errorf("swell popped %d balloons: that is not what is to be measured", s.pops)
	}
	if err := b.scale(ctx, 0); err != nil {
		return s, err
	}
	return s, b.waitPods(ctx, "app=web", 0)
}

const balloonSelector = v1alpha1.BalloonLabel + "=web"

func (b *bench) startScaler(ctx context.Context) error {
	if err := b.stack.Scaler.Restart(); err != nil {
		return err
	}
	return b.stack.WaitScaler(ctx)
}

func (b *bench) deleteBalloons(ctx context.Context) error {
	none := int64(0)
	err := b.stack.Kube.CoreV1().Pods("shop").DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &none}, metav1.ListOptions{LabelSelector: balloonSelector})
	if err != nil {
		return fmt.Errorf("deleting the balloons: %w", err)
	}
	return b.waitPods(ctx, balloonSelector, 0)
}

func (b *bench) scale(ctx context.Context, replicas int) error {
	patch := fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas)
	if _, err := b.stack.Kube.AppsV1().Deployments("shop").Patch(ctx, "web", types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "scale"); err != nil {
		return fmt.Errorf("scaling to %d: %w", replicas, err)
	}
	return nil
}

// patience is how long a burst is waited for. The scheduler may lose sight of a pod that preempts until it looks at all of
// them again, after five minutes; such a burst counts as this long.
const patience = time.Minute

// scaleAndWait patches the replicas and returns how long it took until the last pod was seen Running.
func (b *bench) scaleAndWait(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	factory := informers.NewSharedInformerFactoryWithOptions(b.stack.Kube, 0, informers.WithNamespace("shop"),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = "app=web" }))
	informer := factory.Core().V1().Pods().Informer()
	running := map[types.UID]bool{} // of the informer's goroutine alone
	done := make(chan time.Time, 1)
	see := func(object any) {
		if pod, ok := object.(*corev1.Pod); ok && pod.Status.Phase == corev1.PodRunning && !running[pod.UID] {
			if running[pod.UID] = true; len(running) == pods {
				done <- time.Now()
			}
		}
	}
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: see, UpdateFunc: func(_, object any) { see(object) }}); err != nil {
		return 0, fmt.Errorf("watching the pods: %w", err)
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return 0, fmt.Errorf("watching the pods: %w", context.Cause(ctx))
	}
	began := time.Now()
	if err := b.scale(ctx, pods); err != nil {
		return 0, err
	}
	select {
	case ended := <-done:
		return ended.Sub(began), nil
	case <-time.After(patience):
		b.say("not all pods run after %s", patience)
		return patience, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("waiting for %d pods to run: %w", pods, context.Cause(ctx))
	}
}

// waitPods waits until a number of pods is there, and all of them run, and for two seconds more.
func (b *bench) waitPods(ctx context.Context, selector string, want int) error {
	err := stack.Poll(ctx, fmt.Sprintf("waiting for %d pods of %s", want, selector), 3*time.Minute, func(ctx context.Context) (bool, error) {
		list, err := b.stack.Kube.CoreV1().Pods("shop").List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return false, err
		}
		running := 0
		for _, p := range list.Items {
			if p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil {
				running++
			}
		}
		return running == want && len(list.Items) == want, fmt.Errorf("%d of %d run", running, len(list.Items))
	})
	if err != nil {
		return err
	}
	return sleep(ctx, 2*time.Second)
}

// counts are the instances that AWS launched after its first ones, and the balloons that swell popped.
func (b *bench) counts() (launched, pops int, err error) {
	instances, _, err := measure.ReadInstances(filepath.Join(b.stack.AWSDir(), "instances.jsonl"))
	if err != nil {
		return 0, 0, err
	}
	for _, i := range instances {
		if i.Cause != "initial" {
			launched++
		}
	}
	entries, _, err := ledger.Read(b.stack.LedgerDir())
	if err != nil {
		return 0, 0, err
	}
	for _, e := range entries {
		if e.Phase == ledger.Done && e.Action == "pop" {
			pops++
		}
	}
	return launched, pops, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
