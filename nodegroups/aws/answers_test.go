package aws_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	emulator "swell/bench/testbed/aws"
	"swell/nodegroups"
	client "swell/nodegroups/aws"
)

// AWS's guide on launching synchronously: where CreateFleet takes long the call gives its token back, to be asked with again.
func TestATokenWithoutAnOutcomeIsNoAnswer(t *testing.T) {
	w := newWorld(t)
	w.pass(time.Second)
	w.order("timeout", emulator.Order{})
	for range 2 {
		if r, err := w.c.Launch(ctx, "general-1a-spot", "ap-northeast-1a", 5, "t"); err == nil || !strings.Contains(err.Error(), "same token") {
			t.Fatalf("5 asked for, none given and no error said, taken as final: %+v, %v", r, err)
		}
	}
	w.order("reset", emulator.Order{})
	r, err := w.c.Launch(ctx, "general-1a-spot", "ap-northeast-1a", 5, "t")
	if err != nil || len(r.Instances) != 5 {
		t.Fatalf("got %+v, %v", r, err)
	}
	w.want("general-1a-spot", 7, 7)
}

// warm gives general-1a-on-demand a warm pool.
func warm(f *emulator.Fleet) {
	for i := range f.Groups {
		if f.Groups[i].Name == "general-1a-on-demand" {
			f.Groups[i].WarmPool = &emulator.WarmPool{MaxPrepared: new(5)}
		}
	}
}

// AWS's guide on launching synchronously: groups with warm pools are not supported.
func TestAGroupWithAWarmPoolIsRaisedAndNotLaunchedByToken(t *testing.T) {
	for _, read := range []bool{true, false} { // after a restart a launch is asked for again before anything was read
		w := newWorldOf(t, warm)
		w.pass(time.Minute)
		if read {
			w.selected(nodegroups.Selection{Pool: "general", Tags: general, WarmPool: true})
		}
		r, err := w.c.Launch(ctx, "general-1a-on-demand", "ap-northeast-1a", 2, "t")
		if err != nil || r.RaiseTo != 3 || len(r.Failures) > 0 || !r.Refused || w.seen["LaunchInstances"] > 0 {
			t.Fatalf("read %t: %+v, %v after %d calls by token: want the raise alone", read, r, err, w.seen["LaunchInstances"])
		}
		if r, err := w.c.Raise(ctx, "general-1a-on-demand", r.RaiseTo); err != nil || r.Raised != 2 {
			t.Fatalf("got %+v, %v", r, err)
		}
		w.pass(10 * time.Minute)
		w.want("general-1a-on-demand", 3, 3)
	}
}

func TestARefusedWarmPoolIsNoMatterOfCapacity(t *testing.T) {
	w := newWorld(t)
	w.pass(time.Second)
	w.groups(general)
	w.call("PutWarmPool", "AutoScalingGroupName=general-1a-on-demand&MinSize=0")
	r, err := w.c.Launch(ctx, "general-1a-on-demand", "ap-northeast-1a", 2, "t")
	if err != nil || len(r.Failures) != 1 || r.Failures[0].Class != nodegroups.Unclassified || r.RaiseTo > 0 {
		t.Fatalf("got %+v, %v: want a failure of no class, and no raise before a reading shows what the call launched", r, err)
	}
	r, err = w.c.Launch(ctx, "general-1a-on-demand", "ap-northeast-1a", 2, "t-2")
	if err != nil || r.RaiseTo != 3 || w.seen["LaunchInstances"] != 1 {
		t.Fatalf("the next time: %+v, %v after %d calls by token", r, err, w.seen["LaunchInstances"])
	}
}

func TestAGroupWithAWarmPoolInSeveralZonesIsRefused(t *testing.T) {
	w := newWorldOf(t, func(f *emulator.Fleet) {
		for i := range f.Groups {
			if f.Groups[i].Name == "wide" {
				f.Groups[i].WarmPool = &emulator.WarmPool{}
			}
		}
	})
	s := wide
	s.WarmPool = true
	groups, problems := w.selected(s)
	if len(groups) != 0 || len(problems) != 1 || !strings.Contains(problems[0].What, "warm pool") || problems[0].Mend == "" {
		t.Errorf("got %v and the problems %v", groups, problems)
	}
}

// call calls an action of Auto Scaling, callEC2 one of EC2.
func (w *world) call(action, parameters string) { w.callVersion("2011-01-01", action, parameters) }

func (w *world) callEC2(action, parameters string) { w.callVersion("2016-11-15", action, parameters) }

func (w *world) callVersion(version, action, parameters string) {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("Version="+version+"&Action="+action+"&"+parameters))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 test")
	recorder := httptest.NewRecorder()
	w.e.ServeHTTP(recorder, r)
	if recorder.Code != http.StatusOK {
		w.t.Fatalf("%s gives %d: %s", action, recorder.Code, recorder.Body)
	}
}

