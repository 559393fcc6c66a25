package scaler

import (
	"testing"

	"pgregory.net/rapid"

	"swell/balloon"
)

// While a past is being read no zone loses a balloon, as many are held as are wanted or exist, and what is decided itself stays
// as it was.
func TestNoBalloonGoesWhileAPastIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var zones []balloon.Zone
		existing := 0
		for _, name := range []string{"a", "b", "c"} {
			z := balloon.Zone{Name: name, Pods: rapid.IntRange(0, 20).Draw(t, "pods"), Balloons: rapid.IntRange(0, 8).Draw(t, "balloons")}
			zones = append(zones, z)
			existing += z.Balloons
		}
		in := balloon.Input{Chunk: 1, Max: 40, Min: rapid.IntRange(0, 20).Draw(t, "min"), Share: 1, Demand: rapid.Float64Range(0, 60).Draw(t, "demand"),
			NotReady: stillRead, Running: rapid.IntRange(0, 60).Draw(t, "running"), Zones: zones}
		before := balloon.Size(in)
		after := noFewer(before, zones)
		total := 0
		for i, z := range after.Zones {
			if z.Balloons < zones[i].Balloons {
				t.Errorf("zone %s has %d balloons and is to have %d", z.Zone, zones[i].Balloons, z.Balloons)
			}
			total += z.Balloons
		}
		if want := max(before.Total, existing); total != want || after.Total != want {
			t.Errorf("%d balloons in the zones and %d in all: want %d", total, after.Total, want)
		}
		if again := balloon.Size(in); again.Total != before.Total || again.Zones[0] != before.Zones[0] {
			t.Errorf("the decision itself was changed to %v", before.Zones)
		}
	})
}
