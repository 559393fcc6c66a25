package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	emulator "swell/bench/testbed/aws"
	"swell/nodegroups/aws"
)

// account is an emulated AWS account, and the files that swell check aws is given.
type account struct {
	t            *testing.T
	e            *emulator.Emulator
	config, pool string
}

func newAccount(t *testing.T, tag, more string) account {
	t.Helper()
	return newAccountOf(t, tag, more, func(*emulator.Fleet) {})
}

func newAccountOf(t *testing.T, tag, more string, change func(*emulator.Fleet)) account {
	t.Helper()
	fleet, err := emulator.ReadFleet("../../bench/testbed/aws/testdata/fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	change(&fleet)
	e, err := emulator.New(emulator.Options{Fleet: fleet, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	t.Cleanup(e.Close)
	dir := t.TempDir()
	a := account{t: t, e: e, config: filepath.Join(dir, "scaler.yaml"), pool: filepath.Join(dir, "pools.yaml")}
	for file, text := range map[string]string{
		a.config: fmt.Sprintf("aws: {region: ap-northeast-1, endpoint: %q, queueURL: %q}\nledgerDir: %s\n", server.URL, server.URL+"/123456789012/interruptions", dir),
		a.pool: "apiVersion: capacity.swell/v1alpha1\nkind: Balloon\nmetadata: {name: b}\nspec: {max: 4}\n---\napiVersion: capacity.swell/v1alpha1\nkind: CapacityPool\n" +
			"metadata: {name: general}\nspec: {groups: {tags: {swell/pool: " + tag + "}}" + more + "}\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func (a account) check(args ...string) (code int, stdout, stderr string) {
	a.t.Helper()
	var out, errs bytes.Buffer
	code = run(append([]string{"check", "aws", "--config", a.config, "--pools", a.pool}, args...), &out, &errs)
	return code, out.String(), errs.String()
}

func (a account) findings() (code int, found map[string]aws.FindingStatus) {
	a.t.Helper()
	code, stdout, _ := a.check("--json")
	var out awsOutput
	if err := json.Unmarshal([]byte(stdout), &out); err != nil {
		a.t.Fatalf("%v in %s", err, stdout)
	}
	if (code == 0) != out.OK || out.OK != (out.Problems == 0) {
		a.t.Errorf("exit code %d, ok %t, problems %d", code, out.OK, out.Problems)
	}
	found = map[string]aws.FindingStatus{}
	for _, f := range out.Findings {
		key := f.Check + " " + f.At
		if found[key] != aws.FindingProblem {
			found[key] = f.Status
		}
		if f.Status == aws.FindingProblem && f.Mend == "" && !strings.Contains(f.What, ";") {
			a.t.Errorf("no mend: %+v", f)
		}
	}
	return code, found
}

func TestCheckAWSOfASoundAccount(t *testing.T) {
	a := newAccount(t, "other", "")
	code, found := a.findings()
	if code != 0 {
		t.Fatalf("exit code %d, %v", code, found)
	}
	for _, want := range []string{"clock ap-northeast-1", "permission ec2:DescribeInstances", "permission ec2:DescribeSubnets", "group other-1d", "subnets other-1d"} {
		if found[want] == "" || found[want] == aws.FindingProblem {
			t.Errorf("%s is %q", want, found[want])
		}
	}
	_, stdout, _ := a.check()
	if !strings.Contains(stdout, "not proven") {
		t.Error("what cannot be known is not told of")
	}
}

func TestCheckAWSTellsWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		tag, more, at string
		fault         emulator.Fault
	}{
		"a subnet that runs short": {tag: "general", at: "subnets general-1c-spot"},
		"a group of zones":         {tag: "wide", at: "group wide"},
		"a tag that none has":      {tag: "typo", at: "group pool general"},
		"a missing permission":     {tag: "other", at: "permission ec2:DescribeInstanceTypes", fault: emulator.Fault{Action: "DescribeInstanceTypes"}},
		"more nodes than groups":   {tag: "other", more: ", limits: {maxNodes: 50}", at: "group pool general"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t, c.tag, c.more)
			if c.fault.Action != "" {
				if _, err := a.e.Control("deny", emulator.Order{Fault: c.fault}); err != nil {
					t.Fatal(err)
				}
			}
			if code, found := a.findings(); code != exitFailed || found[c.at] != aws.FindingProblem {
				t.Errorf("exit code %d, %s is %q of %v", code, c.at, found[c.at], found)
			}
		})
	}
}

func TestCheckAWSNeverTakesTheUnknownForOK(t *testing.T) {
	a := newAccount(t, "other", "")
	for _, action := range []string{"DescribePolicies", "DescribeScheduledActions", "DescribeInstanceRefreshes", "DescribeSubnets", "GetCallerIdentity", "ListServiceQuotas", "GetQueueAttributes"} {
		if _, err := a.e.Control("deny", emulator.Order{Fault: emulator.Fault{Action: action}}); err != nil {
			t.Fatal(err)
		}
	}
	_, found := a.findings()
	for _, at := range []string{"permission autoscaling:LaunchInstances", "quota vCPUs", "subnets other-1d"} {
		if found[at] != aws.NotProven {
			t.Errorf("%s is %q, want not proven", at, found[at])
		}
	}
}

