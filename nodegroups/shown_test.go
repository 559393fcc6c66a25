package nodegroups_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"swell/nodegroups"
)

// Groups that go to zero at night: what kubelet registers with, and device plugins add, is known again in the morning.
func TestWhatNodesShowedIsRememberedWhenTheyAreGone(t *testing.T) {
	declared := nodegroups.Template{Allocatable: resources("cpu", "8", "pods", "29")}
	real := node("i-1", time.Hour, resources("cpu", "7900m", "pods", "110", "nvidia.com/gpu", "4"))
	real.Spec.Taints = []corev1.Taint{{Key: "dedicated", Value: "ml", Effect: corev1.TaintEffectNoSchedule}}
	shown := nodegroups.NewShown()
	shown.Correct(oneGroup(declared, instance("i-1", "m")), []*corev1.Node{real})
	saved, err := shown.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	restarted := nodegroups.NewShown()
	if err := restarted.Merge(saved); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*nodegroups.Shown{"the same scaler": shown, "its successor": restarted} {
		got, _ := s.Correct(oneGroup(declared), nil)
		for resource, want := range map[string]string{"cpu": "7900m", "pods": "110", "nvidia.com/gpu": "4"} {
			has(t, got[0].Template.Allocatable, resource, want)
		}
		if len(got[0].Template.Taints) != 1 {
			t.Errorf("%s: taints %v, want that which kubelet registered with", name, got[0].Template.Taints)
		}
	}
	changed := declared
	changed.Allocatable = resources("cpu", "16", "pods", "29")
	got, _ := shown.Correct(oneGroup(changed), nil)
	has(t, got[0].Template.Allocatable, "cpu", "16")
	newImage := oneGroup(declared)
	newImage[0].Image = "ami-2"
	got, _ = shown.Correct(newImage, nil)
	has(t, got[0].Template.Allocatable, "pods", "29")
}

func TestAYoungNodeIsNotRemembered(t *testing.T) {
	declared := nodegroups.Template{Allocatable: resources("cpu", "8")}
	young := node("i-1", time.Minute, resources("cpu", "7900m"))
	young.Spec.Taints = []corev1.Taint{{Key: "warming", Effect: corev1.TaintEffectNoSchedule}}
	shown := nodegroups.NewShown()
	got, _ := shown.Correct(oneGroup(declared, instance("i-1", "m")), []*corev1.Node{young})
	if len(got[0].Template.Taints) != 1 {
		t.Error("the taint is not seen while the node is there: its pods would be bought for again")
	}
	got, _ = shown.Correct(oneGroup(declared), nil)
	has(t, got[0].Template.Allocatable, "cpu", "8")
	if len(got[0].Template.Taints) != 0 {
		t.Error("what may pass is remembered")
	}
}
