package explain

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"swell/scaler/ledger"
)

var update = flag.Bool("update", false, "rewrite the timelines in testdata")

var nine = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func at(clock string) time.Time {
	d, err := time.Parse(time.TimeOnly, clock)
	if err != nil {
		panic(err)
	}
	return time.Date(nine.Year(), nine.Month(), nine.Day(), d.Hour(), d.Minute(), d.Second(), 0, time.UTC)
}

func when(clock string) *time.Time { t := at(clock); return &t }

func of(v float64) *float64 { return &v }

// line is an entry at a time of the morning.
func line(clock string, e ledger.Entry) ledger.Entry {
	e.At, e.Model = at(clock), at(clock)
	return e
}

// call is an intent with its outcome.
func call(clock, done string, e ledger.Entry, outcome ledger.Entry) []ledger.Entry {
	e.Phase = ledger.Intent
	outcome.Action, outcome.Object, outcome.Token = e.Action, e.Object, e.Token
	if outcome.Count == 0 {
		outcome.Count = e.Count
	}
	if outcome.Phase == "" {
		outcome.Phase = ledger.Done
	}
	return []ledger.Entry{line(clock, e), line(done, outcome)}
}

func instance(clock string, in ledger.Instance) ledger.Entry {
	return line(clock, ledger.Entry{Phase: ledger.Note, Action: "instance", Object: in.ID, Instance: &in})
}

func sizing(clock string, total int, demand, upper *float64, why string) ledger.Entry {
	return line(clock, ledger.Entry{Phase: ledger.Note, Action: "size", Object: "shop/web", Sizing: &ledger.Sizing{Balloon: "shop/web", Workload: "Deployment/web", Demand: demand, Running: int(*demand),
		Point: of(*upper - 4), Upper: upper, Lead: 145, Tau: 0.97, Share: 1, Chunk: 2.5, Zones: map[string]int{"1a": (total + 1) / 2, "1c": total / 2}, Total: total, Why: why, Output: "Pods", Mode: "Enforce"}})
}

func policy(clock string, generation int64, spec string) ledger.Entry {
	return line(clock, ledger.Entry{Phase: ledger.Note, Action: "policy", Object: "CapacityPool general",
		Policy: &ledger.Policy{Kind: "CapacityPool", Name: "general", Generation: generation, Spec: json.RawMessage(spec)}})
}

