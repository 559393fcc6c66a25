package scaler

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
	"swell/balloon"
	"swell/nodegroups"
	"swell/scaler/forecast"
	"swell/scaler/history"
	"swell/scaler/observe"
	"swell/scaler/plan"
	"swell/scaler/series"
)

// soonWorld is a Balloon of one zone whose demand is 10 pods, and 30 from ten on each day, and a pool that keeps a node for half an
// hour. A node is back after three minutes.
func soonWorld() (*observe.World, *size, balloon.Input) {
	s := &size{balloon: &v1alpha1.Balloon{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}, memory: &workload{}, lead: lead{Boot: 3 * time.Minute}}
	world := &observe.World{Pools: []v1alpha1.CapacityPool{{}}}
	world.Pools[0].Spec.ScaleIn.After.Duration = 30 * time.Minute
	return world, s, balloon.Input{Chunk: 2.5, Max: 40, Share: 1, Demand: 10, Upper: 10, Running: 10, Zones: []balloon.Zone{{Name: "1a", Pods: 10}}}
}

// balloonsSoon is how many balloons hold nodes at a time of the last day.
func balloonsSoon(t *testing.T, hour, minute int, world *observe.World, s *size, in balloon.Input) int {
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
	return s.memory.wantedSoon(in.Now, world, s, in, 0.9, nil)["1a"]
}

// A rise that a node which goes now would be bought back for holds it; one that is further away does not.
func TestNodesAreHeldForARiseWithinABootAndAHold(t *testing.T) {
	world, s, in := soonWorld()
	if n := balloonsSoon(t, 8, 0, world, s, in); n > 1 {
		t.Errorf("two hours before the rise %d balloons hold nodes", n)
	}
	if n := balloonsSoon(t, 9, 40, world, s, in); n < 7 {
		t.Errorf("20 minutes before a rise of 20 pods %d balloons of 2.5 hold nodes: want about 8", n)
	}
	world.Pools[0].Spec.ScaleIn.After.Duration = 5 * time.Minute
	if n := balloonsSoon(t, 9, 40, world, s, in); n > 1 {
		t.Errorf("%d balloons hold nodes that are returned and back before the rise", n)
	}
}

// What a schedule asks for within that time counts as the forecast does.
func TestNodesAreHeldForAWindowThatBeginsSoon(t *testing.T) {
	world, s, in := soonWorld()
	s.balloon.Spec.Schedules = []string{"office"}
	world.Schedules = map[string]v1alpha1.DiurnalSchedule{"shop/office": {Spec: v1alpha1.DiurnalScheduleSpec{TimeZone: "UTC",
		Windows: []v1alpha1.Window{{Name: "morning", Days: []v1alpha1.DayRange{"Mon-Sun"}, From: "07:00", To: "08:00", MinHeadroom: "20"}}}}}
	for minute, want := range map[int]int{0: 0, 40: 8} {
		if n := balloonsSoon(t, 6, minute, world, s, in); n != want && (want > 0 || n > 1) {
			t.Errorf("at 6:%02d %d balloons hold nodes for a window from seven on, want %d", minute, n, want)
		}
	}
}

