package aws_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"swell/api/config"
	emulator "swell/bench/testbed/aws"
	"swell/nodegroups"
	"swell/nodegroups/aws"
)

var ctx = context.Background()

// world is an emulator under the test's clock and swell's client of it.
type world struct {
	t       *testing.T
	e       *emulator.Emulator
	c       *aws.Client
	url     string
	options aws.Options

	mu  sync.Mutex
	now time.Time
	// lose makes the server drop that many answers of an action after it was carried out
	lose map[string]int
	seen map[string]int
	// instead may answer a call in the emulator's place
	instead func(rw http.ResponseWriter, action, body string) bool
}

func newWorld(t *testing.T, change ...func(*aws.Options)) *world {
	t.Helper()
	return newWorldOf(t, func(*emulator.Fleet) {}, change...)
}

func newWorldOf(t *testing.T, of func(*emulator.Fleet), change ...func(*aws.Options)) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC), lose: map[string]int{}, seen: map[string]int{}}
	fleet, err := emulator.ReadFleet("../../bench/testbed/aws/testdata/fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	of(&fleet)
	w.e, err = emulator.New(emulator.Options{Fleet: fleet, Seed: 7, Now: w.clock, Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.e.Close)
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.url = server.URL
	o := aws.Options{Region: "ap-northeast-1", Endpoint: server.URL, QueueURL: server.URL + "/123456789012/interruptions", Rate: 1000, Burst: 1000, Log: slog.New(slog.DiscardHandler),
		Prices: map[string]aws.Price{"m6i.4xlarge": {OnDemand: 0.992, Spot: 0.31}}}
	for _, f := range change {
		f(&o)
	}
	w.options = o
	if w.c, err = aws.New(ctx, o); err != nil {
		t.Fatal(err)
	}
	return w
}

// ServeHTTP passes calls on to the emulator, and loses answers that the test wants lost.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	if _, err := body.ReadFrom(r.Body); err != nil {
		w.t.Error(err)
	}
	action := "control"
	if strings.HasPrefix(r.URL.Path, "/DescribeSavings") {
		action = r.URL.Path[1:]
	}
	if _, target, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "AWSPriceListService."); ok {
		action = target
	}
	if _, rest, ok := strings.Cut(body.String(), "Action="); ok {
		action, _, _ = strings.Cut(rest, "&")
	}
	r.Body = readCloser{&body}
	if w.instead != nil && w.instead(rw, action, body.String()) {
		return
	}
	w.mu.Lock()
	w.seen[action]++
	lost := w.lose[action] > 0
	if lost {
		w.lose[action]--
	}
	w.mu.Unlock()
	if lost {
		w.e.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	w.e.ServeHTTP(rw, r)
}

type readCloser struct{ *bytes.Buffer }

func (readCloser) Close() error { return nil }

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	for range int(d / time.Second) {
		w.mu.Lock()
		w.now = w.now.Add(time.Second)
		w.mu.Unlock()
		for next := w.e.Step(); !next.IsZero() && !next.After(w.clock()); next = w.e.Step() {
		}
	}
}

