package act

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	emulator "swell/bench/testbed/aws"
	"swell/nodegroups"
	"swell/scaler/ledger"
)

func TestALaunchWithoutAnAnswerIsAskedForAgainWithItsToken(t *testing.T) {
	_, kube := cluster(t)
	ns := addNamespace(t, kube)
	aws := startService(t)
	s := takeOver(t, kube, ns, "first", aws.client())
	aws.loseAnswers(2)
	for tick, p := range []int{3, 0} { // the launch, and a plan that wants nothing
		pl := launches(p)
		if p == 0 {
			pl.Launches = nil
		}
		out := s.Carry(t.Context(), int64(tick), pl)
		if len(out.Errors) == 0 || len(out.Launched[group]) != 0 {
			t.Fatalf("%+v: want an error, since the answer was lost", out)
		}
		if open := s.Open(); open[group] != 3 || len(open) != 1 {
			t.Fatalf("open are %v: want 3 of %s", open, group)
		}
		if _, open := fenceOf(t, kube, ns); len(open) != 1 || open[0].Count != 3 {
			t.Fatalf("the fence has %v: want the launch of 3", open)
		}
	}
	out := s.Carry(t.Context(), 3, launches(1))
	if len(out.Errors) > 0 || len(out.Launched[group]) != 4 || len(s.Open()) != 0 {
		t.Fatalf("%+v, open %v: want the three and the one", out, s.Open())
	}
	calls := aws.seen("LaunchInstances")
	byToken := map[string][]int{}
	for _, c := range calls {
		byToken[c.token] = append(byToken[c.token], c.count)
	}
	if len(calls) != 4 || len(byToken) != 2 || !slices.Equal(byToken[calls[0].token], []int{3, 3, 3}) {
		t.Errorf("the calls were %v: want three of one token and one of another", calls)
	}
	if n := len(aws.alive()); n != 5 {
		t.Errorf("%d instances are alive: want the first, the three and the one", n)
	}
	if _, open := fenceOf(t, kube, ns); len(open) != 0 {
		t.Errorf("the fence has %v after all was answered", open)
	}
}

func TestASuccessorIsGivenTheInstancesThatWereBegun(t *testing.T) {
	_, kube := cluster(t)
	ns := addNamespace(t, kube)
	aws := startService(t)
	aws.loseAnswers(1)
	takeOver(t, kube, ns, "first", aws.client()).Carry(t.Context(), 1, launches(3))
	begun := aws.alive()
	if len(begun) != 4 {
		t.Fatalf("%d instances are alive: want the first and the three without an answer", len(begun))
	}
	s := takeOver(t, kube, ns, "second", aws.client())
	aws.loseAnswers(1)
	if out, err := s.Recover(t.Context(), s.open); err == nil || s.Open()[group] != 3 || len(out.Launched[group]) != 0 {
		t.Fatalf("%+v, %v, open %v: an answer that is lost again leaves the launch open", out, err, s.Open())
	}
	out := s.Carry(t.Context(), 1, launches(0))
	if len(out.Errors) > 0 || len(out.Launched[group]) != 3 {
		t.Fatalf("%+v: want the three", out)
	}
	for _, i := range out.Launched[group] {
		if !begun[i.ID] {
			t.Errorf("%s was launched anew", i.ID)
		}
	}
	if now := aws.alive(); !maps.Equal(now, begun) {
		t.Errorf("alive are %v: want %v", now, begun)
	}
	if _, open := fenceOf(t, kube, ns); len(open) != 0 {
		t.Errorf("the fence has %v after all was answered", open)
	}
}

// A token that the service may have forgotten would launch again: neither a successor nor the scaler itself asks with it.
func TestATokenThatIsTooOldIsNotAskedWith(t *testing.T) {
	_, kube := cluster(t)
	long := time.Now().Add(-tokenLife - time.Minute)
	t.Run("a predecessor's", func(t *testing.T) {
		ns := addNamespace(t, kube)
		aws := startService(t)
		first := takeOver(t, kube, ns, "first", aws.client())
		old, young := intent("old"), intent("young")
		old.At = long
		if err := first.intents.Declare(t.Context(), []Intent{old, young}); err != nil {
			t.Fatal(err)
		}
		s := takeOver(t, kube, ns, "second", aws.client())
		out, err := s.Recover(t.Context(), s.open)
		if err != nil || len(out.Launched[group]) != 1 {
			t.Fatalf("%+v, %v: want the young one's instance", out, err)
		}
		s.onlyYoungWasAsked(aws, ns)
	})
	t.Run("its own", func(t *testing.T) {
		ns := addNamespace(t, kube)
		aws := startService(t)
		s := takeOver(t, kube, ns, "first", aws.client())
		old, young := intent("old"), intent("young")
		if err := s.intents.Declare(t.Context(), []Intent{old, young}); err != nil {
			t.Fatal(err)
		}
		old.At = long // the process slept this long since it last asked
		s.Actor.open = []Intent{old, young}
		if out := s.Carry(t.Context(), 1, launches(0)); len(out.Errors) > 0 || len(out.Launched[group]) != 1 {
			t.Fatalf("%+v: want the young one's instance", out)
		}
		s.onlyYoungWasAsked(aws, ns)
	})
}

func (s scaler) onlyYoungWasAsked(aws *service, ns string) {
	s.t.Helper()
	if calls := aws.seen("LaunchInstances"); len(calls) != 1 || calls[0].token != "young" {
		s.t.Errorf("the calls were %v: want one for the young token", calls)
	}
	if _, open := fenceOf(s.t, s.kube, ns); len(open) != 0 || len(s.Open()) != 0 {
		s.t.Errorf("the fence has %v and %v are open: want nothing, as the old one is given up", open, s.Open())
	}
	if notes := s.entries("launch", ledger.Note); len(notes) != 1 || notes[0].Token != "old" {
		s.t.Errorf("the ledger has the notes %v: want one on the old token", notes)
	}
}

