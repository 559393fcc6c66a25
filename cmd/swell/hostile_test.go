package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"swell/scaler/ledger"
	"swell/scaler/policydiff"
)

// daysLedger is of some days in files of a day each: sizes, samples and a node that is kept, and returned on the last day.
func daysLedger(t *testing.T, days int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	book, err := ledger.OpenWith(dir, ledger.Options{MaxAge: 1 << 62})
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	start := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	add := func(at time.Time, e ledger.Entry) {
		t.Helper()
		if e.Phase == "" {
			e.Phase = ledger.Note
		}
		e.At, e.Model = at, at
		if err := book.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	price := 0.3
	in := ledger.Instance{ID: "i-1", Node: "ip-1", Group: "spot-a", Pool: "general", Zone: "1a", Market: "spot", Token: "t1", LaunchedAt: start, ReadyAt: &start, Hourly: &price}
	add(start, ledger.Entry{Phase: ledger.Intent, Action: "launch", Object: "spot-a", Count: 1, Token: "t1", Reason: "1 pods have no place"})
	add(start, ledger.Entry{Phase: ledger.Done, Action: "launch", Object: "spot-a", Count: 1, Token: "t1", Instances: []string{"i-1"}})
	add(start, ledger.Entry{Action: "instance", Object: "i-1", Instance: &in})
	for at := start; at.Before(start.AddDate(0, 0, days)); at = at.Add(30 * time.Minute) {
		demand, upper := 30.0, 35.0
		for step := time.Duration(0); step < 30*time.Minute; step += ledger.SampleEvery {
			for _, name := range []string{"shop/web", "shop/other"} {
				add(at.Add(step), ledger.Entry{Action: "size", Object: name, Sizing: &ledger.Sizing{Balloon: name, Workload: "Deployment/" + name[5:], Demand: &demand, Running: 30, Point: &demand, Upper: &upper, Lead: 180, Tau: 0.99, Share: 1,
					Chunk: 2.5, Pod: ledger.Resources{Cores: 1, Memory: 1}, Total: at.Day(), Why: "forecast"}})
			}
		}
		add(at.Add(29*time.Minute), ledger.Entry{Action: "sample", Object: "cluster", Sample: &ledger.Sample{
			Groups:    []ledger.GroupUse{{Group: "spot-a", Pool: "general", Zone: "1a", Market: "spot", Nodes: 5, Allocatable: ledger.Resources{Cores: 75, Memory: 750}, Asked: ledger.Resources{Cores: 60, Memory: 60}}},
			Workloads: []ledger.WorkloadUse{{Namespace: "shop", Workload: "Deployment/web", Pool: "general", Pods: 30, Asked: ledger.Resources{Cores: 30, Memory: 30}}}}})
	}
	end := start.AddDate(0, 0, days)
	add(end, ledger.Entry{Phase: ledger.Intent, Action: "terminate", Object: "i-1", Reason: "unneeded for 10m0s"})
	add(end, ledger.Entry{Phase: ledger.Done, Action: "terminate", Object: "i-1"})
	return dir
}

func filesOf(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "ledger-*"))
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	slices.Sort(files)
	return files
}

