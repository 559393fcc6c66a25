package awsconformance_test

import (
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
)

const terminating = "autoscaling:EC2_INSTANCE_TERMINATING"

var hookCases = []conformanceCase{
	{op: "autoscaling:PutLifecycleHook", docs: asDocs + "PutLifecycleHook.html", says: "the timeout is an hour and the result ABANDON unless they are given",
		want: `{"global":172800,"group":"web","heartbeat":3600,"name":"drain","result":"ABANDON","transition":"autoscaling:EC2_INSTANCE_TERMINATING"}`, run: func(t *target) any {
			t.hook(&autoscaling.PutLifecycleHookInput{})
			return t.hooks()[0]
		}},
	{op: "autoscaling:PutLifecycleHook", docs: asDocs + "PutLifecycleHook.html", says: "a second call changes the hook",
		moto: &difference{says: "the global timeout is 48 hours or 100 heartbeats, whichever is less", want: `{"global":172800,"group":"web","heartbeat":60,"name":"drain","result":"CONTINUE","transition":"autoscaling:EC2_INSTANCE_TERMINATING"}`},
		want: `{"global":6000,"group":"web","heartbeat":60,"name":"drain","result":"CONTINUE","transition":"autoscaling:EC2_INSTANCE_TERMINATING"}`, run: func(t *target) any {
			t.hook(&autoscaling.PutLifecycleHookInput{})
			t.hook(&autoscaling.PutLifecycleHookInput{HeartbeatTimeout: awssdk.Int32(60), DefaultResult: awssdk.String("CONTINUE")})
			return t.hooks()[0]
		}},
	{op: "autoscaling:PutLifecycleHook", docs: asDocs + "PutLifecycleHook.html", says: "the timeout is 30 to 7200 seconds",
		moto: &difference{says: "the range is from 30 to 7200 seconds", want: `"ok"`},
		want: `{"error":"ValidationError"}`, run: func(t *target) any {
			_, err := t.as.PutLifecycleHook(ctx, &autoscaling.PutLifecycleHookInput{AutoScalingGroupName: awssdk.String("web"), LifecycleHookName: awssdk.String("drain"), LifecycleTransition: awssdk.String(terminating), HeartbeatTimeout: awssdk.Int32(10)})
			return refusal(err)
		}},
	{op: "autoscaling:DescribeLifecycleHooks", docs: asDocs + "DescribeLifecycleHooks.html", says: "a group without hooks has none",
		want: `[]`, run: func(t *target) any { return t.hooks() }},
	{op: "autoscaling:DescribeLifecycleHooks", docs: asDocs + "DescribeLifecycleHooks.html", says: "a group that is not known is a validation error",
		moto: &difference{says: "a request that does not fit is answered with a code", want: `"ok"`},
		want: `{"error":"ValidationError"}`, run: func(t *target) any {
			_, err := t.as.DescribeLifecycleHooks(ctx, &autoscaling.DescribeLifecycleHooksInput{AutoScalingGroupName: awssdk.String("none")})
			return refusal(err)
		}},
	{op: "autoscaling:DeleteLifecycleHook", docs: asDocs + "DeleteLifecycleHook.html", says: "the hook is gone",
		want: `[]`, run: func(t *target) any {
			t.hook(&autoscaling.PutLifecycleHookInput{})
			must[*autoscaling.DeleteLifecycleHookOutput](t)(t.as.DeleteLifecycleHook(ctx, &autoscaling.DeleteLifecycleHookInput{AutoScalingGroupName: awssdk.String("web"), LifecycleHookName: awssdk.String("drain")}))
			return t.hooks()
		}},
	{op: "autoscaling:CompleteLifecycleAction", docs: asDocs + "CompleteLifecycleAction.html", says: "an instance waits for its termination's action until it is completed",
		want: `{"after":"Terminating","before":"Terminating:Wait"}`, run: func(t *target) any {
			id := t.leave()
			before := t.stage(id)
			must[*autoscaling.CompleteLifecycleActionOutput](t)(t.as.CompleteLifecycleAction(ctx, &autoscaling.CompleteLifecycleActionInput{AutoScalingGroupName: awssdk.String("web"),
				LifecycleHookName: awssdk.String("drain"), InstanceId: &id, LifecycleActionResult: awssdk.String("CONTINUE")}))
			return m{"before": before, "after": t.stage(id)}
		}},
	{op: "autoscaling:CompleteLifecycleAction", docs: asDocs + "CompleteLifecycleAction.html", says: "without an action under way it is a validation error",
		want: `{"error":"ValidationError"}`, run: func(t *target) any {
			_, err := t.as.CompleteLifecycleAction(ctx, &autoscaling.CompleteLifecycleActionInput{AutoScalingGroupName: awssdk.String("web"),
				LifecycleHookName: awssdk.String("drain"), InstanceId: &t.instances("web")[0], LifecycleActionResult: awssdk.String("CONTINUE")})
			return refusal(err)
		}},
	{op: "autoscaling:RecordLifecycleActionHeartbeat", docs: asDocs + "RecordLifecycleActionHeartbeat.html", says: "it begins the timeout anew",
		want: `["Terminating:Wait","Terminating:Wait",""]`, run: func(t *target) any {
			id := t.leave()
			t.pass(50 * time.Second)
			stages := []string{t.stage(id)}
			must[*autoscaling.RecordLifecycleActionHeartbeatOutput](t)(t.as.RecordLifecycleActionHeartbeat(ctx, &autoscaling.RecordLifecycleActionHeartbeatInput{AutoScalingGroupName: awssdk.String("web"), LifecycleHookName: awssdk.String("drain"), InstanceId: &id}))
			t.pass(50 * time.Second)
			stages = append(stages, t.stage(id))
			t.pass(50 * time.Second)
			return append(stages, t.stage(id))
		}},
}

// hook puts the termination hook drain to web.
func (t *target) hook(in *autoscaling.PutLifecycleHookInput) {
	t.Helper()
	in.AutoScalingGroupName, in.LifecycleHookName, in.LifecycleTransition = awssdk.String("web"), awssdk.String("drain"), awssdk.String(terminating)
	must[*autoscaling.PutLifecycleHookOutput](t)(t.as.PutLifecycleHook(ctx, in))
}

func (t *target) hooks() []m {
	t.Helper()
	out := []m{}
	for _, h := range must[*autoscaling.DescribeLifecycleHooksOutput](t)(t.as.DescribeLifecycleHooks(ctx, &autoscaling.DescribeLifecycleHooksInput{AutoScalingGroupName: awssdk.String("web")})).LifecycleHooks {
		out = append(out, m{"group": h.AutoScalingGroupName, "name": h.LifecycleHookName, "transition": h.LifecycleTransition, "result": h.DefaultResult, "heartbeat": h.HeartbeatTimeout, "global": h.GlobalTimeout})
	}
	return out
}

// leave terminates an instance of web, which has a hook of a minute.
func (t *target) leave() string {
	t.Helper()
	t.hook(&autoscaling.PutLifecycleHookInput{HeartbeatTimeout: awssdk.Int32(60)})
	id := t.instances("web")[0]
	must[*autoscaling.TerminateInstanceInAutoScalingGroupOutput](t)(t.as.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &id, ShouldDecrementDesiredCapacity: awssdk.Bool(true)}))
	return id
}

// stage of an instance of web; empty is that it has none.
func (t *target) stage(id string) string {
	t.Helper()
	for _, i := range t.group("web").Instances {
		if *i.InstanceId == id {
			return string(i.LifecycleState)
		}
	}
	return ""
}
