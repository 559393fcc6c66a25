package lag

import (
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"swell/api/v1alpha1"
)

// eachClass is how often the arithmetic must have met each thing that makes offsets lie.
const eachClass = 10_000

// naive is what one who looks at every message says of a group.
type naive struct {
	lag, late  int64
	seconds    float64
	unknown    bool // the lag of some partition
	noLate     bool
	noSeconds  bool
	gapsInLate int64
	messages   int64
}

// judge looks at every message of one partition, adds it to what is known of the group, and counts what it met.
func (w *world) judge(t *rapid.T, r Reading, n *naive, met map[string]int) {
	l := w.logs[r.Partition]
	from, end := w.unread(l, r.Readable)
	got, problem := Of(r, w.rules)
	if impossible := l.commit > end || l.start > end || l.commit == Unknown && w.rules.Uncommitted == v1alpha1.UncommittedError; impossible != (problem != "") {
		t.Fatalf("problem %q for %+v", problem, r)
	}
	w.meet(l, from, end, met)
	if problem != "" {
		n.unknown, n.noLate, n.noSeconds = true, true, true
		return
	}
	cutoff, asked := w.now.Add(-w.rules.LateAfter), false
	until := end
	for _, a := range r.Late {
		if a.Age == w.rules.LateAfter {
			asked, until = true, min(end, a.Offset)
		}
	}
	var messages int64
	for o := from; o < end; o++ {
		switch message := l.message(o); {
		case message:
			messages++
			if l.entries[o].stamp.Before(cutoff) {
				n.late++
			}
		case o < until:
			n.gapsInLate++
		}
	}
	if got != end-from || messages > got || r.Readable >= 0 && (got == 0) != (messages == 0) {
		t.Fatalf("lag %d, want the %d offsets that hold %d messages: %+v", got, end-from, messages, r)
	}
	n.lag, n.messages = n.lag+got, n.messages+messages
	if from < end {
		n.noLate = n.noLate || !asked
		n.noSeconds = n.noSeconds || r.OldestAt.IsZero()
		n.seconds = max(n.seconds, w.now.Sub(l.entries[from].appended).Seconds())
	}
}

// meet counts the classes that matter for a partition's unread offsets.
func (w *world) meet(l *log, from, end int64, met map[string]int) {
	has := map[string]bool{"retention": l.commit >= 0 && l.start > l.commit, "topics made anew": l.made, "added partitions": l.added}
	latest := time.Time{}
	for o := from; o < end; o++ {
		e := l.entries[o]
		has["markers"] = has["markers"] || e.marker
		has["compaction"] = has["compaction"] || e.compacted
		has["out-of-order stamps"] = has["out-of-order stamps"] || e.stamp.Before(latest)
		if e.stamp.After(latest) {
			latest = e.stamp
		}
	}
	for class, is := range has {
		if is {
			met[class]++
		}
	}
}

// check holds the sum over the partitions against what the messages say.
func (w *world) check(t *rapid.T, readings []Reading, n naive) {
	s := Add(readings, w.rules)
	if s.Complete() == n.unknown || (s.LateProblem != "") != n.noLate || (s.SecondsProblem != "") != n.noSeconds {
		t.Fatalf("%d of %d known, late %q, seconds %q; want unknown %t %t %t", s.Known, s.Total, s.LateProblem, s.SecondsProblem, n.unknown, n.noLate, n.noSeconds)
	}
	if s.Complete() && s.Lag != n.lag {
		t.Fatalf("lag %d, want %d", s.Lag, n.lag)
	}
	if s.SecondsProblem == "" && s.Seconds != n.seconds {
		t.Fatalf("%g seconds, want %g", s.Seconds, n.seconds)
	}
	if s.LateProblem != "" {
		return
	}
	if s.LateExact != w.brokerStamped {
		t.Fatalf("exact %t of stamps by brokers %t", s.LateExact, w.brokerStamped)
	}
	late := s.Late - n.gapsInLate
	if s.LateExact && late != n.late || late < 0 || late > n.late || s.Late > s.Lag {
		t.Fatalf("%d late of %d (exact %t), with %d that are no messages; want %d", s.Late, s.Lag, s.LateExact, n.gapsInLate, n.late)
	}
}

// TestAgainstEveryMessage plays topics and groups until every class was met often enough.
func TestAgainstEveryMessage(t *testing.T) {
	met := map[string]int{"markers": 0, "compaction": 0, "retention": 0, "topics made anew": 0, "added partitions": 0, "out-of-order stamps": 0}
	least := func() int {
		n := eachClass
		for _, times := range met {
			n = min(n, times)
		}
		return n
	}
	before := -1
	for round := 0; least() < eachClass && least() > before; round++ {
		before = least()
		rapid.Check(t, func(t *rapid.T) { playWorld(t, met) })
	}
	t.Logf("met: %v", met)
	for class, times := range maps.All(met) {
		if times < eachClass {
			t.Errorf("%s were met %d times, want %d at least", class, times, eachClass)
		}
	}
}

func playWorld(t *rapid.T, met map[string]int) {
	w := drawWorld(t)
	r := rates{window: time.Minute}
	var produced, consumed float64
	var last []Reading
	for range 100 {
		w.step(t)
		var n naive
		readings := make([]Reading, len(w.logs))
		for i := range w.logs {
			readings[i] = w.reading(t, i)
			w.judge(t, readings[i], &n, met)
		}
		w.check(t, readings, n)
		r.observe(readings, w.rules)
		if whole(readings, w.rules) {
			p, c := between(last, readings, w.rules)
			produced, consumed, last = produced+p, consumed+c, readings
		}
		if r.produced != produced || r.consumed != consumed {
			t.Fatalf("%g produced and %g consumed, want %g and %g", r.produced, r.consumed, produced, consumed)
		}
		for _, l := range w.logs {
			l.made = false
		}
	}
}

// whole says whether rates can be taken from a poll.
func whole(readings []Reading, rules Rules) bool {
	for _, p := range readings {
		if end := rules.end(p); p.Start > end || p.Commit > end {
			return false
		}
	}
	return true
}

// between counts what was produced and consumed between two polls in partitions that are in both.
func between(last, next []Reading, rules Rules) (produced, consumed float64) {
	for _, a := range last {
		for _, b := range next {
			if a.TopicID != b.TopicID || a.Partition != b.Partition || rules.end(b) < rules.end(a) {
				continue
			}
			for o := rules.end(a); o < rules.end(b); o++ {
				produced++
			}
			for o := a.Commit; a.Commit >= 0 && o < b.Commit; o++ {
				consumed++
			}
		}
	}
	return produced, consumed
}

func TestWhatCannotBeIsUnknownNeverNegative(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		offset := rapid.Int64Range(-1, 20)
		r := Reading{Commit: offset.Draw(t, "commit"), End: offset.Draw(t, "end"), Stable: offset.Draw(t, "stable"), Start: offset.Draw(t, "start"), Readable: offset.Draw(t, "readable")}
		for _, isolation := range []v1alpha1.Isolation{v1alpha1.ReadCommitted, v1alpha1.ReadUncommitted} {
			rules := Rules{Isolation: isolation, Uncommitted: v1alpha1.UncommittedEarliest}
			got, problem := Of(r, rules)
			if got < 0 {
				t.Fatalf("negative lag %d", got)
			}
			end := rules.end(r)
			impossible := end < 0 || r.Start < 0 || r.Start > end || r.Commit > end
			if impossible != (problem != "") {
				t.Fatalf("problem %q for %+v", problem, r)
			}
		}
	})
}
