package plan

import (
	"cmp"
	"fmt"
	"time"
)

// filter takes out what must not be done, and keeps it as suppressed, so that it can be shown.
func (w *world) filter(p *Plan) {
	pools := map[string]*pool{}
	for _, q := range w.pools {
		pools[q.Name] = q
	}
	p.Launches = keep(p, p.Launches, func(l Launch) (string, string) {
		return fmt.Sprintf("launch %d in %s", l.Count, l.Group), pools[l.Pool].idle()
	})
	p.Terminations = keep(p, p.Terminations, func(t Termination) (string, string) {
		why := cmp.Or(pools[t.Pool].unsold, w.stale, w.selfLost, w.policy.NoSale, pools[t.Pool].NoSale)
		return "return " + t.Node + " to " + t.Group, why
	})
	p.Lost = keep(p, p.Lost, func(t Termination) (string, string) {
		why := pools[t.Pool].idle()
		if why == "" {
			why = w.stale // its Node may be there and not seen
		}
		if why == "" && t.Found { // no launch that is known to have failed
			why = cmp.Or(pools[t.Pool].unsold, w.policy.NoSale, pools[t.Pool].NoSale)
		}
		return "return " + t.InstanceID + ", which did not join, to " + t.Group, why
	})
	p.Replacements = keep(p, p.Replacements, func(t Termination) (string, string) {
		return "replace " + t.InstanceID + " of " + t.Group, pools[t.Pool].idle()
	})
	p.Pops = keep(p, p.Pops, func(b Pop) (string, string) { return "pop " + b.Namespace + "/" + b.Name, w.leaveAlone(b) })
	p.Deletes = keep(p, p.Deletes, func(b Pop) (string, string) { return "delete " + b.Namespace + "/" + b.Name, w.leaveAlone(b) })
	if w.stale != "" {
		w.problem("snapshot", w.stale, "look at the connection to what is named; until it is back, nodes are launched for pending pods alone and nothing is returned")
	}
}

// leaveAlone is why a balloon pod is not deleted now.
func (w *world) leaveAlone(p Pop) string {
	if owner, observed := w.observed[p.Namespace+"/"+p.Name]; observed {
		return fmt.Sprintf("Balloon %s only observes", owner)
	}
	return w.stale
}

// keep returns the actions without a reason against them and notes the others.
func keep[T any](p *Plan, actions []T, judge func(T) (action, why string)) []T {
	var out []T
	for _, a := range actions {
		if action, why := judge(a); why != "" {
			x := Suppressed{Action: action, Reason: why}
			switch a := any(a).(type) {
			case Launch:
				x.Launch = &a
			case Termination:
				x.Termination = &a
			}
			p.Suppressed = append(p.Suppressed, x)
		} else {
			out = append(out, a)
		}
	}
	return out
}

// idle is why the pool does nothing at all; empty is that it acts.
func (p *pool) idle() string { return cmp.Or(p.observes, p.frozen) }

// sells says whether nodes of the pool that nobody needs are returned, as far as it is the pool's matter.
func (p *pool) sells() bool { return p.unsold == "" && p.NoSale == "" }

// onlyObserves is why the pool changes nothing; empty is that it does.
func (p Pool) onlyObserves() string {
	switch {
	case p.ObserveWhy != "":
		return fmt.Sprintf("pool %s only observes: %s", p.Name, p.ObserveWhy)
	case p.Observe:
		return fmt.Sprintf("pool %s only observes", p.Name)
	}
	return ""
}

// frozenAt is why a freeze stops the pool at now: its return of unneeded nodes, or everything.
func (p Pool) frozenAt(now time.Time, scaleIn bool) string {
	if p.Freeze.Until.After(now) && (scaleIn || p.Freeze.All) {
		return fmt.Sprintf("pool %s is frozen until %s: %s", p.Name, p.Freeze.Until.UTC().Format(time.RFC3339), p.Freeze.Reason)
	}
	return ""
}