// Where nothing is known of the time to come the forecast is no ground to hold nodes, and a schedule is all the same.
func TestWithoutAForecastOnlySchedulesHoldNodes(t *testing.T) {
	world, s, in := soonWorld()
	if n := balloonsSoon(t, 9, 40, world, s, in); n < 7 {
		t.Fatalf("%d balloons where there is a forecast", n)
	}
	in.Upper, in.NotReady = math.NaN(), "too little history"
	at := time.Date(2026, 3, 2, 9, 40, 0, 0, time.UTC)
	for _, memory := range []*workload{{history: s.memory.history}, {}} {
		s.balloon.Spec.Schedules = nil
		if got := memory.wantedSoon(at, world, s, in, 0.9, nil)["1a"]; got != 0 {
			t.Errorf("%d balloons hold nodes", got)
		}
		s.balloon.Spec.Schedules = []string{"office"}
		world.Schedules = map[string]v1alpha1.DiurnalSchedule{"shop/office": {Spec: v1alpha1.DiurnalScheduleSpec{TimeZone: "UTC",
			Windows: []v1alpha1.Window{{Name: "morning", Days: []v1alpha1.DayRange{"Mon-Sun"}, From: "10:00", To: "11:00", MinHeadroom: "20"}}}}}
		if got := memory.wantedSoon(at.Add(soonEvery), world, s, in, 0.9, nil)["1a"]; got != 8 {
			t.Errorf("%d balloons of 2.5 hold nodes for a window of 20 pods in 19 minutes, want 8", got)
		}
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
		n.tookOver.At = took.Add(time.Hour)
		unread := func() string { return n.tookOver.Unread(n.groups, n.world().Pools, *n.apiAt.Load()) }
		before := n.now
		n.apiAt.Store(&before)
		after := n.tookOver.At.Add(time.Second)
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
		if unread() == "" {
			t.Fatal("nothing was read, and nodes may be returned")
		}
		first.do()
		if why := unread(); !strings.Contains(why, first.wants) {
			t.Errorf("after half of it: %q, want %q", why, first.wants)
		}
		second.do()
		if why := unread(); why != "" || !n.tookOver.At.IsZero() {
			t.Errorf("all was read: %q", why)
		}
		n.apiAt.Store(&before)
		if why := unread(); why != "" {
			t.Errorf("later: %q", why)
		}
	}
}

// What was found while the Balloon could be sized goes on to hold.
func TestNodesThatAreWantedSoonStayWhileTheBalloonCannotBeSized(t *testing.T) {
	for _, virtual := range []bool{false, true} {
		b := &v1alpha1.Balloon{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
		l := &Loop{outputs: map[string]*output{}}
		s := size{balloon: b, soon: map[string]int{"1a": 7, "1c": 4}, decision: balloon.Decision{Zones: []balloon.ZoneBalloons{{Zone: "1a", Balloons: 1}, {Zone: "1c"}}}}
		o := l.outputOf(b)
		o.soon = s.soon
		o.demands(&s, map[string]*corev1.Pod{"1a": {}, "1c": {}}, virtual)
		one := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-1a", Labels: map[string]string{plan.BalloonLabel: "web"}},
			Spec: corev1.PodSpec{NodeSelector: map[string]string{corev1.LabelTopologyZone: "1a"}}}
		world := &observe.World{Snapshot: plan.Snapshot{Pods: []*corev1.Pod{one}}}
		soon, want := map[string]int{}, 0
		for _, d := range l.cannotSize(world, &size{balloon: b}, errors.New("reading the workload")) {
			if d.Zone != "" && d.Pod == nil && d.SoonPod == nil || !virtual && d.Pod != nil {
				t.Errorf("virtual %v: %+v: want a pod to hold room with, and none to make", virtual, d)
			}
			soon[d.Zone] += d.Soon
			want += d.Want
		}
		if soon["1a"] != 7 || soon["1c"] != 4 || want != 1 {
			t.Errorf("virtual %v: %v are wanted soon and %d now: want 7 and 4, and the one that there is", virtual, soon, want)
		}
	}
}

func TestABalloonThatOnlyObservesOrIsAnothersHoldsNoNodes(t *testing.T) {
	for name, spec := range map[string]v1alpha1.BalloonSpec{"observes": {Mode: v1alpha1.Observe}, "CapacityBuffer": {Output: v1alpha1.OutputCapacityBuffer}} {
		b := &v1alpha1.Balloon{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: spec}
		l := &Loop{outputs: map[string]*output{}}
		*l.outputOf(b) = output{held: map[string]int{}, soon: map[string]int{"1a": 7}, pods: map[string]*corev1.Pod{"1a": {}}}
		if got := l.keep(b, &observe.World{}); len(got) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
