package aws_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"swell/nodegroups"
	"swell/nodegroups/aws"
)

// send puts a message into the interruption queue, as EventBridge and Auto Scaling do.
func (w *world) send(body string) {
	w.t.Helper()
	raw, err := json.Marshal(map[string]string{"QueueUrl": "/interruptions", "MessageBody": body})
	if err != nil {
		w.t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(raw))
	r.Header.Set("X-Amz-Target", "AmazonSQS.SendMessage")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 test")
	w.e.ServeHTTP(httptest.NewRecorder(), r)
}

func TestHooksAndMaintenanceAreNotices(t *testing.T) {
	hook := `{"LifecycleActionToken":"tok","AutoScalingGroupName":"g","LifecycleHookName":"h","EC2InstanceId":"i-1","LifecycleTransition":"autoscaling:EC2_INSTANCE_%s"}`
	health := `{"detail-type":"AWS Health Event","time":"2026-03-02T09:00:00Z","detail":{"service":"EC2","eventTypeCode":"AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED","eventTypeCategory":%q,"startTime":"Thu, 05 Mar 2026 10:00:00 GMT","affectedEntities":[{"entityValue":"i-1"},{"entityValue":"i-2"}]}}`
	for name, x := range map[string]struct {
		body string
		kind nodegroups.InterruptionKind
		n    int
	}{
		"hook by EventBridge": {`{"detail-type":"EC2 Instance-terminate Lifecycle Action","time":"2026-03-02T09:00:00Z","detail":` + fmt.Sprintf(hook, "TERMINATING") + `}`, nodegroups.TerminationHook, 1},
		"hook to the queue":   {fmt.Sprintf(hook, "TERMINATING"), nodegroups.TerminationHook, 1},
		"hook at a launch":    {fmt.Sprintf(hook, "LAUNCHING"), "", 0},
		"test notification":   {`{"Event":"autoscaling:TEST_NOTIFICATION","AutoScalingGroupName":"g"}`, "", 0},
		"maintenance":         {fmt.Sprintf(health, "scheduledChange"), nodegroups.Maintenance, 2},
		"an issue of EC2":     {fmt.Sprintf(health, "issue"), "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(o *aws.Options) { o.LifecycleHooks = []string{"h"} })
			w.send(x.body)
			got, err := w.c.Interruptions(ctx)
			if err != nil || len(got) != x.n {
				t.Fatalf("got %+v, %v: want %d", got, err, x.n)
			}
			for i, n := range got {
				if n.Kind != x.kind || n.InstanceID != fmt.Sprintf("i-%d", i+1) {
					t.Errorf("got %+v", n)
				}
				if x.kind == nodegroups.Maintenance && !n.Deadline.Equal(time.Date(2026, 3, 5, 10, 0, 0, 0, time.UTC)) {
					t.Errorf("got %+v: want its deadline", n)
				}
				if x.kind == nodegroups.TerminationHook && (n.ASG != "g" || n.Hook != "h" || n.HookToken != "tok") {
					t.Errorf("got %+v: want what its hook is called by", n)
				}
				if left := w.e.Status().Messages; left != 1 {
					t.Errorf("%d messages before notice %d of %d is acknowledged", left, i+1, x.n)
				}
				if err := w.c.Ack(ctx, n); err != nil {
					t.Error(err)
				}
			}
			if left := w.e.Status().Messages; left != 0 {
				t.Errorf("%d messages are left", left)
			}
		})
	}
}

// A log shipper's hook, or EKS's own, waits for who made it.
func TestHooksOfOthersAreNotSwells(t *testing.T) {
	for name, c := range map[string]struct {
		configured []string
		own        bool
	}{"swell-drain": {nil, true}, "Terminate-LC-Hook": {nil, false}, "drain": {[]string{"drain", "x"}, true}, "swell-logs": {[]string{"drain"}, false}} {
		w := newWorld(t, func(o *aws.Options) { o.LifecycleHooks = c.configured })
		n := w.received(`{"LifecycleActionToken":"tok","AutoScalingGroupName":"g","LifecycleHookName":"` + name + `","EC2InstanceId":"i-1","LifecycleTransition":"autoscaling:EC2_INSTANCE_TERMINATING"}`)
		if n.Kind != nodegroups.TerminationHook || n.ASG != "g" || (len(n.Hooks()) == 1) != c.own || c.own && n.Hooks()[0] != (nodegroups.LifecycleHook{Name: name, Token: "tok"}) {
			t.Errorf("%s with %v configured: %+v", name, c.configured, n)
		}
	}
}

// received is the one notice of a message.
func (w *world) received(body string) nodegroups.Interruption {
	w.t.Helper()
	w.send(body)
	got, err := w.c.Interruptions(ctx)
	if err != nil || len(got) != 1 {
		w.t.Fatalf("%s: got %+v, %v: want one notice", body, got, err)
	}
	return got[0].Interruption
}

// A notice that is always younger than the last reading of the groups would never be let go where the instance is a stranger's.
func TestAHooksOwnMessageIsAsOldAsItSays(t *testing.T) {
	w := newWorld(t)
	told := time.Date(2026, 3, 2, 8, 0, 0, 710e6, time.UTC)
	n := w.received(`{"Service":"AWS Auto Scaling","Time":"2026-03-02T08:00:00.710Z","AccountId":"123456789012","LifecycleActionToken":"tok","AutoScalingGroupName":"g","LifecycleHookName":"h","EC2InstanceId":"i-1","LifecycleTransition":"autoscaling:EC2_INSTANCE_TERMINATING"}`)
	if n.Kind != nodegroups.TerminationHook || !n.At.Equal(told) {
		t.Errorf("%+v: want it told at %s", n, told)
	}
}

