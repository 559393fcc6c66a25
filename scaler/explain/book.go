package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"swell/scaler/ledger"
)

// deed is an entry with the one that says what came of it.
type deed struct {
	ledger.Entry
	outcome *ledger.Entry
}

// Book is a ledger's entries put together: intents with their outcomes, instances with their nodes and launches.
type Book struct {
	deeds []deed
	// instances by id, as they were known last; history has each change, oldest first.
	instances map[string]*ledger.Instance
	history   map[string][]*ledger.Entry
	byNode    map[string]string // instance by the name of its node
	byToken   map[string]int    // launches in deeds
	launchOf  map[string]int    // launches in deeds, by instance
	from, to  time.Time
}

// NewBook puts entries together; they need no order. Those after until are left out, unless it is zero.
func NewBook(entries []ledger.Entry, until time.Time) *Book {
	b := &Book{instances: map[string]*ledger.Instance{}, history: map[string][]*ledger.Entry{}, byNode: map[string]string{}, byToken: map[string]int{}, launchOf: map[string]int{}}
	sorted := make([]ledger.Entry, 0, len(entries))
	for _, e := range entries {
		if until.IsZero() || !e.Model.After(until) {
			sorted = append(sorted, e)
		}
	}
	slices.SortStableFunc(sorted, func(x, y ledger.Entry) int { return x.Model.Compare(y.Model) })
	if len(sorted) > 0 {
		b.from, b.to = sorted[0].Model, sorted[len(sorted)-1].Model
	}
	open := map[string][]int{}
	for i := range sorted {
		b.take(&sorted[i], open)
	}
	return b
}

// take adds one entry, or ties it to its intent.
func (b *Book) take(e *ledger.Entry, open map[string][]int) {
	key := cmp.Or(e.Token, e.Action+" "+e.Object)
	if e.Phase == ledger.Done || e.Phase == ledger.Failed {
		b.note(e)
		if waiting := open[key]; len(waiting) > 0 {
			b.deeds[waiting[0]].outcome = e
			b.ofLaunch(waiting[0], e)
			open[key] = waiting[1:]
			return
		}
	}
	b.deeds = append(b.deeds, deed{Entry: *e})
	n := len(b.deeds) - 1
	if e.Phase == ledger.Intent {
		open[key] = append(open[key], n)
		if e.Action == "launch" && e.Token != "" {
			b.byToken[e.Token] = n
		}
	} else {
		b.ofLaunch(n, e)
	}
	b.note(e)
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
		b.history[in.ID] = append(b.history[in.ID], e)
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

// Find are the objects of a name, sorted by kind: those that the ledger knows as one.
func (b *Book) Find(name string) []Object {
	found := map[Object]bool{}
	add := func(kind, of string) {
		if of == name {
			found[Object{kind, of}] = true
		}
	}
	for i := range b.deeds {
		e := &b.deeds[i]
		switch e.Action {
		case "unplaced", "pop", "delete-balloon":
			add(Pod, e.Object)
		case "launch":
			add(Group, e.Object)
			b.findPods(&e.Entry, add)
		case "awaited":
			add(Instance, e.Object)
			b.findPods(&e.Entry, add)
		case "placed":
			add(Node, e.Object)
			b.findPods(&e.Entry, add)
		case "kept", "drain":
			add(Node, e.Object)
		case "terminate", "complete-lifecycle":
			add(Instance, e.Object)
		case "create-balloons":
			add(Balloon, e.Object)
		}
		if kind, of, ok := problemOf(e.Object); ok && e.Action == "problem" {
			add(kind, of)
		}
		b.findParts(&e.Entry, add)
	}
	var out []Object
	for o := range found {
		out = append(out, o)
	}
	slices.SortFunc(out, func(x, y Object) int { return cmp.Compare(x.Kind, y.Kind) })
	return out
}

func (b *Book) findPods(e *ledger.Entry, add func(kind, of string)) {
	for _, p := range slices.Concat(e.Pods, podsOf(e)) {
		add(Pod, p)
	}
	for _, p := range e.Placed {
		add(Pod, p.Pod)
	}
}

func (b *Book) findParts(e *ledger.Entry, add func(kind, of string)) {
	add(Pool, e.Pool)
	if in := e.Instance; in != nil {
		add(Instance, in.ID)
		add(Node, in.Node)
		add(Group, in.Group)
		add(Pool, in.Pool)
	}
	if s := e.Sizing; s != nil {
		add(Balloon, s.Balloon)
	}
	if s := e.Shortfall; s != nil {
		add(Group, s.Group)
		add(Pool, s.Pool)
	}
	if n := e.Notice; n != nil {
		add(Instance, n.Instance)
		add(Node, n.Node)
	}
	if p := e.Policy; p != nil {
		if kind, ok := kinds[strings.ToLower(p.Kind)]; ok {
			add(kind, p.Name)
		}
	}
}

// problemOf is whom a problem is of, by its object in the ledger such as "pool general".
func problemOf(object string) (kind, name string, ok bool) {
	word, name, found := strings.Cut(object, " ")
	kind, ok = kinds[strings.ToLower(word)]
	return kind, name, found && ok
}

// Known are the names of a kind that the ledger has, sorted.
func (b *Book) Known(kind string) []string {
	all := map[string]bool{}
	add := func(k, of string) {
		if k == kind && of != "" {
			all[of] = true
		}
	}
	for i := range b.deeds {
		e := &b.deeds[i].Entry
		b.findParts(e, add)
		b.findPods(e, add)
		switch e.Action {
		case "launch":
			add(Group, e.Object)
		case "unplaced":
			add(Pod, e.Object)
		case "drain", "kept", "placed":
			add(Node, e.Object)
		case "terminate":
			add(Instance, e.Object)
		}
	}
	var out []string
	for name := range all {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
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
	s.Add()
	if !b.from.IsZero() && len(s.Events) > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("the ledger that was read goes from %s to %s", clock(b.from), clock(b.to)))
	}
	return s
}
