package measure

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"swell/api/config"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

// minute of the hand-written logs, machine time; model time runs ten times as fast from 16:00.
var minute = time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)

func handWritten() Options {
	return Options{
		Policy: "swell", AuditLogs: []string{"testdata/audit.jsonl"}, Instances: "testdata/instances.jsonl", Calls: "testdata/calls.jsonl",
		Clock: config.Clock{Speed: 10, Real: minute, Model: time.Date(1998, 6, 24, 16, 0, 0, 0, time.UTC)},
		From:  minute, To: minute.Add(time.Minute), NodeCPU: 15, PodsPerNode: 2, GroupMax: map[string]int{"general-1a-spot": 1, "general-1c-on-demand": 5},
		Demand: map[string]func(time.Time) float64{"web": func(time.Time) float64 { return 3 }},
		Load:   []LoadPoint{{At: minute, Rate: 100, Lag: 7, LagSeconds: 1}},
		Step:   150 * time.Second,
	}
}

// TestHandWrittenRun checks every figure against what a person computed from testdata, see its README.
func TestHandWrittenRun(t *testing.T) {
	run, line, err := Measure(handWritten())
	if err != nil {
		t.Fatal(err)
	}
	near := func(name string, got *float64, want float64) {
		t.Helper()
		if got == nil || math.Abs(*got-want) > 1e-6 {
			t.Errorf("%s is %v, want %g", name, show(got), want)
		}
	}
	// waits of 1, 12, 30 and (never bound) 20 machine seconds
	near("pod_wait_p50_s", run.PodWaitP50, 120)
	near("pod_wait_p99_s", run.PodWaitP99, 300)
	// 3 pods wanted for 60 s = 180; bound 59 + 38 + 20 (deleted after) = 117
	near("unserved", run.Unserved, 63.0/180)
	// waited 1+12+30+20 of 60+50+50+20 existed
	near("unserved_pending", run.UnservedPending, 63.0/180)
	// spot: from the window's start to 50 s; on-demand: 15 s to the end
	near("spot hours", hours(run, "spot"), 500.0/3600)
	near("on-demand hours", hours(run, "on-demand"), 450.0/3600+450.0/3600)
	near("cost", run.Cost, 500.0/3600*0.3+900.0/3600*0.9)
	// spot, from its launch 30 s before the window
	near("cost_warm_up", run.CostWarmUp, 300.0/3600*0.3)
	// one balloon of 1 core bound from 5 s to 23 s = 180 model seconds; a node of two pods of 1 core has room for two
	near("balloon_hours", &run.BalloonHours, 0.05)
	near("balloon_node_hours", run.BalloonNodeHours, 0.05/2)
	near("balloon_cost", run.BalloonCost, 0.05/2**run.Cost/(1400.0/3600))
	// web-b, web-c and web-d: 120, 300 and 200
	near("unschedulable_wait_p99_s", run.UnschedulableWaitP99, 300)
	// web-b unschedulable at 10.5 s, answered at 15 s; web-c is covered by the second place; web-d at 40.2 waits for nothing
	near("reaction_p50_ms", run.ReactionP50, 4500)
	if run.Reactions != 1 || run.CoveredPods != 1 || run.Launches != 1 || run.Launched != 2 || run.Interruptions != 1 {
		t.Errorf("reactions %d, covered %d, launches %d, launched %d, interruptions %d", run.Reactions, run.CoveredPods, run.Launches, run.Launched, run.Interruptions)
	}
	if run.PodsUnschedulable != 3 || run.UnansweredPods != 1 {
		t.Errorf("unschedulable %d, unanswered %d", run.PodsUnschedulable, run.UnansweredPods)
	}
	if run.Pods != 4 || run.PodsNeverBound != 1 || run.TornLines != 1 || len(run.OverMax) != 0 {
		t.Errorf("pods %d, never bound %d, torn %d, over max %q", run.Pods, run.PodsNeverBound, run.TornLines, run.OverMax)
	}
	if run.TokensReused[0] != "tok-1" {
		t.Errorf("tokens over count %q, want tok-1: it asked for one and got two", run.TokensReused)
	}
	golden(t, "timeline.json", line)
}

func hours(r Run, market string) *float64 { v := r.NodeHours[market]; return &v }

func show(v *float64) any {
	if v == nil {
		return "unknown"
	}
	return *v
}

