package consumers

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"swell/api/v1alpha1"
	"swell/metrics/lag"
)

var day = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)

// empty is a group that was idle for a time before day, with a workload of some replicas.
func empty(idleFor time.Duration, replicas int) zeroCase {
	return zeroCase{after: 5 * time.Minute, staleAfter: 15 * time.Second, sight: sight{at: day, appended: 100, log: 1},
		idle: idleness{since: day.Add(-idleFor), seen: day, log: 1}, workload: workload{replicas: replicas, base: noBaseline}}
}

func with(z zeroCase, change func(*zeroCase)) zeroCase {
	change(&z)
	return z
}

func TestDecideZero(t *testing.T) {
	const long = time.Hour
	unknown := func(z *zeroCase) { z.sight, z.idle = sight{unknown: "broker 1: EOF"}, idleness{} }
	atZero := func(ours bool) zeroCase {
		return with(empty(long, 0), func(z *zeroCase) { z.workload.ours, z.workload.base.appended = ours, 100 })
	}
	for name, tc := range map[string]struct {
		z      zeroCase
		action zeroAction
		reason string
		says   string
	}{
		"idle long enough, one pod":        {empty(long, 1), toZero, reasonScaledToZero, "first message"},
		"idle long enough, count not read": {empty(long, -1), look, reasonEmpty, ""},
		"idle to the second":               {empty(5*time.Minute, 1), toZero, reasonScaledToZero, ""},
		"idle not long enough":             {empty(5*time.Minute-time.Second, 1), leave, reasonEmpty, "08:00:01"},
		"pods that somebody else scales":   {empty(long, 5), leave, reasonStillScaled, "5 replicas"},
		"another consumer not empty":       {with(empty(long, 1), func(z *zeroCase) { z.unsure = "mails" }), leave, reasonStillScaled, "mails"},
		"another consumer has messages":    {with(atZero(true), func(z *zeroCase) { z.busy = "mails" }), toOne, reasonScaledFromZero, "mails"},
		"unknown, but an end has moved":    {with(atZero(true), func(z *zeroCase) { unknown(z); z.sight.appended = 101 }), toOne, reasonScaledFromZero, "produced"},
		"what waits may be markers":        {with(atZero(true), func(z *zeroCase) { z.sight.lag, z.unproven = 1, true }), leave, reasonScaledToZero, ""},
		"unknown":                          {with(empty(long, 1), unknown), leave, reasonUnknown, "EOF"},
		"not read lately":                  {with(empty(long, 1), func(z *zeroCase) { z.idle.seen = day.Add(-time.Minute) }), leave, reasonUnknown, "lately"},
		"messages":                         {with(empty(long, 1), func(z *zeroCase) { z.sight.lag = 1 }), leave, reasonMessagesWait, ""},
		"never committed":                  {with(empty(long, 1), func(z *zeroCase) { z.sight.uncommitted = "orders/3" }), leave, reasonNeverCommitted, "orders/3"},
		"raised by hand lately":            {with(empty(long, 1), func(z *zeroCase) { z.workload.raised = day.Add(-time.Minute) }), leave, reasonEmpty, ""},
		"spec.zero is not there":           {with(empty(long, 1), func(z *zeroCase) { z.after = 0 }), leave, "", ""},
		"at none, nothing":                 {atZero(true), leave, reasonScaledToZero, ""},
		"at none, a message":               {with(atZero(true), func(z *zeroCase) { z.sight.lag, z.sight.appended = 1, 101 }), toOne, reasonScaledFromZero, "(1)"},
		"at none, one was read":            {with(atZero(true), func(z *zeroCase) { z.sight.appended = 101 }), toOne, reasonScaledFromZero, "produced"},
		"at none, all unknown":             {with(atZero(true), unknown), leave, reasonScaledToZero, "EOF"},
		"at none, partly unknown":          {with(atZero(true), func(z *zeroCase) { unknown(z); z.sight.lag = 3 }), toOne, reasonScaledFromZero, "(3)"},
		"at none, spec.zero gone":          {with(atZero(true), func(z *zeroCase) { z.after = 0 }), toOne, reasonScaledFromZero, "spec.zero"},
		"none by hand":                     {atZero(false), leave, reasonZeroByHand, "somebody else"},
		"none by hand, an old backlog":     {with(atZero(false), func(z *zeroCase) { z.sight.lag = 9 }), leave, reasonZeroByHand, ""},
		"none by hand, a new message":      {with(atZero(false), func(z *zeroCase) { z.sight.lag, z.sight.appended = 10, 101 }), toOne, reasonScaledFromZero, ""},
		"none by hand, no spec.zero":       {with(atZero(false), func(z *zeroCase) { z.after = 0 }), leave, "", ""},
		"none by hand, first seen unknown": {with(atZero(false), func(z *zeroCase) { z.workload.base = noBaseline }), leave, reasonZeroByHand, ""},
	} {
		v := decideZero(day, tc.z)
		if v.action != tc.action || v.reason != tc.reason || !strings.Contains(v.message, tc.says) {
			t.Errorf("%s: action %d, %s: %s; want action %d, %s with %q", name, v.action, v.reason, v.message, tc.action, tc.reason, tc.says)
		}
	}
}

