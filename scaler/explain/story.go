// Package explain makes of a ledger what was decided about one pod, node, group, Balloon, pool or consumer: when, on which
// numbers, what was rejected, and what came of it.
package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kinds of what can be asked about.
const (
	Pod      = "pod"
	Node     = "node"
	Instance = "instance"
	Group    = "group"
	Balloon  = "balloon"
	Pool     = "pool"
	Consumer = "consumer"
)

// kinds with the other names that people give them.
var kinds = map[string]string{
	Pod: Pod, "pods": Pod, "po": Pod, Node: Node, "nodes": Node, "no": Node, Instance: Instance, "instances": Instance, Group: Group, "groups": Group, "asg": Group,
	Balloon: Balloon, "balloons": Balloon, Pool: Pool, "pools": Pool, "capacitypool": Pool, "capacitypools": Pool, "cpool": Pool,
	Consumer: Consumer, "consumers": Consumer, "queueconsumer": Consumer, "queueconsumers": Consumer, "qc": Consumer,
}

// Object is what is asked about. Name is namespace/name where the kind has a namespace.
type Object struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

func (o Object) String() string { return o.Kind + " " + o.Name }

// Namespaced says whether objects of a kind have a namespace.
func Namespaced(kind string) bool { return kind == Pod || kind == Balloon || kind == Consumer }

// Parse reads KIND/NAME, or KIND/NAMESPACE/NAME. ok is false where text does not begin with a kind, as in NAMESPACE/NAME.
func Parse(text string) (o Object, ok bool) {
	kind, name, found := strings.Cut(text, "/")
	o.Kind, ok = kinds[strings.ToLower(kind)]
	if !found || !ok || name == "" {
		return Object{}, false
	}
	o.Name = name
	return o, true
}

// Number is one of the numbers that a decision rests on.
type Number struct {
	Name string `json:"name"`
	// Value is nil where it is unknown.
	Value *float64 `json:"value"`
	Unit  string   `json:"unit,omitempty"`
}

func (n Number) String() string {
	if n.Value == nil {
		return n.Name + " unknown"
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", n.Name, short(*n.Value), n.Unit))
}

func number(name string, v float64, unit string) Number { return Number{name, &v, unit} }

// short is a number with four digits that count.
func short(v float64) string {
	if v >= 1000 || v <= -1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.4g", v)
}

// Event is one thing that was decided, done or seen.
type Event struct {
	// At is model time, which is the machine's outside of tests and simulations.
	At   time.Time `json:"at"`
	What string    `json:"what"`
	// Of is what it was done to, where that is another object than the one asked about.
	Of       string   `json:"of,omitempty"`
	Numbers  []Number `json:"numbers,omitempty"`
	Rejected []string `json:"rejected,omitempty"`
	// Outcome is what came of it; empty where there is nothing to come.
	Outcome    string   `json:"outcome,omitempty"`
	Activities []string `json:"activities,omitempty"`
	// Decision says that something was decided, not only seen.
	Decision bool `json:"decision,omitempty"`
	// Source is ledger, status or event.
	Source string `json:"source"`
}

// Story is all that is known of one object.
type Story struct {
	Object
	// Answer is the short form: sentences on how things stand and why.
	Answer []string `json:"answer"`
	// Events are sorted by their time.
	Events []Event `json:"events"`
	// Notes are what this cannot say, and why: lines that were torn, records that are missing.
	Notes []string `json:"notes,omitempty"`
}

// Add takes in events; they are sorted when all are there.
func (s *Story) Add(events ...Event) { s.Events = append(s.Events, events...) }

// Merge takes in events from elsewhere, at their times.
func (s *Story) Merge(events ...Event) {
	s.Add(events...)
	s.sort()
}

func (s *Story) sort() {
	slices.SortStableFunc(s.Events, func(a, b Event) int { return a.At.Compare(b.At) })
}

// Since leaves out what was before a time.
func (s *Story) Since(from time.Time) {
	before := len(s.Events)
	s.Events = slices.DeleteFunc(s.Events, func(e Event) bool { return e.At.Before(from) })
	if n := before - len(s.Events); n > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("earlier events that are left out: %d", n))
	}
}

// Empty says that nothing is known of the object.
func (s *Story) Empty() bool { return len(s.Events) == 0 && len(s.Answer) == 0 }

// Newest is the last decision; nil is that there is none.
func (s *Story) Newest() *Event {
	for i := len(s.Events) - 1; i >= 0; i-- {
		if s.Events[i].Decision {
			return &s.Events[i]
		}
	}
	return nil
}

// Short is the answer and the newest decision, for people.
func (s *Story) Short() string {
	var b strings.Builder
	s.writeAnswer(&b)
	if e := s.Newest(); e != nil {
		fmt.Fprintf(&b, "\nlast decided, %s UTC\n", e.At.UTC().Format(time.DateOnly))
		e.write(&b)
	}
	s.writeNotes(&b)
	return b.String()
}

// Timeline is the whole story, for people.
func (s *Story) Timeline() string {
	var b strings.Builder
	s.writeAnswer(&b)
	if len(s.Events) > 0 {
		fmt.Fprintln(&b)
	}
	last := ""
	for _, e := range s.Events {
		if day := e.At.UTC().Format(time.DateOnly); day != last {
			fmt.Fprintf(&b, "%s UTC\n", day)
			last = day
		}
		e.write(&b)
	}
	s.writeNotes(&b)
	return b.String()
}

func (s *Story) writeAnswer(b *strings.Builder) {
	fmt.Fprintf(b, "%s\n", s.Object)
	for _, a := range s.Answer {
		fmt.Fprintf(b, "  %s\n", a)
	}
}

func (s *Story) writeNotes(b *strings.Builder) {
	for i, n := range s.Notes {
		if i == 0 {
			fmt.Fprintln(b)
		}
		fmt.Fprintf(b, "note: %s\n", n)
	}
}

func (e *Event) write(b *strings.Builder) {
	what := e.What
	if e.Of != "" {
		what = e.Of + ": " + what
	}
	fmt.Fprintf(b, "%s  %s\n", e.At.UTC().Format(time.TimeOnly), what)
	line := func(name, text string) { fmt.Fprintf(b, "          %-9s %s\n", name, text) }
	if len(e.Numbers) > 0 {
		var all []string
		for _, n := range e.Numbers {
			all = append(all, n.String())
		}
		line("numbers", strings.Join(all, ", "))
	}
	for _, r := range e.Rejected {
		line("rejected", r)
	}
	if e.Outcome != "" {
		line("outcome", strings.TrimPrefix(e.Outcome, "outcome "))
	}
	if len(e.Activities) > 0 {
		line("AWS", strings.Join(e.Activities, ", "))
	}
}

// brief is a span to the second.
func brief(d time.Duration) string {
	if d < 2*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	text := d.Round(time.Second).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// clock is a time of day in an answer.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" }

// counted is a number of things.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
