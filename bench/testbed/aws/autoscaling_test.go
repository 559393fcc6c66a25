package aws_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

var ctx = context.Background()

func TestDescribeGroups(t *testing.T) {
	w := newWorld(t)
	w.settle()
	var names []string
	pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(w.as, &autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: awssdk.Int32(2),
		Filters: []types.Filter{{Name: awssdk.String("tag:swell/pool"), Values: []string{"general", "wide"}}}})
	calls := 0
	for pages.HasMorePages() {
		page := must[*autoscaling.DescribeAutoScalingGroupsOutput](t)(pages.NextPage(ctx))
		calls++
		for _, g := range page.AutoScalingGroups {
			names = append(names, *g.AutoScalingGroupName)
		}
	}
	if got := strings.Join(names, " "); got != "general-1a-on-demand general-1a-spot general-1c-spot wide" || calls != 2 {
		t.Fatalf("%d pages gave %s", calls, got)
	}
	out := must[*autoscaling.DescribeAutoScalingGroupsOutput](t)(w.as.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{"general-1a-spot", "none"}}))
	if len(out.AutoScalingGroups) != 1 {
		t.Fatalf("%d groups, want 1", len(out.AutoScalingGroups))
	}
	g := out.AutoScalingGroups[0]
	if len(g.Instances) != 2 || g.Instances[0].LifecycleState != types.LifecycleStatePending || *g.MaxSize != 20 || *g.LaunchTemplate.LaunchTemplateName != "general-1a-spot" {
		t.Fatalf("unexpected group %+v", g)
	}
	tags := map[string]string{}
	for _, tag := range g.Tags {
		tags[*tag.Key] = *tag.Value
	}
	for k, v := range map[string]string{"k8s.io/cluster-autoscaler/node-template/resources/cpu": "15500m", "k8s.io/cluster-autoscaler/node-template/taint/dedicated": "general:NoSchedule",
		"k8s.io/cluster-autoscaler/node-template/label/swell/pool": "general"} {
		if tags[k] != v {
			t.Errorf("tag %s is %q, want %q", k, tags[k], v)
		}
	}
	_, err := w.as.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{NextToken: awssdk.String("nonsense")})
	wantCode(t, err, "InvalidNextToken")
	_, err = w.as.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: awssdk.Int32(101)})
	wantCode(t, err, "ValidationError")
	_, err = w.as.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{Filters: []types.Filter{{Name: awssdk.String("colour")}}})
	wantCode(t, err, "ValidationError")
}

func TestDescribeInstancesTagsAndActivities(t *testing.T) {
	w := newWorld(t)
	w.pass(10 * time.Minute)
	var ids []string
	pages := autoscaling.NewDescribeAutoScalingInstancesPaginator(w.as, &autoscaling.DescribeAutoScalingInstancesInput{MaxRecords: awssdk.Int32(1)})
	for pages.HasMorePages() {
		for _, i := range must[*autoscaling.DescribeAutoScalingInstancesOutput](t)(pages.NextPage(ctx)).AutoScalingInstances {
			ids = append(ids, *i.InstanceId)
			if *i.LifecycleState != "InService" || *i.AutoScalingGroupName == "" {
				t.Errorf("unexpected instance %+v", i)
			}
		}
	}
	if len(ids) != 3 {
		t.Fatalf("%d instances, want 3", len(ids))
	}
	tags := must[*autoscaling.DescribeTagsOutput](t)(w.as.DescribeTags(ctx, &autoscaling.DescribeTagsInput{Filters: []types.Filter{
		{Name: awssdk.String("key"), Values: []string{"swell/pool"}}, {Name: awssdk.String("auto-scaling-group"), Values: []string{"wide"}}}}))
	if len(tags.Tags) != 1 || *tags.Tags[0].Value != "wide" {
		t.Fatalf("unexpected tags %+v", tags.Tags)
	}
	_, err := w.as.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: awssdk.String("none")})
	wantCode(t, err, "ValidationError")
	// a failed launch is told with its reason
	w.order("capacity", map[string]any{"zone": "ap-northeast-1a", "market": "spot"})
	must[*autoscaling.SetDesiredCapacityOutput](t)(w.as.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: awssdk.String("general-1a-spot"), DesiredCapacity: awssdk.Int32(3)}))
	w.settle()
	activities := must[*autoscaling.DescribeScalingActivitiesOutput](t)(w.as.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: awssdk.String("general-1a-spot")}))
	newest := activities.Activities[0]
	if newest.StatusCode != types.ScalingActivityStatusCodeFailed || !strings.Contains(*newest.StatusMessage, "sufficient m6i.4xlarge capacity") || len(activities.Activities) != 3 {
		t.Fatalf("unexpected activities %+v", activities.Activities)
	}
}

