package aws_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	emulator "swell/bench/testbed/aws"
)

// plainBody hides WriteTo of request bodies: that of one which the SDK has closed fails with io.EOF, and the transport may
// come to it after a quick answer has begun, which it would then cut off.
type plainBody struct{}

func (plainBody) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return http.DefaultClient.Do(r)
}

// world is an emulator under a clock of the test, and the real SDK's clients of it.
type world struct {
	t   *testing.T
	dir string
	e   *emulator.Emulator
	url string
	// change of the fleet before the start; nil is none
	change func(*emulator.Fleet)

	mu  sync.Mutex
	now time.Time

	as  *autoscaling.Client
	ec2 *ec2.Client
	sqs *sqs.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), now: time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)}
	w.start()
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) start() {
	w.t.Helper()
	fleet, err := emulator.ReadFleet("testdata/fleet.yaml")
	if err != nil {
		w.t.Fatal(err)
	}
	if w.change != nil {
		w.change(&fleet)
	}
	w.e, err = emulator.New(emulator.Options{Fleet: fleet, Dir: w.dir, Seed: 7, Now: w.clock, Manual: true})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.e.Close)
	server := httptest.NewServer(w.e)
	w.t.Cleanup(server.Close)
	w.url = server.URL
	config := awssdk.Config{Region: "ap-northeast-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), HTTPClient: plainBody{},
		Retryer: func() awssdk.Retryer { return awssdk.NopRetryer{} }}
	w.as, w.ec2, w.sqs = autoscaling.NewFromConfig(config), ec2.NewFromConfig(config), sqs.NewFromConfig(config)
}

// settle does what is due now.
func (w *world) settle() {
	for next := w.e.Step(); !next.IsZero() && !next.After(w.clock()); next = w.e.Step() {
	}
}

// pass lets time go by, second after second.
func (w *world) pass(d time.Duration) {
	for range int(d / time.Second) {
		w.mu.Lock()
		w.now = w.now.Add(time.Second)
		w.mu.Unlock()
		w.settle()
	}
}

func (w *world) status(group string) (desired, alive int) {
	for _, g := range w.e.Status().Groups {
		if g.Name == group {
			return g.Desired, g.Alive
		}
	}
	w.t.Fatalf("no group %s", group)
	return 0, 0
}

func (w *world) want(group string, desired, alive int) {
	w.t.Helper()
	if d, a := w.status(group); d != desired || a != alive {
		w.t.Fatalf("%s has desired %d and %d alive, want %d and %d", group, d, a, desired, alive)
	}
}

