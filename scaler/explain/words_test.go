package explain

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"swell/scaler/ledger"
)

// A pod that came when its node was Ready long since was not what the node was bought for, and did not wait for it.
func TestAPodOnANodeThatWasReadyIsNotToldOfItsPurchase(t *testing.T) {
	entries := append(call("08:00:00", "08:00:01", ledger.Entry{Action: "launch", Object: "spot-a", Count: 1, Token: "t1", Reason: "1 balloons have no place"}, ledger.Entry{Instances: []string{"i-1"}}),
		instance("08:01:05", ledger.Instance{ID: "i-1", Node: "ip-1", Group: "spot-a", Token: "t1", LaunchedAt: at("08:00:01"), ReadyAt: when("08:01:00")}),
		line("09:15:41", ledger.Entry{Phase: ledger.Note, Action: "placed", Object: "ip-1", Instances: []string{"i-1"}, Count: 1, Placed: []ledger.PodWait{{Pod: "shop/late", Since: at("09:15:30"), At: at("09:15:40")}}}),
		line("09:15:41", ledger.Entry{Phase: ledger.Note, Action: "placed", Object: "ip-1", Instances: []string{"i-1"}, Count: 1, Placed: []ledger.PodWait{{Pod: "shop/early", Since: at("08:00:30"), At: at("08:01:10")}}}))
	book := NewBook(entries, time.Time{})
	late, early := book.Story(Object{Pod, "shop/late"}), book.Story(Object{Pod, "shop/early"})
	if len(late.Answer) != 1 || late.Answer[0] != "It waited 10s, from 2026-11-23 09:15:30 UTC to 09:15:40, and found a place on node ip-1, which was Ready before it came." || len(late.Events) != 1 {
		t.Errorf("%q\n%s", late.Answer, late.Timeline())
	}
	if len(early.Answer) != 2 || !strings.HasPrefix(early.Answer[0], "It waited 40s") || !strings.HasPrefix(early.Answer[1], "Instance i-1, on which it has its place, was bought at 2026-11-23 08:00:00 UTC") {
		t.Errorf("%q", early.Answer)
	}
}

// The node that came of a pod's own launch is named also where the pod found its place on another.
func TestAPodsOwnLaunchIsToldWhereItRunsElsewhere(t *testing.T) {
	entries := append(call("08:00:00", "08:00:01", ledger.Entry{Action: "launch", Object: "spot-a", Count: 1, Token: "t1", Reason: "1 pods have no place", Inputs: &ledger.Inputs{Pods: 1, Names: []string{"shop/web"}}}, ledger.Entry{Instances: []string{"i-1"}}),
		instance("08:01:05", ledger.Instance{ID: "i-1", Node: "ip-1", Group: "spot-a", Token: "t1", LaunchedAt: at("08:00:01"), ReadyAt: when("08:01:00")}),
		line("08:00:41", ledger.Entry{Phase: ledger.Note, Action: "placed", Object: "ip-0", Count: 1, Placed: []ledger.PodWait{{Pod: "shop/web", Since: at("07:59:59"), At: at("08:00:40")}}}))
	answer := strings.Join(NewBook(entries, time.Time{}).Story(Object{Pod, "shop/web"}).Answer, "\n")
	if !strings.Contains(answer, "was for it; i-1, which came of it, was Ready as node ip-1 at 08:01:00.") {
		t.Error(answer)
	}
}

// What changed in a size is said: its number, its spread, or neither.
func TestASizeSaysWhatChanged(t *testing.T) {
	spread, still, observed := sizing("08:05:00", 3, of(24), of(33), "b"), sizing("08:06:00", 3, of(24), of(33), "c"), sizing("08:07:00", 3, of(24), of(33), "d")
	for _, e := range []*ledger.Entry{&spread, &still, &observed} {
		e.Sizing.Zones = map[string]int{"1a": 1, "1c": 2}
	}
	still.Sizing.Upper = nil
	observed.Sizing.Upper, observed.Sizing.Mode = nil, "Observe"
	s := NewBook([]ledger.Entry{sizing("08:00:00", 3, of(24), of(33), "a"), spread, still, observed}, time.Time{}).Story(Object{Balloon, "shop/web"})
	wantTold(t, s, "08:00:00 size 3 (2 in 1a, 1 in 1c): a | ", "08:05:00 size 3 as before, spread anew (1 in 1a, 2 in 1c): b | ", "08:06:00 size 3 as before (1 in 1a, 2 in 1c): c | ",
		"08:07:00 size 3 as before, mode Enforce → Observe (1 in 1a, 2 in 1c): d | ")
}

