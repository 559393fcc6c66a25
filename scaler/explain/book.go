package explain

import (
	"fmt"
	"slices"
	"time"

	"swell/scaler/ledger"
)

// Reading says what of a ledger is taken in.
type Reading struct {
	// Until leaves out what is later; zero is nothing.
	Until time.Time
	// Sizes says of which Balloons, by namespace/name, the sizes are to be told; of others the name alone is kept. nil is all.
	Sizes func(balloon string) bool
}

// Book is a ledger's entries put together: intents with their outcomes, instances with their nodes and launches.
type Book struct {
	reading Reading
	taken   []placed
	runs    map[string]*run
	sizes   map[string][]int // in taken, the last two by Balloon
	deeds   []deed
	// instances by id, as they were known last.
	instances map[string]*ledger.Instance
	byNode    map[string]string // instance by the name of its node
	byToken   map[string]int    // launches in deeds
	launchOf  map[string]int    // launches in deeds, by instance
	names     map[Object]bool
	setBack   setBack // the longest; zero is none
	from, to  time.Time
}

// placed is an entry with the time that it is sorted by: its own, or where its ledger's clock was put back, the latest before it.
type placed struct {
	*ledger.Entry
	by time.Time
}

// run is how far one ledger was read.
type run struct {
	seq int64
	to  time.Time
}

// setBack is a clock that was.
type setBack struct{ from, to time.Time }

// slack is how much earlier than the entry before it an entry may be whose clock was not put back: several are written at once, and some of
// what was a while ago.
const slack = 5 * time.Minute

// Begin is a Book that takes entries in.
func Begin(r Reading) *Book {
	return &Book{reading: r, runs: map[string]*run{}, sizes: map[string][]int{}, instances: map[string]*ledger.Instance{}, byNode: map[string]string{}, byToken: map[string]int{}, launchOf: map[string]int{}, names: map[Object]bool{}}
}

// NewBook puts entries together; they need no order but that of each ledger's lines. Those after until are left out, unless it is zero.
func NewBook(entries []ledger.Entry, until time.Time) *Book {
	b := Begin(Reading{Until: until})
	for i := range entries {
		b.Add(entries[i])
	}
	b.End()
	return b
}

// Add takes one entry in.
func (b *Book) Add(e ledger.Entry) {
	if !b.reading.Until.IsZero() && e.Model.After(b.reading.Until) {
		return
	}
	if b.from.IsZero() || e.Model.Before(b.from) {
		b.from = e.Model
	}
	if e.Model.After(b.to) {
		b.to = e.Model
	}
	by := b.place(&e)
	b.nameAll(&e)
	if e.Sample != nil || e.Sizing != nil && b.reading.Sizes != nil && !b.reading.Sizes(e.Sizing.Balloon) {
		return
	}
	kept := e
	if e.Sizing != nil {
		z := *e.Sizing
		z.Horizons = nil
		kept.Sizing = &z
		if b.repeats(placed{&kept, by}) {
			return
		}
		b.sizes[z.Balloon] = append(b.sizes[z.Balloon], len(b.taken))
	}
	b.taken = append(b.taken, placed{&kept, by})
}

// place is the time that an entry is sorted by. The lines of one ledger stand in the order in which they were written, whatever its clock did.
func (b *Book) place(e *ledger.Entry) time.Time {
	r := b.runs[e.Ledger]
	if r == nil || e.Seq <= r.seq { // lines without a chain, or another's
		b.runs[e.Ledger] = &run{e.Seq, e.Model}
		return e.Model
	}
	if back := r.to.Sub(e.Model); back > max(slack, b.setBack.from.Sub(b.setBack.to)) {
		b.setBack = setBack{r.to, e.Model}
	}
	r.seq = e.Seq
	if e.Model.After(r.to) {
		r.to = e.Model
	}
	return r.to
}

