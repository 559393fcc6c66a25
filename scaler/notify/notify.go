// Package notify decides what people are told of what the scaler sees and does: once, together, and no more often than they asked for.
package notify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Severity of what is told.
type Severity int

const (
	// Info is what was decided.
	Info Severity = iota
	// Warning is what keeps a promise from being held, or soon will.
	Warning
	// Critical is what a person should look at now.
	Critical
)

var severities = []string{"Info", "Warning", "Critical"}

func (s Severity) String() string { return severities[s] }

// ParseSeverity reads Info, Warning or Critical.
func ParseSeverity(text string) (Severity, error) {
	if i := slices.Index(severities, text); i >= 0 {
		return Severity(i), nil
	}
	return Info, fmt.Errorf("%q is no severity: give %s", text, strings.Join(severities, ", "))
}

// Fact is something that is worth telling.
type Fact struct {
	// Key is the same for the same fact, whatever numbers its words carry.
	Key      string   `json:"key"`
	Severity Severity `json:"severity"`
	// Object that it is about: CapacityPool general, group spot-a.
	Object string `json:"object"`
	What   string `json:"what"`
	// Mend is what to do about it; empty is nothing.
	Mend string `json:"mend,omitempty"`
}

// Options of a Teller. Durations are of the clock that its methods are given.
type Options struct {
	// MinSeverity of what is told.
	MinSeverity Severity
	// Every is the least time between two messages; zero is 5 minutes. What is critical waits for a tenth of it.
	Every time.Duration
	// Settle is how long a problem must last before it is told, and be gone before that is; zero is 1 minute. What is critical is
	// told at once.
	Settle time.Duration
	// Remind is when a problem that lasts is told again; zero is 24 hours.
	Remind time.Duration
}

func (o *Options) setDefaults() {
	o.Every = cmp.Or(o.Every, 5*time.Minute)
	o.Settle = cmp.Or(o.Settle, time.Minute)
	o.Remind = cmp.Or(o.Remind, 24*time.Hour)
}

// Open is a problem that lasts.
type Open struct {
	Fact  Fact      `json:"fact"`
	Since time.Time `json:"since"`
	Seen  time.Time `json:"seen"`
	// ToldAt is when it was last told; zero is not yet.
	ToldAt time.Time `json:"toldAt,omitzero"`
}

// done is something that was done, as often as it was since the last message.
type done struct {
	fact  Fact
	first time.Time
	count int
}

// mostDone bounds how many different things are remembered between two messages.
const mostDone = 500

// Teller gathers facts until a message is due.
type Teller struct {
	options Options
	open    map[string]*Open
	done    map[string]*done
	missed  int // things done beyond mostDone, or not heard of
	sentAt  time.Time
}

// New is a Teller that has told nothing yet.
func New(o Options) *Teller {
	o.setDefaults()
	return &Teller{options: o, open: map[string]*Open{}, done: map[string]*done{}}
}

// Restore takes over what a predecessor had told, so that it is not told again. What is gone since is told as recovered.
func (t *Teller) Restore(now time.Time, told []Open) {
	for _, o := range told {
		if o.Fact.Key != "" && t.open[o.Fact.Key] == nil {
			o.Seen = now
			t.open[o.Fact.Key] = &o
		}
	}
}

// Told are the problems that were told and have not been told as recovered, by their keys.
func (t *Teller) Told() []Open {
	var out []Open
	for _, key := range slices.Sorted(maps.Keys(t.open)) {
		if o := t.open[key]; !o.ToldAt.IsZero() {
			out = append(out, *o)
		}
	}
	return out
}

// See takes all problems that there are now. It gives those that are new, whatever their severity.
func (t *Teller) See(now time.Time, problems []Fact) (fresh []Fact) {
	for _, f := range problems {
		o := t.open[f.Key]
		if o == nil {
			o = &Open{Since: now}
			t.open[f.Key] = o
			fresh = append(fresh, f)
		}
		o.Fact, o.Seen = f, now
	}
	for key, o := range t.open {
		if o.ToldAt.IsZero() && o.Seen.Before(now) && now.Sub(o.Seen) > t.options.Settle {
			delete(t.open, key) // was there for too short a time to be told
		}
	}
	return fresh
}

// Happened takes something that was done.
func (t *Teller) Happened(now time.Time, f Fact) {
	if f.Severity < t.options.MinSeverity {
		return
	}
	d := t.done[f.Key]
	if d == nil {
		if len(t.done) >= mostDone {
			t.missed++
			return
		}
		d = &done{first: now}
		t.done[f.Key] = d
	}
	d.fact, d.count = f, d.count+1
}

// Missed takes the number of things that were done and not heard of.
func (t *Teller) Missed(n int) { t.missed += n }

// Due is the message that is to be sent now; false is none.
func (t *Teller) Due(now time.Time) (Message, bool) {
	m := Message{At: now, More: t.missed}
	urgent, oldest := false, now
	add := func(l Line, since time.Time) {
		m.Lines = append(m.Lines, l)
		urgent = urgent || l.State != Recovered && l.Fact.Severity == Critical
		if since.Before(oldest) {
			oldest = since
		}
	}
	for _, o := range t.open {
		if state, since, is := t.news(now, o); is {
			add(Line{State: state, Fact: o.Fact, Since: o.Since, Count: 1}, since)
		}
	}
	for _, d := range t.done {
		add(Line{State: Done, Fact: d.fact, Since: d.first, Count: d.count}, d.first)
	}
	gather := t.options.Every / 10
	wait := t.options.Every
	if urgent {
		wait = gather
	}
	if len(m.Lines) == 0 || !t.sentAt.IsZero() && now.Sub(t.sentAt) < wait || !urgent && now.Sub(oldest) < gather {
		return Message{}, false
	}
	t.sent(now, m)
	m.sort()
	return m, true
}

// news says what is to be told of a problem, and since when that waits.
func (t *Teller) news(now time.Time, o *Open) (State, time.Time, bool) {
	gone := now.Sub(o.Seen)
	switch {
	case o.Fact.Severity < t.options.MinSeverity:
	case !o.ToldAt.IsZero() && gone >= t.options.Settle:
		return Recovered, o.Seen.Add(t.options.Settle), true
	case gone > 0: // it may come back
	case o.ToldAt.IsZero() && (o.Fact.Severity == Critical || now.Sub(o.Since) >= t.options.Settle):
		return Appeared, o.Since, true
	case !o.ToldAt.IsZero() && now.Sub(o.ToldAt) >= t.options.Remind:
		return Still, o.ToldAt.Add(t.options.Remind), true
	}
	return 0, now, false
}

// sent notes that all lines of a message were told.
func (t *Teller) sent(now time.Time, m Message) {
	t.sentAt, t.missed = now, 0
	clear(t.done)
	for _, l := range m.Lines {
		switch l.State {
		case Appeared, Still:
			t.open[l.Fact.Key].ToldAt = now
		case Recovered:
			delete(t.open, l.Fact.Key)
		}
	}
}
