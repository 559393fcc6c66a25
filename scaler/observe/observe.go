// Package observe reads the cluster and AWS into the snapshot that plans are made from.
package observe

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
	"swell/nodegroups"
	"swell/scaler/plan"
)

// World is one reading of everything.
type World struct {
	Snapshot plan.Snapshot
	Pools    []v1alpha1.CapacityPool
	Balloons []v1alpha1.Balloon
	// Schedules by namespace/name.
	Schedules map[string]v1alpha1.DiurnalSchedule
	// Corrections are what real nodes contradict of the groups' templates.
	Corrections []nodegroups.Correction
	HPAs        []autoscalingv2.HorizontalPodAutoscaler
	Problems    []plan.Problem
}

// Read reads the world from the caches behind c. What workloads have owed for too long by the memory of owed is a problem and
// no promise. apiAt is when the API server last answered.
func Read(ctx context.Context, c client.Reader, groups *Groups, owed *Owed, apiAt time.Time) (World, error) {
	w := World{Schedules: map[string]v1alpha1.DiurnalSchedule{}}
	var nodes corev1.NodeList
	var namespaces corev1.NamespaceList
	var pods corev1.PodList
	var deployments appsv1.DeploymentList
	var replicaSets appsv1.ReplicaSetList
	var statefulSets appsv1.StatefulSetList
	var daemonSets appsv1.DaemonSetList
	var pools v1alpha1.CapacityPoolList
	var balloons v1alpha1.BalloonList
	var schedules v1alpha1.DiurnalScheduleList
	var hpas autoscalingv2.HorizontalPodAutoscalerList
	for _, list := range []client.ObjectList{&nodes, &namespaces, &pods, &deployments, &replicaSets, &statefulSets, &daemonSets, &pools, &balloons, &schedules, &hpas} {
		if err := c.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return World{}, fmt.Errorf("reading the cluster (%T): %w", list, err)
		}
	}
	s := &w.Snapshot
	for i := range nodes.Items {
		s.Nodes = append(s.Nodes, &nodes.Items[i])
	}
	for i := range pods.Items {
		if p := &pods.Items[i]; p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			s.Pods = append(s.Pods, p)
		}
	}
	s.Namespaces = each[*corev1.Namespace](namespaces.Items)
	slices.SortFunc(s.Nodes, func(a, b *corev1.Node) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(s.Pods, func(a, b *corev1.Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	ranges, err := w.readLimitRanges(ctx, c)
	if err != nil {
		return World{}, err
	}
	s.DaemonPods = daemonPods(daemonSets.Items, ranges)
	s.PodsAt = apiAt
	w.Problems = append(w.Problems, groups.into(s)...)
	makers := workloads{deployments.Items, replicaSets.Items, statefulSets.Items, s.Pods, closedNodes(s.Nodes)}
	if err := w.readPromised(ctx, c, owed, makers, ranges); err != nil {
		return World{}, err
	}
	s.Groups, w.Corrections = groups.correct(s.Groups, s.Nodes)
	w.Pools, w.Balloons, w.HPAs = pools.Items, balloons.Items, hpas.Items
	slices.SortFunc(w.Pools, func(a, b v1alpha1.CapacityPool) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(w.Balloons, func(a, b v1alpha1.Balloon) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	for _, d := range schedules.Items {
		w.Schedules[d.Namespace+"/"+d.Name] = d
	}
	return w, nil
}

// readPromised reads what workloads owe, with the storage that it and the pods need.
func (w *World) readPromised(ctx context.Context, c client.Reader, owed *Owed, makers workloads, ranges map[string][]corev1.LimitRange) error {
	s := &w.Snapshot
	promises, overdue := owed.due(s.PodsAt, makers.promised())
	w.Problems = append(w.Problems, overdue...)
	promises, err := w.admit(ctx, c, promises, ranges)
	if err != nil {
		return err
	}
	for _, p := range promises {
		s.Promised = append(s.Promised, p.Promised)
	}
	if err := w.readVolumes(ctx, c); err != nil {
		return err
	}
	if s.Volumes.Unread == "" {
		foreseeClaims(promises, s.Volumes)
	}
	return nil
}

// Selections are what every pool uses of AWS's groups, by the pool's name.
func (w World) Selections() map[string]nodegroups.Selection {
	out := map[string]nodegroups.Selection{}
	for _, p := range w.Pools {
		out[p.Name] = SelectionOf(p)
	}
	return out
}

// SelectionOf a pool is which groups it uses, and how.
func SelectionOf(p v1alpha1.CapacityPool) nodegroups.Selection {
	g := p.Spec.Groups
	return nodegroups.Selection{Pool: p.Name, Tags: g.Tags, MultiZone: g.MultiZone == "SuspendAZRebalance", WarmPool: g.WarmPool == "Use",
		Prepaid: p.Spec.Purchase.Prepaid == "Read", MayChange: p.Spec.Mode != v1alpha1.Observe}
}

// Policy is what the pools allow; pools that cannot be read are problems and only observed.
func (w World) Policy(maxAge time.Duration) (plan.Policy, []plan.Problem) {
	p := plan.Policy{MaxAge: maxAge}
	var problems []plan.Problem
	for i := range w.Pools {
		pool, wrong := Pool(&w.Pools[i])
		p.Pools = append(p.Pools, pool)
		problems = append(problems, wrong...)
	}
	return p, problems
}

// HPAOf is the HorizontalPodAutoscaler that scales a workload, if one does.
func (w World) HPAOf(namespace string, ref v1alpha1.ScaleTarget) *autoscalingv2.HorizontalPodAutoscaler {
	for i, h := range w.HPAs {
		t := h.Spec.ScaleTargetRef
		if h.Namespace == namespace && t.Kind == ref.Kind && t.Name == ref.Name {
			return &w.HPAs[i]
		}
	}
	return nil
}
