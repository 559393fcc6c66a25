package aws

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
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
		"Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: Client.InternalError: Client error on launch":                           nodegroups.NotAllowed,
		"Server.InternalError: Internal error on launch":                                                                                                                            nodegroups.Unclassified,
		"Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state":                                                                                          nodegroups.NotAllowed,
		"Your requested instance type (c5.large) is not supported in your requested Availability Zone (us-east-1e). Launching EC2 instance failed.":                                 nodegroups.NoCapacity,
		"Client.InvalidFleetConfiguration: Your requested instance type (c5.large) is not supported in your requested Availability Zone (us-east-1e).":                              nodegroups.NoCapacity,
		"InvalidFleetConfiguration - Your requested instance type (c5.large) is not supported in your requested Availability Zone (us-east-1e).":                                    nodegroups.NoCapacity,
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
		if got := failuresIn(c.list, nil, now); len(got) != c.want {
			t.Errorf("%s: %d failures, want %d: %+v", name, len(got), c.want, got)
		}
	}
}

// AWS's message names the other zones too: those that have capacity.
func TestAFailureIsOfTheZoneThatFailedAlone(t *testing.T) {
	const none = "We currently do not have sufficient p2.16xlarge capacity in the Availability Zone you requested (us-west-2c). Our system will be working on provisioning additional capacity. You can currently get p2.16xlarge capacity by not specifying an Availability Zone in your request or choosing us-west-2a, us-west-2b. Launching EC2 instance failed."
	now := time.Now()
	for name, c := range map[string]struct {
		message, details string
		want             string // zones
	}{
		"by its details":             {"Could not launch Spot Instances. UnfulfillableCapacity - There is no capacity available that matches your request.", `{"Subnet ID":"subnet-1","Availability Zone":"us-west-2c"}`, "c"},
		"by its message":             {none, "", "c"},
		"details that are cut off":   {none, `{"Subnet ID":"subnet-1","Availab`, "c"},
		"a type that is not offered": {"Your requested instance type (c5.large) is not supported in your requested Availability Zone (us-west-2c).", "", "c"},
		"capacity of no zone":        {"UnfulfillableCapacity - There is no capacity available that matches your request.", "", ""},
		"an account's limit":         {"You have requested more vCPU capacity than your current vCPU limit of 64 allows.", "", "abc"},
	} {
		found := failuresIn([]astypes.Activity{{StatusCode: astypes.ScalingActivityStatusCodeFailed, StartTime: &now, Description: awssdk.String("Launching a new EC2 instance"),
			StatusMessage: &c.message, Details: &c.details}}, []string{"p2.16xlarge", "c5.large"}, now)
		got := ""
		for _, zone := range []string{"a", "b", "c"} {
			if len(failedInZone(found, nodegroups.Group{Zone: "us-west-2" + zone}, true)) > 0 {
				got += zone
			}
		}
		if got != c.want || len(failedInZone(found, nodegroups.Group{Zone: "us-west-2z"}, false)) != 1 {
			t.Errorf("%s: zones %q are marked, want %q", name, got, c.want)
		}
	}
}

// An activity has no field for the type: the group's only one is known without a word, and of several a message names but one.
func TestAFailureIsOfTheTypeThatTheGroupHas(t *testing.T) {
	const one, two = "m6i.large", "c5.large"
	const spot = "Could not launch Spot Instances. InsufficientInstanceCapacity - There is no Spot capacity available that matches your request."
	short := func(kind string) string {
		return "We currently do not have sufficient " + kind + " capacity in the Availability Zone you requested (us-west-2c)."
	}
	now := time.Now()
	for name, c := range map[string]struct {
		message string
		types   []string
		want    []string // types of the failures
	}{
		"the only one, not named":            {spot, []string{one}, []string{one}},
		"the only one, by name":              {short(one), []string{one}, []string{one}},
		"a limit":                            {"Max spot instance count exceeded.", []string{one}, []string{one}},
		"one of several":                     {short(one), []string{one, two}, []string{""}},
		"several, none named":                {spot, []string{one, two}, []string{""}},
		"a type that the group has no more":  {short(two), []string{one}, nil},
		"one that is not offered, no more":   {"Your requested instance type (c5.large) is not supported in your requested Availability Zone (us-west-2c).", []string{one, "m5.large"}, nil},
		"a metal type of the group":          {short("m6i-flex.metal-24xl"), []string{"m6i-flex.metal-24xl"}, []string{"m6i-flex.metal-24xl"}},
		"types that are not known, not told": {spot, nil, []string{""}},
	} {
		var got []string
		for _, f := range failuresIn([]astypes.Activity{{StatusCode: astypes.ScalingActivityStatusCodeFailed, StartTime: &now, Description: awssdk.String("Launching a new EC2 instance"),
			StatusMessage: &c.message}}, c.types, now) {
			got = append(got, f.Type)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: failures of %q, want %q", name, got, c.want)
		}
	}
}

