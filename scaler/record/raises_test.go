package record_test

import (
	"fmt"
	"testing"
	"time"

	"swell/nodegroups"
	"swell/scaler/ledger"
	"swell/scaler/plan"
	"swell/scaler/record"
)

// tokens are those of the instances that a snapshot brings.
func tokens(entries []ledger.Entry) map[string]string {
	out := map[string]string{}
	for _, e := range entries {
		out[e.Instance.ID] = e.Instance.Token
	}
	return out
}

// wanting is a group with a desired capacity.
func wanting(desired int, instances ...nodegroups.Instance) nodegroups.Group {
	g := group("spot", nodegroups.Spot, instances...)
	g.Desired = desired
	return g
}

// A raise that its group does not want any more names nobody: what is started there later was started by somebody else.
func TestARaiseThatWasTakenBackNamesNobody(t *testing.T) {
	l := lives(noon)
	l.Launched(noon, "raise", "spot", nil, 3)
	came, byHand := instance("i-1", noon.Add(time.Second)), instance("i-2", noon.Add(time.Hour))
	now := noon.Add(time.Minute)
	if got := tokens(l.Observe(now, at(now, wanting(3, came)), plan.Policy{})); got["i-1"] != "raise" {
		t.Fatalf("the first came with %v", got)
	}
	now = noon.Add(10 * time.Minute) // two of three are not to be had, and the desired capacity is put back
	l.Observe(now, at(now, wanting(1, came)), plan.Policy{})
	now = noon.Add(time.Hour + time.Minute)
	if got := tokens(l.Observe(now, at(now, wanting(2, came, byHand)), plan.Policy{})); got["i-2"] != "" {
		t.Errorf("what somebody started an hour later has the token %q", got["i-2"])
	}
}

// While its group still lacks them, a raise has its instances however late they come, and no more than it lacks.
func TestARaiseWaitsWhileItsGroupLacksInstances(t *testing.T) {
	l := lives(noon)
	l.Launched(noon, "raise", "spot", nil, 3)
	first, late := instance("i-1", noon.Add(time.Second)), instance("i-2", noon.Add(30*time.Hour))
	for _, hour := range []time.Duration{1, 10, 29} {
		now := noon.Add(hour * time.Hour)
		l.Observe(now, at(now, wanting(2, first)), plan.Policy{}) // of three one was taken back
	}
	now := noon.Add(30*time.Hour + time.Minute)
	got := tokens(l.Observe(now, at(now, wanting(3, first, late, instance("i-3", noon.Add(30*time.Hour)))), plan.Policy{}))
	if got["i-2"] != "raise" || got["i-3"] != "" {
		t.Errorf("%v: want the one that it lacked, and no other", got)
	}
}

// A reading of before the raise does not tell that its group lacks nothing.
func TestAnOldReadingEndsNoRaise(t *testing.T) {
	l := lives(noon)
	l.Launched(noon, "raise", "spot", nil, 1)
	for now := noon; now.Before(noon.Add(time.Hour)); now = now.Add(time.Minute) {
		l.Observe(now, at(noon.Add(-time.Second), wanting(0)), plan.Policy{})
	}
	now := noon.Add(time.Hour)
	if got := tokens(l.Observe(now, at(now, wanting(1, instance("i-1", noon.Add(time.Second)))), plan.Policy{})); got["i-1"] != "raise" {
		t.Errorf("%v: want the raise", got)
	}
}

// A scaler that starts knows the raises of before, by its ledger or by what its predecessor was answered of late, each once.
func TestARestartKnowsTheRaisesOfBefore(t *testing.T) {
	intent := ledger.Entry{Model: noon, Phase: ledger.Intent, Action: "launch", Object: "spot", Token: "raise", Count: 2}
	done := ledger.Entry{Model: noon, Phase: ledger.Done, Action: "launch", Object: "spot", Token: "raise", Count: 2, Raised: 2}
	before := done // as swell wrote it before it said how many were raised
	before.Raised = 0
	partly := done // some zone had none
	partly.Phase, partly.Error = ledger.Failed, "InsufficientInstanceCapacity"
	came := ledger.Entry{Model: noon.Add(10 * time.Second), Instance: &ledger.Instance{ID: "i-0", Group: "spot", Pool: "general", LaunchedAt: noon.Add(time.Second), Token: "raise"}}
	for name, c := range map[string]struct {
		taken []ledger.Entry
		late  bool
		want  int // of the instances that nobody knows yet
	}{
		"by its ledger":         {[]ledger.Entry{intent, done}, false, 2},
		"by an older ledger":    {[]ledger.Entry{intent, before}, false, 2},
		"of a launch in part":   {[]ledger.Entry{intent, partly}, false, 2},
		"by the answer of late": {nil, true, 2},
		"by both":               {[]ledger.Entry{intent, done}, true, 2},
		"with one that came":    {[]ledger.Entry{intent, done, came, came}, true, 1},
		"without an answer":     {[]ledger.Entry{intent}, false, 0},
	} {
		start := noon.Add(20 * time.Second)
		l := lives(start)
		if c.late {
			l.Launched(noon, "raise", "spot", nil, 2)
		}
		for _, e := range c.taken {
			l.Take(e)
		}
		l.Continues(noon)
		now := start.Add(time.Minute)
		instances := []nodegroups.Instance{instance("i-0", noon.Add(time.Second))}
		for i := 1; i < 5; i++ {
			instances = append(instances, instance(fmt.Sprintf("i-%d", i), noon.Add(15*time.Second)))
		}
		if c.want == 2 || c.want == 0 {
			instances = instances[1:]
		}
		var got int
		for id, token := range tokens(l.Observe(now, at(now, wanting(5, instances...)), plan.Policy{})) {
			if id != "i-0" && token == "raise" {
				got++
			}
		}
		if got != c.want {
			t.Errorf("%s: %d instances have its token: want %d", name, got, c.want)
		}
	}
}

// What is known of instances that never show, or of which word comes after their end, is forgotten after a while.
func TestWhatIsKnownOfNobodyIsForgotten(t *testing.T) {
	l := lives(noon)
	alive := instance("i-alive", noon)
	for n := range 50 {
		l.Launched(noon, fmt.Sprint("t", n), "spot", []string{fmt.Sprint("i-never-", n)}, 0)
		l.Launched(noon, fmt.Sprint("r", n), "gone", nil, 1) // a group that is in no reading
		l.Ends(fmt.Sprint("i-elsewhere-", n), record.Interrupted)
	}
	l.Ends("i-alive", record.Returned)
	for hour := range 3 * 24 {
		now := noon.Add(time.Duration(hour) * time.Hour)
		l.Observe(now, at(now, wanting(1, alive)), plan.Policy{})
		if n := l.Remembered(); hour == 12 && n != 151 {
			t.Errorf("after half a day %d are remembered: want all 151", n)
		}
	}
	if n := l.Remembered(); n != 1 {
		t.Errorf("after three days %d are remembered: want the one whose instance lives", n)
	}
	if !l.Expected("i-alive") {
		t.Error("why the living one ends was forgotten")
	}
}
