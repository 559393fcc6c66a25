package record_test

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/nodegroups"
	"swell/scaler/ledger"
	"swell/scaler/plan"
	"swell/scaler/record"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func lives(began time.Time) *record.Lives {
	return record.NewLives(began, record.Options{ModelTime: func(t time.Time) time.Time { return t }, OnDemand: func(string) float64 { return 1 }})
}

func instance(id string, launched time.Time) nodegroups.Instance {
	return nodegroups.Instance{ID: id, Type: "m6i.4xlarge", Zone: "a", Lifecycle: nodegroups.InService, LaunchedAt: launched, HourlyPrice: 0.35, ProviderID: nodegroups.ProviderID("a", id)}
}

func group(name string, market nodegroups.Market, instances ...nodegroups.Instance) nodegroups.Group {
	return nodegroups.Group{Name: name, Pool: "general", Zone: "a", Market: market, HourlyPrice: 0.40, Instances: instances}
}

// at is a snapshot whose groups were read then.
func at(now time.Time, groups ...nodegroups.Group) *plan.Snapshot {
	return &plan.Snapshot{Groups: groups, GroupsAt: now, PoolsAt: map[string]time.Time{"general": now}}
}

func ids(entries []ledger.Entry) (out []string) {
	for _, e := range entries {
		out = append(out, e.Instance.ID)
	}
	return out
}

func TestALifeIsWrittenWhenItChanges(t *testing.T) {
	l := lives(noon)
	l.Launched(noon, "token", "spot", []string{"i-1"}, 0)
	launched := noon.Add(time.Second)
	s := at(noon.Add(2*time.Second), group("spot", nodegroups.Spot, instance("i-1", launched)))
	got := l.Observe(noon.Add(2*time.Second), s, plan.Policy{})
	if len(got) != 1 || got[0].Instance.Token != "token" || !got[0].Instance.LaunchedAt.Equal(launched) || got[0].Instance.Seen || *got[0].Instance.Hourly != 0.35 || *got[0].Instance.OnDemandHourly != 1 {
		t.Fatalf("the launch is %+v", got)
	}
	if got = l.Observe(noon.Add(10*time.Second), s, plan.Policy{}); len(got) != 0 {
		t.Fatalf("nothing changed, and %+v is written", got)
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", CreationTimestamp: metav1.NewTime(noon.Add(time.Minute))}, Spec: corev1.NodeSpec{ProviderID: "aws:///a/i-1"}}
	s.Nodes = []*corev1.Node{node}
	if got = l.Observe(noon.Add(61*time.Second), s, plan.Policy{}); len(got) != 1 || got[0].Instance.Node != "n" || got[0].Instance.RegisteredAt == nil || got[0].Instance.ReadyAt != nil {
		t.Fatalf("registered: %+v", got)
	}
	ready := func(status corev1.ConditionStatus, since time.Time) {
		node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status, LastTransitionTime: metav1.NewTime(since)}}
	}
	ready(corev1.ConditionTrue, noon.Add(59*time.Second)) // the kubelet's clock is a second behind the API server's
	early := lives(noon)
	if got = early.Observe(noon.Add(71*time.Second), s, plan.Policy{}); len(got) != 1 || !got[0].Instance.ReadyAt.Equal(*got[0].Instance.RegisteredAt) {
		t.Fatalf("ready before it was registered: %+v", got[0].Instance)
	}
	ready(corev1.ConditionTrue, noon.Add(70*time.Second))
	if got = l.Observe(noon.Add(71*time.Second), s, plan.Policy{}); len(got) != 1 || !got[0].Instance.ReadyAt.Equal(noon.Add(70*time.Second)) {
		t.Fatalf("ready: %+v", got)
	}
	ready(corev1.ConditionFalse, noon.Add(time.Hour))
	ready(corev1.ConditionTrue, noon.Add(2*time.Hour)) // again, which is not of its boot
	if got = l.Observe(noon.Add(3*time.Hour), s, plan.Policy{}); len(got) != 0 {
		t.Fatalf("ready again: %+v", got)
	}
	if got = l.Observe(noon.Add(3*time.Hour+record.Again), s, plan.Policy{}); len(got) != 1 {
		t.Fatalf("a day later %d entries: want it once more", len(got))
	}
}

