package scaler

import (
	"errors"
	"math"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
	"swell/balloon"
	"swell/scaler/forecast"
	"swell/scaler/history"
	"swell/scaler/observe"
	"swell/scaler/plan"
	"swell/scaler/series"
)

// soonWorld is a Balloon with room asked for from nine to twelve, whose pool keeps a node for ten minutes.
func soonWorld() (observe.World, *v1alpha1.Balloon) {
	b := &v1alpha1.Balloon{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: v1alpha1.BalloonSpec{Schedules: []string{"office"}}}
	office := v1alpha1.DiurnalSchedule{Spec: v1alpha1.DiurnalScheduleSpec{TimeZone: "UTC",
		Windows: []v1alpha1.Window{{Name: "morning", Days: []v1alpha1.DayRange{"Mon-Sun"}, From: "09:00", To: "12:00", MinHeadroom: "20"}}}}
	pool := v1alpha1.CapacityPool{}
	pool.Spec.ScaleIn.After.Duration = 10 * time.Minute
	return observe.World{Pools: []v1alpha1.CapacityPool{pool}, Schedules: map[string]v1alpha1.DiurnalSchedule{"shop/office": office}}, b
}

func soonInput(now time.Time) balloon.Input {
	return balloon.Input{Now: now, Chunk: 2, Max: 40, Share: 1, Demand: 0, Upper: math.NaN(), Zones: []balloon.Zone{{Name: "1a"}}}
}

// A new Balloon knows nothing of demand, and its schedule all the same.
func TestAScheduleHoldsNodesWithoutAForecast(t *testing.T) {
	world, b := soonWorld()
	for at, want := range map[string]int{"08:00": 0, "08:30": 0, "08:50": 10, "10:00": 10, "11:59": 10, "12:30": 0} {
		clock, err := time.Parse("15:04", at)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Date(2026, 3, 2, clock.Hour(), clock.Minute(), 0, 0, time.UTC)
		in := soonInput(now)
		in.NotReady = "it is new"
		w := &workload{}
		if got := w.wantedSoon(now, &world, &size{balloon: b, lead: lead{Boot: 2 * time.Minute}}, in, 0.9, nil); got["1a"] != want {
			t.Errorf("at %s %v are wanted soon, want %d", at, got, want)
		}
	}
}

// Demand is 10 pods by night and 40 from nine on, for three weeks.
func TestTheForecastHoldsNodesForABootAndAHold(t *testing.T) {
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	past := series.Series{Start: start, Step: time.Minute}
	for i := range 21*24*60 + 8*60 + 30 {
		demand := 10.0
		if h := i / 60 % 24; h >= 9 && h < 18 {
			demand = 40
		}
		past.Values = append(past.Values, demand)
	}
	h, err := history.NewWorkload(forecast.Options{Step: time.Minute}, []series.Series{past}, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := past.Time(past.Len())
	world, b := soonWorld()
	for after, want := range map[time.Duration]bool{10 * time.Minute: false, 40 * time.Minute: true} {
		world.Pools[0].Spec.ScaleIn.After.Duration = after
		in := soonInput(now)
		in.Demand, in.Running = 10, 10
		w := &workload{history: h}
		s := &size{balloon: b, lead: lead{Boot: 2 * time.Minute}}
		b.Spec.Schedules = nil
		first := w.wantedSoon(now, &world, s, in, 0.9, nil)["1a"]
		if (first >= 10) != want {
			t.Errorf("a node is kept for %s: %d are wanted soon, want those of the next hour: %v", after, first, want)
		}
		// What is found holds for a minute, and what is wanted now counts in between.
		in.Now, in.Headroom = now.Add(30*time.Second), 70
		if got := w.wantedSoon(in.Now, &world, s, in, 0.9, nil)["1a"]; got < 35 {
			t.Errorf("%d are wanted soon, want the 35 that are wanted now", got)
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
