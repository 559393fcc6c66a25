package aws_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// event is what EventBridge puts around every notice.
type event struct {
	Kind   string         `json:"detail-type"`
	Source string         `json:"source"`
	Detail map[string]any `json:"detail"`
}

// drain empties the queue.
func (w *world) drain() []event {
	w.t.Helper()
	url := w.url + "/123456789012/interruptions"
	var out []event
	for {
		got := must[*sqs.ReceiveMessageOutput](w.t)(w.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10}))
		if len(got.Messages) == 0 {
			return out
		}
		for _, m := range got.Messages {
			var e event
			if err := json.Unmarshal([]byte(*m.Body), &e); err != nil {
				w.t.Fatal(err)
			}
			out = append(out, e)
		}
	}
}

func of(kind string, events []event) []event {
	var out []event
	for _, e := range events {
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

func (w *world) lifecycle(group, id string) string {
	w.t.Helper()
	out := must[*autoscaling.DescribeAutoScalingGroupsOutput](w.t)(w.as.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{group}}))
	for _, i := range out.AutoScalingGroups[0].Instances {
		if *i.InstanceId == id {
			return string(i.LifecycleState)
		}
	}
	return ""
}

func TestATerminationHookHoldsTheInstance(t *testing.T) {
	w := newWorld(t)
	w.pass(10 * time.Minute)
	group := awssdk.String("general-1a-spot")
	must[*autoscaling.PutLifecycleHookOutput](t)(w.as.PutLifecycleHook(ctx, &autoscaling.PutLifecycleHookInput{AutoScalingGroupName: group, LifecycleHookName: awssdk.String("drain"),
		LifecycleTransition: awssdk.String("autoscaling:EC2_INSTANCE_TERMINATING"), HeartbeatTimeout: awssdk.Int32(60), DefaultResult: awssdk.String("CONTINUE"), NotificationMetadata: awssdk.String("m")}))
	ids := w.instances("general-1a-spot")
	w.drain()
	end := func(id string) {
		t.Helper()
		must[*autoscaling.TerminateInstanceInAutoScalingGroupOutput](t)(w.as.TerminateInstanceInAutoScalingGroup(ctx,
			&autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &id, ShouldDecrementDesiredCapacity: awssdk.Bool(true)}))
	}
	end(ids[0])
	w.want("general-1a-spot", 1, 1)
	if s := w.lifecycle(*group, ids[0]); s != "Terminating:Wait" {
		t.Fatalf("the instance is %s", s)
	}
	told := of("EC2 Instance-terminate Lifecycle Action", w.drain())
	if len(told) != 1 || told[0].Source != "aws.autoscaling" || told[0].Detail["EC2InstanceId"] != ids[0] || told[0].Detail["LifecycleTransition"] != "autoscaling:EC2_INSTANCE_TERMINATING" ||
		told[0].Detail["NotificationMetadata"] != "m" || told[0].Detail["Origin"] != "AutoScalingGroup" || told[0].Detail["Destination"] != "EC2" {
		t.Fatalf("unexpected events %+v", told)
	}
	// a heartbeat gives it another minute
	w.pass(50 * time.Second)
	token := told[0].Detail["LifecycleActionToken"].(string)
	must[*autoscaling.RecordLifecycleActionHeartbeatOutput](t)(w.as.RecordLifecycleActionHeartbeat(ctx,
		&autoscaling.RecordLifecycleActionHeartbeatInput{AutoScalingGroupName: group, LifecycleHookName: awssdk.String("drain"), LifecycleActionToken: &token}))
	w.pass(50 * time.Second)
	if s := w.lifecycle(*group, ids[0]); s != "Terminating:Wait" {
		t.Fatalf("after a heartbeat the instance is %s", s)
	}
	complete := func(id string) error {
		_, err := w.as.CompleteLifecycleAction(ctx, &autoscaling.CompleteLifecycleActionInput{AutoScalingGroupName: group, LifecycleHookName: awssdk.String("drain"), InstanceId: &id, LifecycleActionResult: awssdk.String("CONTINUE")})
		return err
	}
	if err := complete(ids[0]); err != nil {
		t.Fatal(err)
	}
	if s := w.lifecycle(*group, ids[0]); s != "Terminating" {
		t.Fatalf("after its completion the instance is %s", s)
	}
	wantCode(t, complete(ids[0]), "ValidationError")
	// without a heartbeat the default result is done
	end(ids[1])
	w.pass(59 * time.Second)
	if s := w.lifecycle(*group, ids[1]); s != "Terminating:Wait" {
		t.Fatalf("the instance is %s", s)
	}
	w.pass(2 * time.Second)
	if s := w.lifecycle(*group, ids[1]); s != "Terminating" {
		t.Fatalf("after the timeout the instance is %s", s)
	}
}

