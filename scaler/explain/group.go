package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"swell/scaler/ledger"
)

// group tells of a group: what was bought in it and why, what AWS did not have, and when another was used instead.
func (b *Book) group(s *Story) {
	var launch *deed
	var shortfalls []*ledger.Entry
	passed := 0
	for i := range b.deeds {
		d := &b.deeds[i]
		switch {
		case d.Action == "launch" && d.Object == s.Name:
			if d.Phase == ledger.Intent {
				launch = d
			}
			s.Add(b.event(d, ""))
		case d.Shortfall != nil && d.Shortfall.Group == s.Name:
			shortfalls = append(shortfalls, d.Entry)
			s.Add(refusal(d.Entry))
		case d.Action == "problem" && isProblemOf(d.Object, Group, s.Name):
			s.Add(b.event(d, ""))
		case d.Action == "suppressed" && about(d.Object, s.Name):
			s.Add(b.event(d, ""))
		case d.Action == "terminate" && b.groupOf(d.Object) == s.Name:
			s.Add(b.event(d, "instance "+d.Object))
		case (d.Action == "would-launch" && d.Object == s.Name) || (d.Action == "would-return" && d.Group == s.Name):
			e := b.event(d, "")
			if d.Action == "would-return" {
				e.Of = "instance " + d.Object
			}
			s.Add(e)
		case d.Notice != nil && d.Notice.Group == s.Name:
			e := noticed(d.Entry)
			e.Of = "instance " + d.Notice.Instance
			s.Add(e)
		case d.Action == "launch" && d.Phase == ledger.Intent:
			for _, r := range d.Rejected {
				if why, ok := strings.CutPrefix(r, s.Name+": "); ok {
					passed++
					s.Add(Event{At: d.Model, Of: "group " + d.Object, What: fmt.Sprintf("launch of %s there and not here: %s", counted(d.Count, "instance"), why), Source: ledgerSource})
				}
			}
		}
	}
	for id, in := range b.instances {
		if in.Group != s.Name {
			continue
		}
		for _, e := range b.steps(id, "instance "+id) {
			if strings.HasPrefix(e.What, "gone") || strings.HasPrefix(e.What, "Ready") {
				s.Add(e)
			}
		}
	}
	b.answerGroup(s, launch, shortfalls, passed)
}

func isProblemOf(object, kind, name string) bool {
	k, n, ok := problemOf(object)
	return ok && k == kind && n == name
}

// groupOf is the group of an instance, as far as it is known.
func (b *Book) groupOf(id string) string {
	if in := b.instances[id]; in != nil {
		return in.Group
	}
	if l := b.launch(id); l != nil {
		return l.Object
	}
	return ""
}

// refusal is capacity that AWS did not have, in words.
func refusal(e *ledger.Entry) Event {
	f := e.Shortfall
	what := "AWS has no capacity: "
	if f.Type != "" {
		what = "AWS has no " + f.Type + ": "
	}
	if what += f.Code; strings.HasPrefix(e.Reason, f.Code+": ") { // AWS's own words
		what += strings.TrimPrefix(e.Reason, f.Code)
	}
	out := Event{At: e.Model, What: what + "; not asked for again before " + f.Until.UTC().Format(time.TimeOnly), Source: ledgerSource, Activities: e.Activities, Decision: true,
		Numbers: []Number{number("waits", f.Until.Sub(e.Model).Seconds(), "s")}}
	if !strings.HasPrefix(e.Reason, f.Code) {
		out.Outcome = e.Reason
	}
	return out
}

func (b *Book) answerGroup(s *Story, launch *deed, shortfalls []*ledger.Entry, passed int) {
	say := func(format string, args ...any) { s.Answer = append(s.Answer, fmt.Sprintf(format, args...)) }
	if n := len(shortfalls); n > 0 {
		last := shortfalls[n-1].Shortfall
		of := ""
		if last.Type != "" {
			of = " of " + last.Type
		}
		until := "it may be asked for again since"
		if last.Until.After(b.to) {
			until = "it is not asked for again before"
		}
		say("AWS had no capacity%s (%s), %s since %s; %s %s.", of, last.Code, counted(n, "time"), clock(shortfalls[0].Model), until, clock(last.Until))
	}
	if passed > 0 {
		say("Launches that went to other groups for a reason of this one: %d.", passed)
	}
	if launch != nil {
		say("The last launch was of %s at %s: %s; %s.", counted(launch.Count, "instance"), clock(launch.Model), launch.Reason, b.outcome(launch))
	}
	if ready, booting := b.running(func(in *ledger.Instance) bool { return in.Group == s.Name }, b.to); ready+booting > 0 {
		say("At the ledger's end it has %s, and %d that boot.", counted(ready, "instance"), booting)
	}
}

