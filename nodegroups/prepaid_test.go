package nodegroups_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"swell/nodegroups"
)

func onDemand(name, zone, typed string, alive, highest int) nodegroups.Group {
	g := nodegroups.Group{Name: name, Zone: zone, Market: nodegroups.OnDemand, InstanceTypes: []string{typed}, Max: highest}
	for i := range alive {
		g.Instances = append(g.Instances, instance(fmt.Sprintf("%s-%d", name, i), typed))
	}
	return g
}

func TestReservationsPayForWhatRunsFirst(t *testing.T) {
	groups := []nodegroups.Group{
		onDemand("a", "1a", "m6i.xlarge", 0, 10), onDemand("b", "1b", "m6i.xlarge", 3, 10), onDemand("c", "1b", "m6i.2xlarge", 1, 10),
		{Name: "s", Zone: "1b", Market: nodegroups.Spot, InstanceTypes: []string{"m6i.xlarge"}, Max: 10, Prepaid: 7},
	}
	nodegroups.AllocatePrepaid(groups, []nodegroups.Reservation{
		{ID: "zonal", Type: "m6i.xlarge", Zone: "1b", Count: 2}, {ID: "regional", Type: "m6i.xlarge", Count: 4, Flexible: true}, {ID: "other", Type: "r6i.xlarge", Count: 9, Flexible: true}}, nil)
	// zonal 2 and regional 1 pay for b's three; regional 2 for c's one double size; the last goes to a
	for i, want := range []int{1, 3, 1, 0} {
		if groups[i].Prepaid != want {
			t.Errorf("group %s has %d prepaid, want %d", groups[i].Name, groups[i].Prepaid, want)
		}
	}
}

// A reservation is never counted twice: in units of the smallest size, no more is given than was bought.
func TestNoReservationIsCountedTwice(t *testing.T) {
	sizes := map[string]int{"xlarge": 1, "2xlarge": 2, "4xlarge": 4}
	names := []string{"xlarge", "2xlarge", "4xlarge"}
	rapid.Check(t, func(r *rapid.T) {
		var groups []nodegroups.Group
		for i := range rapid.IntRange(1, 6).Draw(r, "groups") {
			alive := rapid.IntRange(0, 5).Draw(r, "alive")
			groups = append(groups, onDemand(fmt.Sprint(i), rapid.SampledFrom([]string{"a", "b"}).Draw(r, "zone"), "m6i."+rapid.SampledFrom(names).Draw(r, "size"), alive, alive+rapid.IntRange(0, 5).Draw(r, "room")))
		}
		var list []nodegroups.Reservation
		bought := 0
		for i := range rapid.IntRange(0, 5).Draw(r, "reservations") {
			size, count := rapid.SampledFrom(names).Draw(r, "of"), rapid.IntRange(0, 4).Draw(r, "count")
			list = append(list, nodegroups.Reservation{ID: fmt.Sprint(i), Type: "m6i." + size, Zone: rapid.SampledFrom([]string{"", "a", "b"}).Draw(r, "in"), Count: count, Flexible: rapid.Bool().Draw(r, "flexible")})
			bought += count * sizes[size]
		}
		nodegroups.AllocatePrepaid(groups, list, nil)
		given := 0
		for _, g := range groups {
			given += g.Prepaid * sizes[g.InstanceTypes[0][len("m6i."):]]
			if g.Prepaid < 0 || g.Prepaid > g.Max {
				r.Fatalf("group %s has %d prepaid of at most %d", g.Name, g.Prepaid, g.Max)
			}
		}
		if given > bought {
			r.Fatalf("%d units are given of %d that were bought", given, bought)
		}
	})
}

func TestSavingsPlansPayAfterReservationsWhereTheySaveMost(t *testing.T) {
	groups := []nodegroups.Group{
		onDemand("a", "1a", "m6i.xlarge", 2, 10), onDemand("b", "1b", "c6i.xlarge", 3, 10), onDemand("c", "1b", "r6i.xlarge", 1, 3), onDemand("d", "1b", "x9.xlarge", 4, 10),
		{Name: "s", Zone: "1b", Market: nodegroups.Spot, InstanceTypes: []string{"m6i.xlarge"}, Max: 10, HourlyPrice: 1},
	}
	for i := range groups {
		groups[i].HourlyPrice = 1
	}
	nodegroups.AllocatePrepaid(groups, []nodegroups.Reservation{{ID: "r", Type: "m6i.xlarge", Count: 1}}, []nodegroups.Commitment{
		{ID: "compute", Hourly: 3.1, Rates: map[string]float64{"m6i.xlarge": 0.7, "c6i.xlarge": 0.6, "r6i.xlarge": 0.5}},
		{ID: "family", Hourly: 1.25, Family: "c6i", Rates: map[string]float64{"c6i.xlarge": 0.5, "m6i.xlarge": 0.1}},
	})
	// running: one m6i is reserved, the family's plan pays for two c6i, the other plan for r6i 0.5, c6i 0.6 and m6i 0.7; of the
	// 1.3 that are left two r6i more, and of 0.3 nothing. x9 has no rate
	for i, want := range []int{2, 3, 3, 0, 0} {
		if groups[i].Prepaid != want {
			t.Errorf("group %s has %d prepaid, want %d", groups[i].Name, groups[i].Prepaid, want)
		}
	}
}

