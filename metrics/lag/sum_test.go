package lag

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"swell/api/v1alpha1"
)

var lateRules = Rules{Isolation: v1alpha1.ReadCommitted, Uncommitted: v1alpha1.UncommittedLatest, LateAfter: 30 * time.Second}

// waiting is a partition with 60 of 100 offsets to read, of which 10 are older than 30 s, the oldest 45 s old.
func waiting(partition int32) Reading {
	return Reading{Topic: "orders", Partition: partition, At: start, Commit: 40, End: 100, Stable: 100, Readable: Unknown, BrokerStamped: true,
		Late: []LateFrom{{Age: time.Minute, Offset: 0}, {Age: 30 * time.Second, Offset: 50}}, OldestAt: start.Add(-45 * time.Second)}
}

func TestLatenessAndSeconds(t *testing.T) {
	for name, c := range map[string]struct {
		spoil            func(r *Reading)
		lag, late        int64
		exact            bool
		seconds          float64
		problem          string // of the lag
		lateProblem, age string
	}{
		"as it is":          {func(*Reading) {}, 60, 10, true, 45, "", "", ""},
		"producers stamp":   {func(r *Reading) { r.BrokerStamped = false }, 60, 10, false, 45, "", "", ""},
		"all of it is late": {func(r *Reading) { r.Late[1].Offset = NoneSince }, 60, 60, true, 45, "", "", ""},
		"none of it is":     {func(r *Reading) { r.Late[1].Offset = 30 }, 60, 0, true, 45, "", "", ""},
		"read to the end":   {func(r *Reading) { r.Commit, r.Late, r.OldestAt = 100, nil, time.Time{} }, 0, 0, true, 0, "", "", ""},
		"only markers":      {func(r *Reading) { r.Readable, r.Late, r.OldestAt = 103, nil, time.Time{} }, 0, 0, true, 0, "", "", ""},
		"markers first":     {func(r *Reading) { r.Readable = 45 }, 55, 5, true, 45, "", "", ""},
		"expired":           {func(r *Reading) { r.Start = 48 }, 52, 2, true, 45, "", "", ""},
		"a transaction":     {func(r *Reading) { r.Stable = 44 }, 4, 4, true, 45, "", "", ""},
		"lateness not read": {func(r *Reading) { r.Late = r.Late[:1] }, 60, 0, false, 45, "", "orders/7: where its messages older than 30s end", ""},
		"look-up failed":    {func(r *Reading) { r.Late[1].Offset = Unknown }, 60, 0, false, 45, "", "1 of 1 partitions", ""},
		"age not known":     {func(r *Reading) { r.OldestAt = time.Time{} }, 60, 10, true, 0, "", "", "orders/7: when its oldest"},
		"clocks apart":      {func(r *Reading) { r.OldestAt = start.Add(time.Second) }, 60, 10, true, 0, "", "", ""},
		"lag not known":     {func(r *Reading) { r.Problem = "broker 2 is away" }, 0, 0, false, 0, "broker 2", "broker 2", "broker 2"},
		"commit beyond":     {func(r *Reading) { r.Commit = 101 }, 0, 0, false, 0, "beyond the end", "beyond the end", "beyond the end"},
	} {
		r := waiting(7)
		c.spoil(&r)
		s := Add([]Reading{r}, lateRules)
		if s.Lag != c.lag || s.Late != c.late || s.LateExact != c.exact || s.Seconds != c.seconds {
			t.Errorf("%s: lag %d, late %d (exact %t), %g s; want %d, %d (%t), %g s", name, s.Lag, s.Late, s.LateExact, s.Seconds, c.lag, c.late, c.exact, c.seconds)
		}
		problem := ""
		if len(s.Problems) > 0 {
			problem = s.Problems[0].String()
		}
		for _, p := range [][2]string{{problem, c.problem}, {s.LateProblem, c.lateProblem}, {s.SecondsProblem, c.age}} {
			if !strings.Contains(p[0], p[1]) || (p[0] == "") != (p[1] == "") {
				t.Errorf("%s: %q, want %q", name, p[0], p[1])
			}
		}
	}
}

func TestLatenessNotAskedFor(t *testing.T) {
	rules := lateRules
	rules.LateAfter = 0
	if s := Add([]Reading{waiting(0)}, rules); !s.Complete() || s.Late != 0 || s.LateExact || !strings.Contains(s.LateProblem, "lateAfter") || s.SecondsProblem != "" {
		t.Errorf("%+v", s)
	}
}

// TestShareGroup plays share consumers, who are done with any of the messages beyond the start.
func TestShareGroup(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		end := rapid.Int64Range(0, 30).Draw(t, "end")
		from := rapid.Int64Range(0, end).Draw(t, "start")
		young := rapid.Int64Range(0, end).Draw(t, "young from")
		var lag, late int64
		for o := from; o < end; o++ {
			if rapid.Bool().Draw(t, "done") {
				continue
			}
			lag++
			if o < young {
				late++
			}
		}
		r := Reading{Share: true, ShareLag: lag, Commit: from, End: end, Stable: end, At: start, OldestAt: start.Add(-time.Minute), BrokerStamped: true,
			Late: []LateFrom{{Age: 30 * time.Second, Offset: young}}}
		s := Add([]Reading{r}, lateRules)
		if !s.Share || !s.Complete() || s.Lag != lag || s.LateProblem != "" || s.LateExact || (s.Seconds > 0) != (lag > 0) {
			t.Fatalf("lag %d: %+v", lag, s)
		}
		if s.Late > late || s.Late > lag || s.Late < late-(end-from-lag) {
			t.Fatalf("%d late messages of %d, said at least %d", late, lag, s.Late)
		}
	})
	for _, unknown := range []int64{Unknown, -7} {
		s := Add([]Reading{{Share: true, ShareLag: unknown, Commit: Unknown, End: 9, Stable: 9}}, lateRules)
		if s.Complete() || s.Lag != 0 || s.NeverCommitted() || !strings.Contains(s.Problems[0].Text, "needs Kafka 4.2 or newer") {
			t.Errorf("%+v", s)
		}
	}
}

func TestSumsDoNotOverflow(t *testing.T) {
	r := Reading{Commit: 0, End: math.MaxInt64, Stable: math.MaxInt64, Late: []LateFrom{{Age: 30 * time.Second, Offset: NoneSince}}}
	share := Reading{Share: true, ShareLag: math.MaxInt64}
	if s := Add([]Reading{r, r, share}, lateRules); s.Lag != math.MaxInt64 || s.Late != 0 || s.LateProblem == "" {
		t.Errorf("lag %d, late %d, %q", s.Lag, s.Late, s.LateProblem)
	}
	if s := Add([]Reading{r, r}, lateRules); s.Late != math.MaxInt64 {
		t.Errorf("late %d: %s", s.Late, s.LateProblem)
	}
}
