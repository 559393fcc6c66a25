package report

import (
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"swell/bench/measure"
)

func known(v float64) *float64 { return &v }

// sample is a summary of two runs with the shape of a real one: a rise, a fault, unknown figures.
func sample() (measure.Summary, []measure.Timeline) {
	late, produced, none := int64(1234), int64(4321987), int64(0)
	s := measure.Summary{Trace: "wc98-1998-06-24", Compression: 10, Seed: 1, RiseStart: "1998-06-24T16:30:00+02:00", ControllerManagerQPS: 200, SchedulerQPS: 100,
		Attribution: "The 1998 World Cup web logs, M. Arlitt and T. Jin, Internet Traffic Archive.", Command: "make demo COMPARE=1",
		Runs: []measure.Run{
			{Policy: "swell", PodWaitP50: known(1.2), PodWaitP99: known(22.4), PodWaitMax: known(41), Unserved: known(0.0123), LateMessages: &late, LagSecondsMax: known(48.2),
				NodeHours: map[string]float64{"spot": 31.4, "on-demand": 12.1}, Cost: known(21.37), CostWarmUp: known(0.88), PodsUnschedulable: 37, UnschedulableWaitP99: known(88), UnansweredPods: 5, CoveredPods: 12, ReactionP50: known(210), ReactionP99: known(870), Pods: 431, BalloonHours: 44.1,
				BalloonNodeHours: known(7.35), BalloonCost: known(2.9), Launches: 14, Launched: 31, MessagesProduced: &produced, MessagesLost: &none, OverMax: []string{},
				Faults: []measure.Fault{{Target: "kafka", KilledAt: "1998-06-24T16:50:00+02:00", Down: 20, Recovered: known(3.2)}, {Target: "aws", KilledAt: "1998-06-24T17:05:00+02:00", Down: 20}}},
			{Policy: "reactive", PodWaitP50: known(3.9), PodWaitP99: known(131), PodWaitMax: known(188), Unserved: known(0.061), LateMessages: &produced, LagSecondsMax: known(212),
				NodeHours: map[string]float64{"spot": 28.4, "on-demand": 11.6}, Cost: known(19.8), ReactionP50: nil, ReactionP99: known(990), Pods: 440, MessagesProduced: &produced},
		}}
	var lines []measure.Timeline
	for run, policy := range []string{"swell", "reactive"} {
		l := measure.Timeline{Policy: policy, Start: "1998-06-24T16:30:00+02:00", Step: 15}
		for i := range 241 {
			x := float64(i) / 240
			demand := 40 + 160/(1+math.Exp(-14*(x-.4)))
			behind := demand - float64(run+1)*60*math.Exp(-80*(x-.42)*(x-.42))
			p := measure.Point{At: float64(i) * 15, Rate: known(demand * 40), Lag: known(2000 + float64(run+1)*30000*math.Exp(-60*(x-.45)*(x-.45))),
				LagSeconds: known(3 + float64(run+1)*50*math.Exp(-60*(x-.45)*(x-.45))), Cost: known(20 * x * (1 + .3*x)), OldestWait: float64(run*3+1) * 30 * math.Exp(-70*(x-.4)*(x-.4)),
				Workloads: map[string]measure.WorkloadPoint{"web": {Demand: known(demand), Running: int(behind), Pending: int(max(0, demand-behind) / 2)}, "orders": {Demand: known(demand / 2), Running: int(behind / 2)}},
				Nodes:     map[string]int{}}
			if i > 90 && i < 98 {
				p.Lag, p.LagSeconds = nil, nil
			}
			for z, zone := range []string{"ap-northeast-1a", "ap-northeast-1c", "ap-northeast-1d"} {
				p.Nodes[zone+" spot"] = int(behind)/25 + z
				p.Nodes[zone+" on-demand"] = 2
			}
			if run == 0 {
				p.Balloons = int(8 + 8*math.Sin(x*6))
			}
			l.Points = append(l.Points, p)
		}
		lines = append(lines, l)
	}
	return s, lines
}

func TestPageAsksForNothing(t *testing.T) {
	s, lines := sample()
	s.Trace = `</script><script>alert(1)</script>`
	body, err := HTML(s, lines)
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{`(?i)(src|href)\s*=\s*["']?(https?:|//)`, `(?i)url\(`, `(?i)@import`, `(?i)\bfetch\(`, `XMLHttpRequest`, `<script>alert`} {
		if found := regexp.MustCompile(pattern).Find(body); found != nil {
			t.Errorf("the page contains %q", found)
		}
	}
	for _, want := range []string{"× 0.17", "did not recover", "21.37", "Internet Traffic Archive", "make demo COMPARE=1",
		"controller-manager 200, scheduler 100", "lower bound", "at least 60 s", "time to their deletion", "Seconds and hours are the trace’s, 10 to each"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestWriteHTML(t *testing.T) {
	s, lines := sample()
	path := filepath.Join(t.TempDir(), "out", "report.html")
	if err := WriteHTML(path, s, lines); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(body), "<!DOCTYPE html>") {
		t.Fatalf("read %d bytes, %v", len(body), err)
	}
	if keep := os.Getenv("SWELL_KEEP_REPORT"); keep != "" {
		if err := WriteHTML(keep, s, lines); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteHTML(path, measure.Summary{Runs: []measure.Run{{Policy: "swell"}}}, nil); err != nil {
		t.Fatalf("a summary without figures: %v", err)
	}
}