func (w *world) order(what string, o map[string]any) int {
	w.t.Helper()
	raw, err := json.Marshal(o)
	if err != nil {
		w.t.Fatal(err)
	}
	answer, err := http.Post(w.url+"/_control/"+what, "application/json", bytes.NewReader(raw))
	if err != nil {
		w.t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

func (w *world) instances(group string) []string {
	var ids []string
	for _, i := range w.e.Status().Instances {
		if i.Group == group && (i.State == "pending" || i.State == "running") {
			ids = append(ids, i.ID)
		}
	}
	return ids
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		t.Fatalf("got the error %v, want the code %s", err, code)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (w *world) events() []emulator.Event {
	w.t.Helper()
	f, err := os.Open(filepath.Join(w.dir, "instances.jsonl"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	var out []emulator.Event
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e emulator.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			w.t.Fatalf("instances.jsonl: %v", err)
		}
		out = append(out, e)
	}
	return out
}

func TestGroupsStartAtTheirDesiredCapacityAndBoot(t *testing.T) {
	w := newWorld(t)
	w.settle()
	w.want("general-1a-spot", 2, 2)
	w.want("general-1a-on-demand", 1, 1)
	for _, i := range w.e.Status().Instances {
		if i.State != "pending" {
			t.Fatalf("%s is %s at its launch", i.ID, i.State)
		}
	}
	w.pass(10 * time.Minute)
	for _, i := range w.e.Status().Instances {
		if i.State != "running" {
			t.Fatalf("%s is still %s", i.ID, i.State)
		}
	}
	for _, e := range w.events()[:3] {
		if e.Event != "launch" || e.Cause != "initial" || e.PricePerHour == 0 {
			t.Fatalf("unexpected event %+v", e)
		}
	}
}

func TestSelfRepair(t *testing.T) {
	w := newWorld(t)
	w.pass(10 * time.Minute)
	lost := w.instances("general-1a-spot")[0]
	if code := w.order("interrupt", map[string]any{"instances": []string{lost}}); code != 200 {
		t.Fatalf("the order got %d", code)
	}
	w.pass(119 * time.Second)
	w.want("general-1a-spot", 2, 2)
	w.pass(time.Second)
	w.want("general-1a-spot", 2, 1)
	w.pass(10 * time.Second)
	w.want("general-1a-spot", 2, 2)

	// terminated with decrement: the group does not replace it
	id := w.instances("general-1a-spot")[0]
	must[*autoscaling.TerminateInstanceInAutoScalingGroupOutput](t)(w.as.TerminateInstanceInAutoScalingGroup(context.Background(),
		&autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &id, ShouldDecrementDesiredCapacity: awssdk.Bool(true)}))
	w.pass(time.Minute)
	w.want("general-1a-spot", 1, 1)
	// without: it does
	id = w.instances("general-1a-spot")[0]
	must[*autoscaling.TerminateInstanceInAutoScalingGroupOutput](t)(w.as.TerminateInstanceInAutoScalingGroup(context.Background(),
		&autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &id, ShouldDecrementDesiredCapacity: awssdk.Bool(false)}))
	w.want("general-1a-spot", 1, 0)
	w.pass(time.Minute)
	w.want("general-1a-spot", 1, 1)

	causes := map[string]int{}
	for _, e := range w.events() {
		causes[e.Event+" "+e.Cause]++
	}
	for what, n := range map[string]int{"launch self-repair": 2, "interrupted interruption": 1, "terminated interruption": 1, "terminated terminate-call": 2} {
		if causes[what] != n {
			t.Errorf("%d events %q, want %d (%v)", causes[what], what, n, causes)
		}
	}
}

func TestRestartGoesOnFromTheLog(t *testing.T) {
	w := newWorld(t)
	w.pass(10 * time.Minute)
	launched := must[*autoscaling.LaunchInstancesOutput](t)(w.launch("general-1a-spot", 3, "token-1"))
	before, told := w.e.Status(), len(w.events())
	w.e.Close()

	// a kill in the middle of a write leaves half a line, and may keep events from their log
	tear(t, filepath.Join(w.dir, "state.jsonl"), `{"at":"2026-12-01T09:1`)
	cut(t, filepath.Join(w.dir, "instances.jsonl"), 2)
	w.start()
	if after := w.e.Status(); !sameJSON(before, after) {
		t.Fatalf("after the restart the state is\n%+v\nwant\n%+v", after, before)
	}
	if n := len(w.events()); n != told {
		t.Fatalf("%d events after the restart, want %d", n, told)
	}
	again := must[*autoscaling.LaunchInstancesOutput](t)(w.launch("general-1a-spot", 3, "token-1"))
	if !sameJSON(launched.Instances, again.Instances) {
		t.Fatalf("the token was forgotten: %+v, want %+v", again.Instances, launched.Instances)
	}
	w.want("general-1a-spot", 5, 5)
	w.pass(10 * time.Minute)
	for _, i := range w.e.Status().Instances {
		if i.State != "running" {
			t.Fatalf("%s did not boot after the restart", i.ID)
		}
	}
}

func tear(t *testing.T, path, half string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(half); err != nil {
		t.Fatal(err)
	}
}

// cut the last n lines off a file.
func cut(t *testing.T, path string, n int) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(raw, []byte("\n"))
	if err := os.WriteFile(path, bytes.Join(lines[:len(lines)-1-n], nil), 0o644); err != nil {
		t.Fatal(err)
	}
}

func sameJSON(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

func (w *world) launch(group string, n int32, token string, more ...func(*autoscaling.LaunchInstancesInput)) (*autoscaling.LaunchInstancesOutput, error) {
	in := &autoscaling.LaunchInstancesInput{AutoScalingGroupName: &group, RequestedCapacity: &n, ClientToken: &token}
	for _, m := range more {
		m(in)
	}
	out, err := w.as.LaunchInstances(context.Background(), in)
	if out != nil {
		// the request id differs from call to call
		out.ResultMetadata.Set("", nil)
	}
	return out, err
}
