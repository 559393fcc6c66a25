package aws

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go/middleware"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	emulator "swell/bench/testbed/aws"
	"swell/nodegroups"
)

func TestFailedActivitiesAreClassifiedByTheirMessages(t *testing.T) {
	for message, want := range map[string]nodegroups.FailureClass{
		"Could not launch Spot Instances. InsufficientInstanceCapacity - There is no Spot capacity available that matches your request. Launching EC2 instance failed.":             nodegroups.NoCapacity,
		"We currently do not have sufficient m5.large capacity in the Availability Zone you requested (us-east-1a). Launching EC2 instance failed.":                                 nodegroups.NoCapacity,
		"Could not launch On-Demand Instances. VcpuLimitExceeded - You have requested more vCPU capacity than your current vCPU limit of 64 allows. Launching EC2 instance failed.": nodegroups.LimitReached,
		"You have requested more vCPU capacity than your current vCPU limit of 64 allows for the instance bucket. Launching EC2 instance failed.":                                   nodegroups.LimitReached,
		"Max spot instance count exceeded. Launching EC2 instance failed.":                                                                                                          nodegroups.LimitReached,
		"There are not enough free addresses in subnet 'subnet-1' to satisfy the requested number of instances. Launching EC2 instance failed.":                                     nodegroups.NoAddresses,
		"You are not authorized to perform this operation. Launching EC2 instance failed.":                                                                                          nodegroups.NotAllowed,
		"The image id '[ami-1]' does not exist. Launching EC2 instance failed.":                                                                                                     nodegroups.BadTemplate,
		"Client.InvalidKeyPair.NotFound: The key pair 'a' does not exist":                                                                                                           nodegroups.BadTemplate,
		"Something new. Launching EC2 instance failed.":                                                                                                                             nodegroups.Unclassified,
	} {
		code, text := codeIn(message)
		if got := Classify(code, text); got != want {
			t.Errorf("%q is %s by %q, want %s", message, got, code, want)
		}
	}
}

func TestOnlyRecentFailuresSinceTheLastLaunchTellOfThePresent(t *testing.T) {
	now := time.Now()
	activity := func(status astypes.ScalingActivityStatusCode, ago time.Duration, what string) astypes.Activity {
		return astypes.Activity{StatusCode: status, StartTime: awssdk.Time(now.Add(-ago)), Description: awssdk.String(what + " a new EC2 instance"), StatusMessage: awssdk.String("capacity")}
	}
	failed, done := astypes.ScalingActivityStatusCodeFailed, astypes.ScalingActivityStatusCodeSuccessful
	for name, c := range map[string]struct {
		list []astypes.Activity
		want int
	}{
		"a failure":             {[]astypes.Activity{activity(failed, time.Minute, "Launching")}, 1},
		"two":                   {[]astypes.Activity{activity(failed, time.Minute, "Launching"), activity(failed, 2*time.Minute, "Launching")}, 2},
		"an old one":            {[]astypes.Activity{activity(failed, 11*time.Minute, "Launching")}, 0},
		"a launch since":        {[]astypes.Activity{activity(done, time.Minute, "Launching"), activity(failed, 2*time.Minute, "Launching")}, 0},
		"a termination":         {[]astypes.Activity{activity(failed, time.Minute, "Terminating")}, 0},
		"one that is under way": {[]astypes.Activity{activity(astypes.ScalingActivityStatusCodeInProgress, time.Minute, "Launching"), activity(failed, 2*time.Minute, "Launching")}, 1},
	} {
		if got := failuresIn(c.list, now); len(got) != c.want {
			t.Errorf("%s: %d failures, want %d: %+v", name, len(got), c.want, got)
		}
	}
}

// A group that has what it wants takes no call; one that stays short takes two a minute, and tells what failed.
func TestAGroupThatStaysShortTellsWhyAndTakesTwoCallsAMinute(t *testing.T) {
	c, e := emulated(t)
	calls := 0
	c.autoscaling = autoscaling.NewFromConfig(c.config, func(o *autoscaling.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Count", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				if _, ok := in.Parameters.(*autoscaling.DescribeScalingActivitiesInput); ok {
					calls++
				}
				return next.HandleInitialize(ctx, in)
			}), middleware.Before)
		})
	})
	now := time.Now()
	c.now = func() time.Time { return now }
	read := func() nodegroups.Group {
		t.Helper()
		groups, _, err := c.Select(t.Context(), nodegroups.Selection{Pool: "general", Tags: map[string]string{"swell/pool": "general"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range groups {
			if g.Name == "general-1a-spot" {
				return g
			}
		}
		t.Fatal("the group is not there")
		return nodegroups.Group{}
	}
	for range 10 {
		read()
		now = now.Add(10 * time.Second)
	}
	if calls != 0 {
		t.Fatalf("%d calls for groups that have what they want", calls)
	}
	if _, err := e.Control("capacity", emulator.Order{Fault: emulator.Fault{Market: "spot"}}); err != nil {
		t.Fatal(err)
	}
	if r, err := c.Raise(t.Context(), "general-1a-spot", 4); err != nil || r.Raised != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	e.Step()
	var g nodegroups.Group
	raised := now
	for range 10 { // 100 s: read at 30, 60 and 90
		if g = read(); calls > 0 && now.Sub(raised) < 30*time.Second {
			t.Fatalf("activities are read %s after the group fell short", now.Sub(raised))
		}
		now = now.Add(10 * time.Second)
	}
	if calls != 3 {
		t.Errorf("%d calls in 100 s, want 3", calls)
	}
	if len(g.Failed) != 1 || g.Failed[0].Class != nodegroups.NoCapacity || !strings.Contains(g.Failed[0].Message, "sufficient m6i.4xlarge") || g.Failed[0].At.IsZero() {
		t.Errorf("failures %+v", g.Failed)
	}
}
