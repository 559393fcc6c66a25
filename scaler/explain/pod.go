package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"swell/scaler/ledger"
)

// pod tells of one pod: why it had no place, which launches were for it, which node came, and how long it waited.
func (b *Book) pod(s *Story) {
	var launches []*deed
	var unplaced *ledger.Entry
	var placed *ledger.PodWait
	var node, on string
	named := 0
	for i := range b.deeds {
		d := &b.deeds[i]
		switch {
		case d.Action == "launch" && slices.Contains(podsOf(d.Entry), s.Name):
			launches = append(launches, d)
			s.Add(b.event(d, "group "+d.Object))
		case d.Action == "launch" && podCount(d.Entry) > len(podsOf(d.Entry)):
			named++
		case d.Action == "awaited" && slices.Contains(d.Pods, s.Name):
			on = d.Object
			s.Add(Event{At: d.Model, What: "waits for instance " + on + ", which boots", Source: ledgerSource})
		case d.Action == "placed":
			for k := range d.Placed {
				if w := &d.Placed[k]; w.Pod == s.Name {
					placed, node = w, d.Object
					s.Add(Event{At: w.At, What: "found a place on node " + d.Object, Source: ledgerSource, Numbers: []Number{number("waited", w.At.Sub(w.Since).Seconds(), "s")}})
				}
			}
		case d.Object == s.Name && (d.Action == "unplaced" || d.Action == "pop" || d.Action == "delete-balloon"):
			if d.Action == "unplaced" {
				unplaced = d.Entry
			}
			s.Add(b.event(d, ""))
		case d.Action == "pop" && about(d.Reason, s.Name):
			s.Add(b.event(d, "balloon pod "+d.Object))
		case d.Action == "drain" && about(d.Reason, s.Name):
			s.Add(b.event(d, "node "+d.Object))
		}
	}
	told := map[string]bool{}
	for _, l := range launches {
		for _, id := range b.gave(l) {
			told[id] = true
			s.Add(b.steps(id, "instance "+id)...)
		}
	}
	var bought *deed
	id := cmp.Or(b.byNode[node], on)
	if waited := placed == nil || !b.ready(id, placed.Since); id != "" && !told[id] && waited {
		s.Add(b.steps(id, "instance "+id)...)
		if bought = b.launch(id); bought != nil {
			s.Add(b.event(bought, "group "+bought.Object))
		}
	}
	if len(launches) > 0 || bought != nil {
		named = 0
	}
	b.answerPod(s, launches, unplaced, placed, node)
	if bought != nil {
		s.Answer = append(s.Answer, fmt.Sprintf("Instance %s, on which it has its place, was bought at %s by a launch that does not name this pod: %s%s.", id, clock(bought.Model), bought.Reason, b.came(bought, node)))
	}
	if named > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("launches for so many pods that not all are named: %d; one of them may be for this pod", named))
	}
}

// ready says that an instance's node was Ready before a time, so that nobody who came then waited for it to boot.
func (b *Book) ready(id string, at time.Time) bool {
	in := b.instances[id]
	return in != nil && (in.Seen || in.ReadyAt != nil && in.ReadyAt.Before(at))
}

// podsOf are the pods that a launch names, and podCount how many it is for.
func podsOf(e *ledger.Entry) []string {
	if e.Inputs != nil {
		return e.Inputs.Names
	}
	return nil
}

func podCount(e *ledger.Entry) int {
	if e.Inputs != nil {
		return e.Inputs.Pods
	}
	return 0
}

