package explain

import (
	"fmt"
	"regexp"
	"strings"

	"swell/scaler/ledger"
)

// balloon tells how a Balloon's size came about, each time that it changed.
func (b *Book) balloon(s *Story) {
	namespace, name, _ := strings.Cut(s.Name, "/")
	// PodName of package balloon: <balloon>-<end of the zone>-<suffix>
	pods := regexp.MustCompile("^" + regexp.QuoteMeta(namespace+"/"+name) + "-[^-]+-[^-]+$")
	var policy *ledger.Policy
	var size, before *ledger.Entry
	var problem *ledger.Entry
	popped := 0
	for i := range b.deeds {
		d := &b.deeds[i]
		switch {
		case d.Sizing != nil && d.Sizing.Balloon == s.Name:
			size = d.Entry
			if before == nil || changes(before.Sizing, d.Sizing) {
				s.Add(sized(d.Entry, before))
				before = d.Entry
			}
		case d.Policy != nil && d.Policy.Kind == "Balloon" && d.Policy.Name == s.Name:
			s.Add(changed(d.Entry, policy))
			policy = d.Policy
		case d.Action == "create-balloons" && d.Object == s.Name:
			s.Add(b.event(d, ""))
		case d.Action == "problem" && isProblemOf(d.Object, Balloon, s.Name):
			problem = d.Entry
			s.Add(b.event(d, ""))
		case (d.Action == "pop" || d.Action == "delete-balloon") && pods.MatchString(d.Object):
			popped++
			s.Add(b.event(d, "pod "+d.Object))
		case d.Action == "suppressed" && (about(d.Object, s.Name) || about(d.Reason, s.Name)):
			s.Add(b.event(d, ""))
		}
	}
	say := func(format string, args ...any) { s.Answer = append(s.Answer, fmt.Sprintf(format, args...)) }
	if size != nil {
		say("At %s: %s.", clock(size.Model), size.Sizing.Why)
		say("It holds room for %s by %s, mode %s%s.", size.Sizing.Workload, size.Sizing.Output, size.Sizing.Mode, zones(size.Sizing.Zones))
		if before != size {
			say("That is so since %s.", clock(before.Model))
		}
	}
	if popped > 0 {
		say("Balloons that gave way or were taken away since %s: %d.", clock(b.from), popped)
	}
	if problem != nil {
		say("The last problem, at %s: %s.", clock(problem.Model), problem.Reason)
	}
}

// changes says whether a decision is another than the last one.
func changes(a, b *ledger.Sizing) bool {
	if a.Total != b.Total || a.Mode != b.Mode || a.Output != b.Output || len(a.Zones) != len(b.Zones) || (a.Upper == nil) != (b.Upper == nil) {
		return true
	}
	for zone, n := range a.Zones {
		if b.Zones[zone] != n {
			return true
		}
	}
	return false
}

func sized(e, before *ledger.Entry) Event {
	z := e.Sizing
	what := fmt.Sprintf("size %d", z.Total)
	switch {
	case before == nil:
	case before.Sizing.Total != z.Total:
		what = fmt.Sprintf("size %d → %d", before.Sizing.Total, z.Total)
	case zones(before.Sizing.Zones) != zones(z.Zones):
		what = fmt.Sprintf("size %d as before, spread anew", z.Total)
	default:
		what = fmt.Sprintf("size %d as before", z.Total)
	}
	for _, c := range [][3]string{{"mode", modeOf(before), z.Mode}, {"output", outputOf(before), z.Output}} {
		if before != nil && c[1] != c[2] {
			what += fmt.Sprintf(", %s %s → %s", c[0], c[1], c[2])
		}
	}
	out := Event{At: e.Model, What: what + zones(z.Zones) + ": " + z.Why, Source: ledgerSource, Decision: true}
	add := func(name string, v *float64, unit string) { out.Numbers = append(out.Numbers, Number{name, v, unit}) }
	running, total := float64(z.Running), float64(z.Total)*z.Chunk
	add("demand", z.Demand, "pods")
	add("running", &running, "pods")
	add("forecast", z.Point, "pods")
	add(fmt.Sprintf("its %g quantile", z.Tau), z.Upper, "pods")
	add("lead", &z.Lead, "s")
	if z.Headroom > 0 {
		add("schedules ask for", &z.Headroom, "pods")
	}
	if z.Share != 1 {
		share := 100 * z.Share
		add("share", &share, "%")
	}
	add("held", &total, "pods")
	return out
}

func modeOf(e *ledger.Entry) string {
	if e == nil {
		return ""
	}
	return e.Sizing.Mode
}

func outputOf(e *ledger.Entry) string {
	if e == nil {
		return ""
	}
	return e.Sizing.Output
}

func zones(by map[string]int) string {
	if len(by) == 0 {
		return ""
	}
	var parts []string
	for _, zone := range sortedKeys(by) {
		parts = append(parts, fmt.Sprintf("%d in %s", by[zone], zone))
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
