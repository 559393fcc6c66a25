package scaler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"swell/api/v1alpha1"
	"swell/scaler/ledger"
	"swell/scaler/notify"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

// problemFacts are what stands against a plan. Pods without a place are told together where their reasons are the same.
func problemFacts(p plan.Plan) []notify.Fact {
	var facts []notify.Fact
	for _, x := range p.Problems {
		facts = append(facts, notify.Fact{Key: "problem " + x.Object + " " + wordsOf(x.What), Severity: notify.Warning, Object: x.Object, What: x.What, Mend: x.Mend})
	}
	unplaced := map[string][]string{}
	for _, x := range p.Unplaced {
		reasons := plan.Listed(x.Reasons)
		unplaced[reasons] = append(unplaced[reasons], x.Pod)
	}
	for reasons, pods := range unplaced {
		what := "no node and no group takes it: " + reasons
		if more := len(pods) - 1; more > 0 {
			what = fmt.Sprintf("no node and no group takes it and %d more: %s", more, reasons)
		}
		facts = append(facts, notify.Fact{Key: "unplaced " + wordsOf(reasons), Severity: notify.Warning, Object: "pod " + slices.Min(pods), What: what,
			Mend: "give a group that takes it, or ask for less"})
	}
	return facts
}

// tellable says whether an entry may be worth telling, or has the reason of one that is.
func tellable(e ledger.Entry) bool {
	return e.Action == "launch" || e.Action == "terminate" || e.Action == "start" || e.Shortfall != nil || e.Notice != nil || e.Policy != nil
}

// factOf says whether an entry of the ledger is worth telling, and the reason of its Event; empty is none.
func (t *telling) factOf(e ledger.Entry, about about) (f notify.Fact, reason string, worth bool) {
	doing := e.Action + " " + cmp.Or(e.Token, e.Object)
	if e.Phase == ledger.Intent {
		if len(t.reasons) < mostHeard {
			t.reasons[doing] = e.Reason
		}
		return f, "", false
	}
	why := cmp.Or(e.Reason, t.reasons[doing], "its reason is not known")
	delete(t.reasons, doing)
	f = notify.Fact{Key: e.Action + " " + string(e.Phase) + " " + e.Object, Object: e.Object, What: e.Reason}
	failed := e.Phase == ledger.Failed
	if failed {
		f.Severity = notify.Warning
	}
	switch {
	case e.Action == "launch" && (e.Phase == ledger.Done || failed):
		f.Object = "group " + e.Object
		f.What = counted(e.Count, "instance was", "instances were") + " bought: " + why
		reason = "Launched"
		if failed {
			f.What, reason = "a launch failed: "+e.Error, "LaunchFailed"
		}
	case e.Action == "terminate" && (e.Phase == ledger.Done || failed):
		f.Object = about.groupOf(e.Object)
		f.Key = e.Action + " " + string(e.Phase) + " " + f.Object
		f.What = "instance " + e.Object + " was returned: " + why
		reason = "Returned"
		if failed {
			f.What, reason = "instance "+e.Object+" could not be returned: "+e.Error, "ReturnFailed"
		}
	case e.Action == "start":
		f.What, f.Object, f.Key = "the scaler "+e.Object+" has taken over", "swell-scaler", "start"
	case e.Shortfall != nil:
		s := e.Shortfall
		f.Severity, f.Object, f.Key = notify.Warning, "group "+s.Group, "shortfall "+s.Group+" "+s.Code
		f.What, reason = fmt.Sprintf("AWS had no %s in %s (%s)", strings.TrimSpace(s.Market+" "+s.Type), s.Zone, s.Code), "CapacityShort"
	case e.Notice != nil:
		n := e.Notice
		f.Object, f.Key = "group "+n.Group, "notice "+n.Kind+" "+n.Group
		f.What, reason = fmt.Sprintf("instance %s in %s is about to be lost (%s)", n.Instance, n.Zone, n.Kind), "Interrupted"
	case e.Policy != nil:
		key := e.Policy.Kind + " " + e.Policy.Name
		before, seen := t.known[key]
		t.known[key] = e.Policy.Generation
		if !seen || before == e.Policy.Generation {
			return f, "", false
		}
		f.Object, f.Key, f.What = key, "policy "+key, fmt.Sprintf("its spec was changed (generation %d)", e.Policy.Generation)
	default:
		return f, "", false
	}
	return f, reason, true
}

func counted(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", more)
}

// about finds the API object that a fact is about.
type about struct{ world *observe.World }

func newAbout(w *observe.World) about { return about{w} }

// groupOf is the group of an instance, as facts name it, or the instance where that is not known.
func (a about) groupOf(instance string) string {
	for _, g := range a.world.Snapshot.Groups {
		for _, i := range g.Instances {
			if i.ID == instance {
				return "group " + g.Name
			}
		}
	}
	return "instance " + instance
}

// reference of the object that a fact names; nil is none that Events are kept for.
func (a about) reference(object string) *corev1.ObjectReference {
	kind, name, _ := strings.Cut(object, " ")
	ours := func(kind, namespace, name string, uid types.UID) *corev1.ObjectReference {
		return &corev1.ObjectReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: kind, Namespace: namespace, Name: name, UID: uid}
	}
	switch kind {
	case "group":
		for _, g := range a.world.Snapshot.Groups {
			if g.Name == name && g.Pool != "" {
				return a.reference("CapacityPool " + g.Pool)
			}
		}
	case "CapacityPool", "pool":
		for _, p := range a.world.Pools {
			if p.Name == name {
				return ours("CapacityPool", "", p.Name, p.UID)
			}
		}
	case "Balloon":
		for _, b := range a.world.Balloons {
			if b.Namespace+"/"+b.Name == name {
				return ours("Balloon", b.Namespace, b.Name, b.UID)
			}
		}
	case "DiurnalSchedule":
		if d, ok := a.world.Schedules[name]; ok {
			return ours("DiurnalSchedule", d.Namespace, d.Name, d.UID)
		}
	case "node":
		for _, n := range a.world.Snapshot.Nodes {
			if n.Name == name {
				return &corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: n.Name, UID: n.UID}
			}
		}
	}
	return nil
}

// event writes a fact as an Event on the object that it is about.
func (l *Loop) event(a about, f notify.Fact, reason, action string) {
	regarding := a.reference(f.Object)
	if regarding == nil || l.events == nil {
		return
	}
	kind := corev1.EventTypeNormal
	if f.Severity > notify.Info {
		kind = corev1.EventTypeWarning
	}
	note := f.What
	if f.Mend != "" {
		note += "; " + f.Mend
	}
	if page := l.options.Config.Notify.PageURL; page != "" && f.Severity > notify.Info {
		note = shortened(note, longestNote-len("; see ")-len(page)) + "; see " + page
	}
	noticesTold.WithLabelValues("event").Inc()
	l.events.Eventf(regarding, nil, kind, reason, action, "%s", shortened(note, longestNote))
}

// shortened is a text of at most so many bytes.
func shortened(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:max(most-len(" …"), 0)], "") + " …"
}
