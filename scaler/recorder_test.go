package scaler

import (
	"fmt"
	"testing"
	"time"

	"swell/nodegroups"
	"swell/scaler/act"
	"swell/scaler/ledger"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

// A notice is written once, however often it comes and over a restart, and is not remembered for good.
func TestANoticeIsWrittenOnceAndForgotten(t *testing.T) {
	l := New(nil, nil, nil, newBook(t), Options{})
	began := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	l.recorder = l.newRecorder(began)
	var written []string
	l.ledger.Watch(func(e ledger.Entry) { written = append(written, e.Object) })
	standing := nodegroups.Interruption{InstanceID: "i-stands", Kind: nodegroups.NodeNotice}
	world := &observe.World{}
	world.Snapshot.Interrupted = []nodegroups.Interruption{standing}
	for hour := range 72 {
		l.recorder.told(nodegroups.Interruption{InstanceID: fmt.Sprint("i-", hour), Kind: nodegroups.SpotInterruption})
		l.recorder.told(nodegroups.Interruption{InstanceID: fmt.Sprint("i-", max(0, hour-1)), Kind: nodegroups.SpotInterruption}) // again
		l.recordNotices(began.Add(time.Duration(hour)*time.Hour), world)
	}
	if len(written) != 73 {
		t.Errorf("%d are written: want each of 72 once, and once the one that stands", len(written))
	}
	if n := len(l.recorder.noticed); n > 30 {
		t.Errorf("%d are remembered after three days: want those of a day", n)
	}
	for n := range 3 * mostNotices {
		l.recorder.told(nodegroups.Interruption{InstanceID: fmt.Sprint("i-", n)})
	}
	if n := len(l.recorder.notices); n != mostNotices || l.recorder.notices[n-1].InstanceID != fmt.Sprint("i-", 3*mostNotices-1) {
		t.Errorf("%d wait for a plan: want the newest %d", n, mostNotices)
	}
}

// What a predecessor was answered just before names the instances that come of it, though its ledger is in another folder.
func TestWhatAPredecessorWasAnsweredHasItsToken(t *testing.T) {
	l := New(nil, nil, nil, newBook(t), Options{})
	began := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	r := l.newRecorder(began)
	r.late(act.Late{At: began.Add(-time.Minute), Token: "launch", Group: "spot", Launched: map[string][]nodegroups.Instance{"spot": {{ID: "i-1"}}}})
	r.late(act.Late{At: began.Add(-time.Minute), Token: "raise", Group: "od", Raised: map[string][]nodegroups.Raise{"od": {{By: 1, To: 4}}}})
	launched := began.Add(-50 * time.Second)
	one := func(group, id string) nodegroups.Group {
		return nodegroups.Group{Name: group, Pool: "general", Desired: 1, Instances: []nodegroups.Instance{{ID: id, LaunchedAt: launched, Lifecycle: nodegroups.InService}}}
	}
	s := &plan.Snapshot{GroupsAt: began.Add(time.Second), Groups: []nodegroups.Group{one("spot", "i-1"), one("od", "i-2")}}
	got := r.lives.Observe(began.Add(time.Second), s, plan.Policy{})
	if len(got) != 2 || got[0].Token != "launch" || got[1].Token != "raise" || got[0].Instance.Seen || got[1].Instance.Seen {
		t.Errorf("%+v: want both with their tokens", got)
	}
}
