package observe

import (
	"errors"
	"testing"
	"time"

	"swell/nodegroups"
)

func onDemand(name string, alive int) []nodegroups.Group {
	g := group(name, alive, []string{"i-1" + name, "i-2" + name, "i-3" + name}[:alive]...)
	g.Market, g.InstanceTypes = nodegroups.OnDemand, []string{"m6i.large"}
	return []nodegroups.Group{g}
}

func TestAReservationIsCountedOnceOverAllPools(t *testing.T) {
	reads, ignores := nodegroups.Selection{Pool: "good", Prepaid: true}, nodegroups.Selection{Pool: "bad"}
	both := map[string]nodegroups.Selection{"good": reads, "bad": {Pool: "bad", Prepaid: true}}
	one := map[string]nodegroups.Selection{"good": reads, "bad": ignores}
	for name, c := range map[string]struct {
		pools     map[string]nodegroups.Selection
		inB       int // instances that run in the other pool's group
		lost      bool
		good, bad int
	}{
		"both read, none runs":                            {both, 0, false, 0, 4},
		"both read, and the other's last reading is lost": {both, 1, true, 0, 4},
		"both read, some run":                             {both, 3, false, 0, 4},
		"the other ignores them and runs some":            {one, 3, false, 1, 0},
		"the other ignores them and runs none":            {one, 0, false, 4, 0},
	} {
		t.Run(name, func(t *testing.T) {
			cloud := answers{"good": onDemand("z", 0), "bad": onDemand("a", c.inB), "": nodegroups.Prepaid{Reservations: []nodegroups.Reservation{{ID: "r", Type: "m6i.large", Count: 4}}}}
			g := NewGroups(cloud)
			if err := g.Read(t.Context(), at, c.pools); err != nil {
				t.Fatal(err)
			}
			if c.lost {
				cloud["bad"] = errors.New("timeout")
				if g.Read(t.Context(), at.Add(time.Minute), c.pools) == nil {
					t.Fatal("the lost reading was not told of")
				}
			}
			for range 2 { // the second starts from what was read, not from the first
				s, _ := snapshot(g)
				if a, z := s.Groups[0].Prepaid, s.Groups[1].Prepaid; a != c.bad || z != c.good {
					t.Errorf("%d and %d are prepaid of 4, want %d and %d", a, z, c.bad, c.good)
				}
			}
			if cloud["good"].([]nodegroups.Group)[0].Prepaid != 0 {
				t.Error("the reading itself was changed")
			}
		})
	}
}

func TestWhatIsPrepaidAndNotReadIsAProblemOfEachPoolThatAsks(t *testing.T) {
	g := NewGroups(answers{"good": onDemand("z", 1), "bad": onDemand("a", 1)})
	for _, asks := range []bool{true, false} {
		if err := g.Read(t.Context(), at, map[string]nodegroups.Selection{"good": {Pool: "good", Prepaid: asks}, "bad": {Pool: "bad"}}); err != nil {
			t.Fatal(err)
		}
		_, problems := snapshot(g)
		if asks && (len(problems) != 1 || problems[0].Object != "CapacityPool good" || problems[0].What != "not read for m6i.large") || !asks && len(problems) != 0 {
			t.Errorf("asks %v: problems %v", asks, problems)
		}
	}
}