func TestAnEndIsAWSsOwn(t *testing.T) {
	l := lives(noon)
	two := group("spot@a", nodegroups.Spot, instance("i-1", noon), instance("i-2", noon))
	two.ASG = "spot"
	l.Observe(noon.Add(time.Minute), at(noon.Add(time.Minute), two), plan.Policy{})
	l.Ends("i-1", record.Returned)
	now := noon.Add(2 * time.Minute)
	empty := at(noon.Add(time.Minute), group("spot@a", nodegroups.Spot))
	if l.Observe(now, empty, plan.Policy{}); len(l.Missing(now)) != 0 {
		t.Fatal("missed in a reading that is no newer than the one which shows them")
	}
	empty.PoolsAt["general"] = now
	l.Observe(now, empty, plan.Policy{})
	if got := l.Missing(now); !slices.Equal(got["spot"], []string{"i-1", "i-2"}) {
		t.Fatalf("missing are %v", got)
	}
	if got := l.Missing(now.Add(time.Second)); len(got) != 0 {
		t.Fatalf("%v are asked for again after a second", got)
	}
	end := noon.Add(110 * time.Second)
	got := l.Ended(now, map[string]nodegroups.Ending{"i-1": {At: end, Activity: "a-1", Cause: "by request"}, "i-2": {Activity: "a-2"}})
	if len(got) != 1 || got[0].Instance.ID != "i-1" || !got[0].Instance.GoneAt.Equal(end) || got[0].Instance.End != record.Returned || !slices.Equal(got[0].Activities, []string{"a-1"}) || got[0].Reason != "by request" {
		t.Fatalf("ended: %+v", got)
	}
	for range 30 { // AWS never tells of the other
		now = now.Add(time.Minute)
		l.Missing(now)
		got = l.Ended(now, nil)
		if len(got) > 0 {
			break
		}
	}
	if len(got) != 1 || got[0].Instance.ID != "i-2" || !got[0].Instance.GoneAt.Equal(noon.Add(2*time.Minute)) || got[0].Instance.End != record.Elsewhere || now.Sub(noon) < 10*time.Minute {
		t.Fatalf("at %s ended: %+v", now, got)
	}
	if len(l.Missing(now.Add(time.Hour))) != 0 {
		t.Error("what has ended is asked for")
	}
}

// A scaler that starts on its own ledger knows whose instances run, and which were started by somebody else while it was away.
func TestARestartIsNoNews(t *testing.T) {
	before, start := noon.Add(-time.Hour), noon
	hourly, list := instance("i", before).HourlyPrice, 1.0
	mine := ledger.Entry{Model: before, Instance: &ledger.Instance{ID: "i-mine", Group: "spot", Pool: "general", Zone: "a", Market: "spot", Type: "m6i.4xlarge",
		LaunchedAt: before, Token: "token", Hourly: &hourly, OnDemandHourly: &list}}
	gone := ledger.Entry{Model: before, Instance: &ledger.Instance{ID: "i-gone", GoneAt: &before}}
	launched := ledger.Entry{Model: before, Phase: ledger.Done, Action: "launch", Token: "late", Instances: []string{"i-late"}}
	returned := ledger.Entry{Model: before, Phase: ledger.Done, Action: "terminate", Object: "i-away"}
	away := ledger.Entry{Model: before, Instance: &ledger.Instance{ID: "i-away", Group: "spot", Pool: "general"}}
	for name, continues := range map[string]bool{"its own ledger": true, "another wrote meanwhile": false} {
		l := lives(start)
		for _, e := range []ledger.Entry{mine, gone, launched, away, returned} {
			l.Take(e)
		}
		if continues {
			l.Continues(before)
		}
		byHand := instance("i-hand", start.Add(-time.Minute))
		now := start.Add(time.Second)
		got := l.Observe(now, at(now, group("spot", nodegroups.Spot, instance("i-mine", before), instance("i-late", before), byHand)), plan.Policy{})
		if !slices.Equal(ids(got), []string{"i-hand", "i-late"}) {
			t.Fatalf("%s: written are %v", name, ids(got))
		}
		if got[0].Instance.Token != "" || got[0].Instance.Seen == continues || got[1].Instance.Token != "late" || got[1].Instance.Seen {
			t.Errorf("%s: %+v, %+v", name, got[0].Instance, got[1].Instance)
		}
		l.Missing(now)
		if ends := l.Ended(now, map[string]nodegroups.Ending{"i-away": {At: start}}); len(ends) != 1 || ends[0].Instance.End != record.Returned {
			t.Errorf("%s: what was returned before ended as %+v", name, ends)
		}
	}
}

func TestWhatRunsWhenALedgerBeginsIsSeen(t *testing.T) {
	l := lives(noon)
	got := l.Observe(noon, at(noon, group("spot", nodegroups.Spot, instance("i-1", noon.Add(-time.Hour)), instance("i-2", noon.Add(time.Second)), nodegroups.Instance{ID: "i-3"})), plan.Policy{})
	if !slices.Equal(ids(got), []string{"i-1", "i-2"}) || !got[0].Instance.Seen || got[1].Instance.Seen {
		t.Fatalf("%+v", got)
	}
}

