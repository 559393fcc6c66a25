package lag

import (
	"slices"
	"time"
)

// timelineKept is how many samples a Timeline keeps at most.
const timelineKept = 64

// Timeline tells when the messages of one partition were appended, from its end offset as it was at some times. Between two
// samples, appends are taken as evenly spaced; old samples are thinned so that the time between two stays in proportion to
// their age. The zero value is empty and ready to use. It is of one making of a topic: an end that goes backwards empties it.
type Timeline struct {
	// samples have rising ends, and times that do not overlap.
	samples []sample
}

// sample says that the partition ended at one offset from first to last at least, in nanoseconds since 1970.
type sample struct{ end, first, last int64 }

// Observe takes in the end offset as it was asked for at a time. Times that are not after the newest one, or before 1970, add
// nothing.
func (t *Timeline) Observe(at time.Time, end int64) {
	now, n := at.UnixNano(), len(t.samples)
	if end < 0 || now < 0 || n > 0 && now <= t.samples[n-1].last {
		return
	}
	switch {
	case n > 0 && end == t.samples[n-1].end:
		t.samples[n-1].last = now
		return
	case n > 0 && end < t.samples[n-1].end:
		t.samples = nil
	}
	t.insert(len(t.samples), sample{end: end, first: now, last: now})
}

// Learn takes in the first offset that is stamped at a time or after it (NoneSince: there is none), in any order of times.
// What contradicts the ends that were seen, as the stamps of a producer may, and what is newer than they are, adds nothing.
func (t *Timeline) Learn(at time.Time, firstOffsetAtOrAfter int64) {
	then, n := at.UnixNano(), len(t.samples)
	if n == 0 || firstOffsetAtOrAfter < 0 || then < 0 || then > t.samples[n-1].last {
		return
	}
	if firstOffsetAtOrAfter == NoneSince {
		firstOffsetAtOrAfter = t.samples[n-1].end
	}
	// All before i end at or below the offset.
	i, found := slices.BinarySearchFunc(t.samples, firstOffsetAtOrAfter, func(s sample, end int64) int {
		switch {
		case s.end < end:
			return -1
		case s.end > end:
			return 1
		}
		return 0
	})
	after := i
	if found {
		after++
	}
	if !found && i == n || i > 0 && then <= t.samples[i-1].last || after < n && then >= t.samples[after].first {
		return
	}
	if found {
		t.samples[i].first, t.samples[i].last = min(t.samples[i].first, then), max(t.samples[i].last, then)
		return
	}
	t.insert(i, sample{end: firstOffsetAtOrAfter, first: then, last: then})
}

// At is when the message at an offset was appended, as near as the samples tell; false where they do not reach it: it is older
// than the oldest, or was not there yet at the newest.
func (t *Timeline) At(offset int64) (time.Time, bool) {
	i, ok := t.find(offset)
	if !ok {
		return time.Time{}, false
	}
	a, b := t.samples[i], t.samples[i+1]
	// The expected place of the k-th of n appends at random times is k/(n+1) of the way.
	share := (float64(offset-a.end) + 1) / (float64(b.end-a.end) + 1)
	return time.Unix(0, min(b.first, a.last+int64(share*float64(b.first-a.last)))), true
}

// Between is the time after which, and the time before which, the message at an offset was appended: what At guesses between.
func (t *Timeline) Between(offset int64) (after, before time.Time, ok bool) {
	i, ok := t.find(offset)
	if !ok {
		return time.Time{}, time.Time{}, false
	}
	return time.Unix(0, t.samples[i].last), time.Unix(0, t.samples[i+1].first), true
}

// Near is the part of it that tells of one offset: the samples on both sides, or the oldest one alone where the offset is older;
// empty where the offset was not there yet at the newest.
func (t *Timeline) Near(offset int64) Timeline {
	if i, ok := t.find(offset); ok {
		return Timeline{slices.Clone(t.samples[i : i+2])}
	}
	if len(t.samples) > 0 && offset < t.samples[0].end {
		return Timeline{slices.Clone(t.samples[:1])}
	}
	return Timeline{}
}

// Newest is the last sample: the end offset, and when it was seen first; Unknown where there is none.
func (t *Timeline) Newest() (end int64, since time.Time) {
	n := len(t.samples)
	if n == 0 {
		return Unknown, time.Time{}
	}
	return t.samples[n-1].end, time.Unix(0, t.samples[n-1].first)
}

// Trim forgets what only tells of offsets below one.
func (t *Timeline) Trim(below int64) {
	if i, ok := t.find(below); ok && i > 0 {
		t.cut(i)
	} else if n := len(t.samples); n > 1 && below >= t.samples[n-1].end {
		t.cut(n - 1)
	}
}

func (t *Timeline) cut(i int) {
	t.samples = slices.Delete(t.samples, 0, i)
	// Most partitions are read to their end: what one backlog took is not kept for ever.
	if cap(t.samples) > 4*max(2, len(t.samples)) {
		t.samples = slices.Clone(t.samples)
	}
}

// find is the sample that is the last to end at or below an offset, with another one after it.
func (t *Timeline) find(offset int64) (int, bool) {
	i, _ := slices.BinarySearchFunc(t.samples, offset, func(s sample, offset int64) int {
		if s.end <= offset {
			return -1
		}
		return 1
	})
	return i - 1, i > 0 && i < len(t.samples)
}

func (t *Timeline) insert(i int, s sample) {
	if n := len(t.samples); n == cap(t.samples) {
		t.samples = append(make([]sample, 0, min(2*n+2, timelineKept+1)), t.samples...)
	}
	t.samples = slices.Insert(t.samples, i, s)
	if len(t.samples) > timelineKept {
		t.thin()
	}
}

// thin takes out the sample without which the time between its neighbours is the least part of their age.
func (t *Timeline) thin() {
	now := t.samples[len(t.samples)-1].last
	least, at := 2.0, 1
	for i := 1; i < len(t.samples)-1; i++ {
		from, to := t.samples[i-1].last, t.samples[i+1].first
		if part := float64(to-from) / float64(now-from); part < least {
			least, at = part, i
		}
	}
	t.samples = slices.Delete(t.samples, at, at+1)
}
