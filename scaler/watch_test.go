package scaler

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// slow scans
func TestAPodWithoutAPlaceIsNotLeftToTheNextTick(t *testing.T) {
	waiting := &corev1.Pod{}
	refused := waiting.DeepCopy()
	refused.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable}}
	if !podMatters(waiting, refused) {
		t.Error("a pod that the scheduler found no place for is no event")
	}
	if podMatters(refused, refused.DeepCopy()) {
		t.Error("a pod that is as it was is an event")
	}
}

// slow scans
func TestReplicasThatAreAddedAreNotLeftToTheirPods(t *testing.T) {
	of := func(n int32) *appsv1.Deployment {
		return &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: ptr.To(n)}}
	}
	if !grows(of(3), of(300)) {
		t.Error("297 replicas more are planned for with their pods only")
	}
	set := func(n int32, of string) *appsv1.ReplicaSet {
		rs := &appsv1.ReplicaSet{Spec: appsv1.ReplicaSetSpec{Replicas: ptr.To(n)}}
		rs.OwnerReferences = []metav1.OwnerReference{{Kind: of, Controller: ptr.To(true)}}
		return rs
	}
	if !grows(set(3, "Rollout"), set(300, "Rollout")) || grows(set(3, "Deployment"), set(300, "Deployment")) {
		t.Error("an Argo Rollout's ReplicaSet tells of its replicas, and a Deployment's tells nothing new")
	}
	if grows(of(300), of(3)) || grows(of(3), of(3)) {
		t.Error("replicas that are not more hurry the next plan")
	}
}
