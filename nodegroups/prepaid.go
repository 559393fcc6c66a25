package nodegroups

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Reservation is capacity that is paid for whether or not it runs.
type Reservation struct {
	ID   string
	Type string // instance type
	// Zone that it holds in; empty is the whole region.
	Zone  string
	Count int
	// Flexible says that it also pays, in proportion, for other sizes of its family: regional ones of Linux with default
	// tenancy do, but for a few families.
	Flexible bool
}

// Commitment is an amount an hour that is paid whether or not instances use it up: a savings plan.
type Commitment struct {
	ID string
	// Hourly amount, in the currency of the rates.
	Hourly float64
	// Family that it is for, such as m6i; empty is all.
	Family string
	// Rates are what an instance an hour takes of it, by type; it pays for no type that is missing.
	Rates map[string]float64
}

// Prepaid is what an account pays for whether or not it runs.
type Prepaid struct {
	Reservations []Reservation
	Commitments  []Commitment
}

// AllocatePrepaid sets Prepaid of the on-demand groups to how many of their instances the reservations and commitments pay for,
// and never counts one twice. Running instances are paid for first, in the order in which AWS applies reservations: zonal,
// then regional of the same type, then by the size of the family. What is left over goes to the groups in their order, up to
// their maximum. Commitments apply after the reservations, those of a family before those of all, to the groups with the
// highest saving on their price first and then to those with the lowest rate; an instance that one would pay for only in part
// is not counted. A group of several types has its first type counted. Instances outside the groups are not known: where they
// use up a reservation, too many are taken as prepaid.
//
// The normalisation factors are those of EC2's documentation of how reserved instances are applied; the order
// of commitments is that of the documentation of savings plans.
func AllocatePrepaid(groups []Group, reservations []Reservation, commitments []Commitment) {
	rs := slices.Clone(reservations)
	slices.SortFunc(rs, func(a, b Reservation) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.ID, b.ID))
	})
	order := make([]int, 0, len(groups))
	for i := range groups {
		groups[i].Prepaid = 0
		if groups[i].Market == OnDemand && len(groups[i].InstanceTypes) > 0 {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(groups[a].Name, groups[b].Name) })
	left := make([]float64, len(rs)) // in instances of the reservation's own type
	for i, r := range rs {
		left[i] = float64(max(0, r.Count))
	}
	cs := slices.Clone(commitments)
	slices.SortFunc(cs, func(a, b Commitment) int {
		return cmp.Or(-cmp.Compare(min(1, len(a.Family)), min(1, len(b.Family))), cmp.Compare(a.ID, b.ID))
	})
	for _, running := range []bool{true, false} {
		for _, flexible := range []bool{false, true} {
			for i, r := range rs {
				for _, k := range order {
					left[i] -= give(&groups[k], r, left[i], running, flexible)
				}
			}
		}
		for i := range cs {
			for _, k := range cs[i].order(groups, order) {
				cs[i].pay(&groups[k], running)
			}
		}
	}
}

// order of the groups that a commitment may pay for, which are in the order of their names.
func (c Commitment) order(groups []Group, named []int) []int {
	var out []int
	for _, k := range named {
		family, _, _ := strings.Cut(groups[k].InstanceTypes[0], ".")
		if c.rate(groups[k]) > 0 && (c.Family == "" || c.Family == family) {
			out = append(out, k)
		}
	}
	// what of the price is still paid; an unknown price is no saving
	paid := func(g Group) float64 {
		if g.HourlyPrice <= 0 {
			return 1
		}
		return c.rate(g) / g.HourlyPrice
	}
	slices.SortStableFunc(out, func(a, b int) int {
		return cmp.Or(cmp.Compare(paid(groups[a]), paid(groups[b])), cmp.Compare(c.rate(groups[a]), c.rate(groups[b])))
	})
	return out
}

func (c Commitment) rate(g Group) float64 { return c.Rates[g.InstanceTypes[0]] }

// pay for as many of the group's instances as the rest of the commitment allows, and take that off it.
func (c *Commitment) pay(g *Group, running bool) {
	rate := c.rate(*g)
	n := max(0, min(payable(*g, running), int(c.Hourly/rate+1e-9)))
	g.Prepaid += n
	c.Hourly -= float64(n) * rate
}

// payable is how many instances of the group are not paid for yet.
func payable(g Group, running bool) int {
	if running {
		return min(g.Max, g.Alive()) - g.Prepaid
	}
	return g.Max - g.Prepaid
}

func rank(r Reservation) int {
	if r.Zone != "" {
		return 0
	}
	return 1
}

// give pays for as many of the group's instances as the reservation's rest allows and returns what that takes of it.
func give(g *Group, r Reservation, left float64, running, flexible bool) float64 {
	share, ok := shareOf(*g, r, flexible)
	if !ok {
		return 0
	}
	n := max(0, min(payable(*g, running), int(left/share+1e-9)))
	g.Prepaid += n
	return float64(n) * share
}

// shareOf is what one instance of the group takes of a reservation that applies to it.
func shareOf(g Group, r Reservation, flexible bool) (float64, bool) {
	if r.Zone != "" && r.Zone != g.Zone {
		return 0, false
	}
	own := g.InstanceTypes[0]
	if own == r.Type {
		return 1, !flexible
	}
	if !flexible || !r.Flexible || r.Zone != "" {
		return 0, false
	}
	family, size, _ := strings.Cut(own, ".")
	theirs, theirSize, _ := strings.Cut(r.Type, ".")
	a, b := normal(size), normal(theirSize)
	if family != theirs || a == 0 || b == 0 || slices.Contains(inflexible, family) {
		return 0, false
	}
	return a / b, true
}

// inflexible families have no size flexibility, by EC2's documentation of how reserved instances are applied.
var inflexible = []string{"g4ad", "g4dn", "g5", "g5g", "inf1"}

// normal is the normalisation factor of an instance size; 0 is unknown, as for metal.
func normal(size string) float64 {
	switch size {
	case "nano":
		return 0.25
	case "micro":
		return 0.5
	case "small":
		return 1
	case "medium":
		return 2
	case "large":
		return 4
	case "xlarge":
		return 8
	}
	if n, err := strconv.Atoi(strings.TrimSuffix(size, "xlarge")); err == nil && strings.HasSuffix(size, "xlarge") && n > 0 {
		return 8 * float64(n)
	}
	return 0
}
