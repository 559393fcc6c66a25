package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// wire carries one process's requests. Each takes a time that depends on what it asks for, so that requests which are made
// at once are carried out in an order that the seed gives.
type wire struct {
	w        *world
	id       string
	attempts int // at each call to AWS

	mu      sync.Mutex
	fates   map[string]fate // of calls to AWS that fail for as long as they last
	dead    bool            // the process has crashed: nothing of it reaches anybody
	crashAt uint64          // the request at which it does
	seen    uint64          // requests so far
	stalled time.Time       // the process stands still until then
}

var errLost = errors.New("i/o timeout")

func number(n int) string { return strconv.Itoa(n) }

// pass takes a request's time and says whether the process lives; it may crash before the request or after it.
func (c *wire) pass(ctx context.Context, key string, kube bool, rolls func(string) uint64) (crash bool, err error) {
	c.mu.Lock()
	wait := time.Duration(0)
	if kube {
		wait = max(0, time.Until(c.stalled))
	}
	c.mu.Unlock()
	roll := rolls("latency " + c.id + key)
	if err := sleep(ctx, wait+2*time.Millisecond+time.Duration(roll%60_000_000)); err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return false, errLost
	}
	c.seen++ // as they are carried out, which the seed orders
	if c.crashAt > 0 && c.seen >= c.crashAt && !c.w.calm {
		c.dead = true
		c.w.fire("scaler crashes")
		if roll>>60&1 == 0 {
			return false, errLost
		}
		return true, nil
	}
	return false, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (c *wire) gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

// kube is a process's way to the API server.
type kube struct{ *wire }

func (c kube) RoundTrip(r *http.Request) (*http.Response, error) {
	q := readRequest(r)
	q.by = c.id
	key := fmt.Sprintf(" %s %s/%s/%s%s", q.method, q.resource, q.name, q.sub, q.node)
	if q.method == http.MethodPost && q.resource == "pods" && q.sub == "" {
		key += string(q.body)
	}
	w, rolls := c.w, c.w.roll
	if q.method == http.MethodGet {
		rolls = w.reading
	}
	crash, err := c.pass(r.Context(), key, true, rolls)
	if err != nil {
		return nil, err
	}
	roll := uint64(1000)
	if !w.calm && q.resource != "" {
		roll = rolls("fault "+c.id+key) % 400
	}
	resource := schema.GroupResource{Resource: q.resource}
	switch {
	case roll == 0:
		w.fire("API call lost before its effect")
		return nil, errLost
	case roll == 1:
		w.fire("API 429")
		return answer(http.StatusTooManyRequests, apierrors.NewTooManyRequests("too many requests, please try again later", 1).Status(), r), nil
	case q.method == http.MethodPut && roll < 8:
		w.fire("API conflict")
		return answer(http.StatusConflict, apierrors.NewConflict(resource, q.name, errors.New("the object has been modified")).Status(), r), nil
	}
	code, body := w.serve(q)
	if crash {
		return nil, errLost
	}
	if roll == 20 || q.method != http.MethodGet && roll == 21 {
		w.fire("API call lost after its effect")
		return nil, errLost
	}
	return answer(code, body, r), nil
}

func answer(code int, body any, r *http.Request) *http.Response {
	raw, err := json.Marshal(body)
	if err != nil {
		raw, code = []byte(err.Error()), http.StatusInternalServerError
	}
	return &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(raw)), ContentLength: int64(len(raw)), Request: r}
}

// oldestAnswer is how old an answer of AWS's is at most, a fact of the world: it does not follow from what the program takes it to be.
const oldestAnswer = 2 * time.Minute

// canned is an answer that AWS gave.
type canned struct {
	code   int
	header http.Header
	body   []byte
	at     time.Time // when it was true
}

func (c canned) response(r *http.Request) *http.Response {
	return &http.Response{StatusCode: c.code, Header: c.header, Body: io.NopCloser(bytes.NewReader(c.body)), ContentLength: int64(len(c.body)), Request: r}
}

// fate is what befalls a call, in percent of what may.
type fate struct {
	roll  uint64
	until time.Time
}

