package load

import (
	"sort"
	"sync"
	"time"
)

// mark says that a partition had reached an offset at an instant of the machine's clock.
type mark struct {
	at  time.Time
	end int64 // the offset after the last message
}

// Ledger remembers when each message of a topic was due and when it was read, so that lateness is exact afterwards.
type Ledger struct {
	mu         sync.Mutex
	base       []int64  // the end offsets before the first message
	produced   [][]mark // acknowledged ends, at the times when the messages were due
	consumed   [][]mark // read positions, only forward
	acked      int64
	scheduled  int64
	duplicates int64
	// overwritten were acknowledged and their offsets given to others; lost is that and what the last check missed.
	overwritten, lost int64
}

// NewLedger is the ledger of a topic with so many partitions.
func NewLedger(partitions int32) *Ledger {
	return &Ledger{
		base:     make([]int64, partitions),
		produced: make([][]mark, partitions),
		consumed: make([][]mark, partitions),
	}
}

// Partitions of the topic.
func (l *Ledger) Partitions() int32 { return int32(len(l.base)) }

func (l *Ledger) setBase(ends []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	copy(l.base, ends)
}

func (l *Ledger) schedule(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.scheduled += n
}

// ack notes one acknowledged message that was due at an instant; an offset below zero is not known. A broker acknowledges
// a partition's offsets in order: one that was there before says that the broker forgot all from it on.
func (l *Ledger) ack(partition int32, offset int64, due time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked++
	marks := l.produced[partition]
	if offset < 0 {
		return
	}
	if end := lastEnd(marks, l.base[partition]); offset < end {
		l.overwritten += end - offset
		l.lost += end - offset
		marks = until(marks, l.base[partition], offset)
	}
	last := len(marks) - 1
	if last >= 0 && !due.After(marks[last].at) {
		marks[last].end = offset + 1
	} else {
		marks = append(marks, mark{due, offset + 1})
	}
	l.produced[partition] = marks
}

// until is the marks of the messages below an offset.
func until(marks []mark, base, offset int64) []mark {
	i := sort.Search(len(marks), func(i int) bool { return marks[i].end > offset })
	if i < len(marks) && lastEnd(marks[:i], base) < offset {
		marks[i].end = offset
		i++
	}
	return marks[:i]
}

// read notes that a partition was read up to an offset; going back after an outage counts nothing twice.
func (l *Ledger) read(partition int32, position int64, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if position <= l.position(partition) {
		return
	}
	l.consumed[partition] = append(l.consumed[partition], mark{at, position})
}

func (l *Ledger) position(partition int32) int64 {
	return lastEnd(l.consumed[partition], l.base[partition])
}

// ends are the offsets after the last acknowledged messages.
func (l *Ledger) ends() []int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]int64, len(l.base))
	for p := range out {
		out[p] = lastEnd(l.produced[p], l.base[p])
	}
	return out
}

// verify compares what was acknowledged with the ends that the broker has.
func (l *Ledger) verify(ends map[int32]int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var stored int64
	l.lost = l.overwritten
	for p := range l.base {
		end := ends[int32(p)]
		stored += end - l.base[p]
		if acked := lastEnd(l.produced[p], l.base[p]); acked > end {
			l.lost += acked - end
		}
	}
	l.duplicates = max(0, stored-l.acked)
	l.lost = max(l.lost, l.acked-stored)
}

// QueueTotals are counts of messages since the start. Scheduled, Produced, Lost and Duplicate are the whole run's, whenever
// the acknowledgement came. Once a message is lost, ages and lateness of its partition are no longer exact.
type QueueTotals struct {
	Scheduled int64 `json:"scheduled"` // due by the trace
	Produced  int64 `json:"produced"`  // acknowledged by the broker
	Consumed  int64 `json:"consumed"`
	Lag       int64 `json:"lag"`        // acknowledged, not read
	Late      int64 `json:"late"`       // read, or still unread, more than lateAfter after they were due
	Lost      int64 `json:"lost"`       // acknowledged, but overwritten since or not in the broker at the last check
	Duplicate int64 `json:"duplicates"` // in the broker more often than acknowledged, at the last check
	// LagNow and LagMax are ages of the oldest unread message, in machine time.
	LagNow time.Duration `json:"lagNow"`
	LagMax time.Duration `json:"lagMax"`
}

// Totals as of an instant of the machine's clock, by what was due and read until then; lateAfter is in machine time too. Late
// counts the messages that were due from since on, and LagMax the ages that were seen from then on; a zero since takes all.
func (l *Ledger) Totals(since, now time.Time, lateAfter time.Duration) QueueTotals {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := QueueTotals{Scheduled: l.scheduled, Produced: l.acked, Lost: l.lost, Duplicate: l.duplicates}
	for p := range l.base {
		produced, base := l.produced[p], l.base[p]
		at, first := base, endBy(produced, base, since)
		for _, m := range l.consumed[p] {
			if m.at.After(now) {
				break
			}
			if !m.at.Before(since) {
				out.LagMax = max(out.LagMax, age(produced, at, m.at))
			}
			out.Late += max(0, min(m.end, endBy(produced, base, m.at.Add(-lateAfter)))-max(at, first))
			at = m.end
		}
		out.Consumed += at - base
		out.Lag += max(0, endBy(produced, base, now.Add(1))-at)
		out.Late += max(0, endBy(produced, base, now.Add(-lateAfter))-max(at, first))
		out.LagNow = max(out.LagNow, age(produced, at, now))
	}
	out.LagMax = max(out.LagMax, out.LagNow)
	return out
}

// live is Totals without what needs the whole history: Late and LagMax are left zero.
func (l *Ledger) live(now time.Time) QueueTotals {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := QueueTotals{Scheduled: l.scheduled, Produced: l.acked}
	for p := range l.base {
		at := l.position(int32(p))
		out.Consumed += at - l.base[p]
		out.Lag += max(0, lastEnd(l.produced[p], l.base[p])-at)
		out.LagNow = max(out.LagNow, age(l.produced[p], at, now))
	}
	return out
}

func lastEnd(marks []mark, base int64) int64 {
	if len(marks) == 0 {
		return base
	}
	return marks[len(marks)-1].end
}

// age of the message at an offset, zero where there is none yet.
func age(produced []mark, offset int64, now time.Time) time.Duration {
	i := sort.Search(len(produced), func(i int) bool { return produced[i].end > offset })
	if i == len(produced) {
		return 0
	}
	return max(0, now.Sub(produced[i].at))
}

// endBy is the end of the messages that were due before an instant.
func endBy(produced []mark, base int64, at time.Time) int64 {
	i := sort.Search(len(produced), func(i int) bool { return !produced[i].at.Before(at) })
	if i == 0 {
		return base
	}
	return produced[i-1].end
}
