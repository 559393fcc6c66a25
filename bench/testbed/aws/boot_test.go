package aws_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	emulator "swell/bench/testbed/aws"
)

// seenBy are the states that the two services tell of the instances of a group.
func (w *world) seenBy(group string) (members map[astypes.LifecycleState]int, states map[ec2types.InstanceStateName]int) {
	w.t.Helper()
	members, states = map[astypes.LifecycleState]int{}, map[ec2types.InstanceStateName]int{}
	out := must[*autoscaling.DescribeAutoScalingGroupsOutput](w.t)(w.as.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{group}}))
	var ids []string
	for _, i := range out.AutoScalingGroups[0].Instances {
		members[i.LifecycleState]++
		ids = append(ids, *i.InstanceId)
	}
	described := must[*ec2.DescribeInstancesOutput](w.t)(w.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: ids}))
	for _, r := range described.Reservations {
		states[r.Instances[0].State.Name]++
	}
	return members, states
}

func (w *world) joined() int {
	n := 0
	for _, e := range w.events() {
		if e.Event == "running" {
			n++
		}
	}
	return n
}

func TestInstancesAreInServiceBeforeTheirNodesJoin(t *testing.T) {
	w := newWorld(t)
	w.settle()
	w.pass(9 * time.Second)
	if members, states := w.seenBy("general-1a-spot"); members[astypes.LifecycleStatePending] != 2 || states[ec2types.InstanceStateNamePending] != 2 {
		t.Fatalf("after 9 s: %v, %v", members, states)
	}
	w.pass(time.Second)
	if members, states := w.seenBy("general-1a-spot"); members[astypes.LifecycleStateInService] != 2 || states[ec2types.InstanceStateNameRunning] != 2 {
		t.Fatalf("after 10 s: %v, %v", members, states)
	}
	if n := w.joined(); n != 0 {
		t.Fatalf("%d Nodes joined with their instances", n)
	}
	for _, i := range w.e.Status().Instances {
		if i.Joined {
			t.Errorf("%s is told to have joined", i.ID)
		}
	}
	// a restart in between forgets neither
	w.e.Close()
	w.start()
	if members, _ := w.seenBy("general-1a-spot"); members[astypes.LifecycleStateInService] != 2 || w.joined() != 0 {
		t.Fatalf("after a restart: %v, and %d joined", members, w.joined())
	}
	w.pass(10 * time.Minute)
	if n := w.joined(); n != 3 {
		t.Fatalf("%d Nodes joined, want 3", n)
	}
	for _, i := range w.e.Status().Instances {
		if !i.Joined {
			t.Errorf("%s is told not to have joined", i.ID)
		}
	}
}

func TestANodeNeverJoinsBeforeItsInstanceIsInService(t *testing.T) {
	w := newWorld(t)
	w.e.Close()
	fleet := must[emulator.Fleet](t)(emulator.ReadFleet("testdata/fleet.yaml"))
	fleet.InServiceAfter = time.Hour
	w.e = must[*emulator.Emulator](t)(emulator.New(emulator.Options{Fleet: fleet, Seed: 7, Now: w.clock, Manual: true}))
	w.settle()
	w.pass(10 * time.Minute)
	for _, i := range w.e.Status().Instances {
		if !i.Joined || i.State != "running" {
			t.Errorf("%s is %s, joined %t", i.ID, i.State, i.Joined)
		}
	}
}