func TestSetDesiredCapacity(t *testing.T) {
	w := newWorld(t)
	w.pass(10 * time.Minute)
	set := func(group string, n int32) error {
		_, err := w.as.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: &group, DesiredCapacity: &n})
		return err
	}
	wantCode(t, set("none", 1), "ValidationError")
	wantCode(t, set("general-1a-spot", 21), "ValidationError")
	wantCode(t, set("general-1a-on-demand", 0), "ValidationError")
	w.want("general-1a-spot", 2, 2)
	if err := set("general-1a-spot", 5); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.want("general-1a-spot", 5, 5)
	// a protected instance is not what a smaller number takes
	w.pass(10 * time.Minute)
	ids := w.instances("general-1a-spot")
	protect := func(ids ...string) error {
		_, err := w.as.SetInstanceProtection(ctx, &autoscaling.SetInstanceProtectionInput{AutoScalingGroupName: awssdk.String("general-1a-spot"), InstanceIds: ids, ProtectedFromScaleIn: awssdk.Bool(true)})
		return err
	}
	wantCode(t, protect("i-0123456789abcdef0"), "ValidationError")
	if err := protect(ids[0]); err != nil {
		t.Fatal(err)
	}
	if err := set("general-1a-spot", 1); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if left := w.instances("general-1a-spot"); len(left) != 1 || left[0] != ids[0] {
		t.Fatalf("%v is left, want the protected %s", left, ids[0])
	}
	// a suspended process does nothing
	must[*autoscaling.SuspendProcessesOutput](t)(w.as.SuspendProcesses(ctx, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: awssdk.String("general-1a-spot"), ScalingProcesses: []string{"Launch"}}))
	if err := set("general-1a-spot", 4); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Minute)
	w.want("general-1a-spot", 4, 1)
	must[*autoscaling.ResumeProcessesOutput](t)(w.as.ResumeProcesses(ctx, &autoscaling.ResumeProcessesInput{AutoScalingGroupName: awssdk.String("general-1a-spot")}))
	w.pass(time.Minute)
	w.want("general-1a-spot", 4, 4)
}

func TestTerminateIsRefusedAtTheMinimumAndForStrangers(t *testing.T) {
	w := newWorld(t)
	w.pass(10 * time.Minute)
	terminate := func(id string) error {
		_, err := w.as.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &id, ShouldDecrementDesiredCapacity: awssdk.Bool(true)})
		return err
	}
	wantCode(t, terminate(w.instances("general-1a-on-demand")[0]), "ValidationError")
	w.want("general-1a-on-demand", 1, 1)
	wantCode(t, terminate("i-0123456789abcdef0"), "ValidationError")
	id := w.instances("general-1a-spot")[0]
	for range 2 { // the second call finds it terminating, and does not count it twice
		if err := terminate(id); err != nil {
			t.Fatal(err)
		}
	}
	w.want("general-1a-spot", 1, 1)
	w.pass(time.Minute)
	wantCode(t, terminate(id), "ValidationError")
}

// A group counts what EC2 has ended until it looks again, and replaces only what it was not told of by then.
func TestAnInstanceThatEC2EndedIsCountedOutByACallBeforeItsGroupMissesIt(t *testing.T) {
	for name, c := range map[string]struct {
		wait time.Duration
		want int
	}{"before": {0, 1}, "after": {2 * time.Minute, 2}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.pass(10 * time.Minute)
			id := w.instances("general-1a-spot")[0]
			w.order("interrupt", map[string]any{"instances": []string{id}})
			w.pass(2*time.Minute + time.Second)
			w.want("general-1a-spot", 2, 1)
			w.pass(c.wait)
			for range 2 {
				_, err := w.as.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &id, ShouldDecrementDesiredCapacity: awssdk.Bool(true)})
				if err != nil && c.wait == 0 {
					t.Fatal(err)
				}
			}
			w.pass(5 * time.Minute)
			w.want("general-1a-spot", c.want, c.want)
		})
	}
}