func (b *Book) answerPod(s *Story, launches []*deed, unplaced *ledger.Entry, placed *ledger.PodWait, node string) {
	if placed != nil {
		already := ""
		if b.ready(b.byNode[node], placed.Since) {
			already = ", which was Ready before it came"
		}
		s.Answer = append(s.Answer, fmt.Sprintf("It waited %s, from %s to %s, and found a place on node %s%s.", brief(placed.At.Sub(placed.Since)), clock(placed.Since), placed.At.UTC().Format(time.TimeOnly), node, already))
	}
	for _, l := range launches {
		what := fmt.Sprintf("The launch of %s in group %s at %s was for it", counted(l.Count, "instance"), l.Object, clock(l.Model))
		if n := podCount(l.Entry) - 1; n > 0 {
			what += fmt.Sprintf(" and %s more", counted(n, "pod"))
		}
		switch {
		case l.outcome != nil && l.outcome.Phase == ledger.Failed:
			what += ", and failed: " + l.outcome.Error
		case l.outcome == nil && l.Phase == ledger.Intent:
			what += "; " + b.outcome(l)
		}
		s.Answer = append(s.Answer, what+b.came(l, node)+".")
	}
	switch {
	case placed != nil:
	case unplaced != nil && (len(launches) == 0 || unplaced.Model.After(launches[len(launches)-1].Model)):
		s.Answer = append(s.Answer, fmt.Sprintf("No node and no group took it at %s: %s.", clock(unplaced.Model), unplaced.Reason))
	case len(launches) > 0:
		s.Answer = append(s.Answer, "No record says that it found a place.")
	}
}

// came says of a launch which node came, and how long that took; on is the node that is asked about.
func (b *Book) came(l *deed, on string) string {
	var parts, others []string
	for _, id := range b.gave(l) {
		in := b.instances[id]
		switch {
		case in == nil: // no record of it is there
		case on != "" && in.Node != on:
			others = append(others, b.other(in))
		case in.ReadyAt != nil:
			parts = append(parts, fmt.Sprintf("%s was Ready as node %s %s after its launch", id, in.Node, brief(in.ReadyAt.Sub(in.LaunchedAt))))
		case in.GoneAt != nil:
			parts = append(parts, id+" went without a Ready node")
		case in.Node != "":
			parts = append(parts, fmt.Sprintf("%s is node %s and is not Ready yet", id, in.Node))
		default:
			parts = append(parts, id+" still boots")
		}
	}
	if len(parts) == 0 {
		parts = others
	}
	if len(parts) == 0 {
		return ""
	}
	return "; " + listed(parts, 3)
}

// other is an instance that came of a launch for a pod which has its place elsewhere.
func (b *Book) other(in *ledger.Instance) string {
	switch {
	case in.ReadyAt != nil:
		return fmt.Sprintf("%s, which came of it, was Ready as node %s at %s", in.ID, in.Node, in.ReadyAt.UTC().Format(time.TimeOnly))
	case in.GoneAt != nil:
		return in.ID + ", which came of it, went without a Ready node"
	}
	return in.ID + ", which came of it, still boots"
}

// steps of an instance's life, each once.
func (b *Book) steps(id, of string) []Event {
	in := b.instances[id]
	if in == nil {
		return nil
	}
	where := strings.Join(slices.DeleteFunc([]string{in.Type, in.Market, in.Zone}, func(p string) bool { return p == "" }), ", ")
	add := func(out []Event, at *time.Time, what string, numbers ...Number) []Event {
		if at == nil || at.IsZero() {
			return out
		}
		return append(out, Event{At: *at, What: what, Of: of, Source: ledgerSource, Numbers: numbers})
	}
	var price []Number
	if in.Hourly != nil {
		price = append(price, number("price", *in.Hourly, "an hour"))
	}
	if in.OnDemandHourly != nil {
		price = append(price, number("on demand", *in.OnDemandHourly, "an hour"))
	}
	began := "launched by AWS"
	if in.Seen {
		began += ", before this ledger began"
	}
	kind := ""
	switch {
	case in.Fallback:
		kind = ", on-demand since spot could not be had"
	case in.Base:
		kind = ", within the on-demand base"
	case in.Prepaid:
		kind = ", paid for beforehand"
	}
	out := add(nil, &in.LaunchedAt, fmt.Sprintf("%s: %s%s", began, where, kind), price...)
	if in.Node != "" {
		out = add(out, in.RegisteredAt, "registered as node "+in.Node, number("since its launch", since(in.RegisteredAt, in.LaunchedAt), "s"))
	}
	out = add(out, in.ReadyAt, "Ready", number("since its launch", since(in.ReadyAt, in.LaunchedAt), "s"))
	end := in.End
	if end == "" {
		end = "why is not recorded"
	}
	return add(out, in.GoneAt, "gone: "+end, number("ran", since(in.GoneAt, in.LaunchedAt)/3600, "hours"))
}

func since(at *time.Time, from time.Time) float64 {
	if at == nil {
		return 0
	}
	return at.Sub(from).Seconds()
}