// A node of a pool that observes, which swell would return, does not stay because of an older note.
func TestANodeThatWouldBeReturnedIsSaidToBe(t *testing.T) {
	kept := line("08:00:00", ledger.Entry{Phase: ledger.Note, Action: "kept", Object: "ip-1", Reason: "what is on it has no place"})
	would := line("08:03:09", ledger.Entry{Phase: ledger.Note, Action: "would-return", Object: "i-1", Node: "ip-1", Reason: "unneeded for 3m9s"})
	s := NewBook([]ledger.Entry{kept, would, line("09:10:00", ledger.Entry{Phase: ledger.Note, Action: "problem"})}, time.Time{}).Story(Object{Node, "ip-1"})
	if len(s.Answer) != 1 || s.Answer[0] != "It would be returned, as of 2026-11-23 08:03:09 UTC: unneeded for 3m9s; its pool only observes." {
		t.Errorf("%q", s.Answer)
	}
}

// That a node is needed again is not noted, so that an old note is told as one.
func TestAnOldNoteOnANodeIsToldAsOne(t *testing.T) {
	kept := line("08:00:00", ledger.Entry{Phase: ledger.Note, Action: "kept", Object: "ip-1", Reason: "unneeded since 07:59:59, and it goes after 2m0s of that"})
	for at, says := range map[string]string{"08:10:00": "of that.", "09:10:00": "of that; nothing was noted of it in the 1h10m since then, as of a node that is needed."} {
		answer := NewBook([]ledger.Entry{kept, line(at, ledger.Entry{Phase: ledger.Note, Action: "problem"})}, time.Time{}).Story(Object{Node, "ip-1"}).Answer
		if len(answer) != 1 || !strings.HasSuffix(answer[0], says) {
			t.Errorf("at %s: %q, want %q", at, answer, says)
		}
	}
}

// AWS's own words on missing capacity stand once.
func TestMissingCapacityIsToldOnce(t *testing.T) {
	short := line("08:00:00", ledger.Entry{Phase: ledger.Note, Action: "shortfall", Object: "spot-a", Reason: "InsufficientInstanceCapacity: none left", Shortfall: &ledger.Shortfall{Group: "spot-a", Market: "spot", Type: "m6i.large", Code: "InsufficientInstanceCapacity", Until: at("08:05:00")}})
	wantTold(t, NewBook([]ledger.Entry{short}, time.Time{}).Story(Object{Group, "spot-a"}), "08:00:00 AWS has no m6i.large: InsufficientInstanceCapacity: none left; not asked for again before 08:05:00 | ")
}

// Sizes that repeat are not kept, and what is told is the same as if they were.
func TestSizesThatRepeatAreToldOnce(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		var all []ledger.Entry
		for i := range 30 {
			e := sizing("08:00:00", 1+random.IntN(2), of(24), of(33), "w")
			e.Model = e.Model.Add(time.Duration(i) * time.Minute)
			all = append(all, e)
		}
		cut := random.IntN(30)
		all = append(slices.Clone(all[cut:]), all[:cut]...) // the later file is read first
		got := NewBook(all, time.Time{}).Story(Object{Balloon, "shop/web"})
		slices.SortStableFunc(all, func(x, y ledger.Entry) int { return x.Model.Compare(y.Model) })
		var want []string
		for i, e := range all {
			if i == 0 || all[i-1].Sizing.Total != e.Sizing.Total {
				want = append(want, clock(e.Model))
			}
		}
		var told []string
		for _, e := range got.Events {
			told = append(told, clock(e.At))
		}
		if !slices.Equal(told, want) || !strings.Contains(got.Answer[0], clock(all[29].Model)) {
			t.Fatalf("seed %d: told at %v and %q, want %v and last at %s", seed, told, got.Answer[0], want, clock(all[29].Model))
		}
	}
}

func TestWhatIsOnlyKeptIsKnown(t *testing.T) {
	book := NewBook([]ledger.Entry{line("08:00:00", ledger.Entry{Phase: ledger.Note, Action: "kept", Object: "ip-1", Reason: "x"})}, time.Time{})
	if got := book.Known(Node); !slices.Equal(got, []string{"ip-1"}) || !slices.Equal(book.All(), []string{"node/ip-1"}) {
		t.Error(got, book.All())
	}
}
