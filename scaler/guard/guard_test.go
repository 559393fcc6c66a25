package guard

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/nodegroups"
)

var now = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func pod(name, image string, args ...string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: image, Command: args}}}}
}

// status is as cluster-autoscaler 1.30 and later writes it.
func status(age time.Duration, groups ...string) corev1.ConfigMap {
	text := "time: 2026-11-23 09:00:00 +0000 UTC\nautoscalerStatus: Running\nnodeGroups:\n"
	for _, g := range groups {
		text += "- name: " + g + "\n  health:\n    status: Healthy\n"
	}
	return corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: StatusName,
		Annotations: map[string]string{updatedKey: now.Add(-age).Format(updatedForm)}}, Data: map[string]string{"status": text}}
}

func TestAnotherScalerOnTheSameGroupsIsAConflict(t *testing.T) {
	const ca = "registry.k8s.io/autoscaling/cluster-autoscaler:v1.36.0"
	group := nodegroups.Group{Name: "spot-a@ap-northeast-1a", ASG: "spot-a", Tags: map[string]string{enabledTag: "true", "kubernetes.io/cluster/" + "blue": "owned"}}
	for name, c := range map[string]struct {
		pods     []*corev1.Pod
		statuses []corev1.ConfigMap
		cluster  string
		says     string
	}{
		"nobody":                       {},
		"no way to tell its groups":    {pods: []*corev1.Pod{pod("ca-1", ca)}, says: "pod kube-system/ca-1"},
		"an image by digest":           {pods: []*corev1.Pod{pod("ca-1", "mirror:5000/x/cluster-autoscaler@sha256:aa")}, says: "cluster-autoscaler acts on group spot-a"},
		"an image of another name":     {pods: []*corev1.Pod{pod("ca-1", "mirror/ours:1", "./cluster-autoscaler", "--nodes=1:9:spot-a")}, says: "spot-a"},
		"other groups":                 {pods: []*corev1.Pod{pod("ca-1", ca, "--nodes=1:9:other")}},
		"flag and value apart":         {pods: []*corev1.Pod{pod("ca-1", ca, "--nodes", "1:9:spot-a")}, says: "spot-a"},
		"discovered by tags":           {pods: []*corev1.Pod{pod("ca-1", ca, "--node-group-auto-discovery=asg:tag="+enabledTag+","+"kubernetes.io/cluster/"+"blue")}, says: "spot-a"},
		"discovered by a tag's value":  {pods: []*corev1.Pod{pod("ca-1", ca, "--node-group-auto-discovery=asg:tag="+enabledTag+"=false")}},
		"discovers another cluster's":  {pods: []*corev1.Pod{pod("ca-1", ca, "--node-group-auto-discovery=asg:tag="+enabledTag+","+"kubernetes.io/cluster/"+"green")}},
		"runs outside, status fresh":   {statuses: []corev1.ConfigMap{status(10*time.Second, "spot-a")}, says: "written at 2026-11-23T08:59:50Z"},
		"ended, its status is old":     {statuses: []corev1.ConfigMap{status(time.Hour, "spot-a")}},
		"fresh status of other groups": {statuses: []corev1.ConfigMap{status(10*time.Second, "other")}},
		"our own cluster":              {cluster: "blue"},
		"another cluster's group":      {cluster: "green", says: "group spot-a is of cluster blue"},
	} {
		got := Look(now, c.pods, nil, c.statuses).Conflict(group, c.cluster)
		if (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
			t.Errorf("%s: %q, want %q", name, got, c.says)
		}
	}
}

// EKS Auto Mode runs Karpenter outside the cluster.
func TestAutoModeIsSeenByItsNodes(t *testing.T) {
	node := func(name, compute string) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"eks.amazonaws.com/compute-type": compute}}}
	}
	if s := Look(now, nil, []*corev1.Node{node("a", "ec2"), node("c", "auto"), node("b", "auto")}, nil); s.Karpenter != "node b of EKS Auto Mode" {
		t.Errorf("%+v", s)
	}
	if s := Look(now, nil, []*corev1.Node{node("a", "ec2"), node("f", "fargate")}, nil); s.Karpenter != "" {
		t.Errorf("%+v", s)
	}
}

func TestKarpenterIsSeen(t *testing.T) {
	if s := Look(now, []*corev1.Pod{pod("k-1", "public.ecr.aws/karpenter/controller:1.14.0@sha256:aa")}, nil, nil); s.Karpenter != "pod kube-system/k-1" || s.Autoscaler != "" {
		t.Errorf("%+v", s)
	}
}