func (w *world) order(what string, o emulator.Order) []string {
	w.t.Helper()
	ids, err := w.e.Control(what, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return ids
}

func (w *world) groups(tags map[string]string) ([]nodegroups.Group, []aws.Problem) {
	w.t.Helper()
	groups, problems, err := w.c.Groups(ctx, tags, "general")
	if err != nil {
		w.t.Fatal(err)
	}
	return groups, problems
}

func (w *world) alive(group string) (desired, alive int) {
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
	if d, a := w.alive(group); d != desired || a != alive {
		w.t.Fatalf("%s has desired %d and %d alive, want %d and %d", group, d, a, desired, alive)
	}
}

var general = map[string]string{"swell/pool": "general"}

func TestGroupsAreDiscoveredWithTheirTemplates(t *testing.T) {
	launched := time.Date(2026, 12, 1, 9, 0, 1, 0, time.UTC)
	shift := config.Clock{Speed: 10, Real: launched, Model: launched.Add(-30 * 24 * time.Hour)}
	w := newWorld(t, func(o *aws.Options) { o.Clock = shift })
	w.pass(time.Second)
	w.pass(10 * time.Minute)
	groups, problems := w.groups(general)
	if len(groups) != 3 || len(problems) != 1 || !strings.Contains(problems[0].What, "8 free addresses") {
		t.Fatalf("%d groups and the problems %v, want 3 and one on the small subnet", len(groups), problems)
	}
	g := groups[1]
	if g.Name != "general-1a-spot" || g.Pool != "general" || g.Zone != "ap-northeast-1a" || g.Market != nodegroups.Spot || g.HourlyPrice != 0.31 || g.Max != 20 || g.Desired != 2 || g.Image == "" {
		t.Errorf("unexpected group %+v", g)
	}
	if g.Template.Allocatable.Cpu().MilliValue() != 15500 || g.Template.Allocatable.Pods().Value() != 110 || g.Template.Labels["swell/pool"] != "general" ||
		g.Template.Labels["node.kubernetes.io/instance-type"] != "m6i.4xlarge" || g.Template.Labels["topology.kubernetes.io/zone"] != "ap-northeast-1a" {
		t.Errorf("unexpected template %+v", g.Template)
	}
	if len(g.Template.Taints) != 1 || g.Template.Taints[0].ToString() != "dedicated=general:NoSchedule" {
		t.Errorf("unexpected taints %+v", g.Template.Taints)
	}
	if len(g.Instances) != 2 {
		t.Fatalf("%d instances, want 2", len(g.Instances))
	}
	i := g.Instances[0]
	if i.Lifecycle != nodegroups.InService || !i.LaunchedAt.Equal(shift.Model) || i.ProviderID != "aws:///ap-northeast-1a/"+i.ID {
		t.Errorf("unexpected instance %+v", i)
	}
	// two types: the market is the mixed policy's, and the dearer's price is read
	if mixed := groups[2]; mixed.Market != nodegroups.Spot || len(mixed.InstanceTypes) != 2 || mixed.HourlyPrice != 0.33 || mixed.Template.Labels["node.kubernetes.io/instance-type"] != "" {
		t.Errorf("unexpected group %+v", mixed)
	}
	// what was learned is not asked for again
	before := w.seen["DescribeInstances"] + w.seen["DescribeInstanceTypes"] + w.seen["DescribeLaunchTemplateVersions"]
	w.groups(general)
	if after := w.seen["DescribeInstances"] + w.seen["DescribeInstanceTypes"] + w.seen["DescribeLaunchTemplateVersions"]; after != before {
		t.Errorf("%d calls were made again", after-before)
	}
}

func TestAllocatableWithoutTagsIsWhatEKSLeaves(t *testing.T) {
	w := newWorld(t)
	groups, _ := w.groups(map[string]string{"swell/pool": "other"})
	a := groups[0].Template.Allocatable
	// 16 cores less 60+10+5+5+12*2.5 millicores; 64 GiB less 7.5 %, 255 MiB, 11 MiB for each of 234 addresses and 100 MiB; 110 pods below 30 cores
	if a.Cpu().MilliValue() != 15890 || a.Memory().Value()>>20 != 65536*925/1000-255-11*234-100 || a.Pods().Value() != 110 {
		t.Errorf("unexpected allocatable %v", a)
	}
}

func TestAGroupThatSpansZonesIsAProblem(t *testing.T) {
	w := newWorld(t)
	groups, problems := w.groups(map[string]string{"swell/pool": "wide"})
	if len(groups) != 0 || len(problems) != 1 || !strings.Contains(problems[0].What, "ap-northeast-1a, ap-northeast-1c") || problems[0].Mend == "" {
		t.Fatalf("unexpected %v, %v", groups, problems)
	}
}

func TestErrorsNameWhatIsWrongAndTheMend(t *testing.T) {
	unreachable, err := aws.New(ctx, aws.Options{Region: "ap-northeast-1", Endpoint: "http://127.0.0.1:1", Attempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = unreachable.Groups(ctx, general, "general")
	if err == nil || !strings.Contains(err.Error(), "http://127.0.0.1:1 did not answer: check the endpoint") {
		t.Errorf("got %v", err)
	}
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	defer elsewhere.Close()
	stranger, err := aws.New(ctx, aws.Options{Region: "ap-northeast-1", Endpoint: elsewhere.URL, Attempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = stranger.Groups(ctx, general, "general")
	if err == nil || !strings.Contains(err.Error(), elsewhere.URL) {
		t.Errorf("got %v", err)
	}
	for _, o := range []aws.Options{{}, {Region: "x", Endpoint: "localhost:1"}, {Region: "x", QueueURL: "queue"}, {Region: "x", Rate: -1}} {
		if _, err := aws.New(ctx, o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	if _, err := unreachable.Interruptions(ctx); err != aws.ErrNoQueue {
		t.Errorf("got %v", err)
	}
}

func TestLaunchIsIdempotentWhenAnAnswerIsLost(t *testing.T) {
	w := newWorld(t, func(o *aws.Options) { o.Attempts = 1 })
	w.pass(time.Second)
	w.lose["LaunchInstances"] = 1
	if _, err := w.c.Launch(ctx, "general-1a-spot", "ap-northeast-1a", 3, "t-1"); err == nil {
		t.Fatal("a lost answer gives no error")
	}
	w.want("general-1a-spot", 5, 5)
	result, err := w.c.Launch(ctx, "general-1a-spot", "ap-northeast-1a", 3, "t-1")
	if err != nil || len(result.Instances) != 3 || len(result.Failures) != 0 {
		t.Fatalf("got %+v, %v", result, err)
	}
	w.want("general-1a-spot", 5, 5)
	if i := result.Instances[0]; i.Zone != "ap-northeast-1a" || i.Lifecycle != nodegroups.Pending || i.ProviderID != nodegroups.ProviderID(i.Zone, i.ID) || i.Type != "m6i.4xlarge" || i.LaunchedAt.IsZero() {
		t.Errorf("unexpected instance %+v", i)
	}
	again, err := w.c.Launch(ctx, "general-1a-spot", "ap-northeast-1a", 4, "t-1")
	if err != nil || len(again.Failures) != 1 || again.Failures[0].Class != nodegroups.Unclassified || !strings.Contains(again.Failures[0].Message, "token t-1 was used for another launch") {
		t.Errorf("a token used twice gives %+v, %v", again, err)
	}
	if _, err := w.c.Launch(ctx, "general-1a-spot", "ap-northeast-1a", 101, "t-2"); err == nil {
		t.Error("101 instances are taken")
	}
}

func TestLaunchFailuresAreClassified(t *testing.T) {
	for code, class := range map[string]nodegroups.FailureClass{
		"": nodegroups.NoCapacity, "VcpuLimitExceeded": nodegroups.LimitReached, "UnauthorizedOperation": nodegroups.NotAllowed,
		"InvalidAMIID.NotFound": nodegroups.BadTemplate, "InsufficientFreeAddressesInSubnet": nodegroups.NoAddresses, "Novelty": nodegroups.Unclassified,
	} {
		t.Run(string(class), func(t *testing.T) {
			w := newWorld(t)
			w.pass(time.Second)
			w.order("capacity", emulator.Order{Fault: emulator.Fault{Zone: "ap-northeast-1a", Available: 1, Code: code}})
			result, err := w.c.Launch(ctx, "general-1a-spot", "ap-northeast-1a", 3, "t")
			if err != nil || len(result.Instances) != 1 || len(result.Failures) != 1 || result.Failures[0].Class != class {
				t.Fatalf("got %+v, %v", result, err)
			}
		})
	}
	w := newWorld(t)
	w.pass(time.Second)
	result, err := w.c.Launch(ctx, "general-1a-spot", "ap-northeast-1a", 19, "t")
	if err != nil || len(result.Failures) != 1 || result.Failures[0].Class != nodegroups.LimitReached {
		t.Fatalf("above the maximum: %+v, %v", result, err)
	}
}

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		code, message string
		want          nodegroups.FailureClass
	}{
		{"Server.InsufficientInstanceCapacity", "", nodegroups.NoCapacity},
		{"InvalidLaunchTemplateId.NotFound", "", nodegroups.BadTemplate},
		{"ValidationError", "You must use a valid fully-formed launch template.", nodegroups.BadTemplate},
		{"ValidationError", "something else", nodegroups.Unclassified},
		{"RequestLimitExceeded", "", nodegroups.Throttled},
		{"", "", nodegroups.Unclassified},
	} {
		if got := aws.Classify(c.code, c.message); got != c.want {
			t.Errorf("%s %q is %s, want %s", c.code, c.message, got, c.want)
		}
	}
}

func TestLaunchFallsBackToDesiredCapacity(t *testing.T) {
	w := newWorld(t)
	w.pass(time.Second)
	w.order("deny", emulator.Order{Fault: emulator.Fault{Action: "LaunchInstances"}})
	asked := w.raiseTo("general-1a-spot", 4)
	for again := range 2 { // the second does nothing
		result, err := w.c.Raise(ctx, "general-1a-spot", asked)
		if err != nil || result.Raised != 4-4*again || len(result.Failures) != 0 {
			t.Fatalf("got %+v, %v", result, err)
		}
		w.pass(time.Second)
		w.want("general-1a-spot", 6, 6)
	}
	result, err := w.c.Launch(ctx, "general-1a-spot", "ap-northeast-1a", 20, "t-2")
	if err != nil || result.RaiseTo != 20 || len(result.Failures) != 1 || result.Failures[0].Class != nodegroups.LimitReached {
		t.Fatalf("got %+v, %v", result, err)
	}
}

func TestTerminate(t *testing.T) {
	w := newWorld(t)
	w.pass(10 * time.Minute)
	groups, _ := w.groups(general)
	id := groups[1].Instances[0].ID
	for range 2 {
		if err := w.c.Terminate(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	w.want("general-1a-spot", 1, 1)
	w.pass(time.Minute)
	if err := w.c.Terminate(ctx, id); err != nil {
		t.Errorf("an instance that is gone: %v", err)
	}
	w.want("general-1a-spot", 1, 1)
	least := groups[0].Instances[0].ID
	if err := w.c.Terminate(ctx, least); !errors.Is(err, nodegroups.ErrAtMinimum) || !strings.Contains(err.Error(), "lower the minimum") {
		t.Errorf("at the minimum: %v", err)
	}
	before := groups[0]
	for range 2 {
		if err := w.c.Replace(ctx, least); err != nil {
			t.Fatal(err)
		}
	}
	w.pass(10 * time.Minute)
	if groups, _ = w.groups(general); groups[0].Desired != before.Desired || groups[0].Alive() != before.Desired || groups[0].Instances[0].ID == least {
		t.Errorf("%+v: want another instance in the place of %s", groups[0], least)
	}
}

func TestInterruptions(t *testing.T) {
	w := newWorld(t)
	w.pass(10 * time.Minute)
	ids := w.order("interrupt", emulator.Order{Count: 1})
	w.order("rebalance", emulator.Order{Instances: ids})
	var got []aws.Received
	for len(got) < 2 {
		some, err := w.c.Interruptions(ctx)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, some...)
	}
	at := w.clock()
	if got[0].Kind != nodegroups.SpotInterruption || got[0].InstanceID != ids[0] || !got[0].At.Equal(at) || !got[0].Deadline.Equal(at.Add(2*time.Minute)) {
		t.Errorf("unexpected notice %+v", got[0])
	}
	if got[1].Kind != nodegroups.RebalanceNotice || !got[1].Deadline.IsZero() {
		t.Errorf("unexpected notice %+v", got[1])
	}
	// only what was acknowledged stays away
	if err := w.c.Ack(ctx, got[0]); err != nil {
		t.Fatal(err)
	}
	w.pass(31 * time.Second)
	again, err := w.c.Interruptions(ctx)
	if err != nil || len(again) != 1 || again[0].Kind != nodegroups.RebalanceNotice {
		t.Fatalf("got %+v, %v", again, err)
	}
	if err := w.c.Ack(ctx, again...); err != nil {
		t.Fatal(err)
	}
	// an instance that ends tells so
	w.pass(2 * time.Minute)
	ended, err := w.c.Interruptions(ctx)
	if err != nil || !slices.ContainsFunc(ended, func(r aws.Received) bool { return r.Kind == nodegroups.InstanceTerminating && r.InstanceID == ids[0] }) {
		t.Fatalf("got %+v, %v", ended, err)
	}
}

func TestUnreadableMessagesAreRemoved(t *testing.T) {
	w := newWorld(t)
	for _, body := range []string{"nonsense", `{"detail-type":"EC2 Spot Instance Interruption Warning"}`} {
		w.send(body)
	}
	if got, err := w.c.Interruptions(ctx); err != nil || len(got) != 0 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if n := w.e.Status().Messages; n != 0 {
		t.Errorf("%d messages are left", n)
	}
}

func TestBudgetHalvesAtThrottlesAndRecovers(t *testing.T) {
	w := newWorld(t, func(o *aws.Options) { o.Attempts = 1 })
	w.order("throttle", emulator.Order{Fault: emulator.Fault{Share: 1}})
	_, _, err := w.c.Groups(ctx, general, "general")
	if err == nil || w.c.Budget() != 500 {
		t.Fatalf("after a throttle the budget is %g, the error %v", w.c.Budget(), err)
	}
	result, err := w.c.Launch(ctx, "general-1a-spot", "ap-northeast-1a", 1, "t")
	if err != nil || len(result.Failures) != 1 || result.Failures[0].Class != nodegroups.Throttled {
		t.Errorf("a throttled launch gives %+v, %v", result, err)
	}
	w.order("reset", emulator.Order{})
	for range 20 {
		w.groups(general)
	}
	if w.c.Budget() != 1000 {
		t.Errorf("after twenty rounds the budget is %g", w.c.Budget())
	}
}