// Auto Scaling treats an instance that is not running as failed at once, so that there is nothing to wait for.
func TestAnInstanceThatStopsRunningGoesAtOnce(t *testing.T) {
	w := newWorld(t)
	for _, state := range []string{"stopping", "stopped", "shutting-down", "terminated"} {
		n := w.received(`{"detail-type":"EC2 Instance State-change Notification","time":"2026-03-02T09:00:00Z","detail":{"instance-id":"i-1","state":"` + state + `"}}`)
		if at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC); n.Kind != nodegroups.InstanceTerminating || !n.Deadline.Equal(at) {
			t.Errorf("%s: %+v: want its deadline at %s", state, n, at)
		}
	}
	w.send(`{"detail-type":"EC2 Instance State-change Notification","time":"2026-03-02T09:00:00Z","detail":{"instance-id":"i-1","state":"running"}}`)
	if got, err := w.c.Interruptions(ctx); err != nil || len(got) != 0 {
		t.Errorf("running: %+v, %v: want no notice", got, err)
	}
}

// Whatever the queue's own setting, a notice whose scaler died comes to its successor within the two minutes of a spot instance.
func TestANoticeIsNotHiddenForLongFromASuccessor(t *testing.T) {
	w := newWorld(t)
	asked := ""
	w.instead = func(_ http.ResponseWriter, _, body string) bool {
		if strings.Contains(body, "WaitTimeSeconds") {
			asked = body
		}
		return false
	}
	w.received(`{"detail-type":"EC2 Spot Instance Interruption Warning","time":"2026-03-02T09:00:00Z","detail":{"instance-id":"i-1"}}`)
	var in struct{ VisibilityTimeout int }
	if err := json.Unmarshal([]byte(asked), &in); err != nil || in.VisibilityTimeout != 30 {
		t.Errorf("asked for %s, %v: want it hidden for 30 s", asked, err)
	}
}

func TestALifecycleActionIsKeptWaitingAndEnded(t *testing.T) {
	w := newWorld(t)
	var seen []string
	w.instead = func(rw http.ResponseWriter, action, body string) bool {
		if !strings.Contains(action, "Lifecycle") {
			return false
		}
		form, err := url.ParseQuery(body)
		if err != nil || form.Get("AutoScalingGroupName") != "g" || form.Get("LifecycleHookName") != "h" || form.Get("InstanceId") != "i-1" || form.Get("LifecycleActionToken") != "tok" {
			t.Errorf("%s: %s", action, body)
		}
		if seen = append(seen, action+form.Get("LifecycleActionResult")); len(seen) == 3 {
			rw.WriteHeader(http.StatusBadRequest)
			io.WriteString(rw, `<ErrorResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><Error><Type>Sender</Type><Code>ValidationError</Code><Message>No active Lifecycle Action found with token tok</Message></Error></ErrorResponse>`)
			return true
		}
		fmt.Fprintf(rw, `<%sResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><%sResult/></%sResponse>`, action, action, action)
		return true
	}
	n := nodegroups.Interruption{InstanceID: "i-1", ASG: "g", Hook: "h", HookToken: "tok"}
	for _, call := range []func() error{func() error { return w.c.Heartbeat(ctx, n) }, func() error { return w.c.Complete(ctx, n) }, func() error { return w.c.Complete(ctx, n) }} {
		if err := call(); err != nil {
			t.Error(err)
		}
	}
	if got := strings.Join(seen, " "); got != "RecordLifecycleActionHeartbeat CompleteLifecycleActionCONTINUE CompleteLifecycleActionCONTINUE" {
		t.Error(got)
	}
}

// Waiting for notices takes nothing from the budget of Auto Scaling and EC2 calls: it must go on while that is spent.
func TestNoticesTakeNothingFromTheCallBudget(t *testing.T) {
	w := newWorld(t, func(o *aws.Options) { o.Rate, o.Burst, o.CallTimeout = 1e-6, 1, time.Second })
	spent := func() error {
		return w.c.Heartbeat(ctx, nodegroups.Interruption{InstanceID: "i-1", ASG: "g", Hook: "h"})
	}
	for range 3 {
		w.send(`{"Event":"autoscaling:TEST_NOTIFICATION"}`)
		if _, err := w.c.Interruptions(ctx); err != nil {
			t.Fatalf("waiting for notices: %v", err)
		}
	}
	if err := spent(); err != nil && strings.Contains(err.Error(), "rate") {
		t.Fatalf("notices took from the budget: %v", err)
	}
	if err := spent(); err == nil || !strings.Contains(err.Error(), "rate") {
		t.Fatalf("a budget of one call gives a second: %v", err)
	}
	w.send(`{"Event":"autoscaling:TEST_NOTIFICATION"}`)
	if _, err := w.c.Interruptions(ctx); err != nil || w.e.Status().Messages != 0 {
		t.Errorf("with the budget spent: %v, %d messages are left", err, w.e.Status().Messages)
	}
}
