package awsconformance_test

import (
	"slices"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

var changeCases = []conformanceCase{
	{op: "autoscaling:SetDesiredCapacity", docs: asDocs + "SetDesiredCapacity.html", says: "the group launches up to the new number",
		want: `{"desired":4,"error":"ok","instances":4}`, run: func(t *target) any { return t.setDesired("web", 4) }},
	{op: "autoscaling:SetDesiredCapacity", docs: asDocs + "SetDesiredCapacity.html", says: "a smaller number ends instances",
		want: `{"desired":1,"error":"ok","instances":1}`, run: func(t *target) any { return t.setDesired("web", 1) }},
	{op: "autoscaling:SetDesiredCapacity", docs: asGuide + "ec2-auto-scaling-capacity-limits.html", says: "above the maximum it is refused",
		moto: &difference{says: "desired capacity must be no more than the maximum", want: `{"desired":11,"error":"ok","instances":11}`},
		want: `{"desired":2,"error":{"error":"ValidationError"},"instances":2}`, run: func(t *target) any { return t.setDesired("web", 11) }},
	{op: "autoscaling:SetDesiredCapacity", docs: asGuide + "ec2-auto-scaling-capacity-limits.html", says: "below the minimum it is refused",
		moto: &difference{says: "desired capacity must be no less than the minimum", want: `{"desired":0,"error":"ok","instances":0}`},
		want: `{"desired":2,"error":{"error":"ValidationError"},"instances":2}`, run: func(t *target) any { return t.setDesired("web", 0) }},
	{op: "autoscaling:SetDesiredCapacity", docs: asDocs + "SetDesiredCapacity.html", says: "with HonorCooldown it is refused while the group cools down, and without it is not",
		moto: &difference{says: "HonorCooldown waits for the cooldown period", want: `["ok","ok","ok"]`},
		want: `["ok",{"error":"ScalingActivityInProgress"},"ok"]`, run: func(t *target) any {
			out := []any{}
			for n, honor := range []bool{false, true, false} {
				_, err := t.as.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: awssdk.String("web"), DesiredCapacity: awssdk.Int32(int32(3 + n)), HonorCooldown: &honor})
				out = append(out, refusal(err))
			}
			return out
		}},
	{op: "autoscaling:SetDesiredCapacity", docs: asDocs + "SetDesiredCapacity.html", says: "a group that is not known is a validation error",
		moto: &difference{says: "a request that does not fit is answered with a code", want: noAnswer},
		want: `{"error":"ValidationError"}`, run: func(t *target) any {
			_, err := t.as.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: awssdk.String("none"), DesiredCapacity: awssdk.Int32(1)})
			return refusal(err)
		}},
	{op: "autoscaling:SetDesiredCapacity", docs: asGuide + "ec2-auto-scaling-instance-protection.html", says: "scale-in spares a protected instance",
		want: `["i#1"]`, run: func(t *target) any {
			ids := t.instances("web")
			must[*autoscaling.SetInstanceProtectionOutput](t)(t.as.SetInstanceProtection(ctx, &autoscaling.SetInstanceProtectionInput{AutoScalingGroupName: awssdk.String("web"), InstanceIds: ids[:1], ProtectedFromScaleIn: awssdk.Bool(true)}))
			t.setDesired("web", 1)
			// the protected one is numbered first if it is the one that is left
			if left := t.instances("web"); slices.Equal(left, ids[:1]) {
				return left
			}
			return "another"
		}},
	{op: "autoscaling:TerminateInstanceInAutoScalingGroup", docs: asDocs + "TerminateInstanceInAutoScalingGroup.html", says: "with decrement the instance is not replaced",
		want: `{"answer":{"group":"web"},"desired":1,"instances":1,"left":true}`, run: func(t *target) any { return t.terminate(true) }},
	{op: "autoscaling:TerminateInstanceInAutoScalingGroup", docs: asDocs + "TerminateInstanceInAutoScalingGroup.html", says: "without decrement the instance is replaced",
		want: `{"answer":{"group":"web"},"desired":2,"instances":2,"left":true}`, run: func(t *target) any { return t.terminate(false) }},
	{op: "autoscaling:TerminateInstanceInAutoScalingGroup", docs: asDocs + "TerminateInstanceInAutoScalingGroup.html", says: "a decrement below the minimum is a validation error",
		moto: &difference{says: "desired capacity can never be below the minimum", want: `{"answer":{"group":"web"},"desired":0,"instances":0,"left":true}`},
		want: `{"answer":{"error":"ValidationError"},"desired":1,"instances":1,"left":false}`, run: func(t *target) any {
			t.setDesired("web", 1)
			return t.terminate(true)
		}},
	{op: "autoscaling:TerminateInstanceInAutoScalingGroup", docs: asDocs + "TerminateInstanceInAutoScalingGroup.html", says: "an instance of no group is a validation error",
		moto: &difference{says: "a request that does not fit is answered with a code", want: noAnswer},
		want: `{"error":"ValidationError"}`, run: func(t *target) any {
			_, err := t.as.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: awssdk.String("i-0123456789abcdef0"), ShouldDecrementDesiredCapacity: awssdk.Bool(true)})
			return refusal(err)
		}},
	{op: "autoscaling:SetInstanceProtection", docs: asDocs + "SetInstanceProtection.html", says: "protection is told of the instance",
		want: `[true,false]`, run: func(t *target) any {
			must[*autoscaling.SetInstanceProtectionOutput](t)(t.as.SetInstanceProtection(ctx, &autoscaling.SetInstanceProtectionInput{AutoScalingGroupName: awssdk.String("web"), InstanceIds: t.instances("web")[:1], ProtectedFromScaleIn: awssdk.Bool(true)}))
			out := []bool{}
			for _, i := range t.group("web").Instances {
				out = append(out, *i.ProtectedFromScaleIn)
			}
			return out
		}},
	{op: "autoscaling:SetInstanceProtection", docs: asDocs + "SetInstanceProtection.html", says: "an instance of another group is a validation error",
		moto: &difference{says: "the instances must be in the group", want: `"ok"`},
		want: `{"error":"ValidationError"}`, run: func(t *target) any {
			_, err := t.as.SetInstanceProtection(ctx, &autoscaling.SetInstanceProtectionInput{AutoScalingGroupName: awssdk.String("spare"), InstanceIds: t.instances("web")[:1], ProtectedFromScaleIn: awssdk.Bool(true)})
			return refusal(err)
		}},
	{op: "autoscaling:SuspendProcesses", docs: asDocs + "SuspendProcesses.html", says: "named processes are suspended",
		want: `["AZRebalance"]`, run: func(t *target) any {
			must[*autoscaling.SuspendProcessesOutput](t)(t.as.SuspendProcesses(ctx, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: awssdk.String("wide"), ScalingProcesses: []string{"AZRebalance"}}))
			return t.suspended("wide")
		}},
	{op: "autoscaling:SuspendProcesses", docs: asDocs + "SuspendProcesses.html", says: "none named is all",
		want: `["AZRebalance","AddToLoadBalancer","AlarmNotification","HealthCheck","InstanceRefresh","Launch","ReplaceUnhealthy","ScheduledActions","Terminate"]`, run: func(t *target) any {
			must[*autoscaling.SuspendProcessesOutput](t)(t.as.SuspendProcesses(ctx, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: awssdk.String("wide")}))
			return t.suspended("wide")
		}},
	{op: "autoscaling:SuspendProcesses", docs: asGuide + "as-suspend-resume-processes.html", says: "while Launch is suspended a lost instance is not replaced", alone: "moto launches in the call",
		want: `1`, run: func(t *target) any {
			must[*autoscaling.SuspendProcessesOutput](t)(t.as.SuspendProcesses(ctx, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: awssdk.String("web"), ScalingProcesses: []string{"Launch"}}))
			must[*ec2.TerminateInstancesOutput](t)(t.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: t.instances("web")[:1]}))
			t.pass(5 * time.Minute)
			return len(t.instances("web"))
		}},
	{op: "autoscaling:ResumeProcesses", docs: asDocs + "ResumeProcesses.html", says: "only the named processes are resumed",
		want: `["HealthCheck"]`, run: func(t *target) any {
			must[*autoscaling.SuspendProcessesOutput](t)(t.as.SuspendProcesses(ctx, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: awssdk.String("wide"), ScalingProcesses: []string{"AZRebalance", "HealthCheck"}}))
			must[*autoscaling.ResumeProcessesOutput](t)(t.as.ResumeProcesses(ctx, &autoscaling.ResumeProcessesInput{AutoScalingGroupName: awssdk.String("wide"), ScalingProcesses: []string{"AZRebalance"}}))
			return t.suspended("wide")
		}},
}

