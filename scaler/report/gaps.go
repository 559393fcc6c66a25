package report

import (
	"fmt"
	"slices"
	"time"

	"swell/scaler/ledger"
)

// Gap is a time of which entries of the ledger were lost: from the oldest of them, or the newest entry before if that is older, to the
// one that stands in their place; model time.
type Gap struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Entries int       `json:"entries"`
}

// touches says that a gap is of a period, or of a day at most before it: what was launched in it may be in no entry until what runs
// is written again.
func (g Gap) touches(from, to time.Time, after time.Duration) bool {
	return g.From.Before(to) && !g.To.Add(after).Before(from)
}

// lost adds the gap that an entry stands for, which was written at a time and after another.
func (b *Books) lost(e ledger.Entry, before, now time.Time) {
	g := Gap{now, now, e.Count}
	if !before.IsZero() && before.Before(now) {
		g.From = before
	}
	if e.Book != nil && e.Book.Lost != nil { // what was kept of the same time may stand before it
		lost := e.Book.Lost
		from := lost.ModelFrom
		if from.IsZero() && !lost.From.IsZero() && e.At.After(lost.From) { // of a ledger whose times were those of the machine
			from = now.Add(-e.At.Sub(lost.From))
		}
		if !from.IsZero() && from.Before(g.From) {
			g.From = from
		}
	}
	b.lose(g)
}

// lose adds a gap, in one with those that it meets.
func (b *Books) lose(g Gap) {
	for n := len(b.gaps) - 1; n >= 0 && !g.From.After(b.gaps[n].To); n-- {
		was := b.gaps[n]
		g.Entries += was.Entries
		if was.From.Before(g.From) {
			g.From = was.From
		}
		if was.To.After(g.To) {
			g.To = was.To
		}
		b.gaps = b.gaps[:n]
	}
	b.gaps = append(b.gaps, g)
}

// lateness is how much later than every day what runs may be written again: a scaler that starts does so at once.
const lateness = time.Hour

// loseEnds finds the instances that run by the ledger and of which nothing was written for more than a day after a gap: their
// ends were lost in it, so that only the time until it is sure.
func (b *Books) loseEnds() {
	for _, i := range b.instances {
		if i.gone != nil {
			continue
		}
		n := slices.IndexFunc(b.gaps, func(g Gap) bool { return g.To.After(i.told) })
		if n >= 0 && b.last.Sub(b.gaps[n].To) > ledger.InstanceEvery+lateness {
			i.lost = &b.gaps[n]
			i.horizon = i.lost.From
			if i.told.After(i.horizon) {
				i.horizon = i.told
			}
		}
	}
}

// gapsIn are the gaps of a period and of the day before it.
func (b *Books) gapsIn(from, to time.Time) []Gap {
	out := []Gap{}
	for _, g := range b.gaps {
		if g.touches(from, to, ledger.InstanceEvery) {
			out = append(out, Gap{g.From.UTC(), g.To.UTC(), g.Entries})
		}
	}
	return out
}

// partly says that the ledger does not know all of a period: it began later, or lost entries.
func (b *Books) partly(from, to time.Time) bool {
	return from.Before(b.first) || slices.ContainsFunc(b.gaps, func(g Gap) bool { return g.touches(from, to, ledger.InstanceEvery) })
}

// lostEnds are the instances of a period whose ends were lost.
func (p *period) lostEnds() []Unexplained {
	out := []Unexplained{}
	for _, i := range p.books.instances {
		if i.lost == nil || !i.launched.Before(p.to) || i.horizon.Before(p.from) && !i.lost.touches(p.from, p.to, 0) {
			continue
		}
		u := Unexplained{ID: i.ID, Why: "end-lost", Said: fmt.Sprintf("its end is in no entry, since entries were lost; its cost is counted to %s", i.horizon.UTC().Format(time.RFC3339))}
		u.of(i)
		c := i.charged(p)
		u.Ledger = c.cost()
		out = append(out, u)
	}
	return out
}

// lostThen says of a time on a bill that entries of it were lost; empty where none were.
func (b *Books) lostThen(from, to time.Time) string {
	for _, g := range b.gaps {
		if g.touches(from, to, 0) {
			return fmt.Sprintf("; %d entries were lost between %s and %s", g.Entries, g.From.UTC().Format(time.RFC3339), g.To.UTC().Format(time.RFC3339))
		}
	}
	return ""
}
