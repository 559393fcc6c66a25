// Package learn estimates, from what instances and pods did before, what the next ones will do.
package learn

import (
	"fmt"
	"math"
	"slices"
	"time"

	"swell/nodegroups"
)

// BootKey names capacity whose instances boot alike.
type BootKey struct {
	Zone, Type, Image string
	Market            nodegroups.Market
}

// Prior is what is believed of a duration before any was seen: a log-normal distribution by two of its quantiles.
type Prior struct {
	P50, P95 time.Duration
}

// BootPrior is what instances from launch to Node Ready take where nothing else is known.
var BootPrior = Prior{P50: 50 * time.Second, P95: 120 * time.Second}

// Options of Durations.
type Options struct {
	// Prior stands for PriorWeight observations of every key.
	Prior Prior
	// PriorWeight is in observations. Default 5.
	PriorWeight float64
	// OthersWeight is what all other keys' observations together count for at most, in observations. Default 0: not at all.
	OthersWeight float64
	// Keep is how many of the newest observations of a key count. Default 200.
	Keep int
}

// Validate names the field that cannot be used.
func (o Options) Validate() error {
	if o.Prior.P50 <= 0 || o.Prior.P95 <= o.Prior.P50 {
		return fmt.Errorf("learning durations: Prior is %v and %v; give a median above zero and a larger 95th percentile", o.Prior.P50, o.Prior.P95)
	}
	if !(o.PriorWeight >= 0) || !(o.OthersWeight >= 0) || o.Keep < 0 {
		return fmt.Errorf("learning durations: PriorWeight %g, OthersWeight %g, Keep %d; give zero or more", o.PriorWeight, o.OthersWeight, o.Keep)
	}
	return nil
}

// Durations learns how long something takes, by key. It is not safe for concurrent use.
type Durations[K comparable] struct {
	options Options
	seen    map[K][]float64 // seconds, oldest first
}

// NewDurations has seen nothing yet.
func NewDurations[K comparable](o Options) (*Durations[K], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.PriorWeight == 0 {
		o.PriorWeight = 5
	}
	if o.Keep == 0 {
		o.Keep = 200
	}
	return &Durations[K]{options: o, seen: map[K][]float64{}}, nil
}

// Add takes one observation. One that is not above zero tells nothing and is refused.
func (d *Durations[K]) Add(key K, took time.Duration) error {
	if took <= 0 {
		return fmt.Errorf("learning durations: %v is not above zero; leave it out", took)
	}
	list := append(d.seen[key], took.Seconds())
	if over := len(list) - d.options.Keep; over > 0 {
		list = slices.Delete(list, 0, over)
	}
	d.seen[key] = list
	return nil
}

// Count is how many observations of a key count.
func (d *Durations[K]) Count(key K) int { return len(d.seen[key]) }

// Forget drops the keys for which keep says no.
func (d *Durations[K]) Forget(keep func(K) bool) {
	for k := range d.seen {
		if !keep(k) {
			delete(d.seen, k)
		}
	}
}

// Quantile is the duration that a share tau of a key's next ones will not exceed: of the mixture of its own observations,
// each with weight 1, of the other keys' and of the prior.
func (d *Durations[K]) Quantile(key K, tau float64) time.Duration {
	own := d.seen[key]
	var others []float64
	if d.options.OthersWeight > 0 {
		for k, list := range d.seen {
			if k != key {
				others = append(others, list...)
			}
		}
	}
	return sample{own: own, others: others, othersWeight: d.options.OthersWeight, prior: d.options.Prior, priorWeight: d.options.PriorWeight}.quantile(tau)
}

// sample is what a quantile is estimated from.
type sample struct {
	own, others []float64 // seconds
	// atLeast are durations that were not seen to end: each counts as the prior has it beyond that.
	atLeast                   []float64
	othersWeight, priorWeight float64
	prior                     Prior
}

func (s sample) quantile(tau float64) time.Duration {
	each := 0.0
	if n := float64(len(s.others)); n > 0 {
		each = min(n, s.othersWeight) / n
	}
	mu := math.Log(s.prior.P50.Seconds())
	sigma := (math.Log(s.prior.P95.Seconds()) - mu) / normal95
	beyond := func(x float64) float64 { return 0.5 * math.Erfc((math.Log(x)-mu)/(sigma*math.Sqrt2)) }
	need := tau * (float64(len(s.own)+len(s.atLeast)) + each*float64(len(s.others)) + s.priorWeight)
	covered := func(x float64) float64 {
		c := s.priorWeight * (1 - beyond(x))
		for _, v := range s.own {
			if v <= x {
				c++
			}
		}
		for _, v := range s.others {
			if v <= x {
				c += each
			}
		}
		for _, v := range s.atLeast {
			switch left := beyond(v); {
			case x <= v:
			case left <= 0: // so far out that the prior has nothing beyond
				c++
			default:
				c += 1 - beyond(x)/left
			}
		}
		return c
	}
	lo, hi := math.Log(1e-3), math.Log(1e6)
	for range 50 { // to a millionth
		if mid := (lo + hi) / 2; covered(math.Exp(mid)) >= need {
			hi = mid
		} else {
			lo = mid
		}
	}
	return time.Duration(math.Exp(hi) * float64(time.Second)).Round(time.Millisecond)
}

// normal95 is the standard normal distribution's 95th percentile.
const normal95 = 1.6448536269514722