// An instance whose volume's key may not be used is launched, and ends: its activity is cancelled. So is one that was no longer wanted.
func TestACancelledLaunchIsAFailureWhereItSaysWhy(t *testing.T) {
	now := time.Now()
	for message, want := range map[string]int{"Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: Client.InternalError: Client error on launch": 1,
		"Instance failed to complete user's Lifecycle Action: Lifecycle Action with token x was abandoned: Lifecycle Action Completed with ABANDON Result": 0} {
		found := failuresIn([]astypes.Activity{{StatusCode: astypes.ScalingActivityStatusCodeCancelled, StartTime: &now, Description: awssdk.String("Launching a new EC2 instance: i-1"), StatusMessage: &message}}, nil, now)
		if len(found) != want {
			t.Errorf("%q gives %+v", message, found)
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
	if len(g.Failed) != 1 || g.Failed[0].Class != nodegroups.NoCapacity || !strings.Contains(g.Failed[0].Message, "sufficient m6i.4xlarge") ||
		g.Failed[0].Type != "m6i.4xlarge" || g.Failed[0].At.IsZero() {
		t.Errorf("failures %+v", g.Failed)
	}
}

// Why a group stays short is unknown where that may not be read: what was read last stands while it may tell of the present, the pool
// says so, and the log once.
func TestActivitiesThatCannotBeReadStayAsTheyWereAndAreAProblem(t *testing.T) {
	c, e := emulated(t)
	var log bytes.Buffer
	c.options.Log = slog.New(slog.NewTextHandler(&log, nil))
	now := time.Now()
	c.now = func() time.Time { return now }
	deny := func(what string, f emulator.Fault) {
		t.Helper()
		if _, err := e.Control(what, emulator.Order{Fault: f}); err != nil {
			t.Fatal(err)
		}
	}
	read := func(after time.Duration) (failed int, problems []Problem) {
		t.Helper()
		now = now.Add(after)
		groups, problems, err := c.Select(t.Context(), nodegroups.Selection{Pool: "general", Tags: map[string]string{"swell/pool": "general"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range groups {
			failed += len(g.Failed)
		}
		return failed, slices.DeleteFunc(problems, func(p Problem) bool { return !strings.Contains(p.What, "scaling activities") })
	}
	deny("capacity", emulator.Fault{Market: "spot"})
	if r, err := c.Raise(t.Context(), "general-1a-spot", 4); err != nil || r.Raised != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	e.Step()
	read(0)
	if failed, problems := read(31 * time.Second); failed != 1 || len(problems) != 0 {
		t.Fatalf("%d failures, problems %v: want the one that was read", failed, problems)
	}
	deny("deny", emulator.Fault{Action: "DescribeScalingActivities"})
	for range 4 {
		failed, problems := read(31 * time.Second)
		if failed != 1 || len(problems) != 1 || problems[0].Group != "general-1a-spot" || problems[0].Mend != "allow autoscaling:DescribeScalingActivities" {
			t.Errorf("%d failures, problems %v: want the one of before, and why there is none of now", failed, problems)
		}
	}
	if failed, problems := read(failedWithin); failed != 0 || len(problems) != 1 {
		t.Errorf("%d failures, problems %v: want none that is too old to tell of the present", failed, problems)
	}
	deny("reset", emulator.Fault{})
	if _, problems := read(31 * time.Second); len(problems) != 0 {
		t.Errorf("problems %v once it can be read", problems)
	}
	if n := strings.Count(log.String(), "scaling activities can"); n != 2 || strings.Count(log.String(), "level=WARN") != 1 {
		t.Errorf("the log has %d lines, want one for each change:\n%s", n, &log)
	}
}
