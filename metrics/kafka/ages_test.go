package kafka

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"pgregory.net/rapid"

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
		a := &age{begin: now, beginOffset: int64(n)}
		a.line.Observe(now, int64(n))
		for range maxSteps {
			at, ok := a.probe(target, now, every)
			if !ok {
				break
			}
			a.answered(target, at, firstSince(at), now)
		}
		if at, ok := a.probe(target, now, every); ok {
			t.Fatalf("after %d steps it still asks for %s", maxSteps, at)
		}
		after, before, ok := a.line.Between(target)
		if !ok {
			t.Fatalf("no time for offset %d of %d, %s old", target, n, time.Duration(back[target]))
		}
		appended := now.Add(-time.Duration(back[target]))
		if appended.Before(after) || appended.After(before) {
			t.Errorf("appended at %s, found between %s and %s", appended, after, before)
		}
		if wide := before.Sub(after); wide > max(every, time.Duration(back[target])/8) {
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
	if pt.age.beginOffset != 20 {
		t.Errorf("the course begins at offset %d of the old log", pt.age.beginOffset)
	}
	if got := (&groupPoll{want: &want{ages: true, latest: true}}).oldestAt(commit{offset: 15, lag: lag.Unknown}, &pt); !got.IsZero() {
		t.Errorf("a time of the old log is told for the new one: %s", got)
	}
}
