package lag

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// appends is the full list of what a Timeline samples: when each offset was appended, markers and messages alike.
type appends []time.Time

// firstSince is what a broker that stamps the messages answers to a look-up.
func (a appends) firstSince(t time.Time) int64 {
	for o, at := range a {
		if !at.Before(t) {
			return int64(o)
		}
	}
	return NoneSince
}

// TestTimelineAgainstEveryAppend samples appends at random, with look-ups of old times in any order between, and holds what it
// says of every offset against the truth.
func TestTimelineAgainstEveryAppend(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all appends
		var line Timeline
		now := time.Unix(1_000_000, 0)
		started := now
		below := int64(0)
		for range rapid.IntRange(1, 150).Draw(t, "polls") {
			poll := now.Add(time.Duration(rapid.IntRange(1, 30).Draw(t, "seconds")) * time.Second)
			n := rapid.SampledFrom([]int{0, 0, 1, 2, 10}).Draw(t, "messages")
			for i := range n {
				// At whole fractions of the time between, never at the time of a poll.
				all = append(all, now.Add(poll.Sub(now)*time.Duration(2*i+1)/time.Duration(2*n)))
			}
			now = poll
			line.Observe(now, int64(len(all)))
			if rapid.IntRange(0, 3).Draw(t, "looks up") == 0 {
				at := started.Add(time.Duration(rapid.Int64Range(-int64(time.Minute), int64(now.Sub(started))).Draw(t, "at")))
				line.Learn(at, all.firstSince(at))
			}
			if rapid.IntRange(0, 5).Draw(t, "trims") == 0 {
				below = max(below, rapid.Int64Range(0, int64(len(all))).Draw(t, "below"))
				was, known := line.At(below)
				line.Trim(below)
				if got, ok := line.At(below); ok != known || !got.Equal(was) {
					t.Fatalf("trimmed below %d: %s (%t), was %s (%t)", below, got, ok, was, known)
				}
				if s := line.samples; len(s) > 1 && below > s[1].end {
					t.Fatalf("keeps %d samples from end %d on, trimmed below %d", len(s), s[1].end, below)
				}
			}
			if len(line.samples) > timelineKept {
				t.Fatalf("%d samples", len(line.samples))
			}
			all.check(t, &line)
		}
	})
}

func (a appends) check(t *rapid.T, line *Timeline) {
	reached := len(a) == 0
	for o, truth := range a {
		got, ok := line.At(int64(o))
		after, before, bounded := line.Between(int64(o))
		if ok != bounded || reached && !ok {
			t.Fatalf("offset %d of %d: known %t, bounded %t, an older one %t", o, len(a), ok, bounded, reached)
		}
		near := line.Near(int64(o))
		if at, there := near.At(int64(o)); there != ok || !at.Equal(got) || len(near.samples) > 2 {
			t.Fatalf("offset %d: %s (%t), and near it %s (%t) from %d samples", o, got, ok, at, there, len(near.samples))
		}
		if end, since := near.Newest(); !ok && (end <= int64(o) || truth.After(since)) {
			t.Fatalf("offset %d was appended at %s; said to be below %d and before %s", o, truth, end, since)
		}
		if !ok {
			continue
		}
		reached = true
		if truth.Before(after) || truth.After(before) || got.Before(after) || got.After(before) {
			t.Fatalf("offset %d was appended at %s; said %s, between %s and %s", o, truth, got, after, before)
		}
	}
	if _, ok := line.At(int64(len(a))); ok {
		t.Fatal("knows when a message will be appended")
	}
	if near := line.Near(int64(len(a))); len(near.samples) > 0 {
		t.Fatal("something is near a message that is not there yet")
	}
}