var updateCases = []conformanceCase{
	{op: "autoscaling:UpdateAutoScalingGroup", docs: asDocs + "UpdateAutoScalingGroup.html", says: "bounds and desired capacity together",
		want: `{"desired":6,"error":"ok","instances":6,"max":20,"min":3}`, run: func(t *target) any { return t.update(3, 20, 6) }},
	{op: "autoscaling:UpdateAutoScalingGroup", docs: asDocs + "UpdateAutoScalingGroup.html", says: "a larger minimum alone raises the desired capacity",
		want: `{"desired":4,"error":"ok","instances":4,"max":10,"min":4}`, run: func(t *target) any { return t.update(4, -1, -1) }},
	{op: "autoscaling:UpdateAutoScalingGroup", docs: asDocs + "UpdateAutoScalingGroup.html", says: "a smaller maximum alone lowers the desired capacity",
		want: `{"desired":1,"error":"ok","instances":1,"max":1,"min":1}`, run: func(t *target) any { return t.update(-1, 1, -1) }},
	{op: "autoscaling:UpdateAutoScalingGroup", docs: asGuide + "ec2-auto-scaling-capacity-limits.html", says: "a desired capacity out of bounds is refused and nothing changes",
		moto: &difference{says: "desired capacity must be between the bounds", want: `{"desired":11,"error":"ok","instances":11,"max":10,"min":1}`},
		want: `{"desired":2,"error":{"error":"ValidationError"},"instances":2,"max":10,"min":1}`, run: func(t *target) any { return t.update(-1, -1, 11) }},
	{op: "autoscaling:UpdateAutoScalingGroup", docs: asGuide + "ec2-auto-scaling-capacity-limits.html", says: "a minimum above the maximum is refused and nothing changes",
		moto: &difference{says: "the minimum must be no more than the maximum", want: `{"desired":11,"error":"ok","instances":11,"max":10,"min":11}`},
		want: `{"desired":2,"error":{"error":"ValidationError"},"instances":2,"max":10,"min":1}`, run: func(t *target) any { return t.update(11, -1, -1) }},
	{op: "autoscaling:UpdateAutoScalingGroup", docs: asDocs + "UpdateAutoScalingGroup.html", says: "a group that is not known is a validation error",
		want: `{"error":"ValidationError"}`, run: func(t *target) any {
			_, err := t.as.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: awssdk.String("none"), MinSize: awssdk.Int32(0)})
			return refusal(err)
		}},
}