// morning is an hour in which spot-a has no capacity, od-a is used instead, and a node is returned in the end.
func morning() []ledger.Entry {
	first := ledger.Instance{ID: "i-0a", Group: "spot-a", Pool: "general", Zone: "1a", Market: "spot", Type: "m6i.4xlarge", Node: "ip-10-0-0-1", LaunchedAt: at("02:10:00"), Seen: true, Hourly: of(0.35), OnDemandHourly: of(1)}
	bought := ledger.Instance{ID: "i-0b", Group: "od-a", Pool: "general", Zone: "1a", Market: "on-demand", Type: "m6i.4xlarge", Token: "t2", LaunchedAt: at("08:41:34"), Hourly: of(1), OnDemandHourly: of(1), Fallback: true}
	registered, ready, gone := bought, bought, bought
	for _, in := range []*ledger.Instance{&registered, &ready, &gone} {
		in.Node, in.RegisteredAt = "ip-10-0-0-2", when("08:42:20")
	}
	ready.ReadyAt, gone.ReadyAt = when("08:42:45"), when("08:42:45")
	gone.GoneAt, gone.End = when("09:30:05"), "returned"
	pods := []string{"shop/web-abc", "shop/web-abd"}
	var all []ledger.Entry
	all = append(all,
		line("08:00:00", ledger.Entry{Phase: ledger.Note, Action: "start", Object: "swell-scaler-0"}),
		policy("08:00:00", 3, `{"limits":{"maxNodes":20},"holds":[{"zone":"1a","nodes":2,"until":"2026-11-23T12:00:00Z"}],"freeze":{"until":"2026-11-23T09:00:00Z","reason":"a release"}}`),
		instance("08:00:01", first),
		sizing("08:00:05", 4, of(24), of(33), "4 balloons of 2.5: forecast 33, 24 pods running or on their way"),
		sizing("08:05:05", 4, of(24), of(33.4), "4 balloons of 2.5: forecast 33.4, 24 pods running or on their way"),
		line("08:41:30", ledger.Entry{Phase: ledger.Note, Action: "unplaced", Object: "shop/huge-x", Reason: "spot-a: Insufficient cpu; od-a: Insufficient cpu"}))
	all = append(all, call("08:41:30", "08:41:31", ledger.Entry{Action: "pop", Object: "shop/web-1a-x7k2p", Reason: "makes room for shop/web-abb"}, ledger.Entry{})...)
	all = append(all, call("08:41:30", "08:41:32", ledger.Entry{Action: "launch", Object: "spot-a", Count: 1, Token: "t1", Reason: "2 pods have no place on nodes that are up or on their way", Inputs: &ledger.Inputs{Pods: 2, Names: pods},
		Rejected: []string{"od-a: costs 1 an hour, 186 % more"}}, ledger.Entry{Phase: ledger.Failed, Error: "InsufficientInstanceCapacity: none left", Activities: []string{"req-1"}})...)
	all = append(all, line("08:41:32", ledger.Entry{Phase: ledger.Note, Action: "shortfall", Object: "spot-a", Activities: []string{"req-1"},
		Shortfall: &ledger.Shortfall{Group: "spot-a", Pool: "general", Zone: "1a", Market: "spot", Type: "m6i.4xlarge", Code: "InsufficientInstanceCapacity", Until: at("08:46:32")}}))
	all = append(all, call("08:41:33", "08:41:34", ledger.Entry{Action: "launch", Object: "od-a", Count: 1, Token: "t2", Reason: "2 pods have no place on nodes that are up or on their way", Inputs: &ledger.Inputs{Pods: 2, Names: pods},
		Rejected: []string{"spot-a: had no capacity until 08:46:32"}}, ledger.Entry{Instances: []string{"i-0b"}, Activities: []string{"act-7"}})...)
	all = append(all, instance("08:41:35", bought), instance("08:42:20", registered), instance("08:42:46", ready),
		line("08:42:50", ledger.Entry{Phase: ledger.Note, Action: "placed", Object: "ip-10-0-0-2", Count: 2, Placed: []ledger.PodWait{
			{Pod: "shop/web-abc", Since: at("08:41:29"), At: at("08:42:48")}, {Pod: "shop/web-abd", Since: at("08:41:29"), At: at("08:42:49")}}}),
		sizing("08:43:05", 1, of(26), of(27), "1 balloons of 2.5: forecast 27, 26 pods running or on their way"),
		line("08:50:00", ledger.Entry{Phase: ledger.Note, Action: "problem", Object: "pool general", Reason: "has 1 of at least 2 nodes in 1c: at the group's maximum; lift the limit"}),
		line("08:55:00", ledger.Entry{Phase: ledger.Note, Action: "suppressed", Object: "return i-0b to od-a", Reason: "pool general is frozen until 09:00:00: a release"}),
		line("09:05:00", ledger.Entry{Phase: ledger.Note, Action: "kept", Object: "ip-10-0-0-2", Reason: "unneeded, and the hold of 2 nodes in 1a keeps it"}),
		policy("09:15:00", 4, `{"limits":{"maxNodes":30},"holds":[]}`))
	all = append(all, call("09:28:00", "09:29:30", ledger.Entry{Action: "drain", Object: "ip-10-0-0-2", Reason: "unneeded for 10m0s: its pods use 0.0 % of it, and its 0 pods and 0 balloons fit on other nodes"}, ledger.Entry{})...)
	all = append(all, call("09:29:31", "09:29:32", ledger.Entry{Action: "terminate", Object: "i-0b", Reason: "unneeded for 10m0s: its pods use 0.0 % of it, and its 0 pods and 0 balloons fit on other nodes"}, ledger.Entry{Activities: []string{"act-8"}})...)
	all = append(all, instance("09:30:05", gone),
		line("09:40:00", ledger.Entry{Phase: ledger.Intent, Action: "drain", Object: "ip-10-0-0-1", Reason: "spot; it holds 3 pods"}),
		line("09:40:00", ledger.Entry{Phase: ledger.Note, Action: "notice", Object: "i-0a", Notice: &ledger.Notice{Kind: "spot", Instance: "i-0a", Node: "ip-10-0-0-1", Group: "spot-a", Pool: "general", GoneBy: when("09:42:00")}}))
	return all
}

func TestTimelines(t *testing.T) {
	book := NewBook(morning(), time.Time{})
	for file, o := range map[string]Object{
		"pod-that-waited":     {Pod, "shop/web-abc"},
		"pod-without-a-place": {Pod, "shop/huge-x"},
		"node-bought":         {Node, "ip-10-0-0-2"},
		"instance-bought":     {Instance, "i-0b"},
		"node-that-goes":      {Node, "ip-10-0-0-1"},
		"group-without-room":  {Group, "spot-a"},
		"group-instead":       {Group, "od-a"},
		"balloon":             {Balloon, "shop/web"},
		"pool":                {Pool, "general"},
	} {
		s := book.Story(o)
		got := s.Short() + "\n----\n" + s.Timeline()
		path := filepath.Join("testdata", file+".txt")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s is another than in %s; see what changed, and rewrite it with -update:\n%s", o, path, got)
		}
	}
}