// Files that end before the time of --since are not opened: what they have does not matter, not even that one cannot be read.
func TestSinceLeavesOlderFilesOut(t *testing.T) {
	alone(t)
	dir := daysLedger(t, 5)
	_, whole, _ := swell(t, "explain", "instance/i-1", "--ledger", dir)
	if !strings.Contains(whole, "It was bought at 2026-11-02 00:00:00 UTC") || strings.Contains(whole, "were not read") {
		t.Fatal(whole)
	}
	if err := os.WriteFile(filesOf(t, dir)[1], []byte("no ledger"), 0o600); err != nil {
		t.Fatal(err)
	}
	var newer bytes.Buffer
	packed := gzip.NewWriter(&newer)
	if _, err := packed.Write([]byte(`{"at":"2026-11-04T00:00:00Z","v":99,"phase":"note","action":"start","model":"2026-11-04T00:00:00Z"}` + "\n")); err != nil {
		t.Fatal(err)
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filesOf(t, dir)[2], newer.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := swell(t, "explain", "instance/i-1", "--ledger", dir, "--since", "2h")
	if code != 0 || strings.Contains(stdout, "It was bought") || !strings.Contains(stdout, "return: unneeded for 10m0s") || !strings.Contains(stdout, "files that end before 2026-11-06T22:00:00Z were not read") {
		t.Errorf("%d %s\n%s", code, stderr, stdout)
	}
	code, stdout, _ = swell(t, "explain", "balloon/shop/web", "--ledger", dir, "--at", "2026-11-06T12:00:00Z", "--since", "1h")
	if code != 0 || !strings.Contains(stdout, "files that end before 2026-11-06T11:00:00Z were not read") || !strings.Contains(stdout, "At 2026-11-06 12:00:00 UTC: forecast.") {
		t.Errorf("%d\n%s", code, stdout)
	}
}

// A file that is missing in the middle is told, and for how much of the time there is no demand.
func TestALedgerWithAMissingFileIsPlayedAndTold(t *testing.T) {
	alone(t)
	dir := daysLedger(t, 5)
	if err := os.Remove(filesOf(t, dir)[3]); err != nil {
		t.Fatal(err)
	}
	file := write(t, "new.yaml", replayBalloon)
	code, stdout, stderr := swell(t, "replay", "--from-ledger", dir, "--policy-diff", file, "--since", "2d")
	if code != 0 || !strings.Contains(stdout, "removed: ") || !strings.Contains(stdout, "Balloon shop/web: for 50 % of the time the ledger has no demand of it") {
		t.Errorf("%d %s\n%s", code, stderr, stdout)
	}
	code, stdout, stderr = swell(t, "explain", "balloon/shop/web", "--ledger", dir)
	if code != 0 || !strings.Contains(stdout, "removed: ") || !strings.Contains(stdout, "→ 6: forecast") || strings.Contains(stdout, "put back") {
		t.Errorf("%d %s\n%s", code, stderr, stdout)
	}
}

// changedLines rewrites the file that is written to, as a swell of another version would have.
func changedLines(t *testing.T, dir string, change func([]byte) []byte) {
	t.Helper()
	path := filepath.Join(dir, ledger.FileName)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(raw), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Kinds of entries and fields that this swell does not know are passed over; lines of a newer schema are told and not read.
func TestALedgerOfANewerSwellIsReadAsFarAsItIsKnown(t *testing.T) {
	alone(t)
	dir := storyLedger(t)
	changedLines(t, dir, func(raw []byte) []byte {
		known := raw[:bytes.Index(raw, []byte("{\"at\": \"2026-11-2\n"))]
		newer := `{"at":"2026-11-23T10:00:00Z","model":"2026-11-23T10:00:00Z","tick":9,"phase":"%s","action":"%s","object":"ip-1","reason":"%s","orbit":{"deg":7}%s}` + "\n"
		return append(known, fmt.Sprintf(newer+newer, "note", "teleport", "of another kind", "", "note", "kept", "of another schema", `,"v":99,"seq":99`)...)
	})
	code, stdout, stderr := swell(t, "explain", "node/ip-1", "--ledger", dir)
	if code != 0 || !strings.Contains(stdout, "teleport: of another kind") || !strings.Contains(stdout, "balloons need it") || strings.Contains(stdout, "of another schema") ||
		!strings.Contains(stdout, "it is of schema 99, and this swell reads up to 1; use the swell that goes with the scaler") {
		t.Errorf("%d %s\n%s", code, stderr, stdout)
	}
}

// One decision by a clock that was years ahead does not make a week of nothing that is played.
func TestAClockThatWasYearsAheadIsNotPlayed(t *testing.T) {
	alone(t)
	dir := daysLedger(t, 2)
	book, err := ledger.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	mad, demand := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC), 30.0
	err = book.Append(ledger.Entry{Phase: ledger.Note, At: time.Date(2026, 11, 4, 0, 0, 1, 0, time.UTC), Model: mad, Action: "size", Object: "shop/web", Sizing: &ledger.Sizing{Balloon: "shop/web", Workload: "Deployment/web", Demand: &demand, Share: 1, Chunk: 2.5}})
	if err != nil {
		t.Fatal(err)
	}
	book.Close()
	file := write(t, "new.yaml", strings.Replace(replayBalloon, "name: web}", "name: web, namespace: shop}", 1))
	code, stdout, stderr := swell(t, "replay", "--from-ledger", dir, "--policy-diff", file, "--json")
	var out policydiff.Output
	if code == 0 {
		if err := json.Unmarshal([]byte(stdout), &out); err != nil {
			t.Fatal(err)
		}
	}
	if code != exitFailed || !strings.Contains(stderr, "without an entry of a wrong clock") {
		t.Errorf("exit %d, %s to %s, %s", code, out.From, out.To, stderr)
	}
}
