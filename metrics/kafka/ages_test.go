package kafka

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"pgregory.net/rapid"

	"swell/api/v1alpha1"
	"swell/metrics/lag"
)

func (b *bench) wantAges(group string, topics ...string) {
	b.want(group, topics...)
	b.wants[len(b.wants)-1].Ages = true
}

func TestAgeFromWhatWasSeen(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders"))
	b.produce("orders", 0, 5)
	b.commit("g", "orders", 0, 5)
	b.wantAges("g", "orders")
	b.poll()
	b.poll()
	if got := b.lag("g", latestRules); got.SecondsProblem != "" || got.Seconds != 0 {
		t.Errorf("nothing to read: %+v", got)
	}
	appended := b.now
	b.produce("orders", 0, 10)
	for range 6 {
		b.poll()
	}
	got := b.lag("g", latestRules)
	most := b.now.Sub(appended).Seconds()
	if least := most - b.cluster.PollEvery.Duration.Seconds(); got.SecondsProblem != "" || got.Seconds < least || got.Seconds > most {
		t.Errorf("age %g (%s), want %g to %g", got.Seconds, got.SecondsProblem, least, most)
	}
	b.produce("orders", 0, 1)
	b.commit("g", "orders", 0, 15)
	b.poll()
	if got := b.lag("g", latestRules); got.Lag != 1 || got.SecondsProblem != "" || got.Seconds > 5 {
		t.Errorf("a young message: %+v", got)
	}
	b.commit("g", "orders", 0, 16)
	b.poll()
	if b.poller.view.part("orders", 0).age != nil {
		t.Error("the course is kept although nobody lags")
	}
}

func TestAgeOfABacklogFromBefore(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders"))
	var ages []time.Duration
	for m := range 120 {
		ages = append(ages, time.Duration(120-m)*time.Minute)
	}
	b.produceAged("orders", 0, ages...)
	b.commit("g", "orders", 0, 30)
	stamped := b.now.Add(-ages[30])
	b.wantAges("g", "orders")
	b.poll()
	if got := b.lag("g", latestRules); got.SecondsProblem == "" {
		t.Errorf("an age that nobody can know: %g", got.Seconds)
	}
	total := b.count()
	for range maxSteps {
		b.poll()
	}
	got, want := b.lag("g", latestRules), b.now.Sub(stamped).Seconds()
	if got.SecondsProblem != "" || math.Abs(got.Seconds-want) > want/10 {
		t.Errorf("age %g (%s), want about %g", got.Seconds, got.SecondsProblem, want)
	}
	if n, byKey := total(); n > maxSteps*4+2 {
		t.Errorf("%d requests: %v", n, byKey)
	}
	total = b.count()
	for range 4 {
		b.poll()
	}
	if _, byKey := total(); byKey["ListOffsets"] > 4 {
		t.Errorf("it still looks for what it has found: %v", byKey)
	}
}

// TestSearchFindsTheAge searches in logs with any stamps in order.
func TestSearchFindsTheAge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		every := 5 * time.Second
		n := rapid.IntRange(1, 200).Draw(t, "n")
		back := rapid.SliceOfN(rapid.Int64Range(int64(10*time.Second), int64(30*24*time.Hour)), n, n).Draw(t, "ages")
		slices.Sort(back)
		slices.Reverse(back)
		firstSince := func(at time.Time) int64 {
			for i, age := range back {
				if !now.Add(-time.Duration(age)).Before(at) {
					return int64(i)
				}
			}
			return int64(n)
		}
		target := int64(rapid.IntRange(0, n-1).Draw(t, "target"))
		a := &age{every: every}
		a.line.Observe(now, int64(n))
		steps := 0
		for ; ; steps++ {
			a.tell(target, now)
			at, ok := a.probe(now)
			if !ok {
				break
			}
			a.answered(firstSince(at), now)
		}
		if steps > maxSteps {
			t.Fatalf("%d steps", steps)
		}
		after, before, ok := a.pair(target, now).Between(target)
		if !ok {
			t.Fatalf("no time for offset %d of %d, %s old", target, n, time.Duration(back[target]))
		}
		appended := now.Add(-time.Duration(back[target]))
		if appended.Before(after) || appended.After(before) {
			t.Errorf("appended at %s, found between %s and %s", appended, after, before)
		}
		if wide := before.Sub(after); wide > max(2*every, time.Duration(back[target])/8) {
			t.Errorf("%s old, found within %s only", time.Duration(back[target]), wide)
		}
	})
}

