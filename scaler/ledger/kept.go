package ledger

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// rank says how dear an entry is while there is no room for all. One that the next of its kind tells again goes first; a life, a
// launch, a return or a policy goes last, since nothing tells it again.
func rank(e Entry) int {
	switch e.Action {
	case "problem", "suppressed", "kept", "unplaced", "size", "shadow":
		return 0
	case "sample", "awaited":
		return 1
	}
	return 2
}

// waiting are entries in the order of their times, within a bound of bytes.
type waiting struct {
	list  []request
	bytes int
}

func (w *waiting) put(at int, r request) {
	w.list = slices.Insert(w.list, at, r)
	w.bytes += len(r.body)
}

// first takes the oldest out.
func (w *waiting) first() (r request, some bool) {
	if len(w.list) == 0 {
		return request{}, false
	}
	r, w.list[0] = w.list[0], request{}
	w.list = w.list[1:]
	w.bytes -= len(r.body)
	return r, true
}

// within takes out the least dear, of these the oldest, until the others have at most so many bytes.
func (w *waiting) within(most int) (over []request) {
	for w.bytes > most {
		at := -1
		for i, r := range w.list {
			if r.do == nil && (at < 0 || r.rank < w.list[at].rank) {
				at = i
			}
		}
		if at < 0 {
			break
		}
		over = append(over, w.list[at])
		w.bytes -= len(w.list[at].body)
		w.list = slices.Delete(w.list, at, at+1)
	}
	return over
}

// keep keeps an entry that could not be written, behind those that could not be before or, again, as the first, and says what becomes
// of it: the error for its caller.
func (l *Ledger) keep(r request, again bool, cause error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := len(l.kept.list)
	if again {
		at = 0
	}
	l.kept.put(at, r)
	l.why = cause
	answer := fmt.Errorf("%w; the entry is kept and written once that works", cause)
	for _, over := range l.kept.within(l.options.MostWaiting) {
		l.lose(over, cause)
		if over.answer == r.answer {
			answer = fmt.Errorf("%w; the entry is lost: %d bytes of others are kept, and there is no room for more", cause, l.kept.bytes)
		}
	}
	l.countWaiting()
	return answer
}

// takeKept is the oldest entry that could not be written yet.
func (l *Ledger) takeKept() (request, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, some := l.kept.first()
	l.countWaiting()
	return r, some
}

// countWaiting counts what could not be written and, where the disk does not answer, what waits for it. l.mu is held.
func (l *Ledger) countWaiting() {
	n := len(l.kept.list)
	if l.slow.Load() {
		n += len(l.queue.list) + 1 // the one that it does not answer
	}
	entriesWaiting.Set(float64(n))
}

// oldest is the first to be written of what waits, r included.
func (l *Ledger) oldest(r request) request {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kept.list) > 0 {
		return l.kept.list[0]
	}
	return r
}

// lose counts an entry that is not written. l.mu is held.
func (l *Ledger) lose(r request, why error) {
	entriesLost.Inc()
	if l.lost.Entries++; l.lost.Entries == 1 {
		l.lost.From, l.lost.To = r.at, r.at
	}
	if r.at.Before(l.lost.From) {
		l.lost.From = r.at
	}
	if r.at.After(l.lost.To) {
		l.lost.To = r.at
	}
	if l.lost.Actions == nil {
		l.lost.Actions = map[string]int{}
	}
	l.lost.Actions[r.action]++
	if !r.model.IsZero() && (l.lost.ModelFrom.IsZero() || r.model.Before(l.lost.ModelFrom)) {
		l.lost.ModelFrom = r.model
	}
	l.lastLost = request{at: r.at, model: r.model}
	l.why = why
}

// admitLoss records the entries that were lost, once that can be written.
func (l *Ledger) admitLoss(r request) error {
	l.mu.Lock()
	lost, why := l.lost, l.why
	l.lost = Lost{}
	l.mu.Unlock()
	if lost.Entries == 0 {
		return nil
	}
	err := l.putEntry(Entry{At: r.at, Model: r.model, Phase: Note, Action: GapAction, Object: "ledger", Count: lost.Entries, Error: why.Error(),
		Reason: fmt.Sprintf("%d entries from %s to %s could not be written", lost.Entries, lost.From.UTC().Format(time.RFC3339), lost.To.UTC().Format(time.RFC3339)),
		Book:   &Book{Lost: &lost}})
	if err == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost.Entries == 0 {
		l.lost = lost
		return err
	}
	for action, n := range lost.Actions { // more were lost meanwhile
		l.lost.Actions[action] += n
	}
	l.lost.Entries += lost.Entries
	if lost.From.Before(l.lost.From) {
		l.lost.From = lost.From
	}
	if l.lost.ModelFrom.IsZero() || !lost.ModelFrom.IsZero() && lost.ModelFrom.Before(l.lost.ModelFrom) {
		l.lost.ModelFrom = lost.ModelFrom
	}
	return err
}

// leaveBehind ends without the disk, which does not answer: what waits for it is lost without a record.
func (l *Ledger) leaveBehind() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.queue.list) + len(l.kept.list) + 1
	entriesLost.Add(float64(n))
	l.options.Log.Error("ledger: entries are lost, as the disk does not answer", "entries", n, "folder", l.dir)
	return fmt.Errorf("closing the ledger: the disk of %s has not answered for %s; %d entries are lost; see that it answers", l.dir, lastWrites*l.options.Patience, n)
}

// flush writes what could not be written before, at the end. What still cannot is lost without a record.
func (l *Ledger) flush() {
	l.mu.Lock()
	lost := l.lost.Entries
	last := l.lastLost
	if n := len(l.kept.list); n > 0 {
		last, lost = l.kept.list[n-1], lost+n
	}
	l.mu.Unlock()
	if lost == 0 {
		return
	}
	err := l.exclusively(func() error {
		if err := l.writeKept(last); err != nil {
			return err
		}
		return l.admitLoss(last)
	})
	if err == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	actions := maps.Clone(l.lost.Actions)
	if actions == nil {
		actions = map[string]int{}
	}
	for _, r := range l.kept.list {
		actions[r.action]++
	}
	n := len(l.kept.list)
	l.options.Log.Error("ledger: entries are lost that could not be written until the end", "entries", n+l.lost.Entries, "of", fmt.Sprint(actions), "error", err)
	entriesLost.Add(float64(n))
}