func TestLaunchInstances(t *testing.T) {
	w := newWorld(t)
	w.settle()
	out := must[*autoscaling.LaunchInstancesOutput](t)(w.launch("general-1a-spot", 4, "burst/1", func(in *autoscaling.LaunchInstancesInput) { in.AvailabilityZones = []string{"ap-northeast-1a"} }))
	if len(out.Instances) != 1 || len(out.Instances[0].InstanceIds) != 4 || *out.Instances[0].MarketType != "Spot" || *out.ClientToken != "burst/1" || len(out.Errors) != 0 {
		t.Fatalf("unexpected reply %+v", out)
	}
	w.want("general-1a-spot", 6, 6)
	again := must[*autoscaling.LaunchInstancesOutput](t)(w.launch("general-1a-spot", 4, "burst/1", func(in *autoscaling.LaunchInstancesInput) { in.AvailabilityZones = []string{"ap-northeast-1a"} }))
	if !sameJSON(out.Instances, again.Instances) {
		t.Fatalf("the same token launched again: %+v", again)
	}
	w.want("general-1a-spot", 6, 6)
	for name, c := range map[string]struct {
		group, token, code string
		n                  int32
		change             func(*autoscaling.LaunchInstancesInput)
	}{
		"another count with a used token": {"general-1a-spot", "burst/1", "IdempotentParameterMismatch", 5, nil},
		"another group with a used token": {"general-1a-on-demand", "burst/1", "IdempotentParameterMismatch", 4, nil},
		"a token with a space":            {"general-1a-spot", "a b", "ValidationError", 1, nil},
		"a token of 65 characters":        {"general-1a-spot", strings.Repeat("x", 65), "ValidationError", 1, nil},
		"none":                            {"general-1a-spot", "t", "ValidationError", 0, nil},
		"101":                             {"general-1a-on-demand", "t", "ValidationError", 101, nil},
		"above the maximum":               {"general-1a-spot", "t", "ValidationError", 15, nil},
		"an unknown group":                {"none", "t", "ValidationError", 1, nil},
		"another zone": {"general-1a-spot", "t", "ValidationError", 1, func(in *autoscaling.LaunchInstancesInput) {
			in.AvailabilityZones = []string{"ap-northeast-1c"}
		}},
		"no zone where there are two": {"wide", "t", "ValidationError", 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var more []func(*autoscaling.LaunchInstancesInput)
			if c.change != nil {
				more = append(more, c.change)
			}
			_, err := w.launch(c.group, c.n, c.token, more...)
			wantCode(t, err, c.code)
		})
	}
}

func TestLaunchInstancesGivesInstancesAndErrorsInOneReply(t *testing.T) {
	w := newWorld(t)
	w.settle()
	w.order("capacity", map[string]any{"zone": "ap-northeast-1c", "type": "m6i.4xlarge"})
	w.order("capacity", map[string]any{"zone": "ap-northeast-1c", "type": "m5.4xlarge", "available": 2, "for": "10m"})
	out := must[*autoscaling.LaunchInstancesOutput](t)(w.launch("general-1c-spot", 5, "part"))
	if len(out.Instances) != 1 || len(out.Instances[0].InstanceIds) != 2 || *out.Instances[0].InstanceType != "m5.4xlarge" {
		t.Fatalf("unexpected instances %+v", out.Instances)
	}
	if len(out.Errors) != 2 || *out.Errors[1].ErrorCode != "InsufficientInstanceCapacity" || *out.Errors[1].AvailabilityZone != "ap-northeast-1c" {
		t.Fatalf("unexpected errors %+v", out.Errors)
	}
	w.want("general-1c-spot", 2, 2)
	w.pass(time.Minute)
	w.want("general-1c-spot", 2, 2) // what failed is not retried behind the caller's back
	must[*autoscaling.LaunchInstancesOutput](t)(w.launch("general-1c-spot", 1, "later", func(in *autoscaling.LaunchInstancesInput) {
		in.RetryStrategy = types.RetryStrategyRetryWithGroupConfiguration
	}))
	w.want("general-1c-spot", 3, 2)
	w.pass(11 * time.Minute)
	w.want("general-1c-spot", 3, 3) // the shortage is over
	// the subnet has 8 addresses
	w.order("reset", map[string]any{})
	full := must[*autoscaling.LaunchInstancesOutput](t)(w.launch("general-1c-spot", 10, "addresses"))
	if n := len(full.Instances[0].InstanceIds); n != 5 || *full.Errors[0].ErrorCode != "InsufficientFreeAddressesInSubnet" {
		t.Fatalf("%d launched and %+v, want 5 and no more addresses", n, full.Errors)
	}
}