func TestAFailureSaysWhatCouldNotBeLaunchedAndWhere(t *testing.T) {
	w := newWorld(t)
	w.pass(time.Second)
	w.order("capacity", emulator.Order{Fault: emulator.Fault{Type: "m6i.4xlarge"}})
	r, err := w.c.Launch(ctx, "general-1c-spot", "ap-northeast-1c", 2, "t")
	if err != nil || len(r.Instances) != 2 || r.Instances[0].Type != "m5.4xlarge" || len(r.Failures) != 1 || r.Failures[0].Type != "m6i.4xlarge" || r.Failures[0].Zone != "ap-northeast-1c" {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestAThrottleInTheBodySlowsTheBudget(t *testing.T) {
	w := newWorld(t)
	w.pass(time.Second)
	w.order("throttle", emulator.Order{Fault: emulator.Fault{Service: "ec2", Action: "CreateFleet", Share: 1}})
	r, err := w.c.Launch(ctx, "general-1a-spot", "ap-northeast-1a", 2, "t")
	if err != nil || len(r.Failures) != 1 || r.Failures[0].Class != nodegroups.Throttled || w.c.Budget() != 500 {
		t.Errorf("got %+v, %v and a budget of %g", r, err, w.c.Budget())
	}
}

// LaunchInstances may be called, and EC2 refuses the CreateFleet that it makes for the caller.
func TestARefusalOfCreateFleetFallsBackToTheRaise(t *testing.T) {
	w := newWorld(t)
	w.pass(time.Second)
	w.order("deny", emulator.Order{Fault: emulator.Fault{Service: "ec2", Action: "CreateFleet"}})
	r, err := w.c.Launch(ctx, "general-1a-spot", "ap-northeast-1a", 2, "t")
	if err != nil || r.RaiseTo != 4 || len(r.Failures) > 0 || r.Refused {
		t.Errorf("got %+v, %v", r, err)
	}
	s := wide
	s.MayChange = true
	w.selected(s)
	r, err = w.c.Launch(ctx, "wide@ap-northeast-1a", "ap-northeast-1a", 1, "t-2")
	if err != nil || r.RaiseTo > 0 || len(r.Failures) != 1 || r.Failures[0].Class != nodegroups.NotAllowed || !strings.Contains(r.Failures[0].Message, "ec2:CreateFleet") {
		t.Errorf("where a raise cannot choose the zone: %+v, %v", r, err)
	}
}

func TestWhatWasLaunchedIsNotRaisedAsWell(t *testing.T) {
	w := newWorld(t)
	w.pass(time.Second)
	w.altered("LaunchInstances", func(answer string) string {
		return strings.Replace(answer, "</Instances>", "</Instances><Errors><member><ErrorCode>UnauthorizedOperation</ErrorCode></member></Errors>", 1)
	})
	r, err := w.c.Launch(ctx, "general-1a-spot", "ap-northeast-1a", 2, "t")
	if err != nil || len(r.Instances) != 2 || r.RaiseTo > 0 || len(r.Failures) != 1 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestAnInstanceWithoutAZoneIsInTheOneThatWasAsked(t *testing.T) {
	w := newWorld(t)
	w.pass(time.Second)
	w.altered("LaunchInstances", func(answer string) string {
		return strings.ReplaceAll(answer, "<AvailabilityZone>ap-northeast-1a</AvailabilityZone>", "")
	})
	r, err := w.c.Launch(ctx, "general-1a-spot", "ap-northeast-1a", 1, "t")
	if err != nil || len(r.Instances) != 1 || r.Instances[0].Zone != "ap-northeast-1a" || r.Instances[0].ProviderID != nodegroups.ProviderID("ap-northeast-1a", r.Instances[0].ID) {
		t.Errorf("got %+v, %v", r, err)
	}
}

// An Auto Scaling group's own name may contain an @, and a successor asks for its predecessor's launches before it has read it.
func TestAGroupNamedLikeAZoneOfAnotherIsAskedByItsOwnName(t *testing.T) {
	const name = "web@ap-northeast-1a"
	w := newWorldOf(t, func(f *emulator.Fleet) { f.Groups[0].Name = name })
	w.pass(time.Second)
	for _, read := range []bool{false, true} {
		if read {
			w.groups(general)
		}
		r, err := w.c.Launch(ctx, name, "ap-northeast-1a", 1, fmt.Sprint("t-", read))
		if err != nil || len(r.Instances) != 1 {
			t.Errorf("read %t: got %+v, %v", read, r, err)
		}
	}
	denyLaunches(w)
	if r, err := w.c.Launch(ctx, name, "ap-northeast-1a", 1, "t-3"); err != nil || r.RaiseTo != 5 {
		t.Errorf("got %+v, %v: it is one zone, so its desired capacity may be raised", r, err)
	}
}

func TestOneZoneOfAGroupIsAskedByItsGroupsNameBeforeItIsRead(t *testing.T) {
	w := newWorld(t)
	w.pass(time.Second)
	r, err := w.c.Launch(ctx, "wide@ap-northeast-1c", "ap-northeast-1c", 1, "t")
	if err != nil || len(r.Instances) != 1 || r.Instances[0].Zone != "ap-northeast-1c" {
		t.Errorf("got %+v, %v", r, err)
	}
}

// Expired or unknown credentials are the caller's matter: no group is at fault, and none may wait longer for it.
func TestCredentialsThatAreNotAcceptedAreNoGroupsFault(t *testing.T) {
	for _, code := range []string{"ExpiredToken", "InvalidClientTokenId", "SignatureDoesNotMatch", "RequestExpired"} {
		w := newWorld(t, func(o *client.Options) { o.Attempts = 1 })
		w.pass(time.Second)
		w.groups(general)
		w.order("deny", emulator.Order{Fault: emulator.Fault{Code: code}})
		r, err := w.c.Launch(ctx, "general-1a-spot", "ap-northeast-1a", 1, "t")
		if err != nil || len(r.Failures) != 1 || r.Failures[0].Class != nodegroups.NotKnown {
			t.Errorf("%s: got %+v, %v", code, r, err)
		}
		if _, _, err := w.c.Groups(ctx, general, "general"); err == nil || !strings.Contains(err.Error(), "check the credentials") {
			t.Errorf("%s: reading the groups gives %v", code, err)
		}
	}
}
