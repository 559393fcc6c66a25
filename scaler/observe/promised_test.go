package observe

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid of " + name), CreationTimestamp: metav1.NewTime(at)}
}

func template(cpu string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "app", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse(cpu)}}}}}}
}

func deployment(name string, replicas int32) appsv1.Deployment {
	return appsv1.Deployment{ObjectMeta: meta(name), Spec: appsv1.DeploymentSpec{Replicas: &replicas, Template: template("1")}}
}

// ownedBy marks an object as controlled by another.
func ownedBy(kind, owner string, m metav1.ObjectMeta) metav1.ObjectMeta {
	yes := true
	m.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: owner, UID: types.UID("uid of " + owner), Controller: &yes}}
	return m
}

func replicaSet(name, deployment string) appsv1.ReplicaSet {
	return appsv1.ReplicaSet{ObjectMeta: ownedBy("Deployment", deployment, meta(name)), Spec: appsv1.ReplicaSetSpec{Template: template("1")}}
}

// podsOf are n pods of a ReplicaSet or StatefulSet.
func podsOf(kind, owner string, n int) []*corev1.Pod {
	var pods []*corev1.Pod
	for i := range n {
		pods = append(pods, &corev1.Pod{ObjectMeta: ownedBy(kind, owner, meta(fmt.Sprintf("%s-%d", owner, i)))})
	}
	return pods
}

func said(list []promise) string {
	var words []string
	for _, p := range list {
		words = append(words, fmt.Sprintf("%d of %s", p.Count, p.Pod.Name))
	}
	return strings.Join(words, ", ")
}

func deleted(pods []*corev1.Pod, n int) []*corev1.Pod {
	now := metav1.Now()
	for _, p := range pods[:n] {
		p.DeletionTimestamp = &now
	}
	return pods
}

func labelled(app string, pods []*corev1.Pod) []*corev1.Pod {
	for _, p := range pods {
		p.Labels = map[string]string{"app": app}
	}
	return pods
}

func onNode(node string, pods []*corev1.Pod) []*corev1.Pod {
	for _, p := range pods {
		p.Spec.NodeName = node
	}
	return pods
}

// promisedCase is what a namespace holds, and what it owes.
type promisedCase struct {
	deployments  []appsv1.Deployment
	replicaSets  []appsv1.ReplicaSet
	statefulSets []appsv1.StatefulSet
	pods         []*corev1.Pod
	want         string
}

func promisedByDeployments() map[string]promisedCase {
	failing := deployment("web", 5)
	failing.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue}}
	recovered := deployment("web", 5)
	recovered.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionFalse}, {Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue}}
	unset := deployment("web", 0)
	unset.Spec.Replicas = nil
	going := deployment("web", 5)
	going.DeletionTimestamp = &metav1.Time{Time: at}
	recreate := deployment("web", 5)
	recreate.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType
	selecting := deployment("web", 5)
	selecting.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	loose := podsOf("ReplicaSet", "new", 1)
	loose[0].OwnerReferences[0].Controller = nil // owned, and by no controller
	both := []appsv1.ReplicaSet{replicaSet("old", "web"), replicaSet("new", "web")}
	return map[string]promisedCase{
		"nothing":                      {want: ""},
		"none yet":                     {deployments: []appsv1.Deployment{deployment("web", 5)}, replicaSets: both, want: "5 of web"},
		"no ReplicaSet yet":            {deployments: []appsv1.Deployment{deployment("web", 5)}, want: "5 of web"},
		"some":                         {deployments: []appsv1.Deployment{deployment("web", 5)}, replicaSets: both, pods: podsOf("ReplicaSet", "new", 3), want: "2 of web"},
		"all":                          {deployments: []appsv1.Deployment{deployment("web", 5)}, replicaSets: both, pods: podsOf("ReplicaSet", "new", 5), want: ""},
		"two ReplicaSets in a rollout": {deployments: []appsv1.Deployment{deployment("web", 5)}, replicaSets: both, pods: append(podsOf("ReplicaSet", "new", 2), podsOf("ReplicaSet", "old", 2)...), want: "1 of web"},
		"a surge promises nothing":     {deployments: []appsv1.Deployment{deployment("web", 3)}, replicaSets: both, pods: append(podsOf("ReplicaSet", "new", 2), podsOf("ReplicaSet", "old", 2)...), want: ""},
		"deleted pods do not count":    {deployments: []appsv1.Deployment{deployment("web", 5)}, replicaSets: both, pods: deleted(podsOf("ReplicaSet", "new", 5), 2), want: "2 of web"},
		"others' pods do not count":    {deployments: []appsv1.Deployment{deployment("web", 5)}, replicaSets: append(both, replicaSet("theirs", "other")), pods: podsOf("ReplicaSet", "theirs", 5), want: "5 of web"},
		"pods without a controller":    {deployments: []appsv1.Deployment{deployment("web", 2)}, replicaSets: both, pods: loose, want: "2 of web"},
		"failing":                      {deployments: []appsv1.Deployment{failing}, want: ""},
		"failed once":                  {deployments: []appsv1.Deployment{recovered}, want: "5 of web"},
		"replicas left out are one":    {deployments: []appsv1.Deployment{unset}, want: "1 of web"},
		"scaled to zero":               {deployments: []appsv1.Deployment{deployment("web", 0)}, want: ""},
		"deleted":                      {deployments: []appsv1.Deployment{going}, want: ""},
		"Recreate, before those that end are gone":   {deployments: []appsv1.Deployment{recreate}, replicaSets: both, pods: deleted(podsOf("ReplicaSet", "old", 5), 5), want: ""},
		"Recreate, when they are gone":               {deployments: []appsv1.Deployment{recreate}, replicaSets: both, want: "5 of web"},
		"the ReplicaSets' cache is behind the pods'": {deployments: []appsv1.Deployment{selecting}, pods: labelled("web", podsOf("ReplicaSet", "new", 5)), want: ""},
		"it is behind with another's pods":           {deployments: []appsv1.Deployment{selecting}, pods: labelled("api", podsOf("ReplicaSet", "new", 5)), want: "5 of web"},
	}
}

