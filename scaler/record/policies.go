package record

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"swell/scaler/ledger"
)

// Object is one of the kinds as the API server has it.
type Object struct {
	// Name is namespace/name, or name of a cluster-scoped kind.
	Kind, Name string
	Generation int64
	Spec       any
}

// Policies says when the spec of an object is to be written: at first, when it changes, when the object is gone, and once in Again.
type Policies struct{ written map[[2]string]writtenPolicy }

type writtenPolicy struct {
	generation int64
	at         time.Time
	before     bool // by a scaler before this one
}

// Take takes what the ledger has from before, oldest first.
func (p *Policies) Take(e ledger.Entry) {
	if e.Policy == nil {
		return
	}
	key := [2]string{e.Policy.Kind, e.Policy.Name}
	if spec := string(e.Policy.Spec); spec == "" || spec == "null" {
		delete(p.written, key)
		return
	}
	if p.written == nil {
		p.written = map[[2]string]writtenPolicy{}
	}
	p.written[key] = writtenPolicy{before: true}
}

// Observe gives the entries for what is not as it was written; now is model time. An object whose spec cannot be encoded is an error.
func (p *Policies) Observe(now time.Time, objects []Object) ([]ledger.Entry, error) {
	if p.written == nil {
		p.written = map[[2]string]writtenPolicy{}
	}
	there := map[[2]string]bool{}
	var out []ledger.Entry
	for _, o := range objects {
		key := [2]string{o.Kind, o.Name}
		there[key] = true
		old, known := p.written[key]
		if known && !old.before && old.generation == o.Generation && now.Sub(old.at) < Again {
			continue
		}
		spec, err := json.Marshal(o.Spec)
		if err != nil {
			return out, fmt.Errorf("recording the spec of %s %s: %w", o.Kind, o.Name, err)
		}
		p.written[key] = writtenPolicy{generation: o.Generation, at: now}
		out = append(out, policyEntry(now, o.Kind, o.Name, o.Generation, spec))
	}
	gone := slices.SortedFunc(maps.Keys(p.written), func(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	for _, key := range gone {
		if !there[key] {
			delete(p.written, key)
			out = append(out, policyEntry(now, key[0], key[1], 0, json.RawMessage("null")))
		}
	}
	return out, nil
}

func policyEntry(now time.Time, kind, name string, generation int64, spec json.RawMessage) ledger.Entry {
	return ledger.Entry{Model: now, Phase: ledger.Note, Action: "policy", Object: kind + " " + name,
		Policy: &ledger.Policy{Kind: kind, Name: name, Generation: generation, Spec: spec}}
}
