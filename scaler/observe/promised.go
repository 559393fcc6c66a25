package observe

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"swell/balloon"
	"swell/scaler/plan"
)

// workloads are what makes pods by a number of replicas, with the pods that there are.
type workloads struct {
	deployments  []appsv1.Deployment
	replicaSets  []appsv1.ReplicaSet
	statefulSets []appsv1.StatefulSet
	pods         []*corev1.Pod
	// closed are the nodes that take no pods: what ends there leaves no room behind.
	closed map[string]bool
}

// promise is how many pods a workload was given that do not exist yet, and what they will be.
type promise struct {
	plan.Promised
	uid types.UID // of the workload
	// claims that a StatefulSet makes for the pod.
	claims []corev1.PersistentVolumeClaim
	// bare says that the pod is its template's alone, without what the API server adds to pods.
	bare bool
}

// owned are the pods of one controller.
type owned struct {
	lives, ends []*corev1.Pod
}

// promised are the replicas that workloads were given and whose pods do not exist yet: those of Deployments and StatefulSets,
// and of ReplicaSets that no Deployment makes, such as an Argo Rollout's. What a quota or an admission policy refuses will not
// come, which Deployments and ReplicaSets tell of.
func (w workloads) promised() []promise {
	children := w.children()
	ofDeployment := map[types.UID][]*appsv1.ReplicaSet{}
	known := map[types.UID]bool{}
	var out []promise
	for i := range w.replicaSets {
		rs := &w.replicaSets[i]
		known[rs.UID] = true
		switch o := metav1.GetControllerOf(rs); {
		case o != nil && o.Kind == "Deployment":
			ofDeployment[o.UID] = append(ofDeployment[o.UID], rs)
		case !slices.ContainsFunc(rs.Status.Conditions, func(c appsv1.ReplicaSetCondition) bool {
			return c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue
		}):
			pods := children[rs.UID]
			out = append(out, missing("ReplicaSet", rs.ObjectMeta, rs.Spec.Replicas, len(pods.lives), likeOneOf(pods.lives, rs.Spec.Template))...)
		}
	}
	strays := strays(children, known)
	for i := range w.deployments {
		d := &w.deployments[i]
		failing := slices.ContainsFunc(d.Status.Conditions, func(c appsv1.DeploymentCondition) bool {
			return c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue
		})
		if !failing && !hasOneOf(strays, d.Namespace, d.Spec.Selector) {
			out = append(out, ofReplicaSets(d, ofDeployment[d.UID], children)...)
		}
	}
	for i := range w.statefulSets {
		out = append(out, ordinals(&w.statefulSets[i], children[w.statefulSets[i].UID])...)
	}
	slices.SortStableFunc(out, func(a, b promise) int { // those of one name stay in the order of their kinds
		return cmp.Or(cmp.Compare(a.Pod.Namespace, b.Pod.Namespace), cmp.Compare(a.Pod.Name, b.Pod.Name))
	})
	return out
}

// children are the pods by their controller. One that ends on a node which takes no pods is gone already.
func (w workloads) children() map[types.UID]*owned {
	out := map[types.UID]*owned{}
	for _, p := range w.pods {
		o := metav1.GetControllerOf(p)
		if o == nil {
			continue
		}
		of := out[o.UID]
		if of == nil {
			of = &owned{}
			out[o.UID] = of
		}
		switch {
		case p.DeletionTimestamp == nil:
			of.lives = append(of.lives, p)
		case !w.closed[p.Spec.NodeName]:
			of.ends = append(of.ends, p)
		}
	}
	for _, rs := range w.replicaSets {
		if out[rs.UID] == nil {
			out[rs.UID] = &owned{}
		}
	}
	for _, s := range w.statefulSets {
		if out[s.UID] == nil {
			out[s.UID] = &owned{}
		}
	}
	return out
}

// strays are pods of ReplicaSets that are not known: the cache of these may be behind that of the pods.
func strays(children map[types.UID]*owned, known map[types.UID]bool) []*corev1.Pod {
	var out []*corev1.Pod
	for uid, of := range children {
		if known[uid] {
			continue
		}
		for _, p := range of.lives {
			if metav1.GetControllerOf(p).Kind == "ReplicaSet" {
				out = append(out, p)
			}
		}
	}
	return out
}

// hasOneOf says whether a selector that can be read selects one of the pods.
func hasOneOf(pods []*corev1.Pod, namespace string, s *metav1.LabelSelector) bool {
	if len(pods) == 0 {
		return false
	}
	selector, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && slices.ContainsFunc(pods, func(p *corev1.Pod) bool {
		return p.Namespace == namespace && selector.Matches(labels.Set(p.Labels))
	})
}