func TestAgeAfterTheTopicWasTruncated(t *testing.T) {
	pt := newPart("")
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	see := func(end, oldest int64) {
		at = at.Add(5 * time.Second)
		pt.begin()
		pt.end, pt.oldest = end, oldest
		pt.follow(at)
	}
	see(100, 50)
	see(110, 50)
	see(20, 15)
	if end, _ := pt.age.line.Newest(); end != 20 {
		t.Errorf("the course ends at offset %d of the old log", end)
	}
	if got := (&groupPoll{want: &want{ages: true, latest: true}}).oldestAt(commit{offset: 15, lag: lag.Unknown}, &pt); !got.IsZero() {
		t.Errorf("a time of the old log is told for the new one: %s", got)
	}
}

// A group that is hours behind must not make the age of another one up: swell has just started, and knows neither.
func TestAgesOfTwoGroupsInOnePartition(t *testing.T) {
	day := 24 * time.Hour
	old := append([]time.Duration{2 * day}, slices.Repeat([]time.Duration{day}, 99)...)
	young := append([]time.Duration{20 * day}, slices.Repeat([]time.Duration{10 * time.Minute}, 99)...)
	for name, tc := range map[string]struct {
		ages    []time.Duration
		stopped func(b *bench)
		commit  int64
		want    time.Duration
	}{
		"a stopped group":                 {old, func(b *bench) { b.commit("dead", "orders", 0, 0); b.wantAges("dead", "orders") }, 90, day},
		"a group that does not exist":     {young, func(b *bench) { b.wantAges("made-up", "orders") }, 10, 10 * time.Minute},
		"a stopped group and a young log": {young, func(b *bench) { b.commit("dead", "orders", 0, 0); b.wantAges("dead", "orders") }, 50, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, kfake.SeedTopics(1, "orders"))
			b.produceAged("orders", 0, tc.ages...)
			stamped := b.now.Add(-tc.want)
			b.commit("live", "orders", 0, tc.commit)
			b.wantAges("live", "orders")
			tc.stopped(b)
			for i := range 2*maxSteps + 4 {
				b.poll()
				got, want := b.lag("live", latestRules), b.now.Sub(stamped).Seconds()
				if got.SecondsProblem == "" && math.Abs(got.Seconds-want) > want/toldWithin+10 {
					t.Fatalf("poll %d: %.2f h, want %.2f", i, got.Seconds/3600, want/3600)
				}
			}
			if got := b.lag("live", latestRules); got.SecondsProblem != "" {
				t.Errorf("not known after all polls: %s", got.SecondsProblem)
			}
		})
	}
}

// A group that never committed counts as read to the end where that is asked for, and costs no look-ups.
func TestAgesOfGroupsThatNeverCommitted(t *testing.T) {
	for policy, looks := range map[v1alpha1.Uncommitted]bool{v1alpha1.UncommittedLatest: false, v1alpha1.UncommittedError: false, v1alpha1.UncommittedEarliest: true} {
		b := newBench(t, kfake.SeedTopics(1, "orders"))
		b.produceAged("orders", 0, time.Hour, time.Minute)
		b.wantAges("new", "orders")
		b.wants[0].Uncommitted = policy
		for range maxSteps + 2 {
			b.poll()
		}
		rules := latestRules
		rules.Uncommitted = v1alpha1.UncommittedEarliest
		_, of := b.selected("new", "orders")
		if of.Total != 1 {
			t.Fatalf("%s: %+v", policy, of)
		}
		v, _ := b.selected("new", "orders")
		if got := lag.Add(v.Readings, rules); (got.SecondsProblem == "") != looks || looks && math.Abs(got.Seconds-3600) > 600 {
			t.Errorf("%s: %g (%s), looked for: %t", policy, got.Seconds, got.SecondsProblem, looks)
		}
	}
}

