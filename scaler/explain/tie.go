package explain

import (
	"fmt"
	"time"

	"swell/scaler/ledger"
)

// deed is an entry with what came of it.
type deed struct {
	*ledger.Entry
	// outcome is the last that is recorded; nil is that none is.
	outcome *ledger.Entry
	// unanswered are the failures before the outcome of what was asked for again under its token.
	unanswered []*ledger.Entry
	// again are the intents by which later processes asked for it under its token.
	again []*ledger.Entry
	// ended is that the process which began it has ended before an outcome, next when the same was begun anew.
	ended bool
	next  time.Time
	// givenUp is the entry that says so.
	givenUp *ledger.Entry
}

// tying finds what the entries of a Book say of one another, in their order.
type tying struct {
	*Book
	byToken map[string]int
	// open are the newest intents without a token by ledger, action and object.
	open map[string]int
}

// take adds one entry, or ties it to its intent.
func (t *tying) take(e *ledger.Entry) {
	defer t.note(e)
	if e.Action == "start" {
		t.started(e.Ledger)
	}
	if t.tie(e) {
		return
	}
	t.deeds = append(t.deeds, deed{Entry: e})
	n := len(t.deeds) - 1
	switch {
	case e.Token != "" && e.Action != "instance":
		t.byToken[keyOf(e)] = n
		if e.Action == "launch" {
			t.Book.byToken[e.Token] = n
		}
	case e.Phase == ledger.Intent:
		if before, there := t.open[keyOf(e)]; there {
			t.deeds[before].next = e.Model
		}
		t.open[keyOf(e)] = n
	}
	t.ofLaunch(n, e)
}

// keyOf is by what an entry is tied: its token wherever it was written, else the ledger and the object, since one process does one thing
// to one object at a time.
func keyOf(e *ledger.Entry) string {
	if e.Token != "" {
		return e.Action + "\x00" + e.Token
	}
	return e.Ledger + "\x00" + e.Action + "\x00" + e.Object
}

// started marks what the process before had begun; its outcomes do not come any more.
func (t *tying) started(of string) {
	for key, n := range t.open {
		if t.deeds[n].Ledger == of {
			t.deeds[n].ended = true
			delete(t.open, key)
		}
	}
	for _, n := range t.byToken {
		if d := &t.deeds[n]; d.Ledger == of && d.outcome == nil {
			d.ended = true
		}
	}
}

// tie says whether an entry belongs to an older one.
func (t *tying) tie(e *ledger.Entry) bool {
	done := e.Phase == ledger.Done || e.Phase == ledger.Failed
	if e.Token != "" && e.Action != "instance" {
		n, there := t.byToken[keyOf(e)]
		if !there || t.deeds[n].Phase != ledger.Intent {
			return false
		}
		d := &t.deeds[n]
		switch {
		case e.Phase == ledger.Intent:
			d.again = append(d.again, e)
		case done:
			if d.outcome != nil {
				d.unanswered = append(d.unanswered, d.outcome)
			}
			d.outcome = e
			t.ofLaunch(n, e)
		default:
			d.givenUp = e
		}
		return true
	}
	n, there := t.open[keyOf(e)]
	if !done || !there || t.deeds[n].Tick != e.Tick { // of another plan: its own intent is missing
		return false
	}
	t.deeds[n].outcome = e
	delete(t.open, keyOf(e))
	return true
}

// outcome of what was begun.
func (b *Book) outcome(d *deed) string {
	switch d.Phase {
	case ledger.Intent:
	case ledger.Done:
		return "done" + gaveOf(d.Entry, d.Entry) + "; no entry says why it was begun"
	case ledger.Failed:
		return "failed" + gaveOf(d.Entry, d.Entry) + ": " + d.Error + "; no entry says why it was begun"
	default:
		if d.Error != "" {
			return "failed: " + d.Error
		}
		return ""
	}
	o := d.outcome
	if o == nil {
		return "outcome unknown: " + d.unknown()
	}
	text := "done"
	if o.Phase == ledger.Failed {
		text = "failed"
	}
	after, gave := "", gaveOf(d.Entry, o)
	switch took := o.Model.Sub(d.Model); {
	case took >= 0 && o.Phase == ledger.Failed && gave != "":
		text = "failed in part after " + brief(took)
	case took >= 0:
		text += " after " + brief(took)
	default:
		after = "; when is not known, as the clock was put back"
	}
	text += gave
	if o.Phase == ledger.Failed {
		text += ": " + o.Error
	}
	return text + after + d.repeated()
}

// gaveOf is how much of what was asked for there is.
func gaveOf(d, o *ledger.Entry) string {
	if n := len(o.Instances); n > 0 {
		return fmt.Sprintf(", %d of %d: %s", n, d.Count, listed(o.Instances, 5))
	}
	if d.Action == "create-balloons" && o.Count != d.Count {
		return fmt.Sprintf(", %d of %d", o.Count, d.Count)
	}
	return ""
}

// unknown says why no outcome is known.
func (d *deed) unknown() string {
	switch {
	case d.givenUp != nil:
		return "given up after " + brief(d.givenUp.Model.Sub(d.Model)) + ", " + d.givenUp.Reason
	case d.ended:
		return "its scaler ended before an entry said what came of it" + d.repeated()
	case !d.next.IsZero():
		return "no entry says what came of it, and the same was begun again at " + d.next.UTC().Format(time.TimeOnly)
	}
	return "no entry says what came of it; it goes on, or was cut short" + d.repeated()
}

// repeated says how often it was asked for under its token.
func (d *deed) repeated() string {
	text := ""
	if n := len(d.unanswered); n > 0 {
		text = fmt.Sprintf("; asked %d times, as %s not answered or failed, the last time: %s", n+1, countedWere(n, "call"), d.unanswered[n-1].Error)
	}
	if n := len(d.again); n > 0 {
		text += fmt.Sprintf("; asked again at %s by the next scaler, as the one before ended without an answer", d.again[n-1].Model.UTC().Format(time.TimeOnly))
	}
	return text
}

func countedWere(n int, thing string) string {
	if n == 1 {
		return "1 " + thing + " was"
	}
	return counted(n, thing) + " were"
}