// An instance that a group launches for a raise of its desired capacity has the raise's token; the next has none.
func TestARaiseNamesItsInstances(t *testing.T) {
	l := lives(noon)
	l.Launched(noon, "raise", "spot", nil, 1)
	now := noon.Add(time.Minute)
	got := l.Observe(now, at(now, group("spot", nodegroups.Spot, instance("i-1", noon.Add(time.Second)), instance("i-2", noon.Add(time.Second)))), plan.Policy{})
	if len(got) != 2 || got[0].Instance.Token != "raise" || got[1].Instance.Token != "" {
		t.Fatalf("%+v", got)
	}
}

func TestOnDemandSaysWhatItWasBoughtAs(t *testing.T) {
	policy := plan.Policy{Pools: []plan.Pool{{Name: "general", OnDemandBase: 1, SpotMax: 0.5, Fallback: true}}}
	spot := group("spot", nodegroups.Spot, instance("s-1", noon))
	buy := func(spot nodegroups.Group, prepaid int) []ledger.Entry {
		l := lives(noon.Add(-time.Hour))
		onDemand := group("od", nodegroups.OnDemand, instance("o-1", noon.Add(time.Minute)), instance("o-2", noon.Add(2*time.Minute)), instance("o-3", noon.Add(3*time.Minute)))
		onDemand.Prepaid = prepaid
		l.Launched(noon, "t", "od", []string{"o-1", "o-2", "o-3"}, 0)
		return l.Observe(noon.Add(time.Hour), at(noon.Add(time.Hour), onDemand, spot), policy)
	}
	got := buy(spot, 0)
	if !got[0].Instance.Base || got[0].Instance.Fallback || got[1].Instance.Base || got[1].Instance.Fallback {
		t.Errorf("with half of it spot: %+v, %+v: want the base, and one that spot has no share of", got[0].Instance, got[1].Instance)
	}
	spot.Instances = nil
	got = buy(spot, 0)
	if got[2].Instance.Base || !got[2].Instance.Fallback {
		t.Errorf("without any spot: %+v: want a fallback", got[2].Instance)
	}
	got = buy(spot, 2)
	if !got[0].Instance.Prepaid || !got[1].Instance.Prepaid || got[2].Instance.Prepaid {
		t.Error("two are prepaid: want the oldest two")
	}
}

func TestAPriceThatChangesIsWritten(t *testing.T) {
	l := lives(noon)
	in := instance("i-1", noon.Add(time.Minute))
	g := group("spot-a", nodegroups.Spot, in)
	g.Instances[0].HourlyPrice = 0.30
	if got := l.Observe(noon.Add(2*time.Minute), at(noon, g), plan.Policy{}); len(got) != 1 || *got[0].Instance.Hourly != 0.30 {
		t.Fatalf("first: %+v", got)
	}
	g.Instances[0].HourlyPrice = 0.45
	if got := l.Observe(noon.Add(3*time.Minute), at(noon, g), plan.Policy{}); len(got) != 1 || *got[0].Instance.Hourly != 0.45 {
		t.Fatalf("dearer: %+v", got)
	}
	g.Instances[0].HourlyPrice = 0
	if got := l.Observe(noon.Add(4*time.Minute), at(noon, g), plan.Policy{}); len(got) != 0 {
		t.Errorf("a price that is not known for a while is written: %+v", got)
	}
}

// An AWS that does not answer has not said that it knows no end: it is asked on, for an hour.
func TestAnEndIsWaitedForWhileAWSDoesNotAnswer(t *testing.T) {
	l := lives(noon)
	l.Observe(noon, at(noon, group("spot", nodegroups.Spot, instance("i-1", noon), instance("i-2", noon))), plan.Policy{})
	missed := noon.Add(time.Minute)
	l.Observe(missed, at(missed, group("spot", nodegroups.Spot)), plan.Policy{})
	now := missed
	for range 50 {
		now = now.Add(time.Minute)
		for group := range l.Missing(now) {
			l.Unanswered(group)
		}
		if got := l.Ended(now, nil); len(got) > 0 {
			t.Fatalf("after %s without an answer: %+v", now.Sub(missed), got)
		}
	}
	end := noon.Add(30 * time.Second)
	if got := l.Ended(now, map[string]nodegroups.Ending{"i-1": {At: end, Activity: "a"}}); len(got) != 1 || !got[0].Instance.GoneAt.Equal(end) {
		t.Fatalf("the first is told as %+v", got)
	}
	now = missed.Add(61 * time.Minute)
	l.Missing(now)
	l.Unanswered("spot")
	if got := l.Ended(now, nil); len(got) != 1 || !got[0].Instance.GoneAt.Equal(missed) {
		t.Errorf("after an hour: %+v: want the end when it was missed", got)
	}
}
