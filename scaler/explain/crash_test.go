package explain

import (
	"slices"
	"strings"
	"testing"
	"time"

	"swell/scaler/ledger"
)

// ticked is an entry of a plan of one run of the scaler.
func ticked(clock string, tick int64, phase ledger.Phase, e ledger.Entry) ledger.Entry {
	e.Tick, e.Phase = tick, phase
	return line(clock, e)
}

func started(clock string) ledger.Entry {
	return line(clock, ledger.Entry{Phase: ledger.Note, Action: "start", Object: "swell-scaler-1"})
}

// told are the events of a story in which something was to be done, as TIME what | outcome.
func told(s *Story) []string {
	var out []string
	for _, e := range s.Events {
		out = append(out, e.At.Format(time.TimeOnly)+" "+e.What+" | "+e.Outcome)
	}
	return out
}

func wantTold(t *testing.T, s *Story, want ...string) {
	t.Helper()
	if got := told(s); !slices.Equal(got, want) {
		t.Errorf("%s: it tells\n%s\nand not\n%s", s.Object, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

const unknown = "outcome unknown: no entry says what came of it; it goes on, or was cut short"

var (
	launchOf3 = ledger.Entry{Action: "launch", Object: "spot-a", Count: 3, Token: "t1", Reason: "9 pods have no place", Inputs: &ledger.Inputs{Pods: 9, Names: []string{"shop/web-abc"}}, Rejected: []string{"od-a: costs more"}}
	again     = ledger.Entry{Action: "launch", Object: "spot-a", Count: 3, Token: "t1", Reason: "begun at 2026-11-23T09:00:00Z by a scaler that did not finish"}
	gave      = ledger.Entry{Action: "launch", Object: "spot-a", Count: 3, Token: "t1", Instances: []string{"i-1", "i-2", "i-3"}, Activities: []string{"act-1"}}
	lostCall  = ledger.Entry{Action: "launch", Object: "spot-a", Count: 3, Token: "t1", Error: "the connection was reset"}
	makes4    = ledger.Entry{Action: "create-balloons", Object: "shop/web", Count: 4, Reason: "4 more wanted in 1a"}
	makes2    = ledger.Entry{Action: "create-balloons", Object: "shop/web", Count: 2, Reason: "2 more wanted in 1c"}
	made2     = ledger.Entry{Action: "create-balloons", Object: "shop/web", Count: 2}
	made4     = ledger.Entry{Action: "create-balloons", Object: "shop/web", Count: 4}
)

func TestALaunchWhoseAnswersWereLostHasTheLastOne(t *testing.T) {
	book := NewBook([]ledger.Entry{
		ticked("09:00:00", 7, ledger.Intent, launchOf3), ticked("09:00:05", 7, ledger.Failed, lostCall), ticked("09:00:15", 8, ledger.Failed, lostCall), ticked("09:00:25", 9, ledger.Done, gave),
	}, time.Time{})
	s := book.Story(Object{Group, "spot-a"})
	wantTold(t, s, "09:00:00 launch of 3 instances: 9 pods have no place | done after 25s, 3 of 3: i-1, i-2, i-3; asked 3 times, as 2 calls were not answered or failed, the last time: the connection was reset")
	if e := s.Events[0]; !slices.Equal(e.Rejected, launchOf3.Rejected) || !slices.Equal(e.Activities, gave.Activities) {
		t.Errorf("%+v", e)
	}
	pod := strings.Join(book.Story(Object{Pod, "shop/web-abc"}).Answer, "\n")
	if strings.Contains(pod, "failed") {
		t.Errorf("of a launch that came off in the end it says: %s", pod)
	}
}

// The next process asks again with the token: both entries are of one launch, which has one outcome and its first reason.
func TestALaunchThatIsFinishedByTheNextProcessIsOne(t *testing.T) {
	book := NewBook([]ledger.Entry{
		ticked("09:00:00", 7, ledger.Intent, launchOf3), started("09:00:30"), ticked("09:00:31", 0, ledger.Intent, again), ticked("09:00:33", 0, ledger.Done, gave),
	}, time.Time{})
	wantTold(t, book.Story(Object{Group, "spot-a"}), "09:00:00 launch of 3 instances: 9 pods have no place | done after 33s, 3 of 3: i-1, i-2, i-3; asked again at 09:00:31 by the next scaler, as the one before ended without an answer")
	answer := book.Story(Object{Instance, "i-2"}).Answer
	if len(answer) == 0 || !strings.Contains(answer[0], "It was bought at 2026-11-23 09:00:00 UTC: 9 pods have no place.") {
		t.Errorf("of an instance that it gave: %q", answer)
	}
	if pod := told(book.Story(Object{Pod, "shop/web-abc"})); len(pod) != 1 {
		t.Errorf("the pod is told of %d launches: %q", len(pod), pod)
	}
}

// A launch that nobody finished says so, and the next launch of the group keeps its own outcome.
func TestALaunchThatNobodyFinishedTakesNoOthersOutcome(t *testing.T) {
	other := gave
	other.Token, other.Instances = "t2", []string{"i-9"}
	wanted := launchOf3
	wanted.Token, wanted.Reason = "t2", "3 pods have no place"
	book := NewBook([]ledger.Entry{
		ticked("09:00:00", 7, ledger.Intent, launchOf3), started("09:00:30"), ticked("09:00:31", 1, ledger.Intent, wanted), ticked("09:00:33", 1, ledger.Done, other),
	}, time.Time{})
	wantTold(t, book.Story(Object{Group, "spot-a"}),
		"09:00:00 launch of 3 instances: 9 pods have no place | outcome unknown: its scaler ended before an entry said what came of it",
		"09:00:31 launch of 3 instances: 3 pods have no place | done after 2s, 1 of 3: i-9")
	old := ledger.Entry{Phase: ledger.Note, Action: "launch", Object: "spot-a", Count: 3, Token: "t1", Reason: "begun at 2026-11-23T09:00:00Z and never answered; its token is too old to ask with again"}
	given := NewBook([]ledger.Entry{ticked("09:00:00", 7, ledger.Intent, launchOf3), started("11:00:30"), line("11:00:31", old)}, time.Time{})
	wantTold(t, given.Story(Object{Group, "spot-a"}), "09:00:00 launch of 3 instances: 9 pods have no place | outcome unknown: given up after 2h0m31s, begun at 2026-11-23T09:00:00Z and never answered; its token is too old to ask with again")
}

// Without a token an outcome is of the newest intent for the object, and of none that an older process left behind.
func TestAnIntentWithoutATokenTakesNoOthersOutcome(t *testing.T) {
	const ended = "outcome unknown: its scaler ended before an entry said what came of it"
	for name, c := range map[string]struct {
		entries []ledger.Entry
		want    []string
	}{
		"the next process makes them": {[]ledger.Entry{ticked("09:00:00", 7, ledger.Intent, makes4), started("09:00:30"), ticked("09:00:40", 1, ledger.Intent, makes2), ticked("09:00:41", 1, ledger.Done, made2)},
			[]string{"09:00:00 4 balloons to make: 4 more wanted in 1a | " + ended, "09:00:40 2 balloons to make: 2 more wanted in 1c | done after 1s"}},
		"its start was dropped": {[]ledger.Entry{ticked("09:00:00", 7, ledger.Intent, makes4), ticked("09:00:40", 1, ledger.Intent, makes2), ticked("09:00:41", 1, ledger.Done, made2)},
			[]string{"09:00:00 4 balloons to make: 4 more wanted in 1a | outcome unknown: no entry says what came of it, and the same was begun again at 09:00:40", "09:00:40 2 balloons to make: 2 more wanted in 1c | done after 1s"}},
		"nobody goes on": {[]ledger.Entry{ticked("09:00:00", 7, ledger.Intent, makes4), started("09:00:30")},
			[]string{"09:00:00 4 balloons to make: 4 more wanted in 1a | " + ended}},
		"it goes on": {[]ledger.Entry{ticked("09:00:00", 7, ledger.Intent, makes4)},
			[]string{"09:00:00 4 balloons to make: 4 more wanted in 1a | " + unknown}},
		"its successor's intent could not be written": {[]ledger.Entry{ticked("09:00:00", 7, ledger.Intent, makes4), started("09:00:30"), ticked("09:00:41", 1, ledger.Done, made2)},
			[]string{"09:00:00 4 balloons to make: 4 more wanted in 1a | " + ended, "09:00:41 2 balloons to make | done; no entry says why it was begun"}},
		"a gap between them": {[]ledger.Entry{ticked("09:00:00", 7, ledger.Intent, makes4), line("09:00:05", ledger.Entry{Phase: ledger.Note, Action: "gap"}), ticked("09:00:41", 9, ledger.Done, made2)},
			[]string{"09:00:00 4 balloons to make: 4 more wanted in 1a | " + unknown, "09:00:41 2 balloons to make | done; no entry says why it was begun"}},
		"two zones of one plan": {[]ledger.Entry{ticked("09:00:00", 7, ledger.Intent, makes4), ticked("09:00:01", 7, ledger.Done, made4), ticked("09:00:01", 7, ledger.Intent, makes2), ticked("09:00:02", 7, ledger.Done, made2)},
			[]string{"09:00:00 4 balloons to make: 4 more wanted in 1a | done after 1s", "09:00:01 2 balloons to make: 2 more wanted in 1c | done after 1s"}},
	} {
		t.Run(name, func(t *testing.T) {
			wantTold(t, NewBook(c.entries, time.Time{}).Story(Object{Balloon, "shop/web"}), c.want...)
		})
	}
}

// Another process that starts beside, as after a fail-over, does not end what the first one still writes to its own ledger.
func TestAnotherLedgersStartEndsNothing(t *testing.T) {
	drain := ledger.Entry{Action: "drain", Object: "ip-1", Reason: "unneeded"}
	entries := []ledger.Entry{ticked("09:00:00", 7, ledger.Intent, drain), started("09:00:30"), ticked("09:01:00", 7, ledger.Done, drain)}
	for i := range entries {
		entries[i].Ledger = []string{"a", "b", "a"}[i]
	}
	wantTold(t, NewBook(entries, time.Time{}).Story(Object{Node, "ip-1"}), "09:00:00 drain: unneeded | done after 1m")
}

// A clock that was put back between an intent and its outcome parts them not, and nothing is told to have ended before it began.
func TestAClockThatWasPutBackPartsNothing(t *testing.T) {
	entries := []ledger.Entry{ticked("09:00:00", 7, ledger.Intent, makes4), ticked("08:00:01", 7, ledger.Done, made4), ticked("08:00:10", 8, ledger.Intent, makes2), ticked("08:00:12", 8, ledger.Done, made2)}
	for i := range entries {
		entries[i].Seq = int64(i + 1)
	}
	s := NewBook(entries, time.Time{}).Story(Object{Balloon, "shop/web"})
	wantTold(t, s, "08:00:10 2 balloons to make: 2 more wanted in 1c | done after 2s", "09:00:00 4 balloons to make: 4 more wanted in 1a | done; when is not known, as the clock was put back")
	if notes := strings.Join(s.Notes, "\n"); !strings.Contains(notes, "the scaler's clock was put back, at the most from 2026-11-23 09:00:00 UTC to 2026-11-23 08:00:01 UTC") {
		t.Error(notes)
	}
}

// A drain that was cut short or that failed is not told to go on.
func TestADrainThatEndedDoesNotGoOn(t *testing.T) {
	drain := ledger.Entry{Action: "drain", Object: "ip-1", Reason: "unneeded"}
	failed := drain
	failed.Error = "a disruption budget holds shop/web-abc"
	for name, c := range map[string]struct {
		after ledger.Entry
		want  string
	}{
		"it goes on":       {line("09:00:01", ledger.Entry{Phase: ledger.Note, Action: "problem"}), "It is being drained since 2026-11-23 09:00:00 UTC: unneeded."},
		"its scaler ended": {started("09:00:30"), "A drain was begun at 2026-11-23 09:00:00 UTC: unneeded; outcome unknown: its scaler ended before an entry said what came of it."},
		"it failed":        {ticked("09:05:00", 7, ledger.Failed, failed), "A drain was begun at 2026-11-23 09:00:00 UTC: unneeded; failed after 5m: a disruption budget holds shop/web-abc."},
	} {
		if got := NewBook([]ledger.Entry{ticked("09:00:00", 7, ledger.Intent, drain), c.after}, time.Time{}).Story(Object{Node, "ip-1"}).Answer; !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Two scalers that do the same at once, each with a ledger of its own, keep their outcomes.
func TestTwoLedgersKeepTheirOutcomes(t *testing.T) {
	failed := makes4
	failed.Count, failed.Error = 0, "forbidden"
	entries := []ledger.Entry{ticked("09:00:00", 7, ledger.Intent, makes4), ticked("09:00:01", 7, ledger.Intent, makes4), ticked("09:00:02", 7, ledger.Done, made4), ticked("09:00:03", 7, ledger.Failed, failed)}
	for i := range entries {
		entries[i].Ledger = []string{"a", "b", "a", "b"}[i]
	}
	wantTold(t, NewBook(entries, time.Time{}).Story(Object{Balloon, "shop/web"}),
		"09:00:00 4 balloons to make: 4 more wanted in 1a | done after 2s", "09:00:01 4 balloons to make: 4 more wanted in 1a | failed in part after 2s, 0 of 4: forbidden")
}
