package main

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"swell/api/config"
	emulator "swell/bench/testbed/aws"
	"swell/nodegroups"
)

const (
	zone  = "ap-northeast-1a"
	group = "general-1a-spot"
)

// connect starts AWS over HTTP with one healthy group, and the program's way to it.
func connect(t *testing.T, change ...func(*config.Scaler)) (*emulator.Emulator, cloud) {
	t.Helper()
	fleet := emulator.Fleet{
		Region:        "ap-northeast-1",
		InstanceTypes: map[string]emulator.InstanceType{"m6i.4xlarge": {VCPU: 16, MemoryMiB: 64 << 10, Allocatable: map[string]string{"cpu": "15500m", "memory": "58Gi", "pods": "110"}}},
		Prices:        map[string]emulator.Price{"m6i.4xlarge": {OnDemand: 1, Spot: 0.35}},
		Groups: []emulator.Group{
			{Name: group, Zone: zone, Market: "spot", Max: 10, Desired: 0, InstanceTypes: []string{"m6i.4xlarge"}, Tags: map[string]string{"swell/pool": "general"}},
			{Name: "wide", Zone: zone, MoreZones: []string{"ap-northeast-1c"}, Market: "spot", Max: 10, InstanceTypes: []string{"m6i.4xlarge"}, Tags: map[string]string{"swell/pool": "wide"}},
		},
	}
	e, err := emulator.New(emulator.Options{Fleet: fleet, Seed: 1, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	conf := config.Scaler{
		AWS:    config.AWS{Region: "ap-northeast-1", Endpoint: server.URL, QueueURL: server.URL + "/123456789012/interruptions"},
		Prices: map[string]config.Price{"m6i.4xlarge": {OnDemand: 0.992, Spot: 0.31}},
	}
	for _, f := range change {
		f(&conf)
	}
	c, err := newCloud(t.Context(), conf)
	if err != nil {
		t.Fatal(err)
	}
	return e, c
}

// The ledger is told prices by type; the configuration asks for those of the price list, and has none of its own.
func TestTheLedgerGetsListedPrices(t *testing.T) {
	_, c := connect(t, func(c *config.Scaler) { c.Prices, c.AWS.ReadOnDemandPrices = nil, true })
	for deadline := time.Now().Add(30 * time.Second); c.OnDemandPrice("m6i.4xlarge") != 1; time.Sleep(10 * time.Millisecond) {
		if _, _, err := c.Groups(t.Context(), nodegroups.Selection{Tags: map[string]string{"swell/pool": "general"}, Pool: "general"}); err != nil || time.Now().After(deadline) {
			t.Fatalf("the on-demand price is %v, want that of the list, 1; %v", c.OnDemandPrice("m6i.4xlarge"), err)
		}
	}
}

func TestTheLoopGetsGroupsWithTheConfiguredPrices(t *testing.T) {
	_, c := connect(t)
	groups, problems, err := c.Groups(t.Context(), nodegroups.Selection{Tags: map[string]string{"swell/pool": "general"}, Pool: "general"})
	if err != nil || len(problems) != 0 || len(groups) != 1 {
		t.Fatalf("%v, %v, %v: want one group", groups, problems, err)
	}
	if g := groups[0]; g.Name != group || g.Pool != "general" || g.HourlyPrice != 0.31 || g.Market != nodegroups.Spot {
		t.Errorf("%+v: want the configuration's spot price", g)
	}
	_, problems, err = c.Groups(t.Context(), nodegroups.Selection{Tags: map[string]string{"swell/pool": "wide"}, Pool: "wide"})
	if err != nil || len(problems) == 0 || !strings.HasPrefix(problems[0], "group wide: ") {
		t.Errorf("%v, %v: want a problem that names the group", problems, err)
	}
}

func TestTheLoopGetsInstancesAndFailures(t *testing.T) {
	e, c := connect(t)
	if _, err := e.Control("capacity", emulator.Order{Fault: emulator.Fault{Zone: zone, Available: 2}}); err != nil {
		t.Fatal(err)
	}
	first, err := c.Launch(t.Context(), group, zone, 3, "token")
	if err != nil || len(first.Instances) != 2 || len(first.Failures) == 0 {
		t.Fatalf("%+v, %v: want two instances and a failure", first, err)
	}
	if f := first.Failures[0]; f.Class != nodegroups.NoCapacity || f.Code != "InsufficientInstanceCapacity" || f.Message == "" {
		t.Errorf("%+v: want the code, the message and the class", f)
	}
	again, err := c.Launch(t.Context(), group, zone, 3, "token")
	if err != nil || len(again.Instances) != 2 || again.Instances[0].ID != first.Instances[0].ID {
		t.Errorf("%+v, %v: want the same instances for the same token", again, err)
	}
	for range 2 { // one that is gone is no error
		if err := c.Terminate(t.Context(), first.Instances[0].ID); err != nil {
			t.Error(err)
		}
	}
}

func TestAnInterruptionReachesTheLoop(t *testing.T) {
	e, c := connect(t)
	got, err := c.Launch(t.Context(), group, zone, 1, "token")
	if err != nil || len(got.Instances) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	id := got.Instances[0].ID
	if _, err := e.Control("interrupt", emulator.Order{Instances: []string{id}}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		if time.Now().After(deadline) {
			t.Fatal("no notice of the interruption came")
		}
		notices, err := c.Interruptions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		told := false
		for _, n := range notices {
			if n.InstanceID == id && n.Kind == nodegroups.SpotInterruption {
				told = true
				if n.Deadline.IsZero() {
					t.Errorf("%+v: want its deadline", n.Interruption)
				}
			}
			if err := n.Ack(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if told {
			return
		}
	}
}

func TestAWrongEndpointIsRefusedBeforeAnyCall(t *testing.T) {
	_, err := newCloud(t.Context(), config.Scaler{AWS: config.AWS{Region: "ap-northeast-1", Endpoint: "nowhere"}})
	if err == nil || !strings.Contains(err.Error(), `endpoint is "nowhere"`) {
		t.Errorf("%v: want the field and its value", err)
	}
}

func TestNoTwoProcessesHaveOneIdentity(t *testing.T) {
	if a, b := identity(), identity(); a == b {
		t.Errorf("both are %s: a scaler that was started again would take its predecessor's fence for its own", a)
	}
}
