package policydiff

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"swell/scaler/ledger"
)

var monday = time.Date(2026, 11, 16, 0, 0, 0, 0, time.UTC)

const (
	poolSpec    = `{"groups":{"tags":{"swell/pool":"general"}},"scaleIn":{"after":"10m"},"purchase":{"spotMax":"100%"}}`
	balloonSpec = `{"scaleTargetRef":{"kind":"Deployment","name":"web"},"chunk":"2.5","min":6,"max":6,"target":{"quantile":"0.9"},"share":"100%","mode":"Enforce"}`
)

func of(v float64) *float64 { return &v }

// recorded is a ledger of some days with one Balloon, whose workload asks for demand pods of a core on nodes of 15, and others' pods
// that take a node and a half. Three nodes are paid for: 0.3 an hour each, spot.
func recorded(days int, demand func(time.Time) float64) []ledger.Entry {
	start := monday.AddDate(0, 0, -days)
	var all []ledger.Entry
	add := func(at time.Time, e ledger.Entry) {
		e.Phase, e.At, e.Model = ledger.Note, at, at
		all = append(all, e)
	}
	add(start, ledger.Entry{Action: "policy", Policy: &ledger.Policy{Kind: "CapacityPool", Name: "general", Spec: json.RawMessage(poolSpec)}})
	add(start, ledger.Entry{Action: "policy", Policy: &ledger.Policy{Kind: "Balloon", Name: "shop/web", Spec: json.RawMessage(balloonSpec)}})
	for _, id := range []string{"i-1", "i-2", "i-3"} {
		add(start, ledger.Entry{Action: "instance", Instance: &ledger.Instance{ID: id, Group: "spot-a", Pool: "general", Zone: "1a", Market: "spot", LaunchedAt: start, Seen: true, Hourly: of(0.3), OnDemandHourly: of(1)}})
	}
	for at := start; !at.After(monday); at = at.Add(ledger.SampleEvery) {
		n := demand(at)
		add(at, ledger.Entry{Action: "size", Sizing: &ledger.Sizing{Balloon: "shop/web", Workload: "Deployment/web", Demand: of(n), Running: int(n), Point: of(n), Upper: of(n + 5), Lead: 180, Tau: 0.9,
			Share: 1, Chunk: 2.5, Pod: ledger.Resources{Cores: 1, Memory: 1}, Total: 6, Output: "Pods", Mode: "Enforce"}})
		add(at, ledger.Entry{Action: "sample", Sample: &ledger.Sample{
			Groups: []ledger.GroupUse{{Group: "spot-a", Pool: "general", Zone: "1a", Market: "spot", Nodes: 5, Allocatable: ledger.Resources{Cores: 75, Memory: 600},
				Asked: ledger.Resources{Cores: n + 22.5, Memory: n}, Held: ledger.Resources{Cores: 15, Memory: 15}}},
			Workloads: []ledger.WorkloadUse{{Namespace: "shop", Workload: "Deployment/web", Pool: "general", Zone: "1a", Market: "spot", Pods: int(n), Asked: ledger.Resources{Cores: n, Memory: n}}}}})
	}
	return all
}

func flat(time.Time) float64 { return 30 }

func document(spec string) Document {
	return Document{Kind: "Balloon", Name: "shop/web", Spec: json.RawMessage(spec)}
}