// Whatever the plans, what they are taken to pay for costs no more than their commitments, and no instance is paid for twice.
func TestNoCommitmentIsCountedTwice(t *testing.T) {
	types := []string{"m6i.xlarge", "m6i.2xlarge", "c6i.xlarge", "r6i.large"}
	rapid.Check(t, func(r *rapid.T) {
		var groups []nodegroups.Group
		for i := range rapid.IntRange(1, 6).Draw(r, "groups") {
			alive := rapid.IntRange(0, 5).Draw(r, "alive")
			g := onDemand(fmt.Sprint(i), "a", rapid.SampledFrom(types).Draw(r, "type"), alive, rapid.IntRange(0, 9).Draw(r, "most"))
			g.HourlyPrice = rapid.Float64Range(0, 2).Draw(r, "price")
			groups = append(groups, g)
		}
		// all plans have the same rates, so that what is paid for has one price
		rates := map[string]float64{}
		for _, typed := range types[:rapid.IntRange(0, len(types)).Draw(r, "rated")] {
			rates[typed] = rapid.Float64Range(0.01, 2).Draw(r, "rate")
		}
		var plans []nodegroups.Commitment
		families, bought := map[string]float64{}, 0.0
		for i := range rapid.IntRange(0, 4).Draw(r, "plans") {
			p := nodegroups.Commitment{ID: fmt.Sprint(i), Hourly: rapid.Float64Range(0, 5).Draw(r, "hourly"), Family: rapid.SampledFrom([]string{"", "m6i", "c6i"}).Draw(r, "family"), Rates: rates}
			plans = append(plans, p)
			families[p.Family] += p.Hourly
			bought += p.Hourly
		}
		before := fmt.Sprint(plans)
		nodegroups.AllocatePrepaid(groups, nil, plans)
		used, ofFamily := 0.0, map[string]float64{}
		for _, g := range groups {
			family, _, _ := strings.Cut(g.InstanceTypes[0], ".")
			cost := float64(g.Prepaid) * rates[g.InstanceTypes[0]]
			used, ofFamily[family] = used+cost, ofFamily[family]+cost
			if g.Prepaid < 0 || g.Prepaid > g.Max || g.Prepaid > 0 && rates[g.InstanceTypes[0]] == 0 {
				r.Fatalf("group %s of %v has %d prepaid of at most %d", g.Name, g.InstanceTypes, g.Prepaid, g.Max)
			}
		}
		for family, cost := range ofFamily {
			if most := families[""] + families[family]; cost > most+1e-6 {
				r.Fatalf("family %s is given %g of %g", family, cost, most)
			}
		}
		if used > bought+1e-6 || before != fmt.Sprint(plans) {
			r.Fatalf("%g is given of %g; plans %v", used, bought, plans)
		}
	})
}

// EC2's documentation of how reserved instances are applied leaves these families out.
func TestNoOtherSizeIsPrepaidOfAFamilyWithoutSizeFlexibility(t *testing.T) {
	for family, want := range map[string]int{"g4ad": 0, "g4dn": 0, "g5": 0, "g5g": 0, "inf1": 0, "m6i": 4, "g6": 4, "inf2": 4} {
		g := []nodegroups.Group{{Name: "g", Zone: "a", Market: nodegroups.OnDemand, Max: 10, InstanceTypes: []string{family + ".xlarge"}}}
		nodegroups.AllocatePrepaid(g, []nodegroups.Reservation{{ID: "r", Type: family + ".4xlarge", Count: 1, Flexible: true}}, nil)
		if g[0].Prepaid != want {
			t.Errorf("%d %s.xlarge are taken as paid by a 4xlarge, want %d", g[0].Prepaid, family, want)
		}
	}
}