// ofReplicaSets is a Deployment's promise. With strategy Recreate no pod comes before those that end are gone, and until then
// they are where it will be.
func ofReplicaSets(d *appsv1.Deployment, sets []*appsv1.ReplicaSet, children map[types.UID]*owned) []promise {
	existing := 0
	for _, rs := range sets {
		existing += len(children[rs.UID].lives)
		if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
			existing += len(children[rs.UID].ends)
		}
	}
	if existing >= wanted(d.Spec.Replicas) {
		return nil
	}
	pod := fromTemplate(d.Spec.Template)
	for _, rs := range sets {
		if sameTemplate(rs.Spec.Template, d.Spec.Template) {
			pod = likeOneOf(children[rs.UID].lives, rs.Spec.Template)
		}
	}
	return missing("Deployment", d.ObjectMeta, d.Spec.Replicas, existing, pod)
}

// missing is the promise of a workload with so many pods.
func missing(kind string, owner metav1.ObjectMeta, replicas *int32, existing int, pod made) []promise {
	n := wanted(replicas) - existing
	if n <= 0 || owner.DeletionTimestamp != nil {
		return nil
	}
	return []promise{{Promised: plan.Promised{Pod: podOf(kind, owner, pod.template()), Count: n}, uid: owner.UID, bare: pod.bare}}
}

func wanted(replicas *int32) int {
	if replicas == nil {
		return 1
	}
	return int(*replicas)
}

// ordinals is a StatefulSet's promise. A pod that ends is where its successor will be, which has its name and cannot come
// before it is gone. Pods with claims are promised one by one, as each has claims of its own.
func ordinals(s *appsv1.StatefulSet, pods *owned) []promise {
	there := map[string]bool{}
	for _, p := range append(slices.Clone(pods.lives), pods.ends...) {
		there[p.Name] = true
	}
	var like []*corev1.Pod
	for _, p := range pods.lives {
		if s.Status.ObservedGeneration == s.Generation && s.Status.UpdateRevision != "" && p.Labels[appsv1.StatefulSetRevisionLabel] == s.Status.UpdateRevision {
			like = append(like, p)
		}
	}
	pod := likeOneOf(like, s.Spec.Template)
	start := 0
	if s.Spec.Ordinals != nil {
		start = int(s.Spec.Ordinals.Start)
	}
	if s.DeletionTimestamp != nil {
		return nil
	}
	var out []promise
	for i := range wanted(s.Spec.Replicas) {
		name := fmt.Sprintf("%s-%d", s.Name, start+i)
		if there[name] {
			continue
		}
		if len(s.Spec.VolumeClaimTemplates) == 0 && len(out) > 0 {
			out[0].Count++
			continue
		}
		p := podOf("StatefulSet", s.ObjectMeta, pod.template())
		if len(s.Spec.VolumeClaimTemplates) > 0 {
			p.Name = name
			addClaims(p, s.Spec.VolumeClaimTemplates)
		}
		out = append(out, promise{Promised: plan.Promised{Pod: p, Count: 1}, uid: s.UID, bare: pod.bare, claims: s.Spec.VolumeClaimTemplates})
	}
	return out
}

// daemonPods are one pod of every DaemonSet, as a new node would get it.
func daemonPods(sets []appsv1.DaemonSet, ranges map[string][]corev1.LimitRange) []*corev1.Pod {
	var out []*corev1.Pod
	for _, s := range sets {
		p := podOf("DaemonSet", s.ObjectMeta, s.Spec.Template)
		p.Spec = requestsIn(ranges[p.Namespace], balloon.RequestsDefaulted(p.Spec))
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *corev1.Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// closedNodes are those that take no pods.
func closedNodes(nodes []*corev1.Node) map[string]bool {
	out := map[string]bool{}
	for _, n := range nodes {
		if n.Spec.Unschedulable || n.DeletionTimestamp != nil {
			out[n.Name] = true
		}
	}
	return out
}

// sameTemplate says whether a ReplicaSet's template is its Deployment's, which knows nothing of its hash.
func sameTemplate(a, b corev1.PodTemplateSpec) bool {
	return maps.Equal(withoutHash(a.Labels), withoutHash(b.Labels)) && equality.Semantic.DeepEqual(a.Annotations, b.Annotations) &&
		equality.Semantic.DeepEqual(a.Spec, b.Spec)
}
