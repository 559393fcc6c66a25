package explain

import (
	"fmt"
	"time"

	"swell/scaler/ledger"
)

// node tells of a node or an instance: why it was bought, when it booted, why it stays, why it was returned.
func (b *Book) node(s *Story) {
	id, node := s.Name, ""
	if s.Kind == Node {
		node, id = s.Name, b.byNode[s.Name]
	}
	in := b.instances[id]
	if in != nil && node == "" {
		node = in.Node
	}
	var kept, returned, drained, would *deed
	for i := range b.deeds {
		d := &b.deeds[i]
		onNode, onInstance := node != "" && d.Object == node, id != "" && d.Object == id
		switch {
		case d.Action == "kept" && onNode:
			kept = d
			e := b.event(d, "")
			e.What = "kept: " + d.Reason
			s.Add(e)
		case d.Action == "drain" && onNode:
			drained = d
			s.Add(b.event(d, ""))
		case d.Action == "terminate" && onInstance:
			returned = d
			s.Add(b.event(d, ""))
		case d.Action == "placed" && onNode:
			s.Add(Event{At: d.Model, What: "took " + counted(max(d.Count, len(d.Placed)), "pod") + " that had waited", Source: ledgerSource})
		case d.Action == "awaited" && onInstance:
			s.Add(Event{At: d.Model, What: "waited for by " + counted(max(d.Count, len(d.Pods)), "pod") + ": " + listed(d.Pods, 3), Source: ledgerSource})
		case d.Notice != nil && (id != "" && d.Notice.Instance == id || node != "" && d.Notice.Node == node):
			s.Add(noticed(d.Entry))
		case d.Action == "suppressed" && (id != "" && about(d.Object, id) || node != "" && about(d.Object, node)):
			s.Add(b.event(d, ""))
		case d.Action == "would-return" && (onInstance || node != "" && d.Node == node):
			would = d
			s.Add(b.event(d, ""))
		case onInstance || onNode:
			if d.Action != "instance" {
				s.Add(b.event(d, ""))
			}
		case id != "" && d.Phase == ledger.Note && d.Action == "launch" && about(d.Reason, id):
			s.Add(b.event(d, "group "+d.Object))
		}
	}
	launch := b.launch(id)
	if launch != nil {
		s.Add(b.event(launch, "group "+launch.Object))
	}
	s.Add(b.steps(id, "")...)
	if would != nil && (kept == nil || !kept.Model.After(would.Model)) {
		kept = would
	}
	b.answerNode(s, in, launch, kept, drained, returned)
	if s.Kind == Node && id == "" && len(s.Events) > 0 {
		s.Notes = append(s.Notes, "no record says which instance this node is, so that its purchase and its return are not here")
	}
}

func noticed(e *ledger.Entry) Event {
	n := e.Notice
	text := "notice: " + n.Kind
	out := Event{At: e.Model, What: text, Source: ledgerSource}
	if n.GoneBy != nil {
		out.Numbers = []Number{number("gone in", n.GoneBy.Sub(e.Model).Seconds(), "s")}
	}
	if e.Reason != "" {
		out.What += ": " + e.Reason
	}
	return out
}

func (b *Book) answerNode(s *Story, in *ledger.Instance, launch, kept, drained, returned *deed) {
	say := func(format string, args ...any) { s.Answer = append(s.Answer, fmt.Sprintf(format, args...)) }
	if in != nil {
		other := "node " + in.Node
		if s.Kind == Node {
			other = "instance " + in.ID
		} else if in.Node == "" {
			other = "without a node yet"
		}
		say("It is %s of group %s, %s %s in %s.", other, in.Group, in.Market, in.Type, in.Zone)
	}
	switch {
	case launch != nil:
		say("It was bought at %s: %s.", clock(launch.Model), launch.Reason)
	case in != nil && in.Seen:
		say("It was there before this ledger began, launched at %s.", clock(in.LaunchedAt))
	case in != nil && in.Token == "":
		say("No launch of swell's is recorded for it: its group, or someone else, started it at %s.", clock(in.LaunchedAt))
	}
	if in != nil && in.ReadyAt != nil {
		say("It was Ready %s after its launch.", brief(in.ReadyAt.Sub(in.LaunchedAt)))
	}
	switch {
	case in != nil && in.GoneAt != nil:
		say("It went at %s, %s%s.", clock(*in.GoneAt), orUnknown(in.End), reasonOf(returned))
	case returned != nil:
		say("It was returned at %s%s; %s.", clock(returned.Model), reasonOf(returned), b.outcome(returned))
	case drained != nil && (kept == nil || drained.Model.After(kept.Model)):
		if drained.outcome != nil || drained.ended {
			say("A drain was begun at %s: %s; %s.", clock(drained.Model), drained.Reason, b.outcome(drained))
			break
		}
		say("It is being drained since %s: %s.", clock(drained.Model), drained.Reason)
	case kept != nil && kept.Action == "would-return":
		say("It would be returned, as of %s: %s; its pool only observes.", clock(kept.Model), kept.Reason)
	case kept != nil:
		say("It stays, as was last noted at %s: %s%s.", clock(kept.Model), kept.Reason, b.sinceThen(kept))
	}
}

// silence is how long nothing must have been noted of a node before that is told: why it stays is noted when it changes, and not that it is
// needed again.
const silence = 15 * time.Minute

// sinceThen says that a note on a node is old.
func (b *Book) sinceThen(d *deed) string {
	if since := b.to.Sub(d.Model); since > silence {
		return fmt.Sprintf("; nothing was noted of it in the %s since then, as of a node that is needed", brief(since))
	}
	return ""
}

func orUnknown(end string) string {
	if end == "" {
		return "why is not recorded"
	}
	return end
}

func reasonOf(d *deed) string {
	if d == nil || d.Reason == "" {
		return ""
	}
	return ": " + d.Reason
}

// running are the instances of a group or pool that are there at a time.
func (b *Book) running(of func(*ledger.Instance) bool, at time.Time) (ready, booting int) {
	for _, in := range b.instances {
		switch {
		case !of(in) || in.GoneAt != nil && !in.GoneAt.After(at):
		case in.ReadyAt != nil || in.Seen:
			ready++
		default:
			booting++
		}
	}
	return ready, booting
}