func compare(t *testing.T, entries []ledger.Entry, o Options) *Output {
	t.Helper()
	out, err := Compare(recording(entries), o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func recording(entries []ledger.Entry) *Recording {
	k := Record()
	for _, e := range entries {
		k.Add(e)
	}
	return k
}

func near(a *float64, b float64) bool { return a != nil && math.Abs(*a-b) < 1e-6 }

// 30 pods are two nodes, six balloons of 2.5 one, and others one and a half: five nodes at 0.3 for a day are 36. The ledger itself has
// three instances, which is said beside it.
func TestADayThatCanBeCountedByHand(t *testing.T) {
	out := compare(t, recorded(3, flat), Options{Since: 24 * time.Hour, Changes: []Document{document(strings.Replace(balloonSpec, `"min":6,"max":6`, `"min":0,"max":0`, 1))}})
	if !near(out.Old.Cost, 36) || !near(out.New.Cost, 0.3*24*4) || math.Abs(out.Old.NodeHours["spot"]-120) > 1e-6 || out.Old.Unserved != 0 {
		t.Errorf("cost %v and %v, hours %v: want five nodes and four, at 0.3, for a day", *out.Old.Cost, *out.New.Cost, out.Old.NodeHours)
	}
	if math.Abs(out.Old.RoomHours-24) > 1e-6 || out.New.RoomHours != 0 || !near(out.Balloons[0].Old.RoomCost, 0.3*24) {
		t.Errorf("room %v, then %v: want a node for a day, and none", out.Balloons[0].Old, out.New.RoomHours)
	}
	if !near(out.Life.Cost, 0.3*24*3) || out.Life.Instances != 3 || out.Life.Unserved == nil || *out.Life.Unserved != 0 {
		t.Errorf("recorded %+v: want three instances for a day", out.Life)
	}
	text := out.Markdown()
	for _, want := range []string{"- Balloon shop/web: max: 6 → 0; min: 6 → 0", "| **cost** | 36.00 | 28.80 | **-7.20** (-20.0 %) |", "recorded 72.0 node-hours and a cost of 21.60; the replay of the old policies has 120.0 (+66.7 %) and 36.00 (+66.7 %)",
		"| shop/web | 0.000 % → 0.000 % |", "What a replay cannot know", "too few to learn from"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	t.Log(text)
}

// What is changed into what it was makes no difference, to the last digit.
func TestNoChangeMakesNoDifference(t *testing.T) {
	out := compare(t, recorded(3, swing), Options{Since: 24 * time.Hour, Changes: []Document{document(balloonSpec)}})
	if *out.Old.Cost != *out.New.Cost || out.Old.Unserved != out.New.Unserved || out.Old.WaitP99S != out.New.WaitP99S || len(out.Changes[0].Differences) != 0 || !strings.Contains(out.Markdown(), "no difference") {
		t.Errorf("%+v and %+v", out.Old, out.New)
	}
}

// swing is 20 pods at night and 80 by day, which come within five minutes at nine.
func swing(t time.Time) float64 {
	if h := t.Hour(); h >= 9 && h < 18 {
		return 80
	}
	return 20
}

// lifelike is a ledger of days that swing, with the nodes that they would have: four, and four more by day, which boot for a minute.
func lifelike(days int) []ledger.Entry {
	all := recorded(days, swing)
	add := func(at time.Time, in ledger.Instance) {
		in.Group, in.Pool, in.Zone, in.Market, in.Hourly, in.OnDemandHourly = "spot-a", "general", "1a", "spot", of(0.3), of(1)
		all = append(all, ledger.Entry{Phase: ledger.Note, At: at, Model: at, Action: "instance", Object: in.ID, Instance: &in})
	}
	for day := monday.AddDate(0, 0, -days); day.Before(monday); day = day.AddDate(0, 0, 1) {
		if day.Equal(monday.AddDate(0, 0, -days)) {
			add(day, ledger.Instance{ID: "i-4", LaunchedAt: day, Seen: true})
		}
		launched, gone := day.Add(9*time.Hour+time.Minute), day.Add(18*time.Hour+12*time.Minute)
		for i := range 4 {
			ready := launched.Add(time.Duration(50+5*i) * time.Second)
			add(gone, ledger.Instance{ID: "i-" + day.Format("0102") + string(rune('a'+i)), LaunchedAt: launched, ReadyAt: &ready, GoneAt: &gone, End: "returned"})
		}
	}
	return all
}

// A schedule holds room before the rise that a Balloon without one meets with its six balloons alone.
func TestAScheduleServesTheMorning(t *testing.T) {
	window := Document{Kind: "DiurnalSchedule", Name: "shop/office", Spec: json.RawMessage(`{"timeZone":"UTC","windows":[{"name":"morning","days":["Mon-Sun"],"from":"08:30","to":"09:30","minHeadroom":"80"}]}`)}
	with := document(strings.NewReplacer(`"max":6`, `"max":40,"schedules":["office"]`).Replace(balloonSpec))
	out := compare(t, lifelike(8), Options{Changes: []Document{with, window}})
	if !(out.New.Unserved < out.Old.Unserved/2) || !(*out.New.Cost > *out.Old.Cost) || !out.Changes[1].New {
		t.Errorf("unserved %g → %g, cost %g → %g: want less than half, for more", out.Old.Unserved, out.New.Unserved, *out.Old.Cost, *out.New.Cost)
	}
	if out.Life.Cost == nil || math.Abs(*out.Old.Cost / *out.Life.Cost - 1) > 0.05 {
		t.Errorf("the old policies cost %v in the replay, and %v by the ledger", *out.Old.Cost, out.Life.Cost)
	}
	t.Log(out.Markdown())
	missing := compare(t, recorded(3, swing), Options{Since: 24 * time.Hour, Changes: []Document{with}})
	if !strings.Contains(missing.Markdown(), "the ledger has no DiurnalSchedule shop/office: it counts for nothing") {
		t.Error(missing.Notes)
	}
}

// While the ledger is too short to forecast from, the recorded forecast stands in: 35 pods at the quantile of then, and more at another.
func TestAShortLedgerUsesTheRecordedForecast(t *testing.T) {
	free := strings.Replace(balloonSpec, `"min":6,"max":6`, `"min":0,"max":40`, 1)
	entries := recorded(1, flat)
	entries[1].Policy.Spec = json.RawMessage(free)
	out := compare(t, entries, Options{Since: 7 * 24 * time.Hour, Changes: []Document{document(strings.Replace(free, `"0.9"`, `"0.999"`, 1))}})
	// 5 pods above the demand are two balloons; 5·z(0.999)/z(0.9) = 12.06 are five
	played := out.To.Sub(out.From).Hours()
	if old, now := out.Old.RoomHours/played, out.New.RoomHours/played; math.Abs(old-2*2.5/15) > 1e-6 || math.Abs(now-5*2.5/15) > 1e-6 {
		t.Errorf("%g and %g nodes are held: want two balloons and five of a sixth of a node each", old, now)
	}
	text := out.Markdown()
	if !strings.Contains(text, "the ledger has no demand before") || !strings.Contains(text, "for 100 % of the time the ledger is too short to forecast from") {
		t.Error(text)
	}
}

// Of many Balloons those are listed that the change makes a difference to.
func TestManyBalloonsAreListedByTheirDifference(t *testing.T) {
	out := compare(t, recorded(2, flat), Options{Since: 24 * time.Hour, Changes: []Document{document(strings.Replace(balloonSpec, `"min":6,"max":6`, `"min":0,"max":0`, 1))}})
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		out.Balloons = append(out.Balloons, BalloonDiff{Balloon: "shop/" + name, Old: Figures{Unserved: 0.1}, New: Figures{Unserved: 0.1}})
	}
	if text := out.Markdown(); !strings.Contains(text, "| shop/web |") || strings.Contains(text, "| shop/a |") || !strings.Contains(text, "which are not listed: 6.") {
		t.Error(text)
	}
}

// A price that is not known makes the cost unknown, not nothing.
func TestAnUnknownPriceIsNoCost(t *testing.T) {
	entries := recorded(2, flat)
	for i := range entries {
		if in := entries[i].Instance; in != nil {
			in.Hourly, in.OnDemandHourly = nil, nil
		}
	}
	out := compare(t, entries, Options{Since: 24 * time.Hour, Changes: []Document{document(balloonSpec)}})
	if out.Old.Cost != nil || out.Life.Cost != nil || out.Life.Unpriced != 3 || !strings.Contains(out.Markdown(), "| **cost** | unknown | unknown | unknown |") {
		t.Errorf("%+v\n%s", out.Old, out.Markdown())
	}
}

// A pool's limits are played.
func TestAPoolsLimitsArePlayed(t *testing.T) {
	pool := Document{Kind: "CapacityPool", Name: "general", Spec: json.RawMessage(strings.Replace(poolSpec, `"scaleIn"`, `"limits":{"minNodesPerZone":7},"scaleIn"`, 1))}
	out := compare(t, recorded(2, flat), Options{Since: 24 * time.Hour, Changes: []Document{pool}})
	if !near(out.New.Cost, 0.3*24*7) {
		t.Errorf("cost %v: want seven nodes", *out.New.Cost)
	}
	pool.Spec = json.RawMessage(strings.Replace(poolSpec, `"scaleIn"`, `"limits":{"maxNodes":3},"scaleIn"`, 1))
	out = compare(t, recorded(2, flat), Options{Since: 24 * time.Hour, Changes: []Document{pool}})
	if !near(out.New.Cost, 0.3*24*3) || !out.New.AtMaxNodes || out.New.Unserved == 0 {
		t.Errorf("cost %v, unserved %g: want three nodes, which are too few", *out.New.Cost, out.New.Unserved)
	}
}

func TestALedgerThatCannotBePlayedIsRefused(t *testing.T) {
	without := func(action string) []ledger.Entry {
		var out []ledger.Entry
		for _, e := range recorded(1, flat) {
			if e.Action != action {
				out = append(out, e)
			}
		}
		return out
	}
	for action, says := range map[string]string{"size": "no decision on a Balloon", "sample": "no sample of a pool's nodes"} {
		if _, err := Compare(recording(without(action)), Options{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("without %s: %v, want %q", action, err, says)
		}
	}
	if _, err := Compare(recording(recorded(1, flat)[:8]), Options{}); err == nil || !strings.Contains(err.Error(), "0.2 hours are the least that is played") {
		t.Errorf("a few minutes: %v", err)
	}
}

// A pool that has no on-demand group buys none while AWS has no spot capacity: its pods wait, as they did.
func TestAPoolWithoutOnDemandGroupsBuysNone(t *testing.T) {
	entries := recorded(2, swing)
	at := monday.Add(-15*time.Hour - 10*time.Minute) // before the rise at nine
	entries = append(entries, ledger.Entry{Phase: ledger.Note, At: at, Model: at, Action: "shortfall", Object: "spot-a",
		Shortfall: &ledger.Shortfall{Group: "spot-a", Pool: "general", Zone: "1a", Market: "spot", Code: "InsufficientInstanceCapacity", Until: at.Add(4 * time.Hour)}})
	out := compare(t, entries, Options{Since: 24 * time.Hour, Changes: []Document{document(balloonSpec)}})
	if out.Old.NodeHours["on-demand"] != 0 || out.Old.Unserved < 0.05 {
		t.Errorf("node-hours %v, unserved %g: want none on demand, and pods that waited for four hours", out.Old.NodeHours, out.Old.Unserved)
	}
}

// The order in which files are read changes nothing, as long as decisions come before samples.
func TestTheOrderOfEntriesDoesNotMatter(t *testing.T) {
	entries := lifelike(3)
	for i := range entries { // a state of each instance from before its end
		if in := entries[i].Instance; in != nil && in.GoneAt != nil {
			before := *in
			before.GoneAt, before.End = nil, ""
			e := ledger.Entry{Phase: ledger.Note, At: before.LaunchedAt, Model: before.LaunchedAt, Action: "instance", Object: in.ID, Instance: &before}
			entries = append(entries, e)
		}
		if z := entries[i].Sizing; z != nil && i > len(entries)/2 {
			z.Lead = 300
		}
	}
	o := Options{Since: 24 * time.Hour, Changes: []Document{document(strings.Replace(balloonSpec, `"min":6`, `"min":2`, 1))}}
	text := compare(t, entries, o).Markdown()
	slices.Reverse(entries)
	slices.SortStableFunc(entries, func(x, y ledger.Entry) int {
		return map[bool]int{true: 1}[x.Sample != nil] - map[bool]int{true: 1}[y.Sample != nil]
	})
	if again := compare(t, entries, o).Markdown(); again != text {
		t.Errorf("%s\nand from end to beginning\n%s", text, again)
	}
}