func golden(t *testing.T, name string, document any) {
	t.Helper()
	path := filepath.Join("testdata", name)
	got, err := json.MarshalIndent(document, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if *rewrite {
		if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
		t.Errorf("%s (-want +got), rewrite with -rewrite:\n%s", path, diff)
	}
}

// TestBill checks what an instance costs in a window of a minute: by the second, at least 60 s from its launch, model time.
func TestBill(t *testing.T) {
	opt := handWritten()
	price := 3600.0 // a second of the model costs 1
	for _, c := range []struct {
		name             string
		launched, gone   float64 // machine seconds; −1 never
		window, warmedUp float64
	}{
		{"two seconds", 10, 12, 60, 0},
		{"a part of a second is a whole one", 10, 17.01, 71, 0},
		{"lives on", 50, -1, 100, 0},
		{"the first minute reaches into the window", -4, -3, 20, 40},
		{"the first minute reaches out of the window", 57, 58, 30, 0},
		{"gone before the window", -20, -10, 0, 100},
		{"launched after the window", 61, -1, 0, 0},
	} {
		i := Instance{ID: "i-1", Market: "spot", PricePerHour: &price, Launched: at(c.launched)}
		if c.gone != -1 {
			i.Terminated = at(c.gone)
		}
		run := Logs{Instances: []Instance{i}}.figures(opt)
		if math.Abs(*run.Cost-c.window) > 1e-6 || math.Abs(*run.CostWarmUp-c.warmedUp) > 1e-6 || math.Abs(run.NodeHours["spot"]*3600-c.window) > 1e-6 {
			t.Errorf("%s: cost %g, before %g, hours %g; want %g and %g", c.name, *run.Cost, *run.CostWarmUp, run.NodeHours["spot"], c.window, c.warmedUp)
		}
	}
	run := Logs{Instances: []Instance{{ID: "i-1", Market: "spot", Launched: at(-20), Terminated: at(-10)}}}.figures(opt)
	if run.Cost == nil || run.CostWarmUp != nil {
		t.Errorf("an unknown price before the window: cost %v, before %v", show(run.Cost), show(run.CostWarmUp))
	}
}

// TestBalloonsFillWholePods: of a node's 15.5 cores, balloons fill what 15 pods of a core do; chunks of pods fill the same.
func TestBalloonsFillWholePods(t *testing.T) {
	opt := handWritten()
	opt.NodeCPU, opt.PodsPerNode, opt.Namespace = 15.5, 15, "shop"
	logs := Logs{Pods: []Pod{{Namespace: "shop", Name: "web", CPU: 1, Created: at(0), Bound: at(0)}, {Namespace: "kube-system", Name: "dns", CPU: 9, Created: at(0)}}}
	for range 2 {
		logs.Pods = append(logs.Pods, Pod{Namespace: "shop", Balloon: "web", CPU: 7.5, Created: at(0), Bound: at(0)})
	}
	if run := logs.figures(opt); math.Abs(*run.BalloonNodeHours-600.0/3600) > 1e-6 {
		t.Errorf("15 cores of balloons are %g node-hours, want one node for ten minutes", *run.BalloonNodeHours)
	}
	logs.Pods = logs.Pods[1:] // nothing tells the size of a pod
	if run := logs.figures(opt); math.Abs(*run.BalloonNodeHours-600.0/3600*15/15.5) > 1e-6 {
		t.Errorf("without pods %g node-hours, want those of the whole node", *run.BalloonNodeHours)
	}
}

// TestDeletedWhileWaiting: a pod that is deleted before it has a node waited until then.
func TestDeletedWhileWaiting(t *testing.T) {
	logs := Logs{Pods: []Pod{
		{Namespace: "shop", Name: "a", Created: at(0), Bound: at(1)},
		{Namespace: "shop", Name: "b", Created: at(10), Unschedulable: at(11), Deleted: at(14)},
		{Namespace: "shop", Name: "c", Created: at(58), Unschedulable: at(70), Bound: at(71)},
	}}
	opt := handWritten()
	opt.Namespace = "shop"
	run := logs.figures(opt)
	if *run.PodWaitMax != 40 || *run.UnschedulableWaitP99 != 40 || run.PodsUnschedulable != 1 || run.PodsNeverBound != 2 || run.UnansweredPods != 1 {
		t.Errorf("longest %g, of unschedulable %v, unschedulable %d, never bound %d, unanswered %d", *run.PodWaitMax,
			show(run.UnschedulableWaitP99), run.PodsUnschedulable, run.PodsNeverBound, run.UnansweredPods)
	}
}

func TestGroupOverMax(t *testing.T) {
	opt := handWritten()
	opt.GroupMax["general-1c-on-demand"] = 1
	run, _, err := Measure(opt)
	if err != nil || !slices.Equal(run.OverMax, []string{"general-1c-on-demand"}) {
		t.Errorf("over max %q, %v", run.OverMax, err)
	}
}

func TestUnknownIsNull(t *testing.T) {
	opt := handWritten()
	opt.Demand, opt.From = nil, opt.To.Add(-time.Second)
	run, _, err := Measure(opt)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(run)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"unserved":null`, `"late_messages":null`, `"lag_seconds_max":null`, `"faults":[]`, `"unschedulable_wait_p99_s":null`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
}

func TestBadLinesAreNamed(t *testing.T) {
	for _, c := range []struct{ name, log, want string }{
		{"instances", "{\"at\":\"2026-11-01T10:00:00Z\",\"event\":\"launch\",\"instance\":\"i-1\"}\n{oops}\n", "line 2"},
		{"instances", "{\"at\":\"2026-11-01T10:00:00Z\",\"event\":\"terminated\",\"instance\":\"i-9\"}\n", `line 1: instance "i-9" has a "terminated" before its launch`},
		{"instances", "{\"event\":\"launch\",\"instance\":\"i-1\"}\n{\"event\":\"exploded\",\"instance\":\"i-1\"}\n", `"exploded" is none of`},
		{"calls", "{\"action\":\"\"}\n", "line 1"},
		{"audit", "{\"kind\":\"Pod\"}\n", "line 1: this is no audit event"},
	} {
		path := filepath.Join(t.TempDir(), c.name+".jsonl")
		if err := os.WriteFile(path, []byte(c.log), 0o600); err != nil {
			t.Fatal(err)
		}
		opt := handWritten()
		switch c.name {
		case "instances":
			opt.Instances = path
		case "calls":
			opt.Calls = path
		case "audit":
			opt.AuditLogs = []string{path}
		}
		_, _, err := Measure(opt)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q and the file", c.name, err, c.want)
		}
	}
}

// TestQuantile checks the definition: the smallest value that a share q of the values do not exceed.
func TestQuantile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0, 100), 1, 60).Draw(t, "values")
		percent := rapid.IntRange(1, 100).Draw(t, "percent")
		got := *Quantile(values, float64(percent)/100)
		within := func(limit float64) int {
			n := 0
			for _, v := range values {
				if v <= limit {
					n++
				}
			}
			return n * 100
		}
		if !slices.Contains(values, got) || within(got) < percent*len(values) {
			t.Fatalf("p%d of %v is %g", percent, values, got)
		}
		for _, v := range values {
			if v < got && within(v) >= percent*len(values) {
				t.Fatalf("p%d of %v is %g, not %g", percent, values, v, got)
			}
		}
	})
	if Quantile(nil, 0.5) != nil {
		t.Error("a quantile of nothing is known")
	}
}

func TestCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c count
		type life struct{ from, to int }
		var lives []life
		for range rapid.IntRange(0, 20).Draw(t, "n") {
			l := life{rapid.IntRange(0, 20).Draw(t, "from"), rapid.IntRange(0, 20).Draw(t, "to")}
			var to time.Time
			if l.to > 0 {
				to = minute.Add(time.Duration(l.to) * time.Second)
			}
			lives = append(lives, l)
			c.add(minute.Add(time.Duration(l.from)*time.Second), to)
		}
		c.sort()
		now, want := rapid.IntRange(0, 21).Draw(t, "now"), 0
		for _, l := range lives {
			if l.from <= now && (l.to == 0 || l.to > now) {
				want++
			}
		}
		if got := c.at(minute.Add(time.Duration(now) * time.Second)); got != want {
			t.Fatalf("%d at %d, want %d of %v", got, now, want, lives)
		}
	})
}

func TestSummaryIsWrittenWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "demo", "summary.json")
	cost := 1.5
	want := Summary{Trace: "t", Compression: 10, Seed: 3, ControllerManagerQPS: 200, SchedulerQPS: 100, Runs: []Run{{Policy: "swell", Cost: &cost, NodeHours: map[string]float64{"spot": 2}}}}
	if err := Write(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("%v\n%s", err, cmp.Diff(want, got))
	}
}
