package scaler_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"swell/bench/testbed/controlplane"
	"swell/bench/testbed/stack"
	"swell/scaler/ledger"
	"swell/scaler/policydiff"
)

// 30 pods and a dozen balloons of 2.5 hold two nodes in each of three zones for twenty minutes, in which the scaler is killed once. What
// its ledger makes of that is held against AWS's own log, and what a policy without balloons would have cost against what can be
// counted by hand: 10 pods of a core in each zone need one node of 15.5.
func TestAPolicyDiffOfAScalersOwnLedger(t *testing.T) {
	w := start(t, fleet(2), 30, 12, wellBelow30)
	w.settled(12)
	began := time.Now()
	w.Scaler.Kill()
	if err := w.Scaler.Restart(); err != nil {
		t.Fatal(err)
	}
	const least = 21 * time.Minute // of model time; the first five minutes are not played
	err := stack.Poll(t.Context(), "the ledger has decisions for 21 minutes", 5*time.Minute, func(context.Context) (bool, error) {
		from, to := w.sizings()
		return to.Sub(from) > least, fmt.Errorf("they are from %s to %s", from, to)
	})
	if err != nil {
		t.Fatal(err, time.Since(began))
	}
	w.Scaler.Kill()
	out := w.policyDiff(`
apiVersion: capacity.swell/v1alpha1
kind: Balloon
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  chunk: "2.5"
  min: 0
  max: 20
`)
	const scan = 30 // seconds, in which the replay goes on
	played := math.Ceil(float64(out.To.Unix()-out.From.Unix())/scan) * scan / 3600
	nodes, cost, billed := 0, 0.0, 0.0
	for _, i := range w.instances() {
		from, to := w.Clock.At(i.Launched), out.To
		if !i.Terminated.IsZero() {
			to = w.Clock.At(i.Terminated)
		}
		from, to = later(from, out.From), earlier(to, out.To)
		if h := to.Sub(from).Hours(); h > 0 {
			nodes, billed, cost = nodes+1, billed+h, cost+h**i.PricePerHour
		}
	}
	near := func(what string, got *float64, want, by float64) {
		t.Helper()
		if got == nil || math.Abs(*got-want) > by {
			t.Errorf("%s is %s, want %g", what, show(got), want)
		}
	}
	sum := func(by map[string]float64) *float64 { s := by["spot"] + by["on-demand"]; return &s }
	if out.Life.Instances != nodes || nodes < 6 {
		t.Errorf("the ledger recorded %d instances, AWS %d", out.Life.Instances, nodes)
	}
	near("what the ledger recorded, in node-hours,", sum(out.Life.NodeHours), billed, 0.01)
	near("what it cost", out.Life.Cost, cost, 0.01)
	near("the replay of the old policy, in node-hours,", sum(out.Old.NodeHours), 6*played, 0.01)
	near("its cost", out.Old.Cost, 0.35*6*played, 0.01)
	near("the room in it", &out.Old.RoomHours, 12*2.5/15.5*played, 0.01)
	near("the new policy's cost", out.New.Cost, 0.35*3*played, 0.01)
	if out.Old.Unserved != 0 || out.New.Unserved != 0 || out.Life.Unserved == nil || *out.Life.Unserved != 0 {
		t.Errorf("unserved are %g, %g, and %s by the ledger: want none", out.Old.Unserved, out.New.Unserved, show(out.Life.Unserved))
	}
	if c := out.Changes; len(c) != 1 || strings.Join(c[0].Differences, "; ") != "min: 12 → 0" {
		t.Errorf("the changes are %+v", c)
	}
}

// sizings are the first and the last decision on a Balloon in the ledger.
func (w world) sizings() (from, to time.Time) {
	w.t.Helper()
	err := ledger.Walk(w.LedgerDir(), time.Time{}, time.Time{}, func(e ledger.Entry) error {
		if e.Sizing != nil {
			if from.IsZero() {
				from = e.Model
			}
			to = e.Model
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return from, to
}

// policyDiff is what swell itself says of a changed policy.
func (w world) policyDiff(policy string) (out policydiff.Output) {
	w.t.Helper()
	root, err := controlplane.ModuleRoot()
	if err != nil {
		w.t.Fatal(err)
	}
	file := filepath.Join(w.t.TempDir(), "new.yaml")
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		w.t.Fatal(err)
	}
	command := exec.CommandContext(w.t.Context(), filepath.Join(root, "bin", "swell"), "replay", "--from-ledger", w.LedgerDir(), "--policy-diff", file, "--json")
	command.Stderr = os.Stderr
	raw, err := command.Output()
	if err != nil {
		w.t.Fatalf("%v: %v", command.Args, err)
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		w.t.Fatal(err)
	}
	w.t.Logf("%s", raw)
	return out
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func show(v *float64) string {
	if v == nil {
		return "unknown"
	}
	return fmt.Sprint(*v)
}
