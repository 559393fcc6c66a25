package awsconformance_test

import (
	"fmt"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	emulator "swell/bench/testbed/aws"
)

const (
	launchPage  = asDocs + "LaunchInstances.html"
	launchGuide = asGuide + "launch-instances-synchronously.html"
)

var launchCases = []conformanceCase{
	{op: "autoscaling:LaunchInstances", docs: launchPage, says: "the ids of what was launched, with type, zone, subnet and market; desired capacity rises by it",
		want: `{"answer":{"group":"web","launched":["2 m5.large ap-northeast-1a OnDemand"],"token":"t","unlaunched":[]},"desired":4,"instances":4}`,
		run: func(t *target) any {
			return t.launched(&autoscaling.LaunchInstancesInput{RequestedCapacity: awssdk.Int32(2)})
		}},
	{op: "autoscaling:LaunchInstances", docs: launchPage, says: "the same token with the same parameters launches once",
		want: `{"again":true,"instances":4}`, run: func(t *target) any {
			in := &autoscaling.LaunchInstancesInput{AutoScalingGroupName: awssdk.String("web"), RequestedCapacity: awssdk.Int32(2), ClientToken: awssdk.String("t")}
			a, b := must[*autoscaling.LaunchInstancesOutput](t)(t.as.LaunchInstances(ctx, in)), must[*autoscaling.LaunchInstancesOutput](t)(t.as.LaunchInstances(ctx, in))
			return m{"again": fmt.Sprint(a.Instances[0].InstanceIds) == fmt.Sprint(b.Instances[0].InstanceIds), "instances": len(t.instances("web"))}
		}},
	{op: "autoscaling:LaunchInstances", docs: launchPage, says: "a token with other parameters is IdempotentParameterMismatch",
		want: `{"error":"IdempotentParameterMismatch"}`, run: func(t *target) any {
			in := &autoscaling.LaunchInstancesInput{AutoScalingGroupName: awssdk.String("web"), RequestedCapacity: awssdk.Int32(2), ClientToken: awssdk.String("t")}
			must[*autoscaling.LaunchInstancesOutput](t)(t.as.LaunchInstances(ctx, in))
			in.RequestedCapacity = awssdk.Int32(3)
			_, err := t.as.LaunchInstances(ctx, in)
			return refusal(err)
		}},
	{op: "autoscaling:LaunchInstances", docs: launchPage, says: "at most 100 instances a call",
		want: `{"answer":{"error":"ValidationError"},"desired":2,"instances":2}`,
		run: func(t *target) any {
			return t.launched(&autoscaling.LaunchInstancesInput{RequestedCapacity: awssdk.Int32(101)})
		}},
	{op: "autoscaling:LaunchInstances", docs: asGuide + "ec2-auto-scaling-capacity-limits.html", says: "never above the group's maximum",
		want: `{"answer":{"error":"ValidationError"},"desired":2,"instances":2}`,
		run: func(t *target) any {
			return t.launched(&autoscaling.LaunchInstancesInput{RequestedCapacity: awssdk.Int32(9)})
		}},
	{op: "autoscaling:LaunchInstances", docs: launchGuide, says: "a group of several zones needs one named",
		want: `{"error":"ValidationError"}`, run: func(t *target) any {
			_, err := t.as.LaunchInstances(ctx, &autoscaling.LaunchInstancesInput{AutoScalingGroupName: awssdk.String("wide"), RequestedCapacity: awssdk.Int32(1)})
			return refusal(err)
		}},
	{op: "autoscaling:LaunchInstances", docs: launchPage, says: "a zone is named by its name or its id, not both",
		want: `{"answer":{"error":"ValidationError"},"desired":2,"instances":2}`, run: func(t *target) any {
			return t.launched(&autoscaling.LaunchInstancesInput{RequestedCapacity: awssdk.Int32(1), AvailabilityZones: []string{"ap-northeast-1a"}, AvailabilityZoneIds: []string{"apne1-az4"}})
		}},
	{op: "autoscaling:LaunchInstances", docs: launchPage, says: "a zone must be one of the group's",
		want: `{"answer":{"error":"ValidationError"},"desired":2,"instances":2}`, run: func(t *target) any {
			return t.launched(&autoscaling.LaunchInstancesInput{RequestedCapacity: awssdk.Int32(1), AvailabilityZones: []string{"ap-northeast-1c"}})
		}},
	{op: "autoscaling:LaunchInstances", docs: launchPage, says: "a named subnet must be in the named zone",
		want: `{"error":"ValidationError"}`, run: func(t *target) any {
			_, err := t.as.LaunchInstances(ctx, &autoscaling.LaunchInstancesInput{AutoScalingGroupName: awssdk.String("wide"), RequestedCapacity: awssdk.Int32(1),
				AvailabilityZones: []string{"ap-northeast-1a"}, SubnetIds: []string{t.subnet["ap-northeast-1c"]}})
			return refusal(err)
		}},
	{op: "autoscaling:LaunchInstances", docs: asDocs + "LaunchInstancesError.html", says: "what was not launched is told with its code, and desired capacity rises by what was",
		want: `{"answer":{"group":"web","launched":["1 m5.large ap-northeast-1a OnDemand"],"token":"t","unlaunched":["InsufficientInstanceCapacity m5.large ap-northeast-1a OnDemand"]},"desired":3,"instances":3}`,
		run: func(t *target) any {
			t.order("capacity", emulator.Order{Fault: emulator.Fault{Zone: "ap-northeast-1a", Available: 1}})
			return t.launched(&autoscaling.LaunchInstancesInput{RequestedCapacity: awssdk.Int32(3)})
		}},
	{op: "autoscaling:LaunchInstances", docs: launchPage, says: "retry-with-group-configuration raises desired capacity by all that was asked for",
		want: `{"answer":{"group":"web","launched":["1 m5.large ap-northeast-1a OnDemand"],"token":"t","unlaunched":["InsufficientInstanceCapacity m5.large ap-northeast-1a OnDemand"]},"desired":5,"instances":3}`,
		run: func(t *target) any {
			t.order("capacity", emulator.Order{Fault: emulator.Fault{Zone: "ap-northeast-1a", Available: 1}})
			return t.launched(&autoscaling.LaunchInstancesInput{RequestedCapacity: awssdk.Int32(3), RetryStrategy: types.RetryStrategyRetryWithGroupConfiguration})
		}},
	{op: "autoscaling:LaunchInstances", docs: launchGuide, says: "a group with a warm pool is refused as UnsupportedOperation",
		want: `{"answer":{"error":"UnsupportedOperation"},"desired":2,"instances":2}`, run: func(t *target) any {
			must[*autoscaling.PutWarmPoolOutput](t)(t.as.PutWarmPool(ctx, &autoscaling.PutWarmPoolInput{AutoScalingGroupName: awssdk.String("web"), MaxGroupPreparedCapacity: awssdk.Int32(2)}))
			return t.launched(&autoscaling.LaunchInstancesInput{RequestedCapacity: awssdk.Int32(1)})
		}},
	{op: "autoscaling:LaunchInstances", docs: launchGuide, says: "where EC2 takes long the token comes back alone, and a later call with it tells what was launched",
		want: `{"first":{"answer":{"group":"web","launched":[],"token":"t","unlaunched":[]},"desired":4,"instances":4},"later":{"answer":{"group":"web","launched":["2 m5.large ap-northeast-1a OnDemand"],"token":"t","unlaunched":[]},"desired":4,"instances":4}}`,
		run: func(t *target) any {
			t.order("timeout", emulator.Order{})
			first := t.launched(&autoscaling.LaunchInstancesInput{RequestedCapacity: awssdk.Int32(2)})
			t.order("reset", emulator.Order{})
			return m{"first": first, "later": t.launched(&autoscaling.LaunchInstancesInput{RequestedCapacity: awssdk.Int32(2)})}
		}},
	{op: "autoscaling:LaunchInstances", docs: asGuide + "launching-instances-synchronous-provisioning.html", says: "the caller needs ec2:CreateFleet, and its refusal is told with the errors",
		want: `{"answer":{"group":"web","launched":[],"token":"t","unlaunched":["UnauthorizedOperation  ap-northeast-1a OnDemand"]},"desired":2,"instances":2}`,
		run: func(t *target) any {
			t.order("deny", emulator.Order{Fault: emulator.Fault{Service: "ec2", Action: "CreateFleet"}})
			return t.launched(&autoscaling.LaunchInstancesInput{RequestedCapacity: awssdk.Int32(1)})
		}},
	{op: "autoscaling:LaunchInstances", docs: asDocs + "LaunchInstancesError.html", says: "an error names the type that could not be launched, and others may have been",
		want: `{"launched":["m5.xlarge"],"unlaunched":["InsufficientInstanceCapacity m5.large ap-northeast-1a"]}`, run: func(t *target) any {
			t = newEmulator(t.T, func(f *emulator.Fleet) {
				f.Groups[0].Name, f.Groups[0].InstanceTypes = "several", []string{"m5.large", "m5.xlarge"}
				f.InstanceTypes["m5.xlarge"], f.Prices["m5.xlarge"] = emulator.InstanceType{VCPU: 4, MemoryMiB: 16384}, emulator.Price{OnDemand: 0.248, Spot: 0.08}
			})
			t.order("capacity", emulator.Order{Fault: emulator.Fault{Type: "m5.large"}})
			out := must[*autoscaling.LaunchInstancesOutput](t)(t.as.LaunchInstances(ctx, &autoscaling.LaunchInstancesInput{AutoScalingGroupName: awssdk.String("several"), RequestedCapacity: awssdk.Int32(1), ClientToken: awssdk.String("t")}))
			got, not := []string{}, []string{}
			for _, i := range out.Instances {
				got = append(got, *i.InstanceType)
			}
			for _, e := range out.Errors {
				not = append(not, *e.ErrorCode+" "+*e.InstanceType+" "+*e.AvailabilityZone)
			}
			return m{"launched": got, "unlaunched": not}
		}},
	{op: "autoscaling:LaunchInstances", docs: asGuide + "CHAP_Troubleshooting.html", says: "a call that a policy does not allow is AccessDenied",
		want: `{"answer":{"error":"AccessDenied"},"desired":2,"instances":2}`, run: func(t *target) any {
			t.order("deny", emulator.Order{Fault: emulator.Fault{Service: "autoscaling", Action: "LaunchInstances"}})
			return t.launched(&autoscaling.LaunchInstancesInput{RequestedCapacity: awssdk.Int32(1)})
		}},
}

// launched calls LaunchInstances for web.
func (t *target) launched(in *autoscaling.LaunchInstancesInput) any {
	t.Helper()
	in.AutoScalingGroupName, in.ClientToken = awssdk.String("web"), awssdk.String("t")
	out, err := t.as.LaunchInstances(ctx, in)
	answer := refusal(err)
	if err == nil {
		got, not := []string{}, []string{}
		for _, i := range out.Instances {
			got = append(got, fmt.Sprintf("%d %s %s %s", len(i.InstanceIds), *i.InstanceType, *i.AvailabilityZone, *i.MarketType))
		}
		for _, e := range out.Errors {
			not = append(not, fmt.Sprintf("%s %s %s %s", *e.ErrorCode, awssdk.ToString(e.InstanceType), *e.AvailabilityZone, *e.MarketType))
		}
		answer = m{"group": out.AutoScalingGroupName, "token": out.ClientToken, "launched": got, "unlaunched": not}
	}
	t.pass(3 * time.Second)
	g := t.group("web")
	return m{"answer": answer, "desired": g.DesiredCapacity, "instances": len(g.Instances)}
}