// TestTimelineKeepsRelativePrecision samples a week of even and of bursty production, and asks the age of every hundredth offset.
func TestTimelineKeepsRelativePrecision(t *testing.T) {
	const poll = 5 * time.Second
	for name, produced := range map[string]func(i int) int64{
		"even":   func(int) int64 { return 50 },
		"bursty": func(i int) int64 { return int64(2000*(i%720/700)) + 1 },
		"idle nights": func(i int) int64 {
			return int64(30 * (i / 8640 % 2))
		},
	} {
		var line Timeline
		now := time.Unix(1_000_000, 0)
		ends := []int64{0}
		line.Observe(now, 0)
		for i := range 7 * 24 * 720 {
			now = now.Add(poll)
			ends = append(ends, ends[len(ends)-1]+produced(i))
			line.Observe(now, ends[len(ends)-1])
		}
		if len(line.samples) > timelineKept {
			t.Fatalf("%s: %d samples", name, len(line.samples))
		}
		var worst, bound float64
		began := time.Unix(1_000_000, 0)
		for i := 1; i < len(ends); i++ {
			if ends[i] == ends[i-1] {
				continue
			}
			at, ok := line.At(ends[i-1])
			after, before, _ := line.Between(ends[i-1])
			if !ok {
				t.Fatalf("%s: offset %d is not known", name, ends[i-1])
			}
			truth := began.Add(time.Duration(i) * poll)
			age := now.Sub(truth) + poll
			// Within one poll nobody knows better.
			worst = math.Max(worst, (at.Sub(truth).Abs()-poll).Seconds()/age.Seconds())
			bound = math.Max(bound, (before.Sub(after)-poll).Seconds()/age.Seconds())
		}
		t.Logf("%s: a week in %d samples: ages are at most %.1f%% off, bounds %.1f%% apart", name, len(line.samples), 100*worst, 100*bound)
		if worst > 0.3 || bound > 0.3 {
			t.Errorf("%s: an age is %.0f%% off, bounds are %.0f%% apart", name, 100*worst, 100*bound)
		}
	}
}

func TestTimelineBetweenTwoSamples(t *testing.T) {
	var line Timeline
	at := time.Unix(1_000_000, 0)
	line.Observe(at, 100)
	line.Observe(at.Add(time.Hour), 100) // nothing came for an hour
	line.Observe(at.Add(time.Hour+100*time.Second), 1100)
	for offset := int64(100); offset < 1100; offset += 50 {
		want := at.Add(time.Hour + time.Duration(offset-100)*100*time.Millisecond)
		if got, ok := line.At(offset); !ok || got.Sub(want).Abs() > 200*time.Millisecond {
			t.Errorf("%d is of %s (%t), want %s", offset, got, ok, want)
		}
	}
	for _, offset := range []int64{99, 1100, Unknown, NoneSince} {
		if got, ok := line.At(offset); ok {
			t.Errorf("%d is of %s, and was not seen", offset, got)
		}
	}
}

func TestTimelineOfATopicMadeAnew(t *testing.T) {
	var line Timeline
	at := time.Unix(1_000_000, 0)
	line.Observe(at, 100)
	line.Observe(at.Add(10*time.Second), 200)
	if _, ok := line.At(150); !ok {
		t.Fatal("150 is not known")
	}
	line.Observe(at.Add(20*time.Second), 120)
	if got, ok := line.At(110); ok {
		t.Errorf("after the end went backwards, 110 is of %s", got)
	}
	line.Observe(at.Add(30*time.Second), 130)
	if got, ok := line.At(125); !ok || got.Before(at.Add(20*time.Second)) {
		t.Errorf("125 is of %s (%t)", got, ok)
	}
}

func TestTimelineIgnoresWhatContradicts(t *testing.T) {
	var line Timeline
	at := time.Unix(1_000_000, 0)
	second := func(s int) time.Time { return at.Add(time.Duration(s) * time.Second) }
	line.Learn(at, 5)
	if len(line.samples) != 0 {
		t.Fatal("learned before anything was seen")
	}
	line.Observe(second(100), 1000)
	line.Observe(second(200), 2000)
	before := append([]sample(nil), line.samples...)
	line.Observe(second(150), 1500) // an answer that came late
	line.Observe(second(300), -1)
	line.Learn(second(50), 1500)  // stamped long before it was appended
	line.Learn(second(250), 1500) // stamped in the future
	line.Learn(second(150), 3000) // beyond the end
	line.Learn(second(150), 500)  // at 100 s the end was beyond it already
	line.Learn(second(500), 2000) // newer than what was seen
	line.Learn(second(150), -1)   // no answer
	if len(line.samples) != len(before) || line.samples[0] != before[0] || line.samples[1] != before[1] {
		t.Errorf("samples %v, want %v", line.samples, before)
	}
	line.Learn(second(190), 1500)
	line.Learn(second(20), 400)
	line.Learn(second(60), 800)
	for offset, want := range map[int64]time.Time{1500: second(190), 1499: second(190), 400: second(20), 799: second(60)} {
		if got, ok := line.At(offset); !ok || got.Sub(want).Abs() > time.Second {
			t.Errorf("%d is of %s (%t), want %s", offset, got, ok, want)
		}
	}
	line.Learn(second(130), NoneSince)
	if after, before, _ := line.Between(1999); !before.Equal(second(200)) || !after.Equal(second(190)) {
		t.Errorf("1999 is of %s to %s", after, before)
	}
}