// repeats says that the two entries before a size are one decision, and puts it in the place of the second: the first says since when it
// was so, and the last of all how it stands. Where two ledgers have sizes of one Balloon for the same time, that time may be told too late.
func (b *Book) repeats(x placed) bool {
	last := b.sizes[x.Sizing.Balloon]
	if len(last) < 2 {
		return false
	}
	first, second := b.taken[last[len(last)-2]], b.taken[last[len(last)-1]]
	if changes(first.Sizing, second.Sizing) || second.by.Before(first.by) || x.by.Before(second.by) {
		return false
	}
	b.taken[last[len(last)-1]] = x
	return true
}

// End puts together what was taken in; nothing is added after it.
func (b *Book) End() {
	slices.SortStableFunc(b.taken, func(x, y placed) int { return x.by.Compare(y.by) })
	t := tying{Book: b, byToken: map[string]int{}, open: map[string]int{}}
	for _, x := range b.taken {
		t.take(x.Entry)
	}
	b.taken, b.sizes, b.runs = nil, nil, nil
}

// ofLaunch notes whose launch gave the instances.
func (b *Book) ofLaunch(n int, e *ledger.Entry) {
	if e.Action != "launch" {
		return
	}
	for _, id := range e.Instances {
		b.launchOf[id] = n
	}
}

// note keeps what is known of instances.
func (b *Book) note(e *ledger.Entry) {
	if in := e.Instance; in != nil {
		if older := b.instances[in.ID]; older != nil {
			merged := in.After(*older)
			in = &merged
		}
		b.instances[in.ID] = in
		if in.Node != "" {
			b.byNode[in.Node] = in.ID
		}
	}
	if n := e.Notice; n != nil && n.Node != "" && b.byNode[n.Node] == "" {
		b.byNode[n.Node] = n.Instance
	}
	if e.Action == "placed" && len(e.Instances) == 1 && b.byNode[e.Object] == "" {
		b.byNode[e.Object] = e.Instances[0]
	}
	if e.Action == "would-return" && e.Node != "" && b.byNode[e.Node] == "" {
		b.byNode[e.Node] = e.Object
	}
}

// Link says from elsewhere which instance a node is.
func (b *Book) Link(node, instance string) {
	if b.byNode[node] == "" {
		b.byNode[node] = instance
	}
}

// launch that gave an instance; nil is none that is recorded.
func (b *Book) launch(id string) *deed {
	if n, ok := b.launchOf[id]; ok {
		return &b.deeds[n]
	}
	if in := b.instances[id]; in != nil && in.Token != "" {
		if n, ok := b.byToken[in.Token]; ok {
			return &b.deeds[n]
		}
	}
	return nil
}

// gave are the instances that a launch gave, sorted.
func (b *Book) gave(d *deed) []string {
	all := slices.Clone(d.Instances)
	if d.outcome != nil {
		all = append(all, d.outcome.Instances...)
	}
	for id, in := range b.instances {
		if d.Token != "" && in.Token == d.Token {
			all = append(all, id)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Span is of the first and the last entry; model time.
func (b *Book) Span() (from, to time.Time) { return b.from, b.to }

// Story tells of an object what the ledger has.
func (b *Book) Story(o Object) *Story {
	s := &Story{Object: o, Answer: []string{}, Events: []Event{}}
	switch o.Kind {
	case Pod:
		b.pod(s)
	case Node, Instance:
		b.node(s)
	case Group:
		b.group(s)
	case Balloon:
		b.balloon(s)
	case Pool:
		b.pool(s)
	case Consumer:
		b.consumer(s)
	}
	s.sort()
	if c := b.setBack; !c.from.IsZero() {
		s.Notes = append(s.Notes, fmt.Sprintf("the scaler's clock was put back, at the most from %s to %s: events around these times may stand in another order than they came", clock(c.from), clock(c.to)))
	}
	if !b.from.IsZero() && len(s.Events) > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("the ledger that was read goes from %s to %s", clock(b.from), clock(b.to)))
	}
	return s
}
