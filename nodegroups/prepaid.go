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
	// tenancy do.
	Flexible bool
}

// AllocatePrepaid sets Prepaid of the on-demand groups to how many of their instances the reservations pay for, and never
// counts a reservation twice. Running instances are paid for first, in the order in which AWS applies reservations: zonal,
// then regional of the same type, then by the size of the family. What is left over goes to the groups in their order, up to
// their maximum. A group of several types has its first type counted. Instances outside the groups are not known: where they
// use up a reservation, too many are taken as prepaid.
//
// The normalisation factors are those of EC2's documentation of how reserved instances are applied.
func AllocatePrepaid(groups []Group, reservations []Reservation) {
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
	for _, running := range []bool{true, false} {
		for _, flexible := range []bool{false, true} {
			for i, r := range rs {
				for _, k := range order {
					left[i] -= give(&groups[k], r, left[i], running, flexible)
				}
			}
		}
	}
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
	most := g.Max
	if running {
		most = min(most, g.Alive())
	}
	n := max(0, min(most-g.Prepaid, int(left/share+1e-9)))
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
	if family != theirs || a == 0 || b == 0 {
		return 0, false
	}
	return a / b, true
}

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