// TestEveryOffsetHasItsTurn has one partition searched for the offsets of several groups, which read on meanwhile: what is told is between
// the samples that tell it and near the truth, and everything is told at last.
func TestEveryOffsetHasItsTurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		const every = 5 * time.Second
		n := rapid.IntRange(1, 300).Draw(t, "n")
		back := rapid.SliceOfN(rapid.Int64Range(int64(10*time.Second), int64(30*24*time.Hour)), n, n).Draw(t, "ages")
		slices.Sort(back)
		slices.Reverse(back)
		stamps := make([]time.Time, n)
		for i := range stamps {
			stamps[i] = now.Add(-time.Duration(back[i]))
		}
		groups := rapid.SliceOfN(rapid.IntRange(0, n-1), 1, 12).Draw(t, "groups")
		moves := rapid.SliceOfN(rapid.SampledFrom([]int{0, 0, 0, 1, 5}), len(groups), len(groups)).Draw(t, "moves")
		a := &age{every: every}
		most := (len(groups) + 1) * (maxSteps + 1)
		for poll := range 2 * most {
			now = now.Add(every)
			a.line.Observe(now, int64(n))
			if at, ok := a.probe(now); ok {
				first, _ := slices.BinarySearchFunc(stamps, at, func(s, at time.Time) int { return s.Compare(at) })
				a.answered(int64(first), now)
			}
			for i, offset := range groups {
				at, ok := a.tell(int64(offset), now)
				age := now.Sub(stamps[offset])
				if off := at.Sub(stamps[offset]).Abs(); ok && off > max(2*every, age/3) {
					t.Fatalf("poll %d: offset %d is of %s, told %s", poll, offset, stamps[offset], at)
				}
				if !ok && poll >= most && moves[i] == 0 {
					t.Fatalf("poll %d: nothing is told of offset %d of %v", poll, offset, groups)
				}
				if poll < most {
					groups[i] = min(offset+moves[i], n-1)
				}
			}
		}
		if len(a.found) > foundKept || len(a.fruitless) > 0 {
			t.Errorf("%d finds are kept, %v were looked for in vain", len(a.found), a.fruitless)
		}
	})
}

// What cannot be found, as messages were stamped later than they were seen, is not asked for again and again, nor keeps others from
// their turn.
func TestWhatIsSoughtInVainIsLeft(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d * time.Hour) }
	five, two := ago(5), ago(2)
	a := &age{every: 5 * time.Second}
	a.line.Observe(ago(10), 500)
	a.line.Observe(five, 700)
	a.line.Observe(now, 1000)
	probes := 0
	for range 40 * maxSteps {
		now = now.Add(a.every)
		a.line.Observe(now, 1000)
		if at, ok := a.probe(now); ok {
			probes++
			switch {
			case at.After(two):
				a.answered(1000, now)
			case at.After(five):
				a.answered(700, now)
			default:
				a.answered(400, now)
			}
		}
		for offset := int64(600); offset < 600+fruitlessKept+4; offset++ {
			if at, ok := a.tell(offset, now); ok {
				t.Fatalf("offset %d is told: %s", offset, at)
			}
		}
		a.tell(900, now)
	}
	if at, ok := a.tell(900, now); !ok || at.Sub(two).Abs() > time.Hour {
		t.Errorf("offset 900 is of %s (%t), want %s", at, ok, two)
	}
	for range 40 * maxSteps {
		now = now.Add(a.every)
		probes = 0
		if _, ok := a.probe(now); ok {
			probes++
			a.answered(400, now)
		}
		a.tell(600, now)
	}
	if probes > 0 {
		t.Error("what was sought in vain is still asked for")
	}
}

// A course of a day is thinned out: what was found in its gaps is kept beside it.
func TestFindsAreKept(t *testing.T) {
	begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := begun
	a := &age{every: 5 * time.Second}
	const perPoll = 50
	end := int64(0)
	see := func() {
		now, end = now.Add(a.every), end+perPoll
		a.line.Observe(now, end)
	}
	for range 24 * 720 {
		see()
	}
	probes, offsets := 0, []int64{10_000, 50_000, 100_000, 200_000, 300_000, 400_000}
	for range 2000 {
		see()
		if at, ok := a.probe(now); ok {
			probes++
			a.answered(int64(at.Sub(begun)/a.every)*perPoll, now)
		}
		for _, offset := range offsets {
			at, ok := a.tell(offset, now)
			truth := begun.Add(time.Duration(offset/perPoll) * a.every)
			if off := at.Sub(truth).Abs(); ok && off > now.Sub(truth)/toldWithin {
				t.Fatalf("offset %d is of %s, told %s", offset, truth, at)
			}
		}
	}
	if probes == 0 || probes > 4*len(offsets) {
		t.Errorf("%d look-ups for %d offsets", probes, len(offsets))
	}
}