// pool tells of a CapacityPool: its policy as it changed, its holds and freezes, its shortfalls, problems and purchases.
func (b *Book) pool(s *Story) {
	groups := map[string]bool{}
	for _, in := range b.instances {
		if in.Pool == s.Name {
			groups[in.Group] = true
		}
	}
	for i := range b.deeds {
		d := &b.deeds[i]
		if d.Shortfall != nil && d.Shortfall.Pool == s.Name {
			groups[d.Shortfall.Group] = true
		}
		if d.Pool == s.Name && strings.Contains(d.Action, "launch") {
			groups[d.Object] = true
		}
	}
	var policy *ledger.Policy
	var problem *ledger.Entry
	launches, returns, shortfalls := 0, 0, 0
	for i := range b.deeds {
		d := &b.deeds[i]
		switch {
		case d.Policy != nil && d.Policy.Kind == "CapacityPool" && d.Policy.Name == s.Name:
			s.Add(changed(d.Entry, policy))
			policy = d.Policy
		case d.Shortfall != nil && d.Shortfall.Pool == s.Name:
			shortfalls++
			e := refusal(d.Entry)
			e.Of = "group " + d.Shortfall.Group
			s.Add(e)
		case d.Action == "problem" && (isProblemOf(d.Object, Pool, s.Name) || groups[strings.TrimPrefix(d.Object, "group ")]):
			problem = d.Entry
			e := b.event(d, "")
			if kind, name, _ := problemOf(d.Object); kind == Group {
				e.Of = "group " + name
			}
			s.Add(e)
		case d.Action == "launch" && groups[d.Object]:
			launches += d.Count
			s.Add(b.event(d, "group "+d.Object))
		case d.Action == "terminate" && groups[b.groupOf(d.Object)]:
			returns++
			s.Add(b.event(d, "instance "+d.Object))
		case d.Action == "suppressed" && (about(d.Reason, s.Name) || anyAbout(d.Object, groups)):
			s.Add(b.event(d, ""))
		case d.Pool == s.Name && (d.Action == "would-launch" || d.Action == "would-return" || d.Action == "node-came"):
			s.Add(b.event(d, d.Object))
		}
	}
	b.answerPool(s, policy, problem, launches, returns, shortfalls)
}

func anyAbout(text string, names map[string]bool) bool {
	for n := range names {
		if about(text, n) {
			return true
		}
	}
	return false
}

func (b *Book) answerPool(s *Story, policy *ledger.Policy, problem *ledger.Entry, launches, returns, shortfalls int) {
	say := func(format string, args ...any) { s.Answer = append(s.Answer, fmt.Sprintf(format, args...)) }
	if policy != nil {
		s.Answer = append(s.Answer, byHand(policy, b.to)...)
	}
	if ready, booting := b.running(func(in *ledger.Instance) bool { return in.Pool == s.Name }, b.to); ready+booting > 0 {
		say("At the ledger's end it has %s, and %d that boot.", counted(ready, "instance"), booting)
	}
	if launches+returns+shortfalls > 0 {
		say("Since %s: %s asked for, %d returned, AWS had none %s.", clock(b.from), counted(launches, "instance"), returns, counted(shortfalls, "time"))
	}
	if problem != nil {
		say("The last problem, at %s: %s.", clock(problem.Model), problem.Reason)
	}
}

// consumer tells of a QueueConsumer; its numbers are in its status, which the ledger does not have.
func (b *Book) consumer(s *Story) {
	var policy *ledger.Policy
	for i := range b.deeds {
		d := &b.deeds[i]
		switch {
		case d.Policy != nil && d.Policy.Kind == "QueueConsumer" && d.Policy.Name == s.Name:
			s.Add(changed(d.Entry, policy))
			policy = d.Policy
		case d.Action == "problem" && isProblemOf(d.Object, Consumer, s.Name):
			s.Add(b.event(d, ""))
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
