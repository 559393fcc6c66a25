package main

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"swell/bench/ledgers"
	emulator "swell/bench/testbed/aws"
	"swell/scaler/ledger"
	"swell/scaler/report"
)

// written is a small cluster's ledger of some days, from Monday 2 November 2026 on.
func written(t *testing.T, days int) string {
	t.Helper()
	dir := t.TempDir()
	l, err := ledger.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for e := range (ledgers.Cluster{Days: days, Peak: 20, Workloads: 10, Every: 30 * time.Minute, Unpriced: true}).Entries() {
		if err := l.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// reported is the --json of a run that has to succeed.
func reported(t *testing.T, args ...string) (r report.Report) {
	t.Helper()
	code, stdout, stderr := swell(t, append([]string{"report", "--json"}, args...)...)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReportWritesEachForm(t *testing.T) {
	dir, out := written(t, 2), t.TempDir()
	args := []string{"report", "--ledger", dir}
	want := map[string]string{"r.html": "<!DOCTYPE html>", "r.csv": "from,to,by,day,", "r.json": "{\n  \"schema\": 1,", "r.md": "# Capacity, 2 November to 3 November 2026\n"}
	for name := range want {
		args = append(args, "--out", filepath.Join(out, name))
	}
	code, stdout, stderr := swell(t, args...)
	if code != 0 || stdout != "" {
		t.Fatalf("exit %d: %s%s", code, stderr, stdout)
	}
	for name, begin := range want {
		text, err := os.ReadFile(filepath.Join(out, name))
		if err != nil || !strings.HasPrefix(string(text), begin) {
			t.Errorf("%s begins with %.60q, %v", name, text, err)
		}
		if !strings.Contains(stderr, "written: "+filepath.Join(out, name)+"\n") {
			t.Errorf("%s is not told of in %q", name, stderr)
		}
	}
	if code, stdout, _ := swell(t, "report", "--ledger", dir); code != 0 || !strings.HasPrefix(stdout, want["r.md"]) {
		t.Errorf("without --out exit %d and %.80q", code, stdout)
	}
}

func TestReportPeriods(t *testing.T) {
	dir := written(t, 9) // to Wednesday 11 November, 00:00 UTC
	for flags, want := range map[string]string{
		"":                                   "2026-11-02T00:00:00Z 2026-11-11T00:00:00Z",
		"--period day":                       "2026-11-10T00:00:00Z 2026-11-11T00:00:00Z",
		"--period day --timezone Asia/Tokyo": "2026-11-10T00:00:00+09:00 2026-11-11T00:00:00+09:00",
		"--period week":                      "2026-11-02T00:00:00Z 2026-11-09T00:00:00Z",
		"--period month":                     "2026-11-01T00:00:00Z 2026-11-11T00:00:00Z", // the ledger has none of October
		"--from 2026-11-03 --to 2026-11-05 --timezone Europe/Paris": "2026-11-03T00:00:00+01:00 2026-11-05T00:00:00+01:00",
		"--from 2026-11-03T10:30:00Z":                               "2026-11-03T10:30:00Z 2026-11-11T00:00:00Z",
	} {
		r := reported(t, append([]string{"--ledger", dir}, strings.Fields(flags)...)...)
		if got := r.From.Format(time.RFC3339) + " " + r.To.Format(time.RFC3339); got != want {
			t.Errorf("%q is from %s, want %s", flags, got, want)
		}
	}
}

func TestReportRefusesWhatItCannotUse(t *testing.T) {
	dir := written(t, 1)
	for flags, want := range map[string]string{
		"":                            "--ledger is missing; give the folder",
		"--ledger /nowhere":           "reading the ledger:",
		"--ledger D --out report.pdf": "--out report.pdf: its form is not known; give a path that ends in .html",
		"--ledger D --period year":    `--period "year" is not known; give day, week or month`,
		"--ledger D --period day --from 2026-1-1": "--period stands in place of --from and --to",
		"--ledger D --from monday":                `--from "monday" is neither a day nor a time; write 2026-11-01`,
		"--ledger D --timezone Mars":              `--timezone "Mars" is not a time zone`,
		"--ledger D --from 2027-01-01":            "the ledger has entries from 2026-11-02T00:00:00Z to",
		"--ledger D --prices P":                   "p.yaml:1: prices.m6i.4xlarge.onDemnd: is not known",
		"--ledger D --prices N":                   "n.yaml:1: prices.m6i.4xlarge is below zero",
		"--ledger D --bill B":                     `b.csv, line 2: start is "today"`,
	} {
		flags = strings.NewReplacer(" D", " "+dir, " P", " "+write(t, "p.yaml", "prices:\n  m6i.4xlarge: {onDemnd: 1}\n"), " N", " "+write(t, "n.yaml", "prices: {m6i.4xlarge: {spot: -1}}\n"),
			" B", " "+write(t, "b.csv", "id,type,zone,market,start,end,hourly\ni-1,t,a,spot,today,,1\n")).Replace(flags)
		code, _, stderr := swell(t, append([]string{"report"}, strings.Fields(flags)...)...)
		if code != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit %d: %s, want %s", flags, code, stderr, want)
		}
	}
	if code, _, stderr := swell(t, "report", "--ledger", dir, "--out", filepath.Join(write(t, "file", ""), "report.html")); code != exitFailed || !strings.Contains(stderr, "give a path that can be written") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestReportTakesPricesOfAFile(t *testing.T) {
	dir := written(t, 2)
	if h := reported(t, "--ledger", dir).Total.Cost.UnpricedNodeHours; h == 0 {
		t.Fatal("the ledger knows all prices")
	}
	prices := write(t, "prices.yaml", "prices:\n  m6i.xlarge: {onDemand: 0.248, spot: 0.0921}\n")
	if h := reported(t, "--ledger", dir, "--prices", prices).Total.Cost.UnpricedNodeHours; h != 0 {
		t.Errorf("%g node-hours are unpriced", h)
	}
}

// The emulator's prices are in force since before the ledger began; it lists one of the ledger's five types.
func TestReportTakesPricesOfAWS(t *testing.T) {
	fleet, err := emulator.ReadFleet(write(t, "fleet.yaml", `
region: ap-northeast-1
groups: [{name: a, zone: ap-northeast-1a, market: spot, max: 1, instanceTypes: [m6i.xlarge]}, {name: c, zone: ap-northeast-1c, market: spot, max: 1, instanceTypes: [m6i.xlarge]}, {name: d, zone: ap-northeast-1d, market: spot, max: 1, instanceTypes: [m6i.xlarge]}]
instanceTypes: {m6i.xlarge: {vcpu: 4, memoryMiB: 16384, allocatable: {cpu: 3800m, memory: 14Gi, pods: "58"}}}
prices: {m6i.xlarge: {onDemand: 0.248, spot: 0.0921}}
`))
	if err != nil {
		t.Fatal(err)
	}
	var now atomic.Int64
	now.Store(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).Unix())
	e, err := emulator.New(emulator.Options{Fleet: fleet, Dir: t.TempDir(), Now: func() time.Time { return time.Unix(now.Load(), 0) }, Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	server := httptest.NewServer(e)
	defer server.Close()
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": server.URL, "AWS_REGION": "ap-northeast-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"} {
		t.Setenv(name, value)
	}
	dir := written(t, 2)
	without, with := reported(t, "--ledger", dir), reported(t, "--ledger", dir, "--prices", "aws")
	byHand := reported(t, "--ledger", dir, "--prices", write(t, "prices.yaml", "prices:\n  m6i.xlarge: {onDemand: 0.248, spot: 0.0921}\n"))
	if without.Total.Cost.UnpricedNodeHours == 0 || with.Total.Cost.UnpricedNodeHours != 0 || *with.Total.Cost.Total != *byHand.Total.Cost.Total {
		t.Errorf("%g node-hours are unpriced without AWS's prices and %g with them, of %s; by hand %s", without.Total.Cost.UnpricedNodeHours, with.Total.Cost.UnpricedNodeHours, with.Total.Cost.Total, byHand.Total.Cost.Total)
	}
	if code, _, stderr := swell(t, "report", "--ledger", dir, "--prices", "aws"); code != 0 || strings.Count(stderr, "AWS's price list has none for Linux") != 4 {
		t.Errorf("exit %d: %s, want the four types that are not listed named", code, stderr)
	}
	if n := len(with.Limits) - len(without.Limits); n != 4 {
		t.Errorf("the report has %d more limits, want one for each type that is not listed", n)
	}
	// a month later the list has a later day
	now.Store(time.Date(2026, 12, 5, 0, 0, 0, 0, time.UTC).Unix())
	later := reported(t, "--ledger", dir, "--prices", "aws")
	note := "AWS's price list has on-demand prices from 2026-12-01 on, of m6i.xlarge. Before that day the ledger's own count, and where it has none, the listed ones are taken to have held already."
	if *later.Total.Cost.Total != *byHand.Total.Cost.Total || !slices.Contains(later.Limits, note) || slices.Contains(with.Limits, note) {
		t.Errorf("a month later the total is %s, want %s; limits %q", later.Total.Cost.Total, byHand.Total.Cost.Total, later.Limits)
	}
	if _, err := e.Control("deny", emulator.Order{Fault: emulator.Fault{Action: "GetProducts"}}); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := swell(t, "report", "--ledger", dir, "--prices", "aws"); code != exitFailed || !strings.Contains(stderr, "; allow pricing:GetProducts, or give on-demand prices by hand") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	// what a file has is not asked for
	file := write(t, "on-demand.yaml", "prices: {m6i.4xlarge: {onDemand: 0.992}, c6i.4xlarge: {onDemand: 0.856}, r6i.2xlarge: {onDemand: 0.608}, m5.4xlarge: {onDemand: 0.992}, m6i.xlarge: {onDemand: 0.3}}\n")
	if code, _, stderr := swell(t, "report", "--ledger", dir, "--prices", "aws", "--prices", file); code != 0 {
		t.Errorf("exit %d: %s", code, stderr)
	}
	server.Close()
	if code, _, stderr := swell(t, "report", "--ledger", dir, "--prices", "aws"); code != exitFailed || !strings.Contains(stderr, "reading the history of the spot prices of 5 instance types") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestReportNamesWhatOnlyTheBillHas(t *testing.T) {
	dir := written(t, 1)
	bill := write(t, "bill.csv", "id,type,zone,market,start,end,hourly\ni-unknown,m6i.4xlarge,ap-northeast-1a,spot,2026-11-02T03:00:00Z,2026-11-02T04:00:00Z,0.5\n")
	r := reported(t, "--ledger", dir, "--bill", bill)
	found := ""
	for _, u := range r.Bill.Unexplained {
		if u.Why == "not-in-ledger" {
			found += fmt.Sprint(u.ID, " ", u.Said)
		}
	}
	if want := "i-unknown on the bill from 2026-11-02T03:00:00Z to 2026-11-02T04:00:00Z; the ledger does not know it"; found != want {
		t.Errorf("unexplained is %q", found)
	}
}
