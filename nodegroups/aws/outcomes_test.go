package aws_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"swell/bench/testbed/aws"
	"swell/nodegroups"
	client "swell/nodegroups/aws"
)

func denyLaunches(w *world) {
	w.order("deny", aws.Order{Fault: aws.Fault{Action: "LaunchInstances"}})
}

func TestALostAnswerToARaiseIsNotRaisedAgain(t *testing.T) {
	w := newWorld(t, func(o *client.Options) { o.Attempts = 1 })
	w.pass(time.Second)
	denyLaunches(w)
	w.lose["SetDesiredCapacity"] = 1
	asked := w.raiseTo("general-1a-spot", 4)
	if _, err := w.c.Raise(ctx, "general-1a-spot", asked); err == nil {
		t.Fatal("a lost answer gives no error")
	}
	w.want("general-1a-spot", 6, 2)
	result, err := w.c.Raise(ctx, "general-1a-spot", asked)
	if err != nil || result.Raised != 0 {
		t.Fatalf("got %+v, %v", result, err)
	}
	w.want("general-1a-spot", 6, 2)
}

func TestARaiseThatDidNotArriveIsRepeated(t *testing.T) {
	w := newWorld(t, func(o *client.Options) { o.Attempts = 1 })
	w.pass(time.Second)
	denyLaunches(w)
	var broken atomic.Bool
	broken.Store(true)
	w.instead = func(_ http.ResponseWriter, action, _ string) bool {
		if action == "SetDesiredCapacity" && broken.Load() {
			panic(http.ErrAbortHandler)
		}
		return false
	}
	asked := w.raiseTo("general-1a-spot", 4)
	if _, err := w.c.Raise(ctx, "general-1a-spot", asked); err == nil {
		t.Fatal("a call that did not arrive gives no error")
	}
	w.want("general-1a-spot", 2, 2)
	broken.Store(false)
	result, err := w.c.Raise(ctx, "general-1a-spot", asked)
	if err != nil || result.Raised != 4 {
		t.Fatalf("got %+v, %v", result, err)
	}
	w.want("general-1a-spot", 6, 2)
}

// The client tries a call again by itself: what the last try is refused for is no refusal of the first, whose answer was lost.
func TestARefusedRepetitionOfALostLaunchIsNoRefusal(t *testing.T) {
	for _, code := range []string{"Throttling", "AccessDenied", "IdempotentParameterMismatch", "UnsupportedOperation", "ValidationError"} {
		t.Run(code, func(t *testing.T) {
			w := newWorld(t)
			w.pass(time.Second)
			w.lose["LaunchInstances"] = 1
			tries := w.refuseFrom(2, "LaunchInstances", code)
			if r, err := w.c.Launch(ctx, "general-1a-spot", "ap-northeast-1a", 4, "t"); err == nil || !strings.Contains(err.Error(), "same token") {
				t.Fatalf("got %+v, %v after %d tries, want an error that says to repeat: the first launched", r, err, tries.Load())
			}
			w.instead = nil
			if r, err := w.c.Launch(ctx, "general-1a-spot", "ap-northeast-1a", 4, "t"); err != nil || len(r.Instances) != 4 {
				t.Fatalf("repeated with the same token: %+v, %v", r, err)
			}
			w.want("general-1a-spot", 6, 6)
		})
	}
}

func TestARefusedRepetitionOfALostRaiseIsNoRefusal(t *testing.T) {
	w := newWorld(t)
	w.pass(time.Second)
	w.lose["SetDesiredCapacity"] = 1
	w.refuseFrom(2, "SetDesiredCapacity", "AccessDenied")
	if r, err := w.c.Raise(ctx, "general-1a-spot", 4); err == nil {
		t.Fatalf("got %+v, want an error: the first raised", r)
	}
	w.want("general-1a-spot", 4, 2)
}

// Of three tries that were all throttled none had its effect.
func TestALaunchThatWasOnlyThrottledIsRefused(t *testing.T) {
	w := newWorld(t)
	w.pass(time.Second)
	tries := w.refuseFrom(1, "LaunchInstances", "Throttling")
	if r, err := w.c.Launch(ctx, "general-1a-spot", "ap-northeast-1a", 4, "t"); err != nil || len(r.Failures) != 1 || r.Failures[0].Class != nodegroups.Throttled {
		t.Fatalf("got %+v, %v after %d tries, want a throttle", r, err, tries.Load())
	}
}

// refuseFrom has an action refused from its nth call on, and counts its calls.
func (w *world) refuseFrom(n int32, action, code string) *atomic.Int32 {
	var tries atomic.Int32
	w.instead = func(rw http.ResponseWriter, called, _ string) bool {
		if called != action || tries.Add(1) < n {
			return false
		}
		rw.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(rw, `<ErrorResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><Error><Type>Sender</Type><Code>%s</Code><Message>it is refused</Message></Error><RequestId>r</RequestId></ErrorResponse>`, code)
		return true
	}
	return &tries
}

// raiseTo is what a launch that is not allowed says to raise to; it does nothing.
func (w *world) raiseTo(group string, count int) int {
	w.t.Helper()
	got, err := w.c.Launch(ctx, group, "ap-northeast-1a", count, "t")
	if err != nil || got.RaiseTo == 0 || len(got.Instances)+got.Raised > 0 {
		w.t.Fatalf("got %+v, %v: want a number to raise to, and nothing done", got, err)
	}
	return got.RaiseTo
}