// The morning stands beside the timelines as a ledger's lines, so that anybody can ask it.
func TestTheMorningIsKept(t *testing.T) {
	var lines []byte
	for _, e := range morning() {
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(append(lines, line...), '\n')
	}
	path := filepath.Join("testdata", "morning.jsonl")
	if *update {
		if err := os.WriteFile(path, lines, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if kept, err := os.ReadFile(path); err != nil || string(kept) != string(lines) {
		t.Errorf("%s is not the morning of this test: rewrite it with -update (%v)", path, err)
	}
}

// The order in which lines are read, as from two files, changes nothing.
func TestTheOrderOfFilesDoesNotMatter(t *testing.T) {
	all := morning()
	half := len(all) / 2
	for _, o := range []Object{{Pod, "shop/web-abc"}, {Instance, "i-0b"}, {Pool, "general"}} {
		a, b := NewBook(all, time.Time{}).Story(o).Timeline(), NewBook(append(append([]ledger.Entry{}, all[half:]...), all[:half]...), time.Time{}).Story(o).Timeline()
		if a != b {
			t.Errorf("%s\nand with the second half first\n%s", a, b)
		}
	}
}

// What was known at a time does not have what came later.
func TestWhatWasKnownAtATime(t *testing.T) {
	book := NewBook(morning(), at("08:41:33"))
	text := book.Story(Object{Pod, "shop/web-abc"}).Timeline()
	if strings.Contains(text, "ip-10-0-0-2") || strings.Contains(text, "08:42") || !strings.Contains(text, "No record says that it found a place") || !strings.Contains(text, "outcome unknown: no entry says what came of it; it goes on, or was cut short") {
		t.Error(text)
	}
	group := strings.Join(book.Story(Object{Group, "spot-a"}).Answer, "\n")
	if !strings.Contains(group, "not asked for again before 2026-11-23 08:46:32") {
		t.Error(group)
	}
	pool := strings.Join(book.Story(Object{Pool, "general"}).Answer, "\n")
	if !strings.Contains(pool, "frozen until 2026-11-23 09:00:00 UTC, nothing is returned: a release") || !strings.Contains(pool, "at least 2 nodes in 1a until 2026-11-23 12:00:00") {
		t.Error(pool)
	}
	later := strings.Join(NewBook(morning(), time.Time{}).Story(Object{Group, "spot-a"}).Answer, "\n")
	if !strings.Contains(later, "it may be asked for again since") {
		t.Error(later)
	}
}

func TestNamesAreNotPartsOfOthers(t *testing.T) {
	all := append(morning(), call("09:50:00", "09:50:01", ledger.Entry{Action: "launch", Object: "spot-ab", Count: 3, Token: "t9", Reason: "for shop/web-abcd", Inputs: &ledger.Inputs{Pods: 1, Names: []string{"shop/web-abcd"}}}, ledger.Entry{})...)
	all = append(all, line("09:51:00", ledger.Entry{Phase: ledger.Note, Action: "suppressed", Object: "return i-0bb to spot-ab", Reason: "x"}),
		line("09:52:00", ledger.Entry{Phase: ledger.Note, Action: "suppressed", Object: "return xi-0b to my-spot-a", Reason: "x"}))
	before, after := NewBook(morning(), time.Time{}), NewBook(all, time.Time{})
	for _, o := range []Object{{Pod, "shop/web-abc"}, {Group, "spot-a"}, {Instance, "i-0b"}} {
		if a, b := len(before.Story(o).Events), len(after.Story(o).Events); a != b {
			t.Errorf("%s has %d events with those of a longer name, want %d", o, b, a)
		}
	}
}

func TestParseAndFind(t *testing.T) {
	for text, want := range map[string]Object{"pod/shop/web-abc": {Pod, "shop/web-abc"}, "Node/ip-10-0-0-2": {Node, "ip-10-0-0-2"}, "qc/shop/orders": {Consumer, "shop/orders"}, "shop/orders": {}, "orders": {}, "pod/": {}} {
		if got, ok := Parse(text); got != want || ok != (want != Object{}) {
			t.Errorf("%s is read as %v, %v", text, got, ok)
		}
	}
	book := NewBook(morning(), time.Time{})
	for name, want := range map[string]string{"shop/web-abc": Pod, "shop/web": Balloon, "spot-a": Group, "general": Pool, "ip-10-0-0-2": Node, "i-0b": Instance} {
		if got := book.Find(name); len(got) != 1 || got[0].Kind != want {
			t.Errorf("%s is found as %v, want a %s", name, got, want)
		}
	}
	if got := book.Find("shop/nobody"); len(got) != 0 {
		t.Errorf("found %v", got)
	}
	if s := book.Story(Object{Pod, "shop/nobody"}); !s.Empty() {
		t.Errorf("of nobody it tells %s", s.Timeline())
	}
}
