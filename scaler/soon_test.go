package scaler

import (
	"math"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
	"swell/balloon"
	"swell/nodegroups"
	"swell/scaler/forecast"
	"swell/scaler/history"
	"swell/scaler/observe"
	"swell/scaler/series"
)

// soonWorld is a Balloon of one zone whose demand is 10 pods, and 30 from ten on each day, and a pool that keeps a node for half an
// hour. A node is back after three minutes.
func soonWorld() (*Loop, *observe.World, *size, balloon.Input) {
	s := &size{balloon: &v1alpha1.Balloon{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}, memory: &workload{}, lead: lead{Boot: 3 * time.Minute}}
	world := &observe.World{Pools: []v1alpha1.CapacityPool{{}}}
	world.Pools[0].Spec.ScaleIn.After.Duration = 30 * time.Minute
	return &Loop{}, world, s, balloon.Input{Chunk: 2.5, Max: 40, Share: 1, Demand: 10, Upper: 10, Running: 10, Zones: []balloon.Zone{{Name: "1a", Pods: 10}}}
}

// balloonsSoon is how many balloons hold nodes at a time of the last day.
func balloonsSoon(t *testing.T, l *Loop, hour, minute int, world *observe.World, s *size, in balloon.Input) int {
	t.Helper()
	in.Now = time.Date(2026, 3, 2, hour, minute, 0, 0, time.UTC)
	past := series.Series{Start: time.Date(2026, 2, 16, 0, 0, 0, 0, time.UTC), Step: 5 * time.Minute}
	for past.End().Before(in.Now) {
		past.Append(map[bool]float64{false: 10, true: 30}[past.End().Hour() >= 10], 0)
	}
	h, err := history.NewWorkload(forecast.Options{}, []series.Series{past}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.memory = &workload{history: h}
	return l.wantedSoon(in.Now, world, s, in, 0.9, nil)["1a"]
}

// A rise that a node which goes now would be bought back for holds it; one that is further away does not.
func TestNodesAreHeldForARiseWithinABootAndAHold(t *testing.T) {
	l, world, s, in := soonWorld()
	if n := balloonsSoon(t, l, 8, 0, world, s, in); n > 1 {
		t.Errorf("two hours before the rise %d balloons hold nodes", n)
	}
	if n := balloonsSoon(t, l, 9, 40, world, s, in); n < 7 {
		t.Errorf("20 minutes before a rise of 20 pods %d balloons of 2.5 hold nodes: want about 8", n)
	}
	world.Pools[0].Spec.ScaleIn.After.Duration = 5 * time.Minute
	if n := balloonsSoon(t, l, 9, 40, world, s, in); n > 1 {
		t.Errorf("%d balloons hold nodes that are returned and back before the rise", n)
	}
}

// What a schedule asks for within that time counts as the forecast does.
func TestNodesAreHeldForAWindowThatBeginsSoon(t *testing.T) {
	l, world, s, in := soonWorld()
	s.balloon.Spec.Schedules = []string{"office"}
	world.Schedules = map[string]v1alpha1.DiurnalSchedule{"shop/office": {Spec: v1alpha1.DiurnalScheduleSpec{TimeZone: "UTC",
		Windows: []v1alpha1.Window{{Name: "morning", Days: []v1alpha1.DayRange{"Mon-Sun"}, From: "07:00", To: "08:00", MinHeadroom: "20"}}}}}
	for minute, want := range map[int]int{0: 0, 40: 8} {
		if n := balloonsSoon(t, l, 6, minute, world, s, in); n != want && (want > 0 || n > 1) {
			t.Errorf("at 6:%02d %d balloons hold nodes for a window from seven on, want %d", minute, n, want)
		}
	}
}

// Where nothing is known of the time to come nothing is said about it: the forecast is no ground to hold nodes then.
func TestNothingIsHeldForWhatIsNotForecast(t *testing.T) {
	l, world, s, in := soonWorld()
	if n := balloonsSoon(t, l, 9, 40, world, s, in); n < 7 {
		t.Fatalf("%d balloons where there is a forecast", n)
	}
	in.Upper, in.NotReady = math.NaN(), "too little history"
	if got := l.wantedSoon(time.Date(2026, 3, 2, 9, 40, 0, 0, time.UTC), world, s, in, 0.9, nil); got != nil {
		t.Errorf("%v", got)
	}
}

// readAt reads the groups of the only pool.
func readAt(n noticed, at time.Time) {
	n.t.Helper()
	if err := n.groups.Read(n.t.Context(), at, map[string]nodegroups.Selection{"general": {}}); err != nil {
		n.t.Fatal(err)
	}
}

// After taking over nothing is returned until the API server and every pool's groups were read since, in whichever order; once
// they were, it is not asked again.
func TestNothingIsReturnedUntilEverythingWasReadAfterTakingOver(t *testing.T) {
	took := time.Now()
	for _, apiFirst := range []bool{true, false} {
		n := newNoticed(t, v1alpha1.Enforce)
		n.tookOver = took.Add(time.Hour)
		before := n.now
		n.apiAt.Store(&before)
		after := n.tookOver.Add(time.Second)
		steps := []struct {
			do    func()
			wants string
		}{
			{func() { n.apiAt.Store(&after) }, "group"},
			{func() { readAt(n, after) }, "the API server was not asked since this scaler took over"},
		}
		first, second := steps[0], steps[1]
		if !apiFirst {
			first, second = steps[1], steps[0]
		}
		if n.takingOver(n.world()) == "" {
			t.Fatal("nothing was read, and nodes may be returned")
		}
		first.do()
		if why := n.takingOver(n.world()); !strings.Contains(why, first.wants) {
			t.Errorf("after half of it: %q, want %q", why, first.wants)
		}
		second.do()
		if why := n.takingOver(n.world()); why != "" || !n.tookOver.IsZero() {
			t.Errorf("all was read: %q", why)
		}
		n.apiAt.Store(&before)
		if why := n.takingOver(n.world()); why != "" {
			t.Errorf("later: %q", why)
		}
	}
}