func TestSee(t *testing.T) {
	at := func(p int32, commit, end int64) lag.Reading {
		return lag.Reading{Topic: "orders", Partition: p, At: day, Commit: commit, End: end, Stable: end, Readable: lag.Unknown}
	}
	look := func(policy v1alpha1.Uncommitted, readings ...lag.Reading) sight {
		rules := lag.Rules{Isolation: v1alpha1.ReadCommitted, Uncommitted: policy}
		return see(readings, rules, lag.Add(readings, rules), "")
	}
	a := look(v1alpha1.UncommittedLatest, at(0, 5, 5), at(1, 7, 7))
	if a.lag != 0 || a.appended != 12 || a.uncommitted != "" || !a.at.Equal(day) {
		t.Errorf("read to the end: %+v", a)
	}
	if b := look(v1alpha1.UncommittedLatest, at(0, 5, 5), at(1, 7, 7)); b.log != a.log {
		t.Error("the same ends are another log")
	}
	anew := at(1, 7, 7)
	anew.TopicID[0] = 1
	for name, b := range map[string]sight{"a message that was read": look(v1alpha1.UncommittedLatest, at(0, 6, 6), at(1, 7, 7)), "a partition more": look(v1alpha1.UncommittedLatest, at(0, 5, 5), at(1, 7, 7), at(2, 0, 0)),
		"a topic made anew": look(v1alpha1.UncommittedLatest, at(0, 5, 5), anew), "ends changed places": look(v1alpha1.UncommittedLatest, at(0, 7, 7), at(1, 5, 5))} {
		if b.log == a.log {
			t.Errorf("%s is the same log", name)
		}
	}
	if s := look(v1alpha1.UncommittedLatest, at(0, 5, 5), at(1, lag.Unknown, 0)); s.lag != 0 || s.uncommitted != "orders/1" {
		t.Errorf("under Latest, no commit: %+v; want it named although its lag is 0", s)
	}
	if s := look(v1alpha1.UncommittedEarliest, at(0, 5, 5), at(1, lag.Unknown, 0)); s.lag != 0 || s.uncommitted != "" {
		t.Errorf("under Earliest, an empty partition: %+v; want it as good as read", s)
	}
	if s := look(v1alpha1.UncommittedEarliest, at(0, lag.Unknown, 3)); s.lag != 3 {
		t.Errorf("under Earliest, messages: %+v", s)
	}
}

// TestToZeroOnlyOnAnUnbrokenProof holds the verdicts against all that a random history showed.
func TestToZeroOnlyOnAnUnbrokenProof(t *testing.T) {
	const poll, staleAfter, after = 5 * time.Second, 15 * time.Second, 40 * time.Second
	proven := 0
	rapid.Check(t, func(t *rapid.T) {
		type seen struct {
			at    time.Time
			sight sight
		}
		var history []seen
		now, log := day, uint64(1)
		var idle idleness
		for range rapid.IntRange(1, 60).Draw(t, "polls") {
			now = now.Add(poll)
			s := sight{at: now}
			switch rapid.SampledFrom([]string{"idle", "idle", "idle", "idle", "idle", "idle", "idle", "idle", "idle", "idle", "idle", "message", "read", "unknown", "uncommitted", "pause"}).Draw(t, "what") {
			case "message":
				log++
				s.lag = 1
			case "read":
				log++
			case "unknown":
				s.unknown = "EOF"
			case "uncommitted":
				s.uncommitted = "orders/0"
			case "pause":
				now = now.Add(staleAfter)
				s.at = now
			}
			s.log = log
			idle = idle.next(s, staleAfter)
			history = append(history, seen{now, s})
			v := decideZero(now, zeroCase{after: after, staleAfter: staleAfter, sight: s, idle: idle, workload: workload{replicas: 1}})
			// The oracle: walk back from now while every poll is idle, without a gap, at the same log.
			from := time.Time{}
			for i := len(history) - 1; i >= 0; i-- {
				h := history[i]
				if h.sight.unknown != "" || h.sight.lag > 0 || h.sight.uncommitted != "" || h.sight.log != s.log ||
					i+1 < len(history) && history[i+1].at.Sub(h.at) > staleAfter {
					break
				}
				from = h.at
			}
			want := !from.IsZero() && now.Sub(from) >= after
			if got := v.action == toZero; got != want {
				t.Fatalf("to zero: %t, want %t at %s: %+v", got, want, now, history)
			}
			if want {
				proven++
			}
		}
	})
	if proven == 0 {
		t.Error("no history went to zero: nothing was tested")
	}
	t.Logf("%d verdicts to zero", proven)
}
