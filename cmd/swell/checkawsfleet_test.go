package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	emulator "swell/bench/testbed/aws"
	"swell/nodegroups/aws"
)

// finding that begins with check and at and has the words.
func (a account) finding(status aws.FindingStatus, at, words string) bool {
	a.t.Helper()
	_, stdout, _ := a.check("--json")
	var out awsOutput
	if err := json.Unmarshal([]byte(stdout), &out); err != nil {
		a.t.Fatalf("%v in %s", err, stdout)
	}
	for _, f := range out.Findings {
		if f.Status == status && f.Check+" "+f.At == at && strings.Contains(f.What, words) {
			return f.Status != aws.FindingProblem || f.Mend != ""
		}
	}
	return false
}

// other changes the group of the pool.
func other(change func(*emulator.Group)) func(*emulator.Fleet) {
	return func(f *emulator.Fleet) {
		for i := range f.Groups {
			if f.Groups[i].Name == "other-1d" {
				change(&f.Groups[i])
			}
		}
	}
}

func gpus(quotas map[string]float64) func(*emulator.Fleet) {
	return func(f *emulator.Fleet) {
		f.InstanceTypes["g5.4xlarge"] = emulator.InstanceType{VCPU: 16, MemoryMiB: 65536}
		f.Prices["g5.4xlarge"] = emulator.Price{OnDemand: 2, Spot: 1}
		f.Quotas = quotas
		other(func(g *emulator.Group) { g.InstanceTypes = []string{"g5.4xlarge"} })(f)
	}
}

func TestCheckAWSTellsWhatElseActsOnAGroupAndWhichQuotaIsTooSmall(t *testing.T) {
	for name, c := range map[string]struct {
		change    func(*emulator.Fleet)
		more      string
		status    aws.FindingStatus
		at, words string
	}{
		"a scaling policy":  {change: other(func(g *emulator.Group) { g.Policies = []string{"cpu-50"} }), status: aws.FindingProblem, at: "group other-1d", words: "scaling policy cpu-50"},
		"no scaling policy": {change: other(func(*emulator.Group) {}), status: aws.FindingOK, at: "group other-1d", words: "no scaling policy"},
		"a scheduled action": {change: other(func(g *emulator.Group) {
			g.ScheduledActions = []emulator.ScheduledAction{{Name: "night", Recurrence: "0 1 * * *", Desired: new(0)}}
		}), status: aws.FindingProblem, at: "group other-1d", words: "scheduled action night"},
		"a refresh under way":         {change: other(func(g *emulator.Group) { g.Refreshes = []string{"InProgress", "Successful"} }), status: aws.FindingProblem, at: "group other-1d", words: "instance refresh is InProgress"},
		"a refresh that bakes":        {change: other(func(g *emulator.Group) { g.Refreshes = []string{"Baking"} }), status: aws.FindingProblem, at: "group other-1d", words: "instance refresh is Baking"},
		"a refresh that is over":      {change: other(func(g *emulator.Group) { g.Refreshes = []string{"Successful", "Cancelled", "RollbackSuccessful"} }), status: aws.FindingOK, at: "group other-1d", words: "no instance refresh under way"},
		"a quota that is too small":   {change: func(f *emulator.Fleet) { f.Quotas = map[string]float64{emulator.QuotaOnDemand: 79} }, status: aws.FindingProblem, at: "quota on-demand vCPUs", words: "is 79, and the pools at their largest take 80"},
		"a quota that just holds":     {change: func(f *emulator.Fleet) { f.Quotas = map[string]float64{emulator.QuotaOnDemand: 80} }, status: aws.FindingOK, at: "quota on-demand vCPUs", words: "largest, 80;"},
		"a limit that keeps below it": {change: func(f *emulator.Fleet) { f.Quotas = map[string]float64{emulator.QuotaOnDemand: 79} }, more: ", limits: {maxNodes: 4}", status: aws.FindingOK, at: "quota on-demand vCPUs", words: "largest, 64;"},
		"GPUs count on their own":     {change: gpus(map[string]float64{emulator.QuotaOnDemandGPU: 8}), status: aws.FindingProblem, at: "quota on-demand G and VT vCPUs", words: "L-DB2E81BA is 8, and the pools at their largest take 80"},
		"GPUs are not standard":       {change: gpus(map[string]float64{emulator.QuotaOnDemand: 8}), status: aws.FindingOK, at: "quota on-demand G and VT vCPUs", words: "L-DB2E81BA of 100000"},
		"spot GPUs have another quota": {change: func(f *emulator.Fleet) {
			gpus(map[string]float64{emulator.QuotaSpotGPU: 8})(f)
			other(func(g *emulator.Group) { g.Market = "spot" })(f)
		}, status: aws.FindingProblem, at: "quota spot G and VT vCPUs", words: "L-3819A6DF is 8"},
		"a queue":                     {change: func(*emulator.Fleet) {}, status: aws.FindingOK, at: "queue ", words: "it is there, with 0 messages"},
		"a queue that is not there":   {change: func(f *emulator.Fleet) { f.Queue = "elsewhere" }, status: aws.FindingProblem, at: "queue ", words: "no such queue"},
		"savings plans, prepaid read": {change: func(*emulator.Fleet) {}, more: ", purchase: {prepaid: Read}", status: aws.FindingOK, at: "permission savingsplans:DescribeSavingsPlans", words: "by a call"},
		"a role":                      {change: func(f *emulator.Fleet) { f.Caller = "arn:aws:sts::123456789012:assumed-role/scaler/session" }, status: aws.FindingOK, at: "permission autoscaling:LaunchInstances", words: "IAM's simulation"},
		"a role with a path": {change: func(f *emulator.Fleet) {
			f.Caller, f.RolePath = "arn:aws:sts::123456789012:assumed-role/scaler/session", "/teams/infra/"
		}, status: aws.FindingOK, at: "permission autoscaling:LaunchInstances", words: "IAM's simulation"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAccountOf(t, "other", c.more, c.change)
			if c.at == "queue " {
				c.at += a.queue()
			}
			if !a.finding(c.status, c.at, c.words) {
				_, stdout, _ := a.check()
				t.Errorf("no %s of %s with %q in\n%s", c.status, c.at, c.words, stdout)
			}
		})
	}
}

