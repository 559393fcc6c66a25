package reactive

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"swell/bench/testbed/aws"
)

func TestItBuysForPodsThatTheSchedulerFoundNoPlaceForAndForNoOthers(t *testing.T) {
	s := Scaler{Fleet: aws.Fleet{InstanceTypes: map[string]aws.InstanceType{"m6i.4xlarge": {VCPU: 16}}}}
	pod := func(reason string) corev1.Pod {
		var p corev1.Pod
		p.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("1")}}}}
		if reason != "" {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason}}
		}
		return p
	}
	var pods []corev1.Pod
	for range 16 {
		pods = append(pods, pod(corev1.PodReasonUnschedulable), pod(""), pod(corev1.PodReasonSchedulingGated))
	}
	if n := s.nodesFor(pods); n != 2 {
		t.Errorf("%d nodes for 16 pods of one core, 15 of which a node takes: want 2", n)
	}
	if n := s.nodesFor(pods[:1]); n != 1 {
		t.Errorf("%d nodes for one pod", n)
	}
	if n := s.nodesFor(nil); n != 0 {
		t.Errorf("%d nodes for nothing", n)
	}
}
