package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"swell/scaler/explain"
	"swell/scaler/ledger"
)

// storyLedger is of a pod that waited for a node, with a torn line.
func storyLedger(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	book, err := ledger.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 11, 23, 8, 41, 30, 0, time.UTC)
	add := func(after time.Duration, e ledger.Entry) {
		t.Helper()
		e.At, e.Model = start.Add(after), start.Add(after)
		if err := book.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	launch := ledger.Entry{Phase: ledger.Intent, Action: "launch", Object: "spot-a", Count: 1, Token: "t1", Reason: "1 pods have no place", Inputs: &ledger.Inputs{Pods: 1, Names: []string{"shop/web-abc"}}, Rejected: []string{"od-a: costs more"}}
	add(0, launch)
	launch.Phase, launch.Instances, launch.Activities = ledger.Done, []string{"i-1"}, []string{"act-1"}
	add(time.Second, launch)
	ready := start.Add(72 * time.Second)
	add(75*time.Second, ledger.Entry{Phase: ledger.Note, Action: "instance", Object: "i-1", Instance: &ledger.Instance{ID: "i-1", Group: "spot-a", Pool: "general", Zone: "1a", Market: "spot", Type: "m6i.large",
		Node: "ip-1", Token: "t1", LaunchedAt: start.Add(time.Second), ReadyAt: &ready}})
	add(80*time.Second, ledger.Entry{Phase: ledger.Note, Action: "placed", Object: "ip-1", Count: 1, Placed: []ledger.PodWait{{Pod: "shop/web-abc", Since: start.Add(-time.Second), At: start.Add(78 * time.Second)}}})
	add(time.Hour, ledger.Entry{Phase: ledger.Note, Action: "kept", Object: "ip-1", Reason: "balloons need it"})
	book.Close()
	file, err := os.OpenFile(filepath.Join(dir, ledger.FileName), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString("{\"at\": \"2026-11-2\n{\"phase\": 7}\n"); err != nil {
		t.Fatal(err)
	}
	return dir
}

// alone is a kubeconfig that is not there, as on a machine without a cluster.
func alone(t *testing.T) {
	t.Helper()
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("HOME", t.TempDir())
}

func TestExplainReadsTheLedger(t *testing.T) {
	alone(t)
	dir := storyLedger(t)
	code, stdout, stderr := swell(t, "explain", "pod/shop/web-abc", "--ledger", dir)
	if code != 0 {
		t.Fatal(code, stderr)
	}
	for _, want := range []string{"It waited 1m19s", "node ip-1", "08:41:30  group spot-a: launch of 1 instance", "rejected  od-a: costs more", "AWS       act-1", "Ready",
		"cut short, or that someone changed, and that are not here: 1 (" + filepath.Join(dir, ledger.FileName) + ":7)", "whole and cannot be read, and are not here: 1 (", "ledger.jsonl:8", "the ledger is not as it was written, and what is told here may be wrong: ", "no cluster was asked"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	if _, stdout, _ = swell(t, "why", "ip-1", "--ledger", dir); !strings.HasPrefix(stdout, "node ip-1\n") || !strings.Contains(stdout, "It stays, as was last noted at 2026-11-23 09:41:30 UTC: balloons need it.") || strings.Contains(stdout, "08:41:30  ") {
		t.Errorf("of a plain name, in short:\n%s", stdout)
	}
	if _, stdout, _ = swell(t, "explain", "node/ip-1", "--ledger", dir, "--since", "30m"); strings.Contains(stdout, "08:41:30  ") || !strings.Contains(stdout, "left out: ") || !strings.Contains(stdout, "09:41:30  kept") {
		t.Errorf("since 30m before the ledger's end:\n%s", stdout)
	}
	if _, stdout, _ = swell(t, "why", "node/ip-1", "--ledger", dir, "--at", "2026-11-23T09:00:00Z"); strings.Contains(stdout, "balloons need it") || !strings.Contains(stdout, "Ready 1m11s") {
		t.Errorf("at nine:\n%s", stdout)
	}
	var story explain.Story
	_, stdout, _ = swell(t, "explain", "node/ip-1", "--ledger", dir, "--json")
	if err := json.Unmarshal([]byte(stdout), &story); err != nil || story.Kind != explain.Node || len(story.Events) != 5 || story.Events[0].Rejected == nil {
		t.Errorf("%v: %+v", err, story)
	}
	var short shortStory
	_, stdout, _ = swell(t, "why", "node/ip-1", "--ledger", dir, "--json")
	if err := json.Unmarshal([]byte(stdout), &short); err != nil || short.Last == nil || !strings.Contains(short.Last.What, "kept") {
		t.Errorf("%v: %+v", err, short)
	}
}

// Whoever changes a line is found out, and what is told says so.
func TestATamperedLedgerIsTold(t *testing.T) {
	alone(t)
	dir := storyLedger(t)
	path := filepath.Join(dir, ledger.FileName)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole := raw[:bytes.Index(raw, []byte("{\"at\": \"2026-11-2\n"))] // without what stands torn behind it
	for _, c := range []struct{ was, is, says string }{{"", "", ""}, {"balloons need it", "nobody needs it.", "not as it was written, and what is told here may be wrong: " + path + ", line 6: changed"}} {
		if err := os.WriteFile(path, bytes.Replace(whole, []byte(c.was), []byte(c.is), 1), 0o644); err != nil {
			t.Fatal(err)
		}
		code, stdout, stderr := swell(t, "why", "node/ip-1", "--ledger", dir)
		if said := strings.Contains(stdout, "not as it was written"); code != 0 || said != (c.says != "") || !strings.Contains(stdout, c.says) {
			t.Errorf("%q for %q: code %d %s\n%s", c.is, c.was, code, stderr, stdout)
		}
	}
}

// A log of the scaler on standard input has other lines, which are counted; the log wraps nothing.
func TestExplainReadsALog(t *testing.T) {
	alone(t)
	raw, err := os.ReadFile(filepath.Join(storyLedger(t), ledger.FileName))
	if err != nil {
		t.Fatal(err)
	}
	root := rootCommand()
	var out bytes.Buffer
	root.SetArgs([]string{"explain", "group/spot-a", "--ledger", "-"})
	root.SetIn(strings.NewReader("I1123 starting\n{\"level\":\"INFO\",\"msg\":\"launch\",\"action\":\"x\"}\n" + string(raw)))
	root.SetOut(&out)
	if err := root.Execute(); err != nil || !strings.Contains(out.String(), "launch of 1 instance") || !strings.Contains(out.String(), "standard input: lines that are no entries of a ledger and were passed over: 4") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestExplainAsksTheCluster(t *testing.T) {
	event := func(kind, name string) string {
		return fmt.Sprintf(`{"items": [{"metadata": {"name": "x"}, "regarding": {"kind": %q, "name": %q}, "reason": "NoCapacityGroupFits", "note": "no node takes it", "reportingController": "swell-scaler", "eventTime": "2026-11-23T08:41:40.000000Z"},
			{"metadata": {"name": "y"}, "regarding": {"kind": %q, "name": "another"}, "reason": "Other", "note": "not this", "eventTime": "2026-11-23T08:41:40.000000Z"}]}`, kind, name, kind)
	}
	kubeconfig := whyServer(t, map[string]string{
		"/api/v1/namespaces/shop/pods/web-abc": `{"metadata": {"namespace": "shop", "name": "web-abc", "creationTimestamp": "2026-11-23T08:41:29Z"}, "spec": {"nodeName": "ip-1"},
			"status": {"conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-11-23T08:42:48Z"}]}}`,
		"/apis/events.k8s.io/v1/namespaces/shop/events": event("Pod", "web-abc"),
		"/apis/capacity.swell/v1alpha1/namespaces/shop/balloons/web": `{"metadata": {"namespace": "shop", "name": "web"}, "status": {"why": "4 balloons of 2.5: forecast 33, 24 pods running or on their way",
			"zones": [{"zone": "1a", "balloons": 4, "running": 3}], "conditions": [{"type": "WithinMax", "status": "False", "reason": "MaxReached", "message": "9 are wanted", "lastTransitionTime": "2026-11-23T08:00:00Z"}]}}`,
		"/api/v1/nodes/ip-1": `{"metadata": {"name": "ip-1", "creationTimestamp": "2026-11-23T08:42:00Z"}, "spec": {"providerID": "aws:///1a/i-1", "unschedulable": true}}`,
		"/api/v1/nodes":      `{"items": [{"metadata": {"name": "ip-1", "creationTimestamp": "2026-11-23T08:42:00Z"}, "spec": {"providerID": "aws:///1a/i-1"}}]}`,
		"/apis/capacity.swell/v1alpha1/capacitypools/general": `{"metadata": {"name": "general"}, "status": {"zones": [{"zone": "1a", "onDemand": 1, "spot": 2, "booting": 1}], "problems": ["has 1 of 2 nodes; lift the limit"]}}`,
	})
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"explain", "pod/shop/web-abc"}, []string{"It waited 1m19s for a place, and is on node ip-1.", "08:41:40  Event NoCapacityGroupFits of swell-scaler: no node takes it", "bound to node ip-1"}},
		{[]string{"why", "shop/web"}, []string{"balloon shop/web\n", "Now: 4 balloons of 2.5", "In 1a 3 of 4 balloons have a place.", "WithinMax is False since 2026-11-23 08:00:00 UTC, MaxReached: 9 are wanted."}},
		{[]string{"why", "node/ip-1"}, []string{"It is cordoned."}},
		{[]string{"why", "instance/i-1"}, []string{"It is node ip-1 now."}},
		{[]string{"why", "pool/general"}, []string{"1 on-demand and 2 spot nodes, 1 of them boot", "Problem: has 1 of 2 nodes; lift the limit."}},
		{[]string{"why", "pod/shop/web-abc", "--ledger", storyLedger(t)}, []string{"The launch of 1 instance in group spot-a"}},
	} {
		code, stdout, stderr := swell(t, append(c.args, "--kubeconfig", kubeconfig)...)
		if code != 0 {
			t.Errorf("%v: %d %s", c.args, code, stderr)
		}
		for _, want := range c.want {
			if !strings.Contains(stdout, want) {
				t.Errorf("%v: no %q in\n%s", c.args, want, stdout)
			}
		}
		if strings.Contains(stdout, "not this") {
			t.Errorf("%v: another object's Event:\n%s", c.args, stdout)
		}
	}
}