// That the cluster refuses, or has nothing to check, is no fault of the flags.
func TestCheckAWSOfAClusterThatGivesNoPools(t *testing.T) {
	a := newAccount(t, "other", "")
	all := "/apis/capacity.swell/v1alpha1/capacitypools"
	for name, c := range map[string]struct {
		answers map[string]string
		context string
		code    int
		words   string
	}{
		"it refuses":      {map[string]string{all: "503 etcd is away"}, "here", exitFailed, "etcd is away"},
		"nobody answers":  {nil, "gone", exitFailed, "reading the cluster's CapacityPools"},
		"it has none":     {map[string]string{all: `{"items": []}`}, "here", exitFailed, "no CapacityPool in the cluster"},
		"no such context": {nil, "nowhere", exitUsage, "--context"},
		"it has one":      {map[string]string{all: `{"items": [{"metadata": {"name": "p"}, "spec": {"groups": {"tags": {"swell/pool": "other"}}}}]}`}, "here", 0, ""},
	} {
		code, _, stderr := swell(t, "check", "aws", "--config", a.config, "--kubeconfig", whyServer(t, c.answers), "--context", c.context)
		if code != c.code || !strings.Contains(stderr, c.words) {
			t.Errorf("%s: exit code %d, want %d: %s", name, code, c.code, stderr)
		}
	}
}

func TestCheckAWSOfBadUsage(t *testing.T) {
	a := newAccount(t, "other", "")
	for _, args := range [][]string{{"check", "aws"}, {"check", "aws", "--config", a.pool, "--pools", a.pool}, {"check", "aws", "--config", a.config, "--pools", a.config}, {"check", "aws", "--config", a.config, "--pools", "missing"}} {
		var out, errs bytes.Buffer
		if code := run(args, &out, &errs); code != exitUsage {
			t.Errorf("%v: exit code %d, %s", args, code, &errs)
		}
	}
}

// found is what a check says of an object, with the mend.
func (a account) found(at string) string {
	a.t.Helper()
	_, stdout, _ := a.check("--json")
	var out awsOutput
	if err := json.Unmarshal([]byte(stdout), &out); err != nil {
		a.t.Fatalf("%v in %s", err, stdout)
	}
	var words []string
	for _, f := range out.Findings {
		if f.At == at {
			words = append(words, string(f.Status)+": "+f.What+"; "+f.Mend)
		}
	}
	return strings.Join(words, "\n")
}

func (a account) configure(text string) {
	a.t.Helper()
	raw, err := os.ReadFile(a.config)
	if err != nil {
		a.t.Fatal(err)
	}
	if err := os.WriteFile(a.config, append(raw, text...), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// A group of another cluster with the same tags loses its instances to whoever takes it for its own.
func TestCheckAWSTellsWhoseAGroupIs(t *testing.T) {
	for _, c := range []struct{ tag, cluster, says string }{
		{"kubernetes.io/cluster/blue", "", "not proven: it is of cluster blue by its tags; whether that is this one is not known, as clusterName is empty"},
		{"kubernetes.io/cluster/blue", "green", "problem: it is of cluster blue by its tags, and clusterName is green"},
		{"kubernetes.io/cluster/blue", "blue", ""},
		{"", "", "not proven: no tag says which cluster it is of, and clusterName is empty"},
		{"", "green", "not proven: no tag says which cluster it is of; tag it swell/cluster=green"},
	} {
		a := newAccountOf(t, "other", "", func(f *emulator.Fleet) {
			if c.tag != "" {
				f.Groups[3].Tags[c.tag] = "owned"
			}
		})
		if c.cluster != "" {
			a.configure("clusterName: " + c.cluster + "\n")
		}
		got := a.found("group other-1d")
		if got == "" {
			got = a.found("other-1d")
		}
		if c.says == "" && strings.Contains(got, "cluster") || !strings.Contains(got, c.says) {
			t.Errorf("tag %q, clusterName %q: %s\nwant %s", c.tag, c.cluster, got, c.says)
		}
	}
}

func TestCheckAWSTellsWhoCompletesTerminationHooks(t *testing.T) {
	a := newAccountOf(t, "other", "", func(f *emulator.Fleet) {
		f.Groups[3].Hooks = []emulator.Hook{{Name: "swell-drain", Transition: "terminating", Heartbeat: 5 * time.Minute, Result: "CONTINUE"},
			{Name: "logs", Transition: "terminating", Heartbeat: time.Hour, Result: "ABANDON"}, {Name: "start", Transition: "launching", Heartbeat: time.Hour, Result: "ABANDON"}}
	})
	got := a.found("other-1d")
	for _, want := range []string{"ok: its termination hook swell-drain (300 s without a heartbeat, then CONTINUE) is completed by swell", "not proven: its termination hook logs (3600 s without a heartbeat, then ABANDON) is not completed by swell"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	if strings.Contains(got, "start") {
		t.Errorf("%s\na launch hook holds up no return", got)
	}
}
