package act

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"

	emulator "swell/bench/testbed/aws"
	"swell/nodegroups/aws"
)

const (
	zone  = "ap-northeast-1a"
	group = "general-1a-spot"
)

// service is AWS over HTTP, with a record of the calls that reached it.
type service struct {
	t   *testing.T
	e   *emulator.Emulator
	url string

	mu    sync.Mutex
	calls []call
	lose  int // the answers of that many launches are lost after they were carried out
	// known is the last answer to a reading of one group, which old makes the answer to all.
	known *httptest.ResponseRecorder
	isOld bool
}

type call struct {
	action, token, instance string
	count                   int
}

func startService(t *testing.T) *service {
	t.Helper()
	fleet := emulator.Fleet{
		Region:        "ap-northeast-1",
		InstanceTypes: map[string]emulator.InstanceType{"m6i.4xlarge": {VCPU: 16, MemoryMiB: 64 << 10}},
		Prices:        map[string]emulator.Price{"m6i.4xlarge": {OnDemand: 1, Spot: 0.35}},
		Groups: []emulator.Group{
			{Name: group, Zone: zone, Market: "spot", Max: 1000, Desired: 1, InstanceTypes: []string{"m6i.4xlarge"}},
		},
	}
	e, err := emulator.New(emulator.Options{Fleet: fleet, Seed: 1, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	s := &service{t: t, e: e}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	until(t, "the group's first instance", func() (bool, string) { return len(s.alive()) == 1, "" })
	return s
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		s.t.Error(err)
	}
	count, _ := strconv.Atoi(form.Get("RequestedCapacity")) // absent in other actions
	s.mu.Lock()
	s.calls = append(s.calls, call{action: form.Get("Action"), token: form.Get("ClientToken"), instance: form.Get("InstanceId"), count: count})
	lost := s.lose > 0 && form.Get("Action") == "LaunchInstances"
	if lost {
		s.lose--
	}
	s.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	if lost {
		s.e.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	if form.Get("AutoScalingGroupNames.member.1") != "" {
		s.readOne(w, r)
		return
	}
	s.e.ServeHTTP(w, r)
}

// readOne answers a reading of one group, as it is or as it was.
func (s *service) readOne(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.isOld {
		s.known = httptest.NewRecorder()
		s.e.ServeHTTP(s.known, r)
	}
	w.WriteHeader(s.known.Code)
	if _, err := w.Write(s.known.Body.Bytes()); err != nil {
		s.t.Error(err)
	}
}

// old makes AWS answer with what it last said of a group, as a replica of its own that is behind does.
func (s *service) old(is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.isOld = is
}

func (s *service) wantDesired(want int) {
	s.t.Helper()
	for _, g := range s.e.Status().Groups {
		if g.Name == group && g.Desired != want {
			s.t.Errorf("the desired capacity is %d, want %d", g.Desired, want)
		}
	}
}

// atLeast sets the group's minimum.
func (s *service) atLeast(n int32) {
	s.t.Helper()
	name := group
	client := autoscaling.New(autoscaling.Options{Region: "ap-northeast-1", BaseEndpoint: &s.url, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	if _, err := client.UpdateAutoScalingGroup(s.t.Context(), &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: &name, MinSize: &n}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *service) loseAnswers(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lose = n
}

// seen are the calls of an action so far.
func (s *service) seen(action string) []call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []call
	for _, c := range s.calls {
		if c.action == action {
			out = append(out, c)
		}
	}
	return out
}

// alive are the instances that run or will.
func (s *service) alive() map[string]bool {
	ids := map[string]bool{}
	for _, i := range s.e.Status().Instances {
		if i.State == "pending" || i.State == "running" {
			ids[i.ID] = true
		}
	}
	return ids
}

func (s *service) first() string {
	s.t.Helper()
	for id := range s.alive() {
		return id
	}
	s.t.Fatal("no instance is alive")
	return ""
}

func (s *service) order(what string, o emulator.Order) {
	s.t.Helper()
	if _, err := s.e.Control(what, o); err != nil {
		s.t.Fatal(err)
	}
}

// client is swell's own client of the service; calls are made once, so that faults show at once.
func (s *service) client() *aws.Client {
	s.t.Helper()
	c, err := aws.New(s.t.Context(), aws.Options{Region: "ap-northeast-1", Endpoint: s.url, Rate: 1000, Burst: 1000, Attempts: 1, Clock: clock, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}
