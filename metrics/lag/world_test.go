package lag

import (
	"time"

	"pgregory.net/rapid"

	"swell/api/v1alpha1"
)

// entry is one offset of a partition's log.
type entry struct {
	appended, stamp time.Time
	marker          bool // what a transaction leaves: no message
	compacted       bool // a message that is there no more
}

// log is a partition kept message by message: the naive picture that the arithmetic is held against. Its entries have the
// offsets of their places.
type log struct {
	entries []entry
	start   int64 // what retention left begins here
	open    int64 // first offset of an open transaction; Unknown if there is none
	commit  int64
	made    bool // anew, since the last poll
	added   bool // later than the topic, and not committed since
}

func (l *log) end() int64 { return int64(len(l.entries)) }

func (l *log) stable() int64 {
	if l.open >= 0 {
		return l.open
	}
	return l.end()
}

func (l *log) message(o int64) bool { return !l.entries[o].marker && !l.entries[o].compacted }

// world is a topic and a group that reads it.
type world struct {
	now           time.Time
	id            byte
	noIDs         bool // the brokers give topics none
	logs          []*log
	brokerStamped bool
	rules         Rules
}

var ages = []time.Duration{10 * time.Second, time.Minute}

func drawWorld(t *rapid.T) *world {
	w := &world{now: time.Unix(1_000_000, 0), noIDs: rapid.Bool().Draw(t, "no ids"), brokerStamped: rapid.Bool().Draw(t, "broker stamped")}
	w.rules = Rules{
		Isolation: rapid.SampledFrom([]v1alpha1.Isolation{v1alpha1.ReadCommitted, v1alpha1.ReadUncommitted}).Draw(t, "isolation"),
		Uncommitted: rapid.SampledFrom([]v1alpha1.Uncommitted{v1alpha1.UncommittedLatest, v1alpha1.UncommittedEarliest,
			v1alpha1.UncommittedEarliest, v1alpha1.UncommittedError}).Draw(t, "uncommitted"),
		LateAfter: rapid.SampledFrom(ages).Draw(t, "lateAfter"),
	}
	w.makeTopic(t)
	return w
}

func (w *world) makeTopic(t *rapid.T) {
	old := w.logs
	if !w.noIDs {
		w.id++
	}
	w.logs = nil
	for i := range rapid.IntRange(1, 3).Draw(t, "partitions") {
		l := &log{open: Unknown, commit: Unknown, made: old != nil}
		if i < len(old) && rapid.Bool().Draw(t, "keeps commit") {
			l.commit = old[i].commit
		}
		w.logs = append(w.logs, l)
		w.append(t, l, rapid.IntRange(0, 8).Draw(t, "first messages"))
	}
}

func (w *world) append(t *rapid.T, l *log, n int) {
	for range n {
		e := entry{appended: w.now, stamp: w.now}
		if !w.brokerStamped {
			e.stamp = w.now.Add(-time.Duration(rapid.IntRange(0, 90).Draw(t, "stamped before")) * time.Second)
		}
		l.entries = append(l.entries, e)
	}
}

// step lets time pass and something happen to a partition or the topic.
func (w *world) step(t *rapid.T) {
	w.now = w.now.Add(time.Duration(rapid.IntRange(1, 20).Draw(t, "seconds")) * time.Second)
	l := w.logs[rapid.IntRange(0, len(w.logs)-1).Draw(t, "partition")]
	switch rapid.IntRange(0, 13).Draw(t, "what") {
	case 0, 1, 2:
		w.append(t, l, rapid.IntRange(1, 5).Draw(t, "messages"))
	case 3, 4: // a transaction, or the end of the one that is open
		if l.open < 0 {
			l.open = l.end()
		}
		w.append(t, l, rapid.IntRange(0, 3).Draw(t, "messages"))
		if rapid.Bool().Draw(t, "ends") {
			l.entries = append(l.entries, entry{appended: w.now, stamp: w.now, marker: true})
			l.open = Unknown
		}
	case 5, 6: // compaction never takes the newest
		for o := l.start; o < l.stable()-1; o++ {
			l.entries[o].compacted = l.entries[o].compacted || rapid.Bool().Draw(t, "compacted")
		}
	case 7:
		l.start += int64(rapid.IntRange(0, int(l.stable()-l.start)).Draw(t, "expired"))
	case 8, 9:
		if from := max(l.commit, l.start); from <= l.stable() {
			l.commit = from + int64(rapid.IntRange(0, int(l.stable()-from)).Draw(t, "read"))
			l.added = false
		}
	case 10, 11:
		if len(w.logs) < 5 {
			w.logs = append(w.logs, &log{open: Unknown, commit: Unknown, added: true})
			w.append(t, w.logs[len(w.logs)-1], rapid.IntRange(0, 5).Draw(t, "messages"))
		}
	default:
		w.makeTopic(t)
	}
}

// reading is what a poll sees of a partition. What it does not see is left out at random: a proof of what can be read, where
// late messages end, and when the oldest was appended.
func (w *world) reading(t *rapid.T, i int) Reading {
	l := w.logs[i]
	r := Reading{Topic: "orders", Partition: int32(i), TopicID: [16]byte{w.id}, At: w.now, Commit: l.commit, End: l.end(), Stable: l.stable(),
		Start: l.start, Readable: Unknown, BrokerStamped: w.brokerStamped}
	if rapid.Bool().Draw(t, "proven") {
		r.Readable = max(l.commit, l.start)
		for r.Readable < l.end() && !l.message(r.Readable) {
			r.Readable++
		}
	}
	for _, age := range ages {
		if rapid.IntRange(0, 19).Draw(t, "not asked") > 0 {
			r.Late = append(r.Late, LateFrom{Age: age, Offset: l.firstSince(w.now.Add(-age))})
		}
	}
	if from, end := w.unread(l, r.Readable); from < end && rapid.IntRange(0, 19).Draw(t, "no age") > 0 {
		r.OldestAt = l.entries[from].appended
	}
	return r
}

// firstSince is a broker's answer to a look-up by time.
func (l *log) firstSince(at time.Time) int64 {
	for o := l.start; o < l.end(); o++ {
		if e := l.entries[o]; !e.compacted && !e.stamp.Before(at) {
			return o
		}
	}
	return NoneSince
}

// unread finds the offsets that the group could still read, one after the other.
func (w *world) unread(l *log, proven int64) (from, end int64) {
	end = l.end()
	if w.rules.Isolation == v1alpha1.ReadCommitted {
		end = l.stable()
	}
	if l.commit == Unknown && w.rules.Uncommitted != v1alpha1.UncommittedEarliest {
		return end, end
	}
	for from = 0; from < end && (from < l.start || from < l.commit || from < proven); from++ {
	}
	return from, end
}