func TestWhatCannotBeExplained(t *testing.T) {
	alone(t)
	dir := storyLedger(t)
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no source":     {[]string{"pod/shop/web-abc"}, exitUsage, "or --ledger with the folder of a ledger"},
		"no ledger":     {[]string{"pod/shop/web-abc", "--ledger", "nowhere"}, exitUsage, "ledgerDir"},
		"an empty one":  {[]string{"pod/shop/web-abc", "--ledger", t.TempDir()}, exitUsage, "neither ledger.jsonl nor a segment"},
		"an odd time":   {[]string{"pod/shop/web-abc", "--ledger", dir, "--at", "nine"}, exitUsage, "--at is \"nine\"; give a time such as"},
		"an odd span":   {[]string{"pod/shop/web-abc", "--ledger", dir, "--since", "soon"}, exitUsage, "give a time such as 2h or 7d"},
		"now and then":  {[]string{"pod/shop/web-abc", "--at", "2026-11-23T09:00:00Z"}, exitUsage, "give --ledger"},
		"nobody":        {[]string{"shop/nobody", "--ledger", dir}, exitFailed, `nothing of the name "shop/nobody" is known in the ledger from 2026-11-23T08:41:30Z`},
		"a typo":        {[]string{"pod/shop/web-abd", "--ledger", dir}, exitFailed, "most alike are pod/shop/web-abc; give a name that was there, or a ledger of the time in which it was"},
		"a typo alone":  {[]string{"web-abd", "--ledger", dir}, exitFailed, "most alike are pod/shop/web-abc, "},
		"a part":        {[]string{"node/ip", "--ledger", dir}, exitFailed, "most alike are node/ip-1; give"},
		"of no kind":    {[]string{"pool/generl", "--ledger", dir}, exitFailed, "most alike are pool/general; give"},
		"a consumer":    {[]string{"consumer/shop/orders", "--ledger", dir}, exitFailed, "give --kubeconfig of the cluster"},
		"a name less":   {[]string{"pod/a/b/c", "--ledger", dir}, exitUsage, "is not pod/NAMESPACE/NAME"},
		"two":           {[]string{"pod/a/b", "pod/a/c"}, exitUsage, "name one object"},
		"other context": {[]string{"node/ip-1", "--ledger", dir, "--kubeconfig", "nowhere"}, exitUsage, "nowhere"},
	} {
		for _, command := range []string{"explain", "why"} {
			if name == "two" && command == "why" {
				continue
			}
			if code, _, stderr := swell(t, append([]string{command}, c.args...)...); code != c.code || !strings.Contains(stderr, c.says) {
				t.Errorf("%s, %s: code %d, %s; want %d and %q", name, command, code, stderr, c.code, c.says)
			}
		}
	}
}

// TestTheWhyPageShowsWhatIsPrinted runs the commands of the page on the ledger that stands with the tests.
func TestTheWhyPageShowsWhatIsPrinted(t *testing.T) {
	alone(t)
	shown := regexp.MustCompile("(?s)```\n\\$ swell ([^\n]*)\n(.*?)```").FindAllStringSubmatch(pages(t)["../../docs/why.md"], -1)
	if len(shown) != 4 {
		t.Fatalf("%d commands", len(shown))
	}
	t.Chdir("../..")
	for _, m := range shown {
		if code, stdout, stderr := swell(t, strings.Fields(m[1])...); code != 0 || stdout != m[2] {
			t.Errorf("swell %s: exit %d: %s\n%s", m[1], code, stderr, stdout)
		}
	}
}