func TestAnAbandonedLaunchIsEndedAndReplaced(t *testing.T) {
	w := newWorld(t)
	w.pass(10 * time.Minute)
	group := awssdk.String("general-1a-on-demand")
	must[*autoscaling.PutLifecycleHookOutput](t)(w.as.PutLifecycleHook(ctx, &autoscaling.PutLifecycleHookInput{AutoScalingGroupName: group, LifecycleHookName: awssdk.String("ready"),
		LifecycleTransition: awssdk.String("autoscaling:EC2_INSTANCE_LAUNCHING")}))
	out := must[*autoscaling.LaunchInstancesOutput](t)(w.launch(*group, 1, "t"))
	id := out.Instances[0].InstanceIds[0]
	w.pass(15 * time.Second)
	if s := w.lifecycle(*group, id); s != "Pending:Wait" {
		t.Fatalf("the instance is %s", s)
	}
	must[*autoscaling.CompleteLifecycleActionOutput](t)(w.as.CompleteLifecycleAction(ctx, &autoscaling.CompleteLifecycleActionInput{AutoScalingGroupName: group,
		LifecycleHookName: awssdk.String("ready"), InstanceId: &id, LifecycleActionResult: awssdk.String("ABANDON")}))
	if s := w.lifecycle(*group, id); s != "Terminating" {
		t.Fatalf("the abandoned instance is %s", s)
	}
	w.pass(time.Minute)
	w.want(*group, 2, 2)
}

func TestAWarmPoolIsFilledAndDrawnOn(t *testing.T) {
	w := newWorld(t)
	w.pass(10 * time.Minute)
	group := awssdk.String("general-1a-on-demand")
	_, err := w.as.PutWarmPool(ctx, &autoscaling.PutWarmPoolInput{AutoScalingGroupName: awssdk.String("general-1a-spot")})
	wantCode(t, err, "ValidationError")
	must[*autoscaling.PutWarmPoolOutput](t)(w.as.PutWarmPool(ctx, &autoscaling.PutWarmPoolInput{AutoScalingGroupName: group, MaxGroupPreparedCapacity: awssdk.Int32(4)}))
	w.pass(10 * time.Minute)
	pool := func() *autoscaling.DescribeWarmPoolOutput {
		t.Helper()
		return must[*autoscaling.DescribeWarmPoolOutput](t)(w.as.DescribeWarmPool(ctx, &autoscaling.DescribeWarmPoolInput{AutoScalingGroupName: group}))
	}
	if p := pool(); len(p.Instances) != 3 || p.Instances[0].LifecycleState != "Warmed:Stopped" || *p.WarmPoolConfiguration.MaxGroupPreparedCapacity != 4 {
		t.Fatalf("unexpected pool %+v", p)
	}
	w.want(*group, 1, 1)
	warm := *pool().Instances[0].InstanceId
	must[*autoscaling.SetDesiredCapacityOutput](t)(w.as.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: group, DesiredCapacity: awssdk.Int32(4)}))
	w.settle()
	w.want(*group, 4, 4)
	if s := w.lifecycle(*group, warm); s != "Pending" {
		t.Fatalf("the warm instance is %q", s)
	}
	if p := pool(); len(p.Instances) != 0 {
		t.Fatalf("%d instances are still in the pool", len(p.Instances))
	}
	w.pass(10 * time.Minute)
	if s := w.lifecycle(*group, warm); s != "InService" {
		t.Fatalf("the warm instance is %q", s)
	}
}

