package scaler

import (
	"context"
	"fmt"
	"maps"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
	"swell/nodegroups"
	"swell/scaler/observe"
)

// Watch makes every change that may change a plan ask for one. Kinds that only some Balloons need are watched from when
// one is first needed; a role that leaves them out holds up nothing else.
func (l *Loop) Watch(ctx context.Context, c cache.Cache) error {
	o := newOptional(l.client, c)
	o.kick = l.Kick
	l.client = o
	for _, w := range []struct {
		object  client.Object
		matters func(old, current any) bool
	}{
		{&corev1.Pod{}, podMatters},
		{&corev1.Node{}, nodeMatters},
		{&corev1.Namespace{}, labelsMatter},
		{&appsv1.Deployment{}, deploymentMatters},
		{&appsv1.ReplicaSet{}, never},
		{&appsv1.StatefulSet{}, always},
		{&appsv1.DaemonSet{}, never},
		{&autoscalingv2.HorizontalPodAutoscaler{}, never},
		{&v1alpha1.Balloon{}, specMatters},
		{&v1alpha1.CapacityPool{}, specMatters},
		{&v1alpha1.DiurnalSchedule{}, specMatters},
	} {
		informer, err := c.GetInformer(ctx, w.object)
		if err != nil {
			return fmt.Errorf("watching %T: %w", w.object, err)
		}
		if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { l.Kick() },
			DeleteFunc: func(any) { l.Kick() },
			UpdateFunc: func(old, current any) {
				switch {
				case grows(old, current):
					l.hurryUp()
				case w.matters(old, current):
					l.Kick()
				}
			},
		}); err != nil {
			return fmt.Errorf("watching %T: %w", w.object, err)
		}
	}
	return nil
}

func always(_, _ any) bool { return true }
func never(_, _ any) bool  { return false }

func specMatters(old, current any) bool {
	a, ok := old.(client.Object)
	b, ok2 := current.(client.Object)
	return ok && ok2 && a.GetGeneration() != b.GetGeneration()
}

func labelsMatter(old, current any) bool {
	a, ok := old.(client.Object)
	b, ok2 := current.(client.Object)
	return ok && ok2 && !maps.Equal(a.GetLabels(), b.GetLabels())
}

func podMatters(old, current any) bool {
	a, ok := old.(*corev1.Pod)
	b, ok2 := current.(*corev1.Pod)
	return ok && ok2 && (a.Spec.NodeName != b.Spec.NodeName || a.Status.Phase != b.Status.Phase ||
		(a.DeletionTimestamp == nil) != (b.DeletionTimestamp == nil) || unschedulable(a) != unschedulable(b) ||
		a.Status.NominatedNodeName != b.Status.NominatedNodeName)
}

func unschedulable(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return true
		}
	}
	return false
}

func nodeMatters(old, current any) bool {
	a, ok := old.(*corev1.Node)
	b, ok2 := current.(*corev1.Node)
	return ok && ok2 && (ready(a) != ready(b) || a.Spec.Unschedulable != b.Spec.Unschedulable ||
		!equality.Semantic.DeepEqual(a.Spec.Taints, b.Spec.Taints) || !equality.Semantic.DeepEqual(a.Labels, b.Labels) ||
		a.Annotations[nodegroups.InterruptionAnnotation] != b.Annotations[nodegroups.InterruptionAnnotation] ||
		!equality.Semantic.DeepEqual(a.Status.Allocatable, b.Status.Allocatable))
}

func ready(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func deploymentMatters(old, current any) bool {
	a, ok := old.(*appsv1.Deployment)
	b, ok2 := current.(*appsv1.Deployment)
	return ok && ok2 && a.Generation != b.Generation
}

// grows says whether a workload was given more replicas: balloons are to give way before the scheduler sees its pods.
func grows(old, current any) bool {
	a, known := replicas(old)
	b, alsoKnown := replicas(current)
	return known && alsoKnown && b > a
}

func replicas(object any) (int32, bool) {
	var n *int32
	switch x := object.(type) {
	case *appsv1.Deployment:
		n = x.Spec.Replicas
	case *appsv1.StatefulSet:
		n = x.Spec.Replicas
	case *appsv1.ReplicaSet: // a Deployment's follows its Deployment
		if o := metav1.GetControllerOf(x); o != nil && o.Kind == "Deployment" {
			return 0, false
		}
		n = x.Spec.Replicas
	default:
		return 0, false
	}
	if n == nil {
		return 1, true
	}
	return *n, true
}

// watchAPIServer keeps the time of the API server's last answer: caches alone do not tell when they stand still.
func (l *Loop) watchAPIServer(ctx context.Context) {
	every := l.clock.Wait(l.options.Config.Observe.MaxAge.Duration / 10)
	for sleep(ctx, every) {
		asked := l.clock.Now()
		call, cancel := context.WithTimeout(ctx, max(every, time.Second))
		_, err := l.options.Fence.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(call)
		cancel()
		if err == nil {
			l.apiAt.Store(&asked)
		}
	}
}

// readGroups reads the groups at once and then on a schedule.
func (l *Loop) readGroups(ctx context.Context) {
	for {
		now := l.clock.Now()
		world, err := observe.Read(ctx, l.client, l.groups, &l.owed, *l.apiAt.Load())
		if err == nil {
			err = l.groups.Read(ctx, now, l.selections(world))
		}
		if err != nil && ctx.Err() == nil {
			l.options.Log.Warn("reading groups", "error", err)
		}
		if !sleep(ctx, l.clock.Wait(l.options.Config.Observe.AWSEvery.Duration)) {
			return
		}
	}
}
