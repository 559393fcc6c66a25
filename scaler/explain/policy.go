package explain

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"swell/api/v1alpha1"
	"swell/scaler/ledger"
)

// changed is a policy that was read at the start or anew, with the fields that differ from the one before.
func changed(e *ledger.Entry, before *ledger.Policy) Event {
	p := e.Policy
	out := Event{At: e.Model, Source: ledgerSource, Decision: true, What: fmt.Sprintf("policy, generation %d", p.Generation)}
	switch {
	case gone(p.Spec):
		out.What = "the " + p.Kind + " is gone"
	case before == nil || gone(before.Spec):
		out.What += ", as it was read"
		if p.Kind == "CapacityPool" {
			for _, hand := range byHand(p, e.Model) {
				out.What += "; " + strings.TrimSuffix(hand, ".")
			}
		}
	default:
		all := Differences(before.Spec, p.Spec)
		if len(all) == 0 {
			out.What += ", read again without a change"
			out.Decision = false
		}
		for _, d := range all {
			out.What += "; " + d
		}
	}
	return out
}

func gone(spec json.RawMessage) bool { return len(spec) == 0 || string(spec) == "null" }

// Differences are the fields in which two specs differ, sorted by their path, such as "min: 2 → 4".
func Differences(before, after json.RawMessage) []string {
	var a, b any
	if json.Unmarshal(before, &a) != nil || json.Unmarshal(after, &b) != nil {
		return []string{"it cannot be read"}
	}
	var out []string
	differ("", a, b, &out)
	return out
}

func differ(path string, a, b any, out *[]string) {
	if reflect.DeepEqual(a, b) {
		return
	}
	x, isMap := a.(map[string]any)
	y, both := b.(map[string]any)
	if isMap && both {
		keys := map[string]bool{}
		for k := range x {
			keys[k] = true
		}
		for k := range y {
			keys[k] = true
		}
		for _, k := range sortedKeys(keys) {
			differ(strings.TrimPrefix(path+"."+k, "."), x[k], y[k], out)
		}
		return
	}
	p, isList := a.([]any)
	q, bothLists := b.([]any)
	if isList && bothLists && len(p) == len(q) {
		for i := range p {
			differ(fmt.Sprintf("%s[%d]", path, i), p[i], q[i], out)
		}
		return
	}
	*out = append(*out, fmt.Sprintf("%s: %s → %s", path, written(a), written(b)))
}

func written(v any) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case string:
		return v
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(raw)
}

// byHand are the freeze and the holds of a pool that have not ended.
func byHand(p *ledger.Policy, at time.Time) []string {
	if gone(p.Spec) {
		return []string{"The pool is gone."}
	}
	var spec v1alpha1.CapacityPoolSpec
	if err := json.Unmarshal(p.Spec, &spec); err != nil {
		return []string{fmt.Sprintf("Its policy cannot be read: %v.", err)}
	}
	var out []string
	if f := spec.Freeze; f != nil {
		what := "nothing is returned"
		if f.What == "All" {
			what = "nothing is bought or returned"
		}
		if f.Until.After(at) {
			out = append(out, fmt.Sprintf("It is frozen until %s, %s: %s.", clock(f.Until.Time), what, f.Reason))
		}
	}
	for _, h := range spec.Holds {
		if h.Until.After(at) {
			out = append(out, fmt.Sprintf("It holds at least %s in %s until %s, asked for by hand.", counted(int(h.Nodes), "node"), h.Zone, clock(h.Until.Time)))
		}
	}
	if spec.Mode == v1alpha1.Observe {
		out = append(out, "It only observes.")
	}
	return out
}