// update the sizes of web; less than zero leaves one.
func (t *target) update(least, most, desired int32) any {
	t.Helper()
	in := &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: awssdk.String("web")}
	for v, field := range map[*int32]**int32{&least: &in.MinSize, &most: &in.MaxSize, &desired: &in.DesiredCapacity} {
		if *v >= 0 {
			*field = v
		}
	}
	_, err := t.as.UpdateAutoScalingGroup(ctx, in)
	t.pass(5 * time.Minute)
	g := t.group("web")
	return m{"error": refusal(err), "min": g.MinSize, "max": g.MaxSize, "desired": g.DesiredCapacity, "instances": len(g.Instances)}
}

func (t *target) setDesired(name string, n int32) any {
	t.Helper()
	_, err := t.as.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: &name, DesiredCapacity: &n})
	t.pass(5 * time.Minute)
	g := t.group(name)
	return m{"error": refusal(err), "desired": g.DesiredCapacity, "instances": len(g.Instances)}
}

// terminate the first instance of web, and say whether it has left.
func (t *target) terminate(decrement bool) any {
	t.Helper()
	id := t.instances("web")[0]
	out, err := t.as.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &id, ShouldDecrementDesiredCapacity: &decrement})
	answer := refusal(err)
	if err == nil {
		answer = m{"group": out.Activity.AutoScalingGroupName}
	}
	t.pass(5 * time.Minute)
	g := t.group("web")
	return m{"answer": answer, "desired": g.DesiredCapacity, "instances": len(g.Instances), "left": !slices.Contains(t.instances("web"), id)}
}

func (t *target) suspended(name string) []string {
	t.Helper()
	out := []string{}
	for _, p := range t.group(name).SuspendedProcesses {
		out = append(out, *p.ProcessName)
	}
	slices.Sort(out)
	return out
}
