package replay

import (
	"math"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/scaler/series"
)

// wave is a fortnight of days that swing between 20 and 100 pods.
func wave() series.Series {
	s := series.Series{Start: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC), Step: 5 * time.Minute}
	for range 14 * 288 {
		day := float64(s.End().Unix()%86400) / 86400
		s.Append(60-40*math.Cos(2*math.Pi*day), 0)
	}
	return s
}

func fleetOf(t *testing.T, sc Scenario, q float64) (Fleet, Input) {
	t.Helper()
	in := Input{Scenario: sc.WithDefaults(), Trace: wave(), Seed: 7}
	if err := in.localise(); err != nil {
		t.Fatal(err)
	}
	d, sp, err := in.demand()
	if err != nil {
		t.Fatal(err)
	}
	s := in.Scenario
	return Fleet{History: time.Unix(sp.history, 0), From: time.Unix(sp.from, 0), To: time.Unix(sp.to, 0), Zones: s.Zones, Boot: s.Boot, PodStart: s.PodStart.Duration, HPADelay: s.HPADelay.Duration,
		Scan: s.Scan.Duration, ScaleInAfter: s.ScaleInAfter.Duration, MaxNodes: s.MaxNodes, SpotShare: s.Spot.Share, ReclaimedPerHour: s.Spot.ReclaimedPerHour, OnDemand: 1, Spot: s.Spot.Price, Seed: in.Seed,
		Workloads: []Guarded{{Name: "web", Served: 1, Size: 1 / float64(s.NodePods), Demand: func(at time.Time) float64 { return float64(d.at(at.Unix())) },
			Balloon: &Sizing{Quantile: q, Chunk: 1, Share: 1, Max: math.MaxInt32}}}}, in
}

// A fleet of one workload whose Balloon has no bounds is the policy swell of a scenario: the same nodes, waits and costs.
func TestAFleetOfOneIsTheScenario(t *testing.T) {
	noise := 0.0
	sc := Scenario{Zones: 3, Spot: Spot{Share: 0.7, ReclaimedPerHour: 0.05}, Scan: metav1.Duration{Duration: 30 * time.Second},
		Demand: Demand{Mean: 60, Noise: &noise, Play: metav1.Duration{Duration: 2 * day}}}
	f, in := fleetOf(t, sc, 0.9)
	got, err := PlayFleet(f)
	if err != nil {
		t.Fatal(err)
	}
	all, err := Run(in, []string{"swell:0.9"})
	if err != nil {
		t.Fatal(err)
	}
	want := all[0]
	if math.Abs(got.Total.Unserved-want.Unserved) > 1e-12 || got.Total.WaitP50S != want.WaitP50S || got.Total.WaitP99S != want.WaitP99S {
		t.Errorf("unserved %g, waits %g and %g; want %g, %g and %g", got.Total.Unserved, got.Total.WaitP50S, got.Total.WaitP99S, want.Unserved, want.WaitP50S, want.WaitP99S)
	}
	for market, m := range want.Markets {
		if math.Abs(got.Markets[market].NodeHours-m.NodeHours) > 1e-6 || math.Abs(got.Markets[market].Cost-m.Cost) > 1e-6 {
			t.Errorf("%s: %+v; want %+v", market, got.Markets[market], m)
		}
	}
	if want.Unserved == 0 || want.Markets["spot"].NodeHours == 0 {
		t.Errorf("%+v tells the two from nothing", want)
	}
}

// constant is a fleet of 30 pods of a fifteenth of a node each, with six balloons of 2.5.
func constant(t *testing.T) Fleet {
	t.Helper()
	f, _ := fleetOf(t, Scenario{Zones: 1, Spot: Spot{Share: 1}, Scan: metav1.Duration{Duration: 30 * time.Second}, Demand: Demand{Play: metav1.Duration{Duration: day}}}, 0.9)
	f.Workloads[0].Demand = func(time.Time) float64 { return 30 }
	f.Workloads[0].Balloon = &Sizing{Quantile: 0.9, Chunk: 2.5, Share: 1, Min: 6, Max: 6}
	return f
}

func nodeHours(t *testing.T, f Fleet) map[string]float64 {
	t.Helper()
	r, err := PlayFleet(f)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for market, m := range r.Markets {
		out[market] = math.Round(m.NodeHours*1000) / 1000
	}
	out["room"] = math.Round(r.Total.RoomHours*1000) / 1000
	return out
}

// Each of a policy's numbers changes what it should, by as much as can be counted by hand: two nodes of pods, one of balloons, a day.
func TestEachNumberOfAPolicyIsPlayed(t *testing.T) {
	for name, c := range map[string]struct {
		change         func(*Fleet)
		spot, onDemand float64
		room           float64
	}{
		"as it is":         {func(*Fleet) {}, 72, 0, 24},
		"no Balloon":       {func(f *Fleet) { f.Workloads[0].Balloon = nil }, 48, 0, 0},
		"max":              {func(f *Fleet) { f.Workloads[0].Balloon.Min, f.Workloads[0].Balloon.Max = 0, 0 }, 48, 0, 0},
		"chunk":            {func(f *Fleet) { f.Workloads[0].Balloon.Chunk = 5 }, 96, 0, 48},
		"others":           {func(f *Fleet) { f.Others = func(time.Time) float64 { return 1.5 } }, 120, 0, 24},
		"least":            {func(f *Fleet) { f.MinNodes = 5 }, 120, 0, 24},
		"most":             {func(f *Fleet) { f.MaxNodes = 2 }, 48, 0, 24},
		"base":             {func(f *Fleet) { f.OnDemandBase = 2 }, 24, 48, 24},
		"spot share":       {func(f *Fleet) { f.SpotShare = 0 }, 0, 72, 24},
		"no spot there":    {func(f *Fleet) { f.Short = []Short{{Zone: 0, Market: "spot", From: f.From, To: f.To}} }, 72, 0, 24}, // all are there from the start
		"a second of them": {func(f *Fleet) { f.Workloads = append(f.Workloads, f.Workloads[0]) }, 144, 0, 48},
	} {
		f := constant(t)
		c.change(&f)
		if got := nodeHours(t, f); got["spot"] != c.spot || got["on-demand"] != c.onDemand || got["room"] != c.room {
			t.Errorf("%s: %v; want %g spot, %g on demand and %g of room", name, got, c.spot, c.onDemand, c.room)
		}
	}
}

// Room for two pods that wait goes to one of them where it is enough for one.
func TestRoomIsNotLeftWhileAPodWaits(t *testing.T) {
	f := constant(t)
	f.MaxNodes = 2
	f.Workloads[0].Balloon, f.Workloads[0].Demand = nil, func(time.Time) float64 { return 29 }
	other := f.Workloads[0]
	other.Demand = func(time.Time) float64 { return 2 }
	f.Workloads = append(f.Workloads, other)
	r, err := PlayFleet(f)
	if err != nil {
		t.Fatal(err)
	}
	if want := 1.0 / 31; math.Abs(r.Total.Unserved-want) > 1e-9 || !r.AtMaxNodes {
		t.Errorf("%g is unserved; want one of 31 pods, %g", r.Total.Unserved, want)
	}
}
