package awsconformance_test

import (
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
)

var warmCases = []conformanceCase{
	{op: "autoscaling:PutWarmPool", docs: asDocs + "PutWarmPool.html", says: "the pool's state is Stopped unless it is given",
		want: `{"max":3,"min":1,"state":"Stopped"}`, run: func(t *target) any {
			t.warm(&autoscaling.PutWarmPoolInput{MinSize: awssdk.Int32(1), MaxGroupPreparedCapacity: awssdk.Int32(3)})
			c := t.pool().WarmPoolConfiguration
			return m{"max": c.MaxGroupPreparedCapacity, "min": c.MinSize, "state": c.PoolState}
		}},
	{op: "autoscaling:PutWarmPool", docs: asDocs + "PutWarmPool.html", says: "a group that is not known is a validation error",
		moto: &difference{says: "a request that does not fit is answered with a code", want: noAnswer},
		want: `{"error":"ValidationError"}`, run: func(t *target) any {
			_, err := t.as.PutWarmPool(ctx, &autoscaling.PutWarmPoolInput{AutoScalingGroupName: awssdk.String("none")})
			return refusal(err)
		}},
	{op: "autoscaling:DescribeWarmPool", docs: asGuide + "warm-pool-instance-lifecycle.html", says: "prepared instances are Warmed:Stopped and not among the group's", alone: "moto launches no warm instances",
		want: `{"group":0,"pool":["Warmed:Stopped","Warmed:Stopped"]}`, run: func(t *target) any {
			t.warm(&autoscaling.PutWarmPoolInput{MaxGroupPreparedCapacity: awssdk.Int32(2)})
			t.pass(10 * time.Minute)
			states := []string{}
			for _, i := range t.pool().Instances {
				states = append(states, string(i.LifecycleState))
			}
			return m{"pool": states, "group": len(t.instances("spare"))}
		}},
	{op: "autoscaling:DescribeWarmPool", docs: asGuide + "warm-pool-instance-lifecycle.html", says: "scale-out takes from the pool first", alone: "moto launches no warm instances",
		want: `{"group":["i#1"],"pool":["i#1"],"stage":"InService"}`, run: func(t *target) any {
			t.warm(&autoscaling.PutWarmPoolInput{MaxGroupPreparedCapacity: awssdk.Int32(1)})
			t.pass(10 * time.Minute)
			before := []string{}
			for _, i := range t.pool().Instances {
				before = append(before, *i.InstanceId)
			}
			t.setDesired("spare", 1)
			g := t.group("spare")
			return m{"pool": before, "group": t.instances("spare"), "stage": g.Instances[0].LifecycleState}
		}},
	{op: "autoscaling:DescribeWarmPool", docs: asDocs + "DescribeWarmPool.html", says: "a group without a pool has no configuration",
		want: `true`, run: func(t *target) any { return t.pool().WarmPoolConfiguration == nil }},
	{op: "autoscaling:DeleteWarmPool", docs: asDocs + "DeleteWarmPool.html", says: "the pool is gone",
		want: `true`, run: func(t *target) any {
			t.warm(&autoscaling.PutWarmPoolInput{})
			must[*autoscaling.DeleteWarmPoolOutput](t)(t.as.DeleteWarmPool(ctx, &autoscaling.DeleteWarmPoolInput{AutoScalingGroupName: awssdk.String("spare"), ForceDelete: awssdk.Bool(true)}))
			t.pass(time.Minute)
			return t.pool().WarmPoolConfiguration == nil
		}},
}

func (t *target) warm(in *autoscaling.PutWarmPoolInput) {
	t.Helper()
	in.AutoScalingGroupName = awssdk.String("spare")
	must[*autoscaling.PutWarmPoolOutput](t)(t.as.PutWarmPool(ctx, in))
}

func (t *target) pool() *autoscaling.DescribeWarmPoolOutput {
	t.Helper()
	return must[*autoscaling.DescribeWarmPoolOutput](t)(t.as.DescribeWarmPool(ctx, &autoscaling.DescribeWarmPoolInput{AutoScalingGroupName: awssdk.String("spare")}))
}
