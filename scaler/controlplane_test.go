package scaler_test

import (
	"fmt"
	"strings"
	"testing"

	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/bench/testbed/controlplane"
	"swell/bench/testbed/stack"
)

// 15 pods and balloons for 15 more stand on three nodes; the forecast is a little below 30 pods. A burst to 30 takes the balloons' places:
// nothing is bought for the pods, which wait for no boot, nor for the balloons, which are no longer wanted.
func TestABurstThatBalloonsMakeRoomForBuysNothing(t *testing.T) {
	w := start(t, fleet(1), 15, 0, wellBelow30)
	w.settled(6)
	before := w.launched()
	w.scale(30)
	w.until("the burst runs", func() (bool, string) {
		n := w.bound("app=web")
		return n == 30, fmt.Sprintf("%d of 30 pods are bound", n)
	})
	w.settled(0)
	if n := w.launched() - before; n != 0 {
		t.Errorf("%d instances were launched for a burst that balloons made room for: want none", n)
	}
	w.compareWithLedger()
}

// With a floor of six balloons, those whose places the burst took are wanted again. Beside 30 pods three nodes have room for
// all six where the scheduler spread the pods evenly; a zone where it did not needs one node more, for its balloons, and
// none needs another for the pods themselves.
func TestABurstBuysNoNodeTwice(t *testing.T) {
	w := start(t, fleet(1), 15, 6, 0)
	w.settled(6)
	w.scale(30)
	w.until("the burst runs", func() (bool, string) {
		n := w.bound("app=web")
		return n == 30, fmt.Sprintf("%d of 30 pods are bound", n)
	})
	w.settled(6)
	more := 0
	for zone, nodes := range w.coresByZone() {
		more += len(nodes) - 1
		sum := 0.0
		for _, cores := range nodes {
			sum += cores
		}
		if len(nodes) > 1 && sum <= 15.5 || len(nodes) > 2 {
			t.Errorf("zone %s has nodes with %v cores asked for: one with 15.5 has room for that", zone, nodes)
		}
	}
	if n := w.launched(); n != more {
		t.Errorf("%d instances were launched and %d nodes more are there: want each launch to be one of them", n, more)
	}
	w.compareWithLedger()
}

// A pod that no node has room for is answered by a launch, and the launch is in AWS's log once although the scaler is
// killed at that moment and started again.
func TestAKilledScalerLaunchesNothingTwice(t *testing.T) {
	w := start(t, fleet(1), 15, 0, 0)
	w.settled(0)
	w.scale(90)
	w.until("something is launched", func() (bool, string) { return w.launched() > 0, "no launch yet" })
	w.Scaler.Kill()
	if err := w.Scaler.Restart(); err != nil {
		t.Fatal(err)
	}
	w.until("all pods run", func() (bool, string) {
		n := w.bound("app=web")
		return n == 90, fmt.Sprintf("%d of 90 pods are bound", n)
	})
	w.settled(0)
	// 90 pods at 15 a node are 6 nodes; three are there
	if n := w.launched(); n != 3 {
		t.Errorf("%d instances were launched: want 3", n)
	}
}

// 75 pods hold five nodes; when 45 of them go, the nodes that are not needed any more are drained and returned one
// by one, by the call that lowers the group's desired capacity, and no zone's last node goes with a pod on it unevicted.
func TestNodesThatNobodyNeedsAreReturned(t *testing.T) {
	w := start(t, fleet(1), 45, 0, 0)
	w.scale(75)
	w.until("the nodes for 75 pods run", func() (bool, string) {
		n := w.bound("app=web")
		return n == 75, fmt.Sprintf("%d of 75 pods are bound", n)
	})
	if n := w.alive(); n != 5 {
		t.Fatalf("%d nodes hold 75 pods: want five", n)
	}
	w.scale(30)
	w.until("two or three nodes are left", func() (bool, string) {
		n := w.alive()
		return n <= 3, fmt.Sprintf("%d are", n)
	})
	w.settled(0)
	if n := w.bound("app=web"); n != 30 {
		t.Errorf("%d pods are bound: want all 30", n)
	}
	returned := 0
	for _, c := range w.calls() {
		if c.Action == "TerminateInstanceInAutoScalingGroup" && c.Status == 200 {
			returned++
		}
		if c.Action == "SetDesiredCapacity" {
			t.Errorf("the desired capacity of %s was set: nodes are returned by their own id", c.Group)
		}
	}
	if returned == 0 {
		t.Error("no instance was returned by the decrementing call")
	}
	w.evictedOnly()
	w.compareWithLedger()
}