func TestAGroupOfTwoZonesIsBalancedUnlessSuspended(t *testing.T) {
	for _, suspended := range []bool{true, false} {
		w := newWorld(t)
		w.settle()
		group := awssdk.String("wide")
		if suspended {
			must[*autoscaling.SuspendProcessesOutput](t)(w.as.SuspendProcesses(ctx, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: group, ScalingProcesses: []string{"AZRebalance"}}))
		}
		must[*autoscaling.LaunchInstancesOutput](t)(w.launch("wide", 4, "t", func(in *autoscaling.LaunchInstancesInput) { in.AvailabilityZones = []string{"ap-northeast-1a"} }))
		w.pass(20 * time.Minute)
		w.want("wide", 4, 4)
		perZone := map[string]int{}
		for _, i := range w.e.Status().Instances {
			if i.Group == "wide" {
				perZone[i.Zone]++
			}
		}
		if want := map[bool]int{true: 4, false: 2}[suspended]; perZone["ap-northeast-1a"] != want {
			t.Errorf("suspended %v: %v", suspended, perZone)
		}
	}
}

func TestMaintenanceIsToldAndDone(t *testing.T) {
	w := newWorld(t)
	w.pass(10 * time.Minute)
	id := w.instances("general-1a-on-demand")[0]
	w.drain()
	if code := w.order("maintenance", map[string]any{"instances": []string{id}, "in": "10m"}); code != 200 {
		t.Fatalf("the order got %d", code)
	}
	told := of("AWS Health Event", w.drain())
	if len(told) != 1 || told[0].Source != "aws.health" || told[0].Detail["eventTypeCode"] != "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED" || told[0].Detail["eventTypeCategory"] != "scheduledChange" {
		t.Fatalf("unexpected events %+v", told)
	}
	status := must[*ec2.DescribeInstanceStatusOutput](t)(w.ec2.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{Filters: []ec2types.Filter{{Name: awssdk.String("event.code"), Values: []string{"instance-retirement"}}}}))
	if len(status.InstanceStatuses) != 1 || *status.InstanceStatuses[0].InstanceId != id || !status.InstanceStatuses[0].Events[0].NotBefore.Equal(w.clock().Add(10*time.Minute)) {
		t.Fatalf("unexpected status %+v", status.InstanceStatuses)
	}
	w.pass(11 * time.Minute)
	if s := w.lifecycle("general-1a-on-demand", id); s != "" {
		t.Fatalf("the retired instance is %s", s)
	}
	w.want("general-1a-on-demand", 1, 1)
}

func TestANewTemplateVersionIsWhatLatestLaunches(t *testing.T) {
	w := newWorld(t)
	w.settle()
	old := w.instances("general-1a-on-demand")[0]
	name := awssdk.String("general-1a-on-demand")
	must[*ec2.CreateLaunchTemplateVersionOutput](t)(w.ec2.CreateLaunchTemplateVersion(ctx, &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateName: name, SourceVersion: awssdk.String("1"),
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: awssdk.String("ami-new")}}))
	image := func(id string) string {
		t.Helper()
		out := must[*ec2.DescribeInstancesOutput](t)(w.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}}))
		return *out.Reservations[0].Instances[0].ImageId
	}
	launch := func(token string) string {
		t.Helper()
		return must[*autoscaling.LaunchInstancesOutput](t)(w.launch(*name, 1, token)).Instances[0].InstanceIds[0]
	}
	if id := launch("a"); image(id) != image(old) {
		t.Errorf("a version that is not the default was launched: %s", image(id))
	}
	must[*ec2.ModifyLaunchTemplateOutput](t)(w.ec2.ModifyLaunchTemplate(ctx, &ec2.ModifyLaunchTemplateInput{LaunchTemplateName: name, DefaultVersion: awssdk.String("2")}))
	if id := launch("b"); image(id) != "ami-new" {
		t.Errorf("the default version was not launched but %s", image(id))
	}
	latest := must[*ec2.DescribeLaunchTemplateVersionsOutput](t)(w.ec2.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: name, Versions: []string{"$Latest"}}))
	if v := latest.LaunchTemplateVersions[0]; *v.VersionNumber != 2 || !*v.DefaultVersion || v.LaunchTemplateData.InstanceType != "m6i.4xlarge" {
		t.Errorf("unexpected version %+v", v)
	}
}

func TestDryRun(t *testing.T) {
	w := newWorld(t)
	_, err := w.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{DryRun: awssdk.Bool(true)})
	wantCode(t, err, "DryRunOperation")
	w.order("deny", map[string]any{"service": "ec2", "action": "DescribeInstances"})
	_, err = w.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{DryRun: awssdk.Bool(true)})
	wantCode(t, err, "UnauthorizedOperation")
	if !strings.Contains(err.Error(), "ec2:DescribeInstances") {
		t.Errorf("the refusal does not name the action: %v", err)
	}
}
