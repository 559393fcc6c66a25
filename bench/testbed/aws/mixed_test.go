package aws_test

import (
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	emulator "swell/bench/testbed/aws"
)

// withFleet is a world whose fleet is changed before it starts.
func withFleet(t *testing.T, change func(*emulator.Fleet)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), now: time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC), change: change}
	w.start()
	return w
}

// only is a change that leaves one group, made of general-1a-on-demand.
func only(more func(*emulator.Group)) func(*emulator.Fleet) {
	return func(f *emulator.Fleet) {
		g := f.Groups[1]
		g.Name, g.Min, g.Desired, g.Max = "one", 0, 0, 100
		more(&g)
		f.Groups = []emulator.Group{g}
	}
}

func (w *world) set(n int32) {
	w.t.Helper()
	must[*autoscaling.SetDesiredCapacityOutput](w.t)(w.as.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: awssdk.String("one"), DesiredCapacity: &n}))
	w.pass(time.Minute)
}

func TestAMixedGroupFillsItsBaseAndShare(t *testing.T) {
	w := withFleet(t, only(func(g *emulator.Group) { g.Market, g.OnDemandBase, g.OnDemandPercent = "mixed", 2, 25 }))
	w.set(10)
	markets := map[string]int{}
	for _, i := range w.e.Status().Instances {
		markets[i.Market]++
	}
	if markets["on-demand"] != 4 || markets["spot"] != 6 {
		t.Errorf("10 instances over a base of 2 and 25 %% are %v, want 4 on-demand", markets)
	}
	_, err := w.launch("one", 1, "t")
	wantCode(t, err, "ValidationError")
	out := must[*autoscaling.DescribeAutoScalingGroupsOutput](t)(w.as.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{}))
	if d := out.AutoScalingGroups[0].MixedInstancesPolicy.InstancesDistribution; *d.OnDemandBaseCapacity != 2 || *d.OnDemandPercentageAboveBaseCapacity != 25 {
		t.Errorf("unexpected distribution %+v", d)
	}
}

func TestWeightsAreUnitsOfCapacity(t *testing.T) {
	w := withFleet(t, only(func(g *emulator.Group) { g.Weights = map[string]int{"m6i.4xlarge": 4} }))
	w.set(10)
	w.want("one", 10, 3)
	w.set(7) // two instances are 8 units, and a group does not go below what is desired
	w.want("one", 7, 2)
	out := must[*autoscaling.LaunchInstancesOutput](t)(w.launch("one", 4, "t"))
	if n := len(out.Instances[0].InstanceIds); n != 1 {
		t.Errorf("4 units are %d instances, want 1", n)
	}
	w.want("one", 11, 3)
	groups := must[*autoscaling.DescribeAutoScalingGroupsOutput](t)(w.as.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{}))
	if g := groups.AutoScalingGroups[0]; *g.MixedInstancesPolicy.LaunchTemplate.Overrides[0].WeightedCapacity != "4" || *g.Instances[0].WeightedCapacity != "4" {
		t.Errorf("the weights are not told: %+v", g.MixedInstancesPolicy.LaunchTemplate.Overrides)
	}
}

func TestAGroupLaunchesInTheZoneThatHasCapacity(t *testing.T) {
	w := withFleet(t, only(func(g *emulator.Group) {
		g.MoreZones, g.Subnets = []string{"ap-northeast-1c"}, []string{"subnet-ap-northeast-1a", "subnet-small"}
	}))
	w.order("capacity", map[string]any{"zone": "ap-northeast-1a"})
	w.set(4)
	for _, i := range w.e.Status().Instances {
		if i.Zone != "ap-northeast-1c" {
			t.Errorf("%s is in %s", i.ID, i.Zone)
		}
	}
	w.want("one", 4, 4)
}

func TestQuotasBoundLaunches(t *testing.T) {
	w := withFleet(t, func(f *emulator.Fleet) {
		only(func(*emulator.Group) {})(f)
		f.Quotas = map[string]float64{emulator.QuotaOnDemand: 40}
	})
	out := must[*autoscaling.LaunchInstancesOutput](t)(w.launch("one", 5, "t"))
	if len(out.Instances[0].InstanceIds) != 2 || *out.Errors[0].ErrorCode != "VcpuLimitExceeded" {
		t.Errorf("40 vCPUs gave %+v and %+v", out.Instances, out.Errors)
	}
}

func TestHooksPoolsAndTemplatesOutliveARestart(t *testing.T) {
	w := newWorld(t)
	w.pass(10 * time.Minute)
	group := awssdk.String("general-1a-on-demand")
	must[*autoscaling.PutWarmPoolOutput](t)(w.as.PutWarmPool(ctx, &autoscaling.PutWarmPoolInput{AutoScalingGroupName: group, MaxGroupPreparedCapacity: awssdk.Int32(2)}))
	must[*autoscaling.PutLifecycleHookOutput](t)(w.as.PutLifecycleHook(ctx, &autoscaling.PutLifecycleHookInput{AutoScalingGroupName: awssdk.String("general-1a-spot"), LifecycleHookName: awssdk.String("drain"),
		LifecycleTransition: awssdk.String("autoscaling:EC2_INSTANCE_TERMINATING")}))
	w.order("template", map[string]any{"template": *group, "image": "ami-new"})
	w.order("maintenance", map[string]any{"instances": w.instances(*group)})
	leaving := w.instances("general-1a-spot")[0]
	must[*autoscaling.TerminateInstanceInAutoScalingGroupOutput](t)(w.as.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &leaving, ShouldDecrementDesiredCapacity: awssdk.Bool(true)}))
	w.pass(10 * time.Minute)
	look := func() []any {
		t.Helper()
		pool := must[*autoscaling.DescribeWarmPoolOutput](t)(w.as.DescribeWarmPool(ctx, &autoscaling.DescribeWarmPoolInput{AutoScalingGroupName: group}))
		hooks := must[*autoscaling.DescribeLifecycleHooksOutput](t)(w.as.DescribeLifecycleHooks(ctx, &autoscaling.DescribeLifecycleHooksInput{AutoScalingGroupName: awssdk.String("general-1a-spot")}))
		versions := must[*ec2.DescribeLaunchTemplateVersionsOutput](t)(w.ec2.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: group, Versions: []string{"$Latest"}}))
		events := must[*ec2.DescribeInstanceStatusOutput](t)(w.ec2.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{Filters: []ec2types.Filter{{Name: awssdk.String("event.code"), Values: []string{"instance-retirement"}}}}))
		return []any{pool.Instances, pool.WarmPoolConfiguration, hooks.LifecycleHooks, *versions.LaunchTemplateVersions[0].LaunchTemplateData.ImageId, events.InstanceStatuses, w.lifecycle("general-1a-spot", leaving)}
	}
	before := look()
	if pool := before[0].([]types.Instance); len(pool) != 1 || pool[0].LifecycleState != "Warmed:Stopped" || before[3] != "ami-new" || before[5] != "Terminating:Wait" {
		t.Fatalf("unexpected state before the restart: %+v", before)
	}
	w.e.Close()
	w.start()
	if after := look(); !sameJSON(before, after) {
		t.Errorf("after the restart\n%+v\nwant\n%+v", after, before)
	}
}
