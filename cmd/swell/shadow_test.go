package main

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"swell/scaler/ledger"
)

// shadowLedger is of 21 minutes with a gap, one node that came, and launches that none followed.
func shadowLedger(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	book, err := ledger.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	add := func(after time.Duration, e ledger.Entry) {
		e.Phase, e.Model, e.Pool, e.Zone, e.Market = ledger.Note, start.Add(after), "general", "1a", "spot"
		if err := book.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	count := func(real, wanted, unneeded int) ledger.Entry {
		return ledger.Entry{Action: "shadow", Waits: map[string]int{"60": 1, "5": 1}, Nodes: []ledger.NodeCount{
			{Group: "x", Real: real, Wanted: wanted, Unneeded: unneeded, Pool: "general", Zone: "1a", Market: "spot", Hourly: 0.5}}}
	}
	add(0, count(4, 0, 1))
	add(time.Minute, count(4, 2, 0))
	add(time.Minute, ledger.Entry{Action: "would-return", Object: "i-0", Group: "x", Node: "ip-10-0-0-1", Count: 1, Hourly: 0.5, Reason: "a tenth of it is in use"})
	add(time.Minute, ledger.Entry{Action: "would-launch", Object: "x", Count: 2, Reason: "20 pods have no place"})
	add(2*time.Minute, count(4, 2, 0))
	add(3*time.Minute, ledger.Entry{Action: "node-came", Object: "i-1", Count: 1, Reason: "launched at " + start.Add(100*time.Second).Format(time.RFC3339)})
	add(20*time.Minute, count(5, 0, 0))
	add(21*time.Minute, ledger.Entry{Action: "would-launch", Object: "x", Count: 3})
	book.Close()
	return dir
}

func TestShadowAddsUpTheLedger(t *testing.T) {
	dir := shadowLedger(t)
	code, stdout, stderr := swell(t, "shadow", "--ledger", dir, "--json")
	var got shadowOutput
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 0 || len(got.Lines) != 1 {
		t.Fatal(code, err, stdout, stderr)
	}
	l := got.Lines[0]
	if l.Launches != 5 || l.Returns != 1 || l.Came != 1 || math.Abs(l.RealHours-8./60) > 1e-9 || math.Abs(l.SwellHours-9./60) > 1e-9 || l.SwellCost == nil || math.Abs(*l.SwellCost-4.5/60) > 1e-9 {
		t.Errorf("%+v", *l)
	}
	if a := got.Actions; len(a) != 3 || a[0].What != "return" || a[0].Node != "ip-10-0-0-1" || a[0].Group != "x" || a[0].Hourly == nil || *a[0].Hourly != 0.5 || a[0].Reason == "" ||
		a[1].What != "launch" || a[1].Group != "x" || a[1].Hourly != nil || a[1].Reason == "" {
		t.Errorf("actions are %+v: want each with its price and reason", a)
	}
	if s := got.Total.Saved; s == nil || math.Abs(*s+0.5/60) > 1e-9 || math.Abs(got.Total.SwellHours-9./60) > 1e-9 {
		t.Errorf("the total is %+v: want a node-minute more with swell", got.Total)
	}
	if got.Pending != 3 {
		t.Errorf("%d launches are pending: the ledger ends a moment after them", got.Pending)
	}
	if got.Gaps != 1 || len(got.Ahead) != 1 || got.Ahead[0] != 40 || got.Unanswered != 1 || len(got.Limits) == 0 {
		t.Errorf("%+v: want one gap, a node that came 40 s later and one launch without", got)
	}
	_, stdout, _ = swell(t, "shadow", "--ledger", dir)
	for _, want := range []string{"WOULD LAUNCH", "a median of 40 s", "99 of 100 at most 60 s", "watched for 2m0s, gaps: 1", "0.01 more", "last 15 minutes that no node has followed yet: 3", "What this cannot know"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	t.Log(stdout)
	if _, stdout, _ = swell(t, "shadow", "--ledger", dir, "--actions"); !strings.Contains(stdout, "ip-10-0-0-1") || !strings.Contains(stdout, "0.5") || !strings.Contains(stdout, "20 pods have no place") {
		t.Error(stdout)
	}
	t.Log(stdout)
}

func TestHandCommandsRefuseWhatCannotBe(t *testing.T) {
	kubeconfig := whyServer(t, map[string]string{
		"/apis/capacity.swell/v1alpha1/capacitypools":         `{"items": [{"metadata": {"name": "general"}}]}`,
		"/apis/capacity.swell/v1alpha1/capacitypools/general": `{"metadata": {"name": "general"}, "status": {"zones": [{"zone": "ap-northeast-1a"}, {"zone": "ap-northeast-1c"}]}}`,
	})
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no span":           {[]string{"freeze", "general"}, exitUsage, "give --for"},
		"both":              {[]string{"freeze", "--all", "--for", "1h", "--until", "2027-01-01T00:00:00Z"}, exitUsage, "--until"},
		"a day":             {[]string{"freeze", "--all", "--until", "2027-01-01"}, exitUsage, "give a time such as"},
		"over":              {[]string{"freeze", "--all", "--until", "2020-01-01T00:00:00Z"}, exitUsage, "over"},
		"pool and all":      {[]string{"freeze", "general", "--all", "--for", "1h"}, exitUsage, "give either one pool or --all"},
		"another what":      {[]string{"freeze", "--all", "--for", "1h", "--what", "Everything"}, exitUsage, "ScaleIn or All"},
		"a typo":            {[]string{"freeze", "genral", "--for", "1h"}, exitFailed, `did you mean "general"?`},
		"no zone":           {[]string{"hold", "general", "--nodes", "3", "--for", "1h"}, exitUsage, "--zone"},
		"another zone":      {[]string{"hold", "general", "--zone", "ap-northeast-1b", "--nodes", "3", "--for", "1h"}, exitFailed, "its zones are ap-northeast-1a, ap-northeast-1c"},
		"release nowhere":   {[]string{"release", "general"}, exitUsage, "--zone is missing"},
		"no file":           {[]string{"handover", "import"}, exitUsage, "--file is missing"},
		"one context":       {[]string{"handover", "status", "--old-context", "here"}, exitUsage, "two contexts"},
		"an odd deadline":   {[]string{"handover", "status", "--old-context", "here", "--new-context", "gone", "--deadline", "Friday"}, exitUsage, "2026-12-20"},
		"no ledger":         {[]string{"shadow"}, exitUsage, "--ledger is missing"},
		"another ledger":    {[]string{"shadow", "--ledger", "nowhere"}, exitUsage, "nowhere"},
		"nobody uninstalls": {[]string{"uninstall", "--context", "gone"}, exitFailed, "127.0.0.1:1"},
	} {
		args := c.args
		if args[0] != "shadow" {
			args = append(args, "--kubeconfig", kubeconfig)
		}
		code, _, stderr := swell(t, args...)
		if code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: code %d, %s; want %d and %q", name, code, stderr, c.code, c.says)
		}
	}
}
