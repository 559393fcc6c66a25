package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"swell/bench/testbed/aws"
)

// what a node of the emulator gives is what Karpenter's provider leaves of the same type
func TestBothPeersAreGivenTheSameTypes(t *testing.T) {
	raw, err := karpenterTypes()
	if err != nil {
		t.Fatal(err)
	}
	var theirs []struct {
		Name      string
		Offerings []struct{ Price float64 }
		Resources map[string]string
	}
	if err := json.Unmarshal(raw, &theirs); err != nil {
		t.Fatal(err)
	}
	ours := fleet(30 * time.Second)
	if len(theirs) != len(ours.InstanceTypes) || len(ours.Groups) != len(theirs)*len(zones)*2 {
		t.Fatalf("%d types and %d of theirs, %d groups", len(ours.InstanceTypes), len(theirs), len(ours.Groups))
	}
	for _, x := range theirs {
		have := ours.InstanceTypes[x.Name].Allocatable
		for name, kept := range map[string]string{"cpu": "100m", "memory": "10Mi", "pods": "0", "ephemeral-storage": "0"} {
			left := resource.MustParse(x.Resources[name])
			left.Sub(resource.MustParse(kept))
			if q := resource.MustParse(have[name]); q.Cmp(left) != 0 {
				t.Errorf("%s %s: %s here, %s there", x.Name, name, have[name], left.String())
			}
		}
		if len(x.Offerings) != 6 || x.Offerings[0].Price != ours.Prices[x.Name].Spot || x.Offerings[1].Price != ours.Prices[x.Name].OnDemand {
			t.Errorf("%s is offered at %v, here at %+v", x.Name, x.Offerings, ours.Prices[x.Name])
		}
	}
	for zone, boot := range ours.Boot {
		if boot != (aws.Boot{P50: 30 * time.Second, P95: 30 * time.Second}) {
			t.Errorf("zone %s boots within %+v: want exactly 30 s", zone, boot)
		}
	}
}

func TestTheBillRunsFromTheLaunchToTheEnd(t *testing.T) {
	at := func(minutes float64) time.Time {
		return time.Unix(0, 0).Add(time.Duration(minutes * float64(time.Minute)))
	}
	w := &nodeWatch{lives: map[types.UID]*life{
		"before and after": {kind: "m6i.2xlarge", market: spot, came: at(-10)},
		"within":           {kind: "m6i.2xlarge", market: onDemand, came: at(11), gone: at(40)},
		"over":             {kind: "m6i.2xlarge", market: spot, came: at(-10), gone: at(-1)},
		"to come":          {kind: "m6i.2xlarge", market: spot, came: at(70)},
	}}
	hours, cost, err := w.bill(time.Minute, at(0), at(60))
	if err != nil || hours[spot] != 1 || hours[onDemand] != 0.5 || math.Abs(cost-0.184-0.5*0.496) > 1e-9 {
		t.Errorf("%v hours for %g, %v: want an hour of spot and half of one on demand", hours, cost, err)
	}
	if n, hourly := w.standing(); n != 2 || math.Abs(hourly-2*0.184) > 1e-9 {
		t.Errorf("%d stand at %g an hour, want the two that have not gone", n, hourly)
	}
	w.lives["strange"] = &life{kind: "other", market: spot, came: at(1)}
	if _, _, err := w.bill(time.Minute, at(0), at(60)); err == nil {
		t.Error("a node without a price is free")
	}
}

func TestPodsThatGoDoNotCountAsRunning(t *testing.T) {
	w := &podWatch{running: map[types.UID]time.Time{}, changed: make(chan struct{}, 1)}
	pod := func(uid types.UID, phase corev1.PodPhase) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: uid}, Status: corev1.PodStatus{Phase: phase}}
	}
	w.see(pod("a", corev1.PodRunning), false)
	w.see(pod("b", corev1.PodPending), false)
	_, first := w.count()
	w.see(pod("a", corev1.PodRunning), false) // nothing new
	if n, last := w.count(); n != 1 || last != first {
		t.Errorf("%d run", n)
	}
	going := pod("a", corev1.PodRunning)
	going.DeletionTimestamp = &metav1.Time{}
	w.see(going, false)
	if n, _ := w.count(); n != 0 {
		t.Errorf("%d run, one of them is being deleted", n)
	}
}

func TestTheHourIsSharedOutAndStaysWithinItsBounds(t *testing.T) {
	share := 0
	for _, w := range workloads {
		share += w.share
	}
	if share != 100 {
		t.Errorf("the workloads share %d of 100", share)
	}
	highest := 0.0
	for step := range steps {
		l := level(step)
		highest = max(highest, l)
		if l < quiet-1e-9 || l > 1+1e-9 {
			t.Errorf("step %d is %g of the peak", step, l)
		}
	}
	if highest < 0.95 || level(0) != quiet || level(steps-1) != quiet {
		t.Errorf("the hour begins at %g, ends at %g and rises to %g", level(0), level(steps-1), highest)
	}
}

func TestThePageHasEveryFigureAndNamesThePeer(t *testing.T) {
	b := &bench{options: options{doc: filepath.Join(t.TempDir(), "page.md")}, out: &bytes.Buffer{}, log: io.Discard}
	for _, f := range []struct{ metric, peer string }{{"tick_ms", ""}, {"all_running_s", karpenter}, {"cost", ""}} {
		labels := map[string]string{"pods": "7"}
		if f.peer != "" {
			labels["peer"] = f.peer
		}
		if err := b.add(f.metric, "u", 12.345, labels); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.writePage(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(b.doc)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| swell | tick_ms | 12.3 | u | pods 7 |", "| karpenter | all_running_s | 12.3 | u | pods 7 |", "Not measured.", "| swell | cost | 12.3"} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
