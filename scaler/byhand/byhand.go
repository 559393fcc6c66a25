// Package byhand keeps what people ask of the scaler by command, freezes and holds, in one ConfigMap: what is in Git stays
// as it is, and a tool that applies Git takes none of it back.
package byhand

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Name of the ConfigMap, in the scaler's namespace.
const Name = "swell-by-hand"

// What a freeze stops.
const (
	ScaleIn = "ScaleIn"
	All     = "All"
)

const (
	freezeKey  = "freeze"
	freezePool = "freeze."
	holdPool   = "hold."
	// keepExpired is how long an entry is kept after its end, so that people see that it has ended.
	keepExpired = time.Hour
)

// Entry is a freeze or a hold. Times are the machine's.
type Entry struct {
	// Pool is empty for all pools.
	Pool string `json:"-"`
	// Zone and Nodes are of holds; a freeze has no zone.
	Zone  string `json:"-"`
	Nodes int32  `json:"nodes,omitempty"`
	// What a freeze stops: ScaleIn or All.
	What   string    `json:"what,omitempty"`
	Until  time.Time `json:"until"`
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at"`
}

// Key of an entry in the ConfigMap. A zone has no dot, a pool's name may.
func (e Entry) Key() string {
	switch {
	case e.Zone != "":
		return holdPool + e.Zone + "." + e.Pool
	case e.Pool != "":
		return freezePool + e.Pool
	}
	return freezeKey
}

// Validate says what cannot be kept.
func (e Entry) Validate() error {
	switch {
	case e.Until.IsZero():
		return errors.New("it has no end; give until, a time such as 2026-12-01T00:00:00Z")
	case e.Zone == "" && e.What != ScaleIn && e.What != All:
		return fmt.Errorf("what is %q; give %s or %s", e.What, ScaleIn, All)
	case e.Zone != "" && e.Nodes < 1:
		return fmt.Errorf("nodes is %d; give one or more", e.Nodes)
	case e.Zone != "" && e.Pool == "":
		return errors.New("a hold names no pool; give one")
	case e.Pool != "" && len(validation.IsDNS1123Subdomain(e.Pool)) > 0:
		return fmt.Errorf("%q names no pool; give the name of a CapacityPool", e.Pool)
	case e.Zone != "" && len(validation.IsDNS1123Label(e.Zone)) > 0:
		return fmt.Errorf("%q is no zone; give one such as ap-northeast-1a", e.Zone)
	case len(validation.IsConfigMapKey(e.Key())) > 0:
		return fmt.Errorf("the name of pool %s is too long to be kept; give spec.freeze and spec.holds of the CapacityPool instead", e.Pool)
	}
	return nil
}

// Problem is an entry that cannot be read. Until it is mended, nothing is returned in its pool, or in any where Pool is empty.
type Problem struct{ Key, Pool, What, Mend string }

// Orders are the entries of a ConfigMap, by key.
type Orders struct {
	Entries  []Entry
	Problems []Problem
}

// Parse reads a ConfigMap's data. What cannot be read is unknown, not absent: it is a Problem.
func Parse(data map[string]string) Orders {
	var o Orders
	for key, raw := range data {
		e, err := parse(key, raw)
		if err != nil {
			o.Problems = append(o.Problems, Problem{Key: key, Pool: e.Pool, What: fmt.Sprintf("ConfigMap %s has %q, which cannot be read: %v", Name, key, err),
				Mend: fmt.Sprintf("correct the key, or delete it; until then nothing is returned %s", inPool(e.Pool))})
			continue
		}
		o.Entries = append(o.Entries, e)
	}
	slices.SortFunc(o.Entries, func(a, b Entry) int { return strings.Compare(a.Key(), b.Key()) })
	slices.SortFunc(o.Problems, func(a, b Problem) int { return strings.Compare(a.Key, b.Key) })
	return o
}

func inPool(pool string) string {
	if pool == "" {
		return "in any pool"
	}
	return "in pool " + pool
}

func parse(key, raw string) (Entry, error) {
	var e Entry
	hold := strings.HasPrefix(key, holdPool)
	switch {
	case key == freezeKey:
	case strings.HasPrefix(key, freezePool):
		e.Pool = strings.TrimPrefix(key, freezePool)
	case hold:
		e.Zone, e.Pool, _ = strings.Cut(strings.TrimPrefix(key, holdPool), ".")
	default:
		return e, fmt.Errorf("it is none of %s, %sPOOL and %sZONE.POOL", freezeKey, freezePool, holdPool)
	}
	d := json.NewDecoder(strings.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return Entry{Pool: e.Pool}, err
	}
	if d.More() {
		return Entry{Pool: e.Pool}, errors.New("something follows its JSON")
	}
	if hold && e.Zone == "" {
		return Entry{Pool: e.Pool}, errors.New("it names no zone")
	}
	return e, e.Validate()
}

// Freeze that is in force for a pool at now, the machine's time, by the entries and those that cannot be read; nil is none.
// One of everything goes before one of scale-in, then the one that ends last.
func (o Orders) Freeze(pool string, now time.Time) *Entry {
	var best *Entry
	take := func(e Entry) {
		if best == nil || e.What == All && best.What != All || e.What == best.What && e.Until.After(best.Until) {
			best = &e
		}
	}
	for _, e := range o.Entries {
		if e.Zone == "" && (e.Pool == "" || e.Pool == pool) && e.Until.After(now) {
			take(e)
		}
	}
	for _, p := range o.Problems {
		if p.Pool == "" || p.Pool == pool {
			take(Entry{Pool: p.Pool, What: ScaleIn, Until: now.Add(time.Minute), Reason: fmt.Sprintf("%q of ConfigMap %s cannot be read", p.Key, Name)})
		}
	}
	return best
}

// Holds that are in force for a pool at now, the machine's time.
func (o Orders) Holds(pool string, now time.Time) []Entry {
	var out []Entry
	for _, e := range o.Entries {
		if e.Zone != "" && e.Pool == pool && e.Until.After(now) {
			out = append(out, e)
		}
	}
	return out
}

// Expired are the entries that ended long enough ago to be taken away.
func (o Orders) Expired(now time.Time) []Entry {
	var out []Entry
	for _, e := range o.Entries {
		if now.Sub(e.Until) > keepExpired {
			out = append(out, e)
		}
	}
	return out
}