func promisedByOthers() map[string]promisedCase {
	three := int32(3)
	stateful := appsv1.StatefulSet{ObjectMeta: meta("db"), Spec: appsv1.StatefulSetSpec{Replicas: &three, Template: template("2")}}
	alone := appsv1.ReplicaSet{ObjectMeta: meta("alone"), Spec: appsv1.ReplicaSetSpec{Replicas: &three}}
	aloneFailing := alone
	aloneFailing.Status.Conditions = []appsv1.ReplicaSetCondition{{Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue}}
	ofRollout := alone
	ofRollout.ObjectMeta = ownedBy("Rollout", "canary", alone.ObjectMeta)
	twin := stateful
	twin.ObjectMeta = meta("web")
	return map[string]promisedCase{
		"StatefulSet":                                        {statefulSets: []appsv1.StatefulSet{stateful}, pods: podsOf("StatefulSet", "db", 1), want: "2 of db"},
		"a ReplicaSet alone":                                 {replicaSets: []appsv1.ReplicaSet{alone}, pods: podsOf("ReplicaSet", "alone", 1), want: "2 of alone"},
		"a ReplicaSet alone, failing":                        {replicaSets: []appsv1.ReplicaSet{aloneFailing}, want: ""},
		"an Argo Rollout's ReplicaSet":                       {replicaSets: []appsv1.ReplicaSet{ofRollout}, want: "3 of alone"},
		"a ReplicaSet of a Deployment that is not read yet":  {replicaSets: []appsv1.ReplicaSet{replicaSet("new", "web")}, want: ""},
		"a StatefulSet's update":                             {statefulSets: []appsv1.StatefulSet{stateful}, pods: deleted(podsOf("StatefulSet", "db", 3), 1), want: ""},
		"a StatefulSet's pod ends on a node that is emptied": {statefulSets: []appsv1.StatefulSet{stateful}, pods: onNode("closed", deleted(podsOf("StatefulSet", "db", 3), 1)), want: "1 of db"},
		"two kinds of one name":                              {deployments: []appsv1.Deployment{deployment("web", 1)}, statefulSets: []appsv1.StatefulSet{twin}, want: "1 of web, 3 of web"},
		"sorted": {deployments: []appsv1.Deployment{deployment("web", 1), deployment("api", 2)}, statefulSets: []appsv1.StatefulSet{stateful},
			want: "2 of api, 3 of db, 1 of web"},
	}
}

func TestPromisedAreReplicasWithoutAPod(t *testing.T) {
	for _, cases := range []map[string]promisedCase{promisedByDeployments(), promisedByOthers()} {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				if got := said(workloads{c.deployments, c.replicaSets, c.statefulSets, c.pods, map[string]bool{"closed": true}}.promised()); got != c.want {
					t.Errorf("promised are %q: want %q", got, c.want)
				}
			})
		}
	}
}

func TestAPromisedPodIsItsTemplateUnderItsOwner(t *testing.T) {
	d := deployment("web", 1)
	list := workloads{deployments: []appsv1.Deployment{d}}.promised()
	if len(list) != 1 {
		t.Fatal(said(list))
	}
	p := list[0].Pod
	owner := metav1.GetControllerOf(p)
	if p.Namespace != "shop" || p.Labels["app"] != "web" || p.Spec.Containers[0].Resources.Requests.Cpu().Value() != 1 || !p.CreationTimestamp.Time.Equal(at) ||
		owner == nil || owner.Kind != "Deployment" || owner.UID != d.UID {
		t.Errorf("%+v", p)
	}
	p.Labels["app"] = "changed"
	p.Spec.Containers[0].Resources.Requests["cpu"] = resource.MustParse("9")
	if d.Spec.Template.Labels["app"] != "web" || d.Spec.Template.Spec.Containers[0].Resources.Requests.Cpu().Value() != 1 {
		t.Error("a change of the pod reaches the cache's own object")
	}
}

func TestEveryDaemonSetHasOnePod(t *testing.T) {
	pods := daemonPods([]appsv1.DaemonSet{{ObjectMeta: meta("logs"), Spec: appsv1.DaemonSetSpec{Template: template("100m")}}, {ObjectMeta: meta("cni")}})
	if len(pods) != 2 || pods[0].Name != "cni" || pods[1].Name != "logs" || pods[1].Spec.Containers[0].Resources.Requests.Cpu().MilliValue() != 100 || metav1.GetControllerOf(pods[1]).Kind != "DaemonSet" {
		t.Errorf("%+v", pods)
	}
}
