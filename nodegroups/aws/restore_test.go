package aws_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"

	emulator "swell/bench/testbed/aws"
	"swell/nodegroups/aws"
)

var wideTags = map[string]string{"swell/pool": "wide"}

func (w *world) suspensions() []aws.Suspended {
	w.t.Helper()
	got, err := w.c.Suspensions(ctx, wideTags)
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

func TestRebalanceThatSwellSuspendedIsMarkedAndResumed(t *testing.T) {
	w := newWorld(t)
	w.selected(wide)
	if got := w.suspensions(); len(got) != 1 || got[0] != (aws.Suspended{Group: "wide", Ours: true}) {
		t.Fatalf("%+v, want the group wide, marked as ours", got)
	}
	for range 2 {
		if err := w.c.Resume(ctx, "wide"); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.suspensions(); len(got) != 0 {
		t.Errorf("%+v are left", got)
	}
	w.selected(wide)
	if got := w.suspensions(); len(got) != 1 || !got[0].Ours {
		t.Errorf("%+v once it is used again", got)
	}
}

func TestRebalanceThatSomebodyElseSuspendedIsNotTakenForOurs(t *testing.T) {
	w := newWorld(t)
	group := "wide"
	if _, err := w.plain().SuspendProcesses(ctx, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: &group, ScalingProcesses: []string{"AZRebalance"}}); err != nil {
		t.Fatal(err)
	}
	w.selected(wide)
	if got := w.suspensions(); len(got) != 1 || got[0].Ours {
		t.Errorf("%+v, want the group wide, not ours", got)
	}
}

// Without its mark nobody would ever resume it.
func TestNothingIsSuspendedThatCannotBeMarked(t *testing.T) {
	w := newWorld(t)
	w.order("deny", emulator.Order{Fault: emulator.Fault{Action: "CreateOrUpdateTags"}})
	groups, problems := w.selected(wide)
	if len(groups) != 0 || len(problems) != 1 || !strings.Contains(problems[0].Mend, "CreateOrUpdateTags") || w.seen["SuspendProcesses"] != 0 {
		t.Errorf("%d groups, problems %v, %d suspensions", len(groups), problems, w.seen["SuspendProcesses"])
	}
}

// plain is a client of Auto Scaling as anybody has one.
func (w *world) plain() *autoscaling.Client {
	return autoscaling.New(autoscaling.Options{Region: "ap-northeast-1", BaseEndpoint: &w.url, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
}

func TestTheCheckAsksForEveryRightThatSwellNeeds(t *testing.T) {
	for _, action := range []string{"autoscaling:LaunchInstances", "ec2:CreateFleet", "autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup", "autoscaling:DescribeScalingActivities",
		"autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat", "sqs:ReceiveMessage", "sqs:DeleteMessage",
		"autoscaling:SuspendProcesses"} {
		w := newWorldOf(t, hooks("terminating"))
		service, name, _ := strings.Cut(action, ":")
		w.order("deny", emulator.Order{Fault: emulator.Fault{Service: service, Action: name}})
		refused := map[string]bool{}
		for _, f := range w.c.Check(ctx, []aws.Checked{{Selection: wide}}) {
			if f.Check == "permission" && f.Status == aws.FindingProblem {
				refused[f.At] = true
			}
		}
		if len(refused) != 1 || !refused[action] {
			t.Errorf("%s is not allowed, and the check finds refused %v", action, refused)
		}
	}
}

// hooks give every group a lifecycle hook.
func hooks(transition string) func(*emulator.Fleet) {
	return func(f *emulator.Fleet) {
		for i := range f.Groups {
			f.Groups[i].Hooks = []emulator.Hook{{Name: "h", Transition: transition, Heartbeat: time.Minute, Result: "CONTINUE"}}
		}
	}
}

// Only a group that waits with a termination hook needs its actions ended.
func TestTheRightToEndLifecycleActionsIsANoteWhereNoGroupHasAHook(t *testing.T) {
	for name, c := range map[string]struct {
		of     func(*emulator.Fleet)
		unread bool
		want   aws.FindingStatus
		words  string
	}{
		"no hook":            {func(*emulator.Fleet) {}, false, aws.FindingOK, "not needed"},
		"hooks at launch":    {hooks("launching"), false, aws.FindingOK, "not needed"},
		"a termination hook": {hooks("terminating"), false, aws.FindingProblem, "group wide has a termination hook"},
		"not to be read":     {func(*emulator.Fleet) {}, true, aws.NotProven, "cannot be read"},
	} {
		w := newWorldOf(t, c.of)
		w.order("deny", emulator.Order{Fault: emulator.Fault{Action: "CompleteLifecycleAction"}})
		if c.unread {
			w.order("deny", emulator.Order{Fault: emulator.Fault{Action: "DescribeLifecycleHooks"}})
		}
		var got aws.Finding
		for _, f := range w.c.Check(ctx, []aws.Checked{{Selection: wide}}) {
			if f.At == "autoscaling:CompleteLifecycleAction" {
				got = f
			}
		}
		if got.Status != c.want || !strings.Contains(got.What, c.words) {
			t.Errorf("%s: %+v, want %s, %s", name, got, c.want, c.words)
		}
	}
}

// A role made as documented is short of nothing that the check asks for.
func TestTheCheckAsksForNoRightThatIsNotDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/aws.md")
	if err != nil {
		t.Fatal(err)
	}
	_, policies, _ := strings.Cut(string(text), "\n## IAM\n")
	policies, _, found := strings.Cut(policies, "`swell uninstall`")
	if !found || !strings.Contains(policies, `"autoscaling:LaunchInstances"`) {
		t.Fatal("docs/aws.md has no policies to observe and to act")
	}
	w := newWorld(t)
	pool := wide
	pool.Prepaid = true
	for _, f := range w.c.Check(ctx, []aws.Checked{{Selection: pool}}) {
		if f.Check == "permission" && !strings.Contains(policies, `"`+f.At+`"`) {
			t.Errorf("%s is checked, and in no documented policy of the scaler", f.At)
		}
	}
}

func TestTheCheckAsksForTheRightToMarkGroupsThatSpanZones(t *testing.T) {
	for _, denied := range []bool{false, true} {
		w := newWorld(t)
		if denied {
			w.order("deny", emulator.Order{Fault: emulator.Fault{Action: "CreateOrUpdateTags"}})
		}
		var got aws.FindingStatus
		for _, f := range w.c.Check(ctx, []aws.Checked{{Selection: wide}}) {
			if f.At == "autoscaling:CreateOrUpdateTags" {
				got = f.Status
			}
		}
		if want := map[bool]aws.FindingStatus{false: aws.FindingOK, true: aws.FindingProblem}[denied]; got != want {
			t.Errorf("denied %t: %q, want %q", denied, got, want)
		}
	}
}