func (a account) queue() string {
	a.t.Helper()
	text, err := os.ReadFile(a.config)
	if err != nil {
		a.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), `queueURL: "`)
	url, _, _ := strings.Cut(rest, `"`)
	return url
}

func TestCheckAWSWithoutIAMsSimulationProvesNoAction(t *testing.T) {
	for name, c := range map[string]struct {
		action, path, words string
		status              aws.FindingStatus
	}{
		"the simulation is denied":       {action: "SimulatePrincipalPolicy", path: "/", words: "AccessDenied", status: aws.NotProven},
		"the role's path is not shown":   {action: "GetRole", path: "/teams/", words: "allow iam:GetRole", status: aws.NotProven},
		"an action is denied":            {action: "LaunchInstances", path: "/", words: "refused", status: aws.FindingProblem},
		"an action of a path's role, is": {action: "LaunchInstances", path: "/teams/", words: "refused", status: aws.FindingProblem},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAccountOf(t, "other", "", func(f *emulator.Fleet) {
				f.Caller, f.RolePath = "arn:aws:sts::123456789012:assumed-role/scaler/session", c.path
			})
			if _, err := a.e.Control("deny", emulator.Order{Fault: emulator.Fault{Action: c.action}}); err != nil {
				t.Fatal(err)
			}
			if !a.finding(c.status, "permission autoscaling:LaunchInstances", c.words) {
				_, stdout, _ := a.check()
				t.Errorf("no %s with %q in\n%s", c.status, c.words, stdout)
			}
		})
	}
}

func TestCheckAWSTableOfATroubledAccountIsReadable(t *testing.T) {
	a := newAccountOf(t, "other", "", other(func(g *emulator.Group) { g.Policies, g.Refreshes = []string{"cpu-50"}, []string{"InProgress"} }))
	code, stdout, stderr := a.check()
	t.Logf("\n%s%s", stdout, stderr)
	for _, line := range strings.Split(strings.TrimSpace(stdout), "\n") {
		if !strings.HasPrefix(line, "STATUS ") && !strings.HasPrefix(line, "ok") && !strings.HasPrefix(line, "problem") && !strings.HasPrefix(line, "not proven") {
			t.Errorf("a line without a status: %q", line)
		}
	}
	if code != exitFailed || !strings.Contains(stderr, "problems: 2") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}