func TestFaultsOfCalls(t *testing.T) {
	w := newWorld(t)
	w.settle()
	if code := w.order("throttle", map[string]any{"share": 1, "service": "autoscaling", "for": "1m"}); code != 200 {
		t.Fatalf("the order got %d", code)
	}
	_, err := w.as.DescribeTags(ctx, &autoscaling.DescribeTagsInput{})
	wantCode(t, err, "Throttling")
	w.pass(time.Minute)
	must[*autoscaling.DescribeTagsOutput](t)(w.as.DescribeTags(ctx, &autoscaling.DescribeTagsInput{}))
	w.order("deny", map[string]any{"action": "LaunchInstances"})
	_, err = w.launch("general-1a-spot", 1, "t")
	wantCode(t, err, "AccessDenied")
	_, err = w.as.DescribeNotificationConfigurations(ctx, &autoscaling.DescribeNotificationConfigurationsInput{})
	wantCode(t, err, "InvalidAction")
	for name, o := range map[string]map[string]any{"throttle": {"share": 2}, "slow": {}, "interrupt": {"count": 9}, "capacity": {"zon": "x"}, "melt": {}} {
		if code := w.order(name, o); code != 400 {
			t.Errorf("the wrong order %s %v got %d, want 400", name, o, code)
		}
	}
}

func TestBootTimesAreReproducibleAndSlowBootsSlower(t *testing.T) {
	boots := func(factor float64) []time.Duration {
		w := newWorld(t)
		w.settle()
		if factor > 0 {
			w.order("slow", map[string]any{"factor": factor})
		}
		must[*autoscaling.LaunchInstancesOutput](t)(w.launch("general-1a-on-demand", 40, "t"))
		w.pass(15 * time.Minute)
		at := map[string]time.Time{}
		var out []time.Duration
		for _, e := range w.events() {
			switch e.Event {
			case "launch":
				at[e.Instance] = e.At
			case "running":
				if e.Token == "t" {
					out = append(out, e.At.Sub(at[e.Instance]))
				}
			}
		}
		return out
	}
	once, twice, slow := boots(0), boots(0), boots(3)
	if !sameJSON(once, twice) {
		t.Fatal("the same seed gave other boot times")
	}
	if len(once) != 40 || len(slow) != 40 {
		t.Fatalf("%d and %d booted, want 40", len(once), len(slow))
	}
	below := 0
	for _, d := range once {
		if d < 50*time.Second {
			below++
		}
	}
	if below < 8 || below > 32 {
		t.Errorf("%d of 40 booted below the median", below)
	}
	if slow[20] < 2*once[20] {
		t.Errorf("slow boots have a median of %s, others %s", slow[20], once[20])
	}
}

func TestManyCallersAtOnce(t *testing.T) {
	w := newWorld(t)
	w.settle()
	var callers sync.WaitGroup
	for n := range 12 {
		callers.Go(func() {
			token := fmt.Sprintf("token-%d", n%6) // each token twice
			if _, err := w.launch("general-1a-on-demand", 3, token); err != nil {
				t.Error(err)
			}
			if _, err := w.as.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{}); err != nil {
				t.Error(err)
			}
			w.e.Step()
		})
	}
	callers.Wait()
	w.want("general-1a-on-demand", 19, 19)
	seen := map[string]bool{}
	for _, id := range w.instances("general-1a-on-demand") {
		if seen[id] {
			t.Errorf("the id %s was given twice", id)
		}
		seen[id] = true
	}
}
