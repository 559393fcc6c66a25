package observe

import (
	"cmp"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/scaler/plan"
)

// promised are the replicas that Deployments and StatefulSets were given and whose pods do not exist yet.
func promised(deployments []appsv1.Deployment, replicaSets []appsv1.ReplicaSet, statefulSets []appsv1.StatefulSet, pods []*corev1.Pod) []plan.Promised {
	deploymentOf := map[string]string{}
	for _, rs := range replicaSets {
		if o := metav1.GetControllerOf(&rs); o != nil && o.Kind == "Deployment" {
			deploymentOf[string(rs.UID)] = string(o.UID)
		}
	}
	existing := map[string]int{}
	for _, p := range pods {
		o := metav1.GetControllerOf(p)
		if o == nil || p.DeletionTimestamp != nil {
			continue
		}
		uid := string(o.UID)
		if d, ok := deploymentOf[uid]; ok {
			uid = d
		}
		existing[uid]++
	}
	var out []plan.Promised
	add := func(kind string, meta metav1.ObjectMeta, replicas *int32, template corev1.PodTemplateSpec) {
		want := 1
		if replicas != nil {
			want = int(*replicas)
		}
		if n := want - existing[string(meta.UID)]; n > 0 && meta.DeletionTimestamp == nil {
			out = append(out, plan.Promised{Pod: podOf(kind, meta, template), Count: n})
		}
	}
	for _, d := range deployments {
		if !failing(d) {
			add("Deployment", d.ObjectMeta, d.Spec.Replicas, d.Spec.Template)
		}
	}
	for _, s := range statefulSets {
		add("StatefulSet", s.ObjectMeta, s.Spec.Replicas, s.Spec.Template)
	}
	slices.SortFunc(out, func(a, b plan.Promised) int {
		return cmp.Or(cmp.Compare(a.Pod.Namespace, b.Pod.Namespace), cmp.Compare(a.Pod.Name, b.Pod.Name))
	})
	return out
}

// failing says that a Deployment's pods are refused, by a quota or an admission policy: they will not come.
func failing(d appsv1.Deployment) bool {
	return slices.ContainsFunc(d.Status.Conditions, func(c appsv1.DeploymentCondition) bool {
		return c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue
	})
}

func podOf(kind string, owner metav1.ObjectMeta, template corev1.PodTemplateSpec) *corev1.Pod {
	yes := true
	p := &corev1.Pod{ObjectMeta: *template.ObjectMeta.DeepCopy(), Spec: *template.Spec.DeepCopy()}
	p.Namespace, p.Name = owner.Namespace, owner.Name
	p.CreationTimestamp = owner.CreationTimestamp
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: owner.Name, UID: owner.UID, Controller: &yes}}
	return p
}

// daemonPods are one pod of every DaemonSet, as a new node would get it.
func daemonPods(sets []appsv1.DaemonSet) []*corev1.Pod {
	var out []*corev1.Pod
	for _, s := range sets {
		out = append(out, podOf("DaemonSet", s.ObjectMeta, s.Spec.Template))
	}
	slices.SortFunc(out, func(a, b *corev1.Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return out
}