// An absolute desired capacity from a stale count killed nodes with running jobs: a raise never lowers.
// ka#9182
func TestARaiseNeverLowersTheDesiredCapacity(t *testing.T) {
	w := newWorld(t)
	w.pass(time.Second)
	denyLaunches(w)
	low, high := w.raiseTo("general-1a-spot", 1), w.raiseTo("general-1a-spot", 5)
	for _, target := range []int{high, low} {
		if _, err := w.c.Raise(ctx, "general-1a-spot", target); err != nil {
			t.Fatal(err)
		}
		w.want("general-1a-spot", 7, 2)
	}
}

func TestDefiniteRefusalsAreFailures(t *testing.T) {
	w := newWorld(t)
	w.pass(time.Second)
	refused := func(what string, class nodegroups.FailureClass, word string) {
		t.Helper()
		result, err := w.c.Launch(ctx, what, "ap-northeast-1a", 1, "t-"+what)
		if err != nil || len(result.Failures) != 1 || result.Failures[0].Class != class || !strings.Contains(result.Failures[0].Message, word) {
			t.Errorf("%s: got %+v, %v", what, result, err)
		}
	}
	refused("none", nodegroups.BadTemplate, "not found")
	denyLaunches(w)
	refused("none", nodegroups.BadTemplate, "no such group")
	w.order("deny", aws.Order{Fault: aws.Fault{Action: "DescribeAutoScalingGroups"}})
	refused("general-1a-spot", nodegroups.NotAllowed, "not authorized")
	w.order("reset", aws.Order{})
	w.instead = func(rw http.ResponseWriter, action, _ string) bool {
		if action != "LaunchInstances" {
			return false
		}
		rw.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(rw, `<ErrorResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><Error><Type>Receiver</Type><Code>ServiceLinkedRoleFailure</Code><Message>the role is not ready</Message></Error><RequestId>r</RequestId></ErrorResponse>`)
		return true
	}
	refused("general-1a-spot", nodegroups.NotAllowed, "role")
}

func TestWhatIsWrongWithOneGroupLeavesTheOthers(t *testing.T) {
	for action, code := range map[string]string{"DescribeInstanceTypes": "InvalidInstanceType", "DescribeLaunchTemplateVersions": "OperationNotPermitted"} {
		t.Run(action, func(t *testing.T) {
			w := newWorld(t)
			w.pass(time.Second)
			templates := 0
			w.instead = func(rw http.ResponseWriter, called, body string) bool {
				if called == "DescribeLaunchTemplateVersions" {
					templates++ // the third and what is asked again are of general-1c-spot
				}
				if called != action || action == "DescribeInstanceTypes" && !strings.Contains(body, "m5.4xlarge") || action != "DescribeInstanceTypes" && templates < 3 {
					return false
				}
				rw.WriteHeader(http.StatusBadRequest)
				fmt.Fprintf(rw, `<Response><Errors><Error><Code>%s</Code><Message>it is broken</Message></Error></Errors><RequestID>r</RequestID></Response>`, code)
				return true
			}
			groups, problems := w.groups(general)
			if len(groups) != 2 || len(problems) != 1 || problems[0].Group != "general-1c-spot" || !strings.Contains(problems[0].What, "it is broken") || problems[0].Mend == "" {
				t.Errorf("got %d groups and the problems %+v", len(groups), problems)
			}
		})
	}
	w := newWorld(t)
	w.pass(time.Second)
	w.instead = func(rw http.ResponseWriter, called, body string) bool {
		if called != "DescribeInstanceTypes" || !strings.Contains(body, "m5.4xlarge") {
			return false
		}
		fmt.Fprint(rw, `<DescribeInstanceTypesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><instanceTypeSet/></DescribeInstanceTypesResponse>`)
		return true
	}
	groups, problems := w.groups(general)
	if len(groups) != 2 || len(problems) != 1 || problems[0].Group != "general-1c-spot" {
		t.Errorf("a type without a size: %d groups and the problems %+v", len(groups), problems)
	}
	// what the service could not answer now is no fault of the group
	w = newWorld(t, func(o *client.Options) { o.Attempts = 1 })
	w.pass(time.Second)
	w.order("throttle", aws.Order{Fault: aws.Fault{Share: 1, Action: "DescribeInstanceTypes"}})
	if _, _, err := w.c.Groups(ctx, general, "general"); err == nil {
		t.Error("a throttled description gives no error")
	}
}

func TestASilentEndpointIsGivenUp(t *testing.T) {
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer silent.Close()
	defer close(release)
	c, err := client.New(ctx, client.Options{Region: "ap-northeast-1", Endpoint: silent.URL, QueueURL: silent.URL + "/1/q", CallTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"Groups":    func() error { _, _, err := c.Groups(ctx, general, "general"); return err },
		"Launch":    func() error { _, err := c.Launch(ctx, "g", "z", 1, "t"); return err },
		"Terminate": func() error { return c.Terminate(ctx, "i-1") },
		"Ack":       func() error { return c.Ack(ctx, client.Received{Receipt: "r"}) },
	} {
		done := make(chan error, 1)
		go func() { done <- call() }()
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), "did not answer") {
				t.Errorf("%s: got %v", name, err)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("%s waits for ever", name)
		}
	}
	if _, err := client.New(ctx, client.Options{Region: "x", CallTimeout: -1}); err == nil || errors.Unwrap(err) == nil {
		t.Errorf("a negative time-out gives %v", err)
	}
}
