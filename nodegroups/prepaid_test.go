package nodegroups_test

import (
	"fmt"
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
		{ID: "zonal", Type: "m6i.xlarge", Zone: "1b", Count: 2}, {ID: "regional", Type: "m6i.xlarge", Count: 4, Flexible: true}, {ID: "other", Type: "r6i.xlarge", Count: 9, Flexible: true}})
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
		nodegroups.AllocatePrepaid(groups, list)
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
