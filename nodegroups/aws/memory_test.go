package aws

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	emulator "swell/bench/testbed/aws"
	"swell/nodegroups"
)

func emulated(t *testing.T) (*Client, *emulator.Emulator) {
	t.Helper()
	fleet, err := emulator.ReadFleet("../../bench/testbed/aws/testdata/fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	e, err := emulator.New(emulator.Options{Fleet: fleet, Seed: 7, Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	c, err := New(context.Background(), Options{Region: "ap-northeast-1", Endpoint: server.URL, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	e.Step()
	return c, e
}

func TestWhatIsGoneIsForgotten(t *testing.T) {
	c, e := emulated(t)
	now := time.Now()
	c.now = func() time.Time { return now }
	ctx := context.Background()
	read := func(ids ...string) {
		t.Helper()
		g := astypes.AutoScalingGroup{}
		for _, id := range ids {
			g.Instances = append(g.Instances, astypes.Instance{InstanceId: awssdk.String(id)})
		}
		if err := c.learnLaunchTimes(ctx, []astypes.AutoScalingGroup{g}); err != nil {
			t.Fatal(err)
		}
	}
	var ids []string
	for _, i := range e.Status().Instances {
		ids = append(ids, i.ID)
	}
	read(ids...)
	if len(c.launched) != len(ids) || len(ids) < 2 {
		t.Fatalf("%d of %d launch times are known", len(c.launched), len(ids))
	}
	now = now.Add(forgetAfter / 2)
	read(ids[0])
	if len(c.launched) != len(ids) {
		t.Error("instances that another pool's reading did not have were forgotten at once")
	}
	now = now.Add(forgetAfter/2 + time.Second)
	read(ids[0])
	if _, ok := c.launched[ids[0]]; len(c.launched) != 1 || !ok {
		t.Errorf("%d launch times are kept, want the one of the living instance", len(c.launched))
	}
}

// An instance that went back to a warm pool, as by reuse on scale-in, and is started again has a new launch time in EC2. By the old
// one it would at once be taken for one that never joined.
func TestAnInstanceThatIsStartedAgainIsAskedForAgain(t *testing.T) {
	c, e := emulated(t)
	now := time.Now()
	c.now = func() time.Time { return now }
	id := e.Status().Instances[0].ID
	started := e.Status().Instances[0].LaunchedAt.Truncate(time.Second)
	read := func(state astypes.LifecycleState) launch {
		t.Helper()
		g := astypes.AutoScalingGroup{Instances: []astypes.Instance{{InstanceId: awssdk.String(id), LifecycleState: state}}}
		if err := c.learnLaunchTimes(context.Background(), []astypes.AutoScalingGroup{g}); err != nil {
			t.Fatal(err)
		}
		return c.launched[id]
	}
	before := launch{at: now.Add(-time.Hour), seen: now.Add(-time.Minute)}
	c.launched[id] = before
	for _, state := range []astypes.LifecycleState{astypes.LifecycleStateInService, astypes.LifecycleStateTerminating, "Warmed:Stopped"} {
		if got := read(state); !got.at.Equal(before.at) {
			t.Fatalf("%s: launched at %s", state, got.at)
		}
	}
	if got := read(astypes.LifecycleStatePending); got.at.Before(started) {
		t.Fatalf("pending again, and launched at %s", got.at)
	}
	c.launched[id] = launch{at: before.at, seen: now, pending: true}
	if got := read(astypes.LifecycleStatePendingWait); !got.at.Equal(before.at) {
		t.Errorf("one that is still pending is asked for with each reading")
	}
}

func TestALongPollIsGivenUp(t *testing.T) {
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer silent.Close()
	defer close(release)
	c, err := New(context.Background(), Options{Region: "ap-northeast-1", Endpoint: silent.URL, QueueURL: silent.URL + "/1/q", CallTimeout: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if c.pollTimeout != longPoll+5*time.Second {
		t.Errorf("a long poll may take %s", c.pollTimeout)
	}
	c.pollTimeout = 50 * time.Millisecond
	done := make(chan error, 1)
	go func() { _, err := c.Interruptions(context.Background()); done <- err }()
	select {
	case err := <-done:
		if err == nil {
			t.Error("no error")
		}
	case <-time.After(20 * time.Second):
		t.Error("it waits for ever")
	}
}

// What is launched by token is remembered where its zone is counted by, and no longer than the service takes to list it.
func TestLaunchesAreRememberedOnlyForZonesAndAWhile(t *testing.T) {
	c, _ := emulated(t)
	now := time.Now()
	c.now = func() time.Time { return now }
	launch := func(group, zone, token string) {
		t.Helper()
		if r, err := c.Launch(context.Background(), group, zone, 1, token); err != nil || len(r.Instances) != 1 {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	launch("general-1a-spot", "ap-northeast-1a", "t-1")
	if len(c.unlisted) != 0 {
		t.Errorf("a group of one zone has its launches remembered: %v", c.unlisted)
	}
	launch("wide@ap-northeast-1a", "ap-northeast-1a", "t-2")
	c.unlisted["deleted"] = map[string]time.Time{"i-1": now}
	now = now.Add(nodegroups.ListedWithin + time.Second)
	launch("wide@ap-northeast-1c", "ap-northeast-1c", "t-3")
	if len(c.unlisted) != 1 || len(c.unlisted["wide"]) != 1 {
		t.Errorf("remembered: %v, want the last launch alone", c.unlisted)
	}
}

func TestAGroupOfNoZoneHasNoShares(t *testing.T) {
	c, _ := emulated(t)
	if got := c.desiredByZone(nodegroups.Group{Name: "wide", Desired: 2}, nil); len(got) != 0 {
		t.Errorf("%v", got)
	}
}
