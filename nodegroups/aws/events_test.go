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
			w := newWorld(t)
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