// A spot instance that is about to be reclaimed is replaced first, then drained, then returned, and its group does not
// launch another by itself.
func TestAnInterruptedInstanceIsReplacedFirst(t *testing.T) {
	w := start(t, fleet(2), 80, 0, 0)
	w.settled(0)
	before := w.launched()
	lost := w.interrupt()
	w.until("the replacement is launched", func() (bool, string) { return w.launched() > before, "no launch yet" })
	w.until("the interrupted instance is gone", func() (bool, string) {
		for _, i := range w.instances() {
			if i.ID == lost {
				return !i.Terminated.IsZero(), "it is still there"
			}
		}
		return false, "AWS does not know it"
	})
	w.until("all pods run", func() (bool, string) {
		n := w.bound("app=web")
		return n == 80, fmt.Sprintf("%d of 80 pods are bound", n)
	})
	w.settled(0)
	if n := w.launched() - before; n != 1 {
		t.Errorf("%d instances were launched for one that was lost: want 1", n)
	}
	w.evictedOnly()
}

func TestAPoolWithoutGroupsSaysWhatToMend(t *testing.T) {
	w := start(t, fleet(1), 3, 0, 0)
	w.apply(strings.Replace(fmt.Sprintf(pool, "nowhere"), "name: general", "name: lost", 1))
	w.until("the pool's condition names the tags", func() (bool, string) {
		status := w.poolCondition("lost")
		return strings.Contains(status, "swell/pool") && strings.Contains(status, "nowhere") && strings.Contains(status, "False"), status
	})
	w.until("the other pool goes on", func() (bool, string) {
		status := w.poolCondition("general")
		return strings.HasPrefix(status, "True"), status
	})
}

func TestAnUnknownFieldOfAKindIsRefusedByName(t *testing.T) {
	controlplane.BinaryForTest(t)
	st, err := stack.Start(t.Context(), stack.Options{Speed: speed, Fleet: fleet(0)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Stop(); err != nil {
			t.Error(err)
		}
	}()
	for name, c := range map[string]struct{ yaml, names string }{
		"unknown field":          {strings.Replace(fmt.Sprintf(workload, 1, 0), "chunk:", "chunks:", 1), "spec.chunks"},
		"out of range":           {strings.Replace(fmt.Sprintf(workload, 1, 0), `"2.5"`, `"-1"`, 1), "spec.chunk"},
		"share of more than all": {strings.Replace(fmt.Sprintf(workload, 1, 0), "max: 20", "max: 20\n  share: 150%", 1), "spec.share"},
		"max below min":          {fmt.Sprintf(workload, 1, 30), "max must be at least min"},
	} {
		err := st.Apply(t.Context(), "web.yaml", []byte(c.yaml))
		if err == nil || !strings.Contains(err.Error(), c.names) || !strings.Contains(err.Error(), "Balloon web") {
			t.Errorf("%s: %v: want an error that names Balloon web and %q", name, err, c.names)
		}
	}
}

// Pods that no group can take are told so, once for all that one controller made.
func TestPodsThatNothingTakesGetOneEvent(t *testing.T) {
	w := start(t, fleet(1), 3, 0, 0)
	w.apply(strings.NewReplacer("name: web", "name: huge", "app: web", "app: huge", `cpu: "1"`, `cpu: "64"`).Replace(
		fmt.Sprintf(strings.Split(workload, "---")[0], 20)))
	list := func() []eventsv1.Event {
		all, err := w.Kube.EventsV1().Events("shop").List(t.Context(), metav1.ListOptions{FieldSelector: "reason=NoCapacityGroupFits"})
		if err != nil {
			t.Fatal(err)
		}
		return all.Items
	}
	w.until("there is an Event", func() (bool, string) { return len(list()) > 0, "there is none" })
	w.scale(20) // plans go on
	w.until("20 pods of web run", func() (bool, string) {
		n := w.bound("app=web")
		return n == 20, fmt.Sprintf("%d are bound", n)
	})
	found := list()
	e := found[0]
	if len(found) > 2 || e.Regarding.Kind != "Pod" || !strings.Contains(e.Note, "spot-a: ") || e.Type != "Warning" {
		t.Errorf("%d Events, of %s %s: %s", len(found), e.Regarding.Kind, e.Regarding.Name, e.Note)
	}
	t.Log(e.Note)
}
