package learn

import (
	"testing"
	"time"

	"swell/nodegroups"
)

func TestTroubleCountsForAnHourAndByTheOffer(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	spot := nodegroups.Group{Name: "spot", Zone: "1a", Market: nodegroups.Spot, InstanceTypes: []string{"m6i.large"}}
	mixed := nodegroups.Group{Name: "mixed", Zone: "1a", Market: nodegroups.Spot, InstanceTypes: []string{"m6i.large", "m5.large", "m5a.large"}}
	other := nodegroups.Group{Name: "other", Zone: "1c", Market: nodegroups.Spot, InstanceTypes: []string{"m6i.large"}}
	var trouble Trouble
	refused := nodegroups.Unavailable{Group: "spot", Zone: "1a", Types: spot.InstanceTypes, Market: nodegroups.Spot, Class: nodegroups.NoCapacity}
	trouble.Failed(now, refused)
	refused.Class = nodegroups.NotAllowed
	trouble.Failed(now, refused)
	for range 4 {
		trouble.Interrupted(now.Add(30*time.Minute), "1a", "m6i.large", nodegroups.Spot)
	}
	expect := func(after time.Duration, what string, want ...[2]int) {
		t.Helper()
		groups := []nodegroups.Group{spot, mixed, other}
		trouble.Fill(now.Add(after), groups)
		for i, g := range groups {
			if got := [2]int{g.RecentFailures, g.RecentInterruptions}; got != want[i] {
				t.Errorf("%s: group %s has %v failures and interruptions, want %v", what, g.Name, got, want[i])
			}
		}
	}
	expect(time.Hour, "an hour", [2]int{1, 4}, [2]int{1, 2}, [2]int{0, 0})
	expect(61*time.Minute, "later", [2]int{0, 4}, [2]int{0, 2}, [2]int{0, 0})
	expect(2*time.Hour, "much later", [2]int{}, [2]int{}, [2]int{})
	if n := len(trouble.failures) + len(trouble.interruptions); n != 0 {
		t.Errorf("%d offers are still remembered", n)
	}
}
