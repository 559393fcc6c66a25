// Package report makes the capacity report: what was asked for, held, idle and paid in a period, from the entries of a ledger.
// docs/report.md defines each figure.
package report

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Options of a report. The zero value reports the whole ledger in UTC, by the prices in it.
type Options struct {
	// From is where the period begins and To where it ends, To excluded; model time. Zero is the ledger's own beginning and end.
	From, To time.Time
	// Location is where days begin; nil is UTC.
	Location *time.Location
	// Prices go before those of the ledger.
	Prices []Price
	// Bill is what was paid by another's account; nil is that there is none.
	Bill []BillLine
	// Notes are what the prices cannot say; they stand among the report's limits.
	Notes []string
	// Torn is how many lines of the ledger could not be read.
	Torn int
}

// Price of an instance type in a market an hour, from a time on.
type Price struct {
	Type   string
	Market string // spot or on-demand
	Zone   string // empty is any
	From   time.Time
	Hourly float64 // above 0
	// Before is that nothing is known of the time before From: where the ledger has no price of then, this one counts.
	Before bool
}

// Validate says what cannot be used, with the mend.
func (o Options) Validate() error {
	if !o.From.IsZero() && !o.To.IsZero() && !o.From.Before(o.To) {
		return fmt.Errorf("the period ends at %s, not after its beginning at %s; give an end that is later", o.To.Format(time.RFC3339), o.From.Format(time.RFC3339))
	}
	for _, p := range o.Prices {
		if p.Hourly <= 0 || p.Type == "" || p.Market != spot && p.Market != onDemand {
			return fmt.Errorf("the %s price of %q is %g; give a price above 0 an hour, or leave it out", p.Market, p.Type, p.Hourly)
		}
	}
	return nil
}

func (o Options) location() *time.Location {
	if o.Location == nil {
		return time.UTC
	}
	return o.Location
}

const (
	spot     = "spot"
	onDemand = "on-demand"
)

// priceKey finds the prices of a type in a market and zone.
type priceKey struct{ instanceType, market, zone string }

type priceList map[priceKey][]step

func listOf(prices []Price) priceList {
	out := priceList{}
	for _, p := range prices {
		k := priceKey{p.Type, p.Market, p.Zone}
		out[k] = append(out[k], step{from: p.From, rate: rate(p.Hourly), known: true, before: p.Before})
	}
	for _, steps := range out {
		slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.from.UnixNano(), b.from.UnixNano()) })
	}
	return out
}

// of a type in a market and zone: the zone's own, or those of any.
func (l priceList) of(instanceType, market, zone string) []step {
	if s := l[priceKey{instanceType, market, zone}]; s != nil {
		return s
	}
	return l[priceKey{instanceType, market, ""}]
}

// over is a list of prices beside what the ledger says; before its first price it is the ledger's.
func over(steps, own []step) []step {
	if len(steps) == 0 {
		if len(own) == 0 {
			return []step{{}}
		}
		return own
	}
	var out []step
	for _, s := range own {
		if s.from.Before(steps[0].from) {
			out = append(out, s)
		}
	}
	if len(out) == 0 && !steps[0].from.IsZero() {
		out = []step{{}}
		if first := steps[0]; first.before {
			out[0].rate, out[0].known = first.rate, true
		}
	}
	return append(out, steps...)
}
