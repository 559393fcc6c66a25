package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"swell/scaler/ledger"
	"swell/scaler/policydiff"
)

const replayBalloon = `apiVersion: capacity.swell/v1alpha1
kind: Balloon
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  chunk: "2.5"
  max: 12
  min: 6
`

// replayLedger is of a day with one Balloon: 30 pods of a core, and nodes of 15.
func replayLedger(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	book, err := ledger.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	start := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	add := func(at time.Time, e ledger.Entry) {
		t.Helper()
		e.Phase, e.At, e.Model = ledger.Note, at, at
		if err := book.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	price, demand, upper := 0.3, 30.0, 35.0
	spec := `{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"chunk":"2.5","min":2,"max":12}`
	add(start, ledger.Entry{Action: "policy", Object: "Balloon shop/web", Policy: &ledger.Policy{Kind: "Balloon", Name: "shop/web", Spec: json.RawMessage(spec)}})
	add(start, ledger.Entry{Action: "instance", Object: "i-1", Instance: &ledger.Instance{ID: "i-1", Group: "spot-a", Pool: "general", Zone: "1a", Market: "spot", LaunchedAt: start, Seen: true, Hourly: &price}})
	for at := start; at.Before(start.Add(24 * time.Hour)); at = at.Add(ledger.SampleEvery) {
		add(at, ledger.Entry{Action: "size", Object: "shop/web", Sizing: &ledger.Sizing{Balloon: "shop/web", Workload: "Deployment/web", Demand: &demand, Running: 30, Point: &demand, Upper: &upper, Lead: 180, Tau: 0.99,
			Share: 1, Chunk: 2.5, Pod: ledger.Resources{Cores: 1, Memory: 1}, Total: 2}})
		add(at, ledger.Entry{Action: "sample", Object: "cluster", Sample: &ledger.Sample{
			Groups:    []ledger.GroupUse{{Group: "spot-a", Pool: "general", Zone: "1a", Market: "spot", Nodes: 3, Allocatable: ledger.Resources{Cores: 45, Memory: 450}, Asked: ledger.Resources{Cores: 30, Memory: 30}}},
			Workloads: []ledger.WorkloadUse{{Namespace: "shop", Workload: "Deployment/web", Pool: "general", Zone: "1a", Market: "spot", Pods: 30, Asked: ledger.Resources{Cores: 30, Memory: 30}}}}})
	}
	return dir
}

func TestAPolicyDiffIsPrintedForAPullRequest(t *testing.T) {
	dir, file := replayLedger(t), write(t, "new.yaml", replayBalloon+"---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n")
	code, stdout, stderr := swell(t, "replay", "--from-ledger", dir, "--policy-diff", file, "--since", "12h")
	if code != 0 {
		t.Fatal(code, stderr)
	}
	for _, want := range []string{"### What this change of policy would have cost, 2026-11-22 11:55 to 2026-11-22 23:55 UTC (12.0 hours)", "- Balloon shop/web: min: 2 → 6\n", "| shop/web | 0.000 % → 0.000 % |", "Deployment of apps/v1 is not swell's",
		"How near to life this is: in this time the ledger itself recorded 12.0 node-hours and a cost of 3.60", "has no policy of CapacityPool general"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	t.Log(stdout)
	code, stdout, stderr = swell(t, "replay", "--from-ledger", dir, "--policy-diff", file, "--json")
	var out policydiff.Output
	if err := json.Unmarshal([]byte(stdout), &out); err != nil || code != 0 || out.Old.Cost == nil || out.New.RoomHours <= out.Old.RoomHours || len(out.Balloons) != 1 {
		t.Errorf("%d %v %s: %+v", code, err, stderr, out)
	}
}

func TestPolicyDiffsThatCannotBePlayed(t *testing.T) {
	dir := replayLedger(t)
	good := write(t, "good.yaml", replayBalloon)
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no file":         {[]string{"--from-ledger", dir}, exitUsage, "--policy-diff is missing"},
		"no ledger":       {[]string{"--policy-diff", good}, exitUsage, "give --from-ledger"},
		"both":            {[]string{"--from-ledger", dir, "--policy-diff", good, "--scenario", "core-300"}, exitUsage, "--scenario is not used with --from-ledger"},
		"an odd span":     {[]string{"--from-ledger", dir, "--policy-diff", good, "--since", "a week"}, exitUsage, "give a time such as 2h or 7d"},
		"an unknown file": {[]string{"--from-ledger", dir, "--policy-diff", "nowhere.yaml"}, exitUsage, "nowhere.yaml"},
		"a bad field":     {[]string{"--from-ledger", dir, "--policy-diff", write(t, "bad.yaml", strings.Replace(replayBalloon, "max: 12", "maxx: 12", 1))}, exitUsage, `bad.yaml:7: spec.maxx: unknown field`},
		"a bad value":     {[]string{"--from-ledger", dir, "--policy-diff", write(t, "value.yaml", strings.Replace(replayBalloon, "min: 6", "min: 60", 1))}, exitUsage, "max must be at least min"},
		"bad YAML":        {[]string{"--from-ledger", dir, "--policy-diff", write(t, "torn.yaml", "kind: [")}, exitUsage, "torn.yaml:"},
		"no namespace":    {[]string{"--from-ledger", dir, "--policy-diff", write(t, "other.yaml", strings.Replace(replayBalloon, "name: web}", "name: api}", 1))}, exitUsage, "other.yaml:3: metadata: Balloon api has no namespace"},
		"twice":           {[]string{"--from-ledger", dir, "--policy-diff", good, "--policy-diff", write(t, "again.yaml", replayBalloon)}, exitUsage, "is there already"},
		"of no kind":      {[]string{"--from-ledger", dir, "--policy-diff", write(t, "none.yaml", "apiVersion: v1\nkind: ConfigMap\n")}, exitUsage, "there is no CapacityPool, Balloon or DiurnalSchedule"},
		"an empty ledger": {[]string{"--from-ledger", storyLedger(t), "--policy-diff", write(t, "ns.yaml", strings.Replace(replayBalloon, "name: web}", "name: web, namespace: shop}", 1))}, exitFailed, "no decision on a Balloon"},
	} {
		if code, _, stderr := swell(t, append([]string{"replay"}, c.args...)...); code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: code %d, %s; want %d and %q", name, code, stderr, c.code, c.says)
		}
	}
}