// fateLasts is longer than all attempts at one call take.
const fateLasts = 5 * time.Second

// fate of an attempt at a call to AWS. Where there are several, half of the failures last for all of them.
func (c *wire) fate(key string) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.fates[key]; ok && time.Now().Before(f.until) {
		return f.roll
	}
	roll := c.w.roll("fault " + c.id + key)
	f := fate{roll % 100, time.Now().Add(fateLasts)}
	if c.attempts > 1 && f.roll < anyFailure && roll>>40&1 == 0 {
		c.fates[key] = f
	}
	return f.roll
}

// anyFailure is below which a fate is that of a call that fails.
const anyFailure = 8

// cloudWire is a process's way to AWS.
type cloudWire struct{ *wire }

const throttled = `<ErrorResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error><RequestId>1</RequestId></ErrorResponse>`

// Do carries a request to the emulator.
func (c cloudWire) Do(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body.Close()
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		form = url.Values{}
	}
	action := form.Get("Action")
	body = bytes.Replace(body, []byte(`"WaitTimeSeconds":20`), []byte(`"WaitTimeSeconds":0`), 1) // the world polls once a tick
	key := " " + action + form.Get("AutoScalingGroupName") + form.Get("InstanceId") + form.Get("RequestedCapacity") + form.Get("ClientToken") + r.Header.Get("X-Amz-Target")
	crash, err := c.pass(r.Context(), key, false, c.w.roll)
	if err != nil {
		return nil, err
	}
	w := c.w
	roll := uint64(1000)
	if !w.calm && action != "" {
		roll = c.fate(key)
	}
	switch {
	case roll < 2:
		w.fire("AWS call lost before its effect")
		return nil, errLost
	case roll < 4 && action != "DescribeInstances" && action != "DescribeInstanceTypes" && !strings.Contains(action, "LaunchTemplate"):
		w.fire("AWS throttles")
		return canned{code: http.StatusBadRequest, header: http.Header{"Content-Type": {"text/xml"}}, body: []byte(throttled)}.response(r), nil
	}
	w.mu.Lock()
	last := w.answers[string(body)]
	w.mu.Unlock()
	if action == "DescribeAutoScalingGroups" && roll >= 90 && roll < 100 && last != nil && w.now().Sub(last.at) < oldestAnswer && form.Get("AutoScalingGroupNames.member.1") == "" {
		w.fire("stale groups")
		return last.response(r), nil
	}
	got := w.effect(c.id, r, action, form, body)
	if crash {
		return nil, errLost
	}
	if roll >= 4 && roll < anyFailure {
		w.fire("AWS call lost after its effect")
		return nil, errLost
	}
	if action == "LaunchInstances" && got.code == http.StatusOK {
		w.mu.Lock()
		w.answered[form.Get("ClientToken")] = c.id
		w.mu.Unlock()
	}
	return got.response(r), nil
}

// effect lets AWS carry a call out and looks at what that broke.
func (w *world) effect(by string, r *http.Request, action string, form url.Values, body []byte) canned {
	before := w.aws.Status()
	recorder := httptest.NewRecorder()
	request := r.Clone(context.Background())
	request.Body = io.NopCloser(bytes.NewReader(body))
	w.aws.ServeHTTP(recorder, request)
	got := canned{code: recorder.Code, header: recorder.Header(), body: recorder.Body.Bytes()}
	switch action {
	case "DescribeAutoScalingGroups":
		w.mu.Lock()
		got.at = w.now()
		w.answers[string(body)] = &got
		w.mu.Unlock()
	case "LaunchInstances":
		w.checkLaunch(form, got)
	case "SetDesiredCapacity":
		if got.code == http.StatusOK {
			w.checkRaise(form, before)
		}
	case "TerminateInstanceInAutoScalingGroup":
		w.checkTermination(by, form, got, before)
		if got.code == http.StatusOK {
			w.mu.Lock()
			w.leaving[form.Get("InstanceId")] = true
			w.mu.Unlock()
		}
	case "CompleteLifecycleAction":
		w.checkCompletion(form, got, before)
	}
	return got
}

var instanceID = regexp.MustCompile(`i-0[0-9a-f]{16}`)
