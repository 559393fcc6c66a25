package scaler_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"swell/api/v1alpha1"
	"swell/bench/measure"
	"swell/bench/testbed/aws"
	"swell/bench/testbed/stack"
	"swell/scaler/ledger"
)

// Instances of one zone stop becoming Nodes. They are given up after twice the 99th percentile that boots of their like took, are
// returned by their ids, and what waited for them is bought in the other zones.
func TestInstancesThatNeverJoinAreReturnedAndReplacedElsewhere(t *testing.T) {
	const zone = "ap-northeast-1a"
	w := start(t, fleet(4), 180, 0, 0) // 15 a node
	w.settled(0)
	w.order("slow", aws.Order{Fault: aws.Fault{Zone: zone, Factor: 10000}})
	w.scale(225)
	w.until("something is launched in the zone", func() (bool, string) {
		all, _ := w.newIn(zone)
		return len(all) > 0, "nothing is"
	})
	w.order("capacity", aws.Order{Fault: aws.Fault{Zone: zone}}) // so that what waits for it goes elsewhere
	limit := w.joinsWithin(zone)
	w.within(limit, "an instance that does not join is given up", func() (bool, string) {
		now := w.joinsWithin(zone) // boots that were seen meanwhile count too
		all, returned := w.newIn(zone)
		if len(returned) == 0 {
			limit = now
		}
		return len(returned) > 0, fmt.Sprintf("none of %d is", len(all))
	})
	_, returned := w.newIn(zone)
	if waited := time.Duration(speed * float64(returned[0].Terminating.Sub(returned[0].Launched))); waited < limit-time.Second {
		t.Errorf("%s was given up after %s: want not before %s", returned[0].ID, waited, limit)
	}
	w.until("all pods run", func() (bool, string) {
		n := w.bound("app=web")
		return n == 225, fmt.Sprintf("%d of 225 pods are bound", n)
	})
	w.within(2*limit, "all that never joined are given up", func() (bool, string) {
		all, returned := w.newIn(zone)
		return len(all) == len(returned), fmt.Sprintf("%d of %d are", len(returned), len(all))
	})
	if w.ended("SetDesiredCapacity") > 0 {
		t.Error("a desired capacity was set: instances are returned by their ids")
	}
	if nodes := w.coresByZone()[zone]; len(nodes) != 4 {
		t.Errorf("the zone has %d nodes: want the four that it had", len(nodes))
	}
	entries, _, err := ledger.Read(w.LedgerDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Action == "terminate" && e.Phase == ledger.Intent && !strings.Contains(e.Reason, "has no Node") {
			t.Errorf("%s was returned: %s", e.Object, e.Reason)
		}
	}
}

// newIn are the instances that were launched in a zone beside the fleet's first, and those of them that were returned, by their
// launch.
func (w world) newIn(zone string) (all, returned []measure.Instance) {
	w.t.Helper()
	for _, i := range w.instances() {
		if i.Cause == "initial" || i.Zone != zone {
			continue
		}
		all = append(all, i)
		if !i.Terminating.IsZero() {
			returned = append(returned, i)
		}
	}
	return all, returned
}

// within is until with as much longer, in model time.
func (w world) within(longer time.Duration, what string, done func() (bool, string)) {
	w.t.Helper()
	err := stack.Poll(w.t.Context(), what, longer/speed+40*time.Second, func(context.Context) (bool, error) {
		ok, state := done()
		return ok, errors.New(state)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// joinsWithin is how long an instance of the zone is waited for, by the boot times in the pool's status.
func (w world) joinsWithin(zone string) (limit time.Duration) {
	w.t.Helper()
	w.until("boots of "+zone+" are learned", func() (bool, string) {
		raw, err := w.Kube.Discovery().RESTClient().Get().AbsPath("/apis/capacity.swell/v1alpha1/capacitypools/general").DoRaw(w.t.Context())
		var pool v1alpha1.CapacityPool
		if err == nil {
			err = json.Unmarshal(raw, &pool)
		}
		if err != nil {
			w.t.Fatal(err)
		}
		for _, b := range pool.Status.LearnedBoot {
			if b.Zone == zone && b.Count > 0 {
				limit = max(2*b.P99.Duration, 3*time.Minute)
				return true, ""
			}
		}
		return false, fmt.Sprintf("the status has %+v", pool.Status.LearnedBoot)
	})
	return limit
}
