// Package guardrail watches a change of policy against the bounds that the change states, and decides when it is rolled back.
package guardrail

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Annotations of the objects that are watched.
const (
	// BoundsAnnotation states the bounds of changes, as in "misses<=0.5%,cost<=+15%,for=2h".
	BoundsAnnotation = "capacity.swell/guard"
	// OverrideAnnotation is the time until which a person keeps a spec in force whatever it does, as in 2026-12-01T12:00:00Z.
	OverrideAnnotation = "capacity.swell/guard-override"
	// RolledBackAnnotation says what was rolled back, when and why.
	RolledBackAnnotation = "capacity.swell/rolled-back"
)

// Bounds are what a change is to keep to, and for how long.
type Bounds struct {
	// Misses is the largest share of pod-seconds that are spent pending beyond Beyond; nil is no bound.
	Misses *float64 `json:"misses,omitempty"`
	// Cost is the largest share by which the cost may exceed what is expected; nil is no bound.
	Cost *float64 `json:"cost,omitempty"`
	// For is how much time the change is watched.
	For time.Duration `json:"for"`
	// Beyond is how long a pod may be pending before that is a miss.
	Beyond time.Duration `json:"beyond"`
	// Observe says that a change out of bounds is told and not rolled back.
	Observe bool `json:"observe,omitempty"`
}

const (
	defaultFor    = 2 * time.Hour
	shortest      = 10 * time.Minute
	longest       = 14 * 24 * time.Hour
	defaultBeyond = 30 * time.Second
	longestBeyond = time.Hour
	mostCost      = 10 // +1000%
)

// Parse reads bounds: terms that are parted by commas, each at most once, and at least one of misses and cost.
func Parse(text string) (Bounds, error) {
	b := Bounds{For: defaultFor, Beyond: defaultBeyond}
	seen := map[string]bool{}
	for _, term := range strings.Split(text, ",") {
		term = strings.TrimSpace(term)
		name := strings.TrimSpace(strings.SplitN(strings.SplitN(term, "=", 2)[0], "<", 2)[0])
		if seen[name] {
			return Bounds{}, fmt.Errorf("%q is there twice; leave one of the two", name)
		}
		seen[name] = true
		if err := b.read(name, term); err != nil {
			return Bounds{}, err
		}
	}
	if b.Misses == nil && b.Cost == nil {
		return Bounds{}, fmt.Errorf("%q bounds nothing; give misses<=0.5%%, cost<=+15%%, or both", text)
	}
	return b, nil
}

func (b *Bounds) read(name, term string) (err error) {
	value := func(operator string) (string, bool) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(term[len(name):]), operator)
		return strings.TrimSpace(rest), ok && rest != ""
	}
	switch name {
	case "misses":
		v, ok := value("<=")
		if b.Misses, err = share(v, 1); !ok || err != nil || strings.HasPrefix(v, "+") {
			return fmt.Errorf("%q cannot be read; give a share of pod-seconds from 0%% to 100%%, as in misses<=0.5%%", term)
		}
	case "cost":
		v, ok := value("<=")
		rest, plus := strings.CutPrefix(v, "+")
		if b.Cost, err = share(rest, mostCost); !ok || !plus || err != nil {
			return fmt.Errorf("%q cannot be read; give how much more than expected it may cost, from +0%% to +1000%%, as in cost<=+15%%", term)
		}
	case "for":
		v, ok := value("=")
		if b.For, err = time.ParseDuration(v); !ok || err != nil || b.For < shortest || b.For > longest {
			return fmt.Errorf("%q cannot be read; give a time from 10m to 336h, as in for=2h", term)
		}
	case "beyond":
		v, ok := value("=")
		if b.Beyond, err = time.ParseDuration(v); !ok || err != nil || b.Beyond < 0 || b.Beyond > longestBeyond {
			return fmt.Errorf("%q cannot be read; give a time from 0s to 1h, as in beyond=30s", term)
		}
	case "mode":
		v, ok := value("=")
		if b.Observe = v == "Observe"; !ok || v != "Observe" && v != "Enforce" {
			return fmt.Errorf("%q cannot be read; give mode=Enforce or mode=Observe", term)
		}
	default:
		return fmt.Errorf("%q is not known; give misses<=0.5%%, cost<=+15%%, for=2h, beyond=30s or mode=Observe, parted by commas", term)
	}
	return nil
}

// share reads a percentage up to a largest share.
func share(text string, most float64) (*float64, error) {
	number, percent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !percent || math.IsNaN(v) || v < 0 || v/100 > most || strings.ContainsAny(number, "+-xXpP_") {
		return nil, fmt.Errorf("%q is no percentage", text)
	}
	v /= 100
	return &v, nil
}

// ParseOverride reads the time until which nothing is rolled back.
func ParseOverride(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("%q is no time; give one such as 2026-12-01T12:00:00Z", text)
	}
	return t, nil
}