func TestAFailedLaunchMarksItsGroupForAsLongAsItsReasonLasts(t *testing.T) {
	_, kube := cluster(t)
	ns := addNamespace(t, kube)
	aws := startService(t)
	s := takeOver(t, kube, ns, "first", aws.client())
	for code, want := range map[string]struct {
		class nodegroups.FailureClass
		wait  time.Duration
	}{
		"InsufficientInstanceCapacity":      {nodegroups.NoCapacity, 3 * time.Minute},
		"InsufficientFreeAddressesInSubnet": {nodegroups.NoAddresses, 5 * time.Minute},
		"VcpuLimitExceeded":                 {nodegroups.LimitReached, 10 * time.Minute},
		"AuthFailure":                       {nodegroups.NotAllowed, 10 * time.Minute},
		"InvalidAMIID.NotFound":             {nodegroups.BadTemplate, 10 * time.Minute},
		"NobodyKnowsThis":                   {nodegroups.Unclassified, time.Minute},
	} {
		t.Run(code, func(t *testing.T) {
			aws.order("reset", emulator.Order{})
			aws.order("deny", emulator.Order{Fault: emulator.Fault{Service: "autoscaling", Action: "LaunchInstances", Code: code, Message: "in words"}})
			before := clock.Now()
			out := s.Carry(t.Context(), 1, launches(2))
			after := clock.Now()
			if len(out.Unavailable) != 1 {
				t.Fatalf("%+v: want one mark", out)
			}
			u := out.Unavailable[0]
			if u.Group != group || u.Class != want.class || !strings.Contains(u.Reason, code) || !strings.Contains(u.Reason, "in words") {
				t.Errorf("%+v: want class %s with the code and the message", u, want.class)
			}
			if u.Until.Before(before.Add(want.wait)) || u.Until.After(after.Add(want.wait)) {
				t.Errorf("until %s: want %s from %s on", u.Until, want.wait, before)
			}
			if len(s.Open()) != 0 {
				t.Errorf("open are %v: a refusal is an answer", s.Open())
			}
			if last := s.entries("launch", ledger.Failed); !strings.Contains(last[len(last)-1].Error, code) {
				t.Errorf("the ledger has %+v: want the code", last[len(last)-1])
			}
		})
	}
}

func TestThrottlingMarksNothing(t *testing.T) {
	_, kube := cluster(t)
	ns := addNamespace(t, kube)
	aws := startService(t)
	s := takeOver(t, kube, ns, "first", aws.client())
	aws.order("throttle", emulator.Order{Fault: emulator.Fault{Service: "autoscaling", Action: "LaunchInstances", Share: 1}})
	out := s.Carry(t.Context(), 1, launches(2))
	if len(out.Unavailable) != 0 || len(out.Launched[group]) != 0 || len(s.Open()) != 0 {
		t.Fatalf("%+v, open %v: want neither a mark nor an instance", out, s.Open())
	}
	if failed := s.entries("launch", ledger.Failed); len(failed) != 1 || !strings.Contains(failed[0].Error, "Thrott") {
		t.Errorf("the ledger has %+v: want the throttled launch", failed)
	}
	aws.order("reset", emulator.Order{})
	if out := s.Carry(t.Context(), 2, launches(2)); len(out.Launched[group]) != 2 {
		t.Errorf("%+v: want two instances after the throttle", out)
	}
}

func TestALaunchThatGivesSomeAndFailsForOthersCountsBoth(t *testing.T) {
	_, kube := cluster(t)
	ns := addNamespace(t, kube)
	aws := startService(t)
	s := takeOver(t, kube, ns, "first", aws.client())
	aws.order("capacity", emulator.Order{Fault: emulator.Fault{Zone: zone, Market: "spot", Available: 2}})
	out := s.Carry(t.Context(), 1, launches(5))
	if len(out.Launched[group]) != 2 || len(out.Unavailable) != 1 || out.Unavailable[0].Class != nodegroups.NoCapacity {
		t.Fatalf("%+v: want two instances and the group marked", out)
	}
	failed := s.entries("launch", ledger.Failed)
	if len(failed) != 1 || len(failed[0].Instances) != 2 {
		t.Errorf("the ledger has %+v: want the failure with the two instances", failed)
	}
}

func TestMoreThanOneCallsWorthBecomesSeveralCalls(t *testing.T) {
	_, kube := cluster(t)
	ns := addNamespace(t, kube)
	aws := startService(t)
	s := takeOver(t, kube, ns, "first", aws.client())
	out := s.Carry(t.Context(), 1, launches(250))
	if len(out.Errors) > 0 || len(out.Launched[group]) != 250 {
		t.Fatalf("%d instances, %v: want 250", len(out.Launched[group]), out.Errors)
	}
	var counts []int
	distinct := map[string]bool{}
	for _, c := range aws.seen("LaunchInstances") {
		counts = append(counts, c.count)
		distinct[c.token] = true
	}
	slices.Sort(counts)
	if !slices.Equal(counts, []int{50, 100, 100}) || len(distinct) != 3 {
		t.Errorf("calls for %v with %d tokens: want 50, 100 and 100 with one each", counts, len(distinct))
	}
	if n := len(aws.alive()); n != 251 {
		t.Errorf("%d instances are alive: want 251", n)
	}
}
