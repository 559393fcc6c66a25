package balloon_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"swell/balloon"
)

var t0 = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

func zones(pods ...int) []balloon.Zone {
	var out []balloon.Zone
	for i, n := range pods {
		out = append(out, balloon.Zone{Name: "1" + string(rune('a'+i)), Pods: n})
	}
	return out
}

func input() balloon.Input {
	return balloon.Input{Now: t0, Chunk: 2.5, Max: 40, Share: 1, Demand: 60, Upper: 80, Running: 60, Zones: zones(30, 20, 10)}
}

func TestAMorning(t *testing.T) {
	var state balloon.State
	existing := zones(30, 20, 10)
	var got strings.Builder
	for _, m := range []struct {
		at              string
		demand, upper   float64
		running         int
		headroom        float64
		headroomBecause string
	}{
		{"08:00", 60, 80, 60, 0, ""},
		{"08:01", 70, 95, 60, 0, ""}, // the forecast rises: more at once
		{"08:02", 75, 95, 85, 0, ""}, // pods took the places: fewer, and no new ones bought
		{"08:02", 75, 70, 85, 0, ""}, // a lower forecast is not believed yet
		{"08:03", 75, 70, 85, 0, ""}, // a minute after 95 it is
		{"08:30", 75, 70, 75, 20, "window morning"},
		{"08:31", 80, math.NaN(), 80, 20, "window morning"},
		{"08:45", math.NaN(), math.NaN(), 80, 0, ""},
	} {
		at, _ := time.Parse("15:04", m.at)
		in := input()
		in.Now = t0.Add(time.Duration(at.Hour()-8)*time.Hour + time.Duration(at.Minute())*time.Minute)
		in.Demand, in.Upper, in.Running, in.Headroom, in.State = m.demand, m.upper, m.running, m.headroom, state
		in.Zones = existing
		if m.headroom > 0 {
			in.HeadroomWhy = []string{m.headroomBecause}
		}
		d := balloon.Size(in)
		state = d.State
		for i, z := range d.Zones {
			existing[i].Balloons = z.Balloons
		}
		fmt.Fprintf(&got, "%s %v %s\n", m.at, d.Zones, d.Why)
	}
	want := `08:00 [{1a 4} {1b 3} {1c 1}] 8 balloons of 2.5: forecast 80, 60 pods running or on their way
08:01 [{1a 7} {1b 5} {1c 2}] 14 balloons of 2.5: forecast 95, 60 pods running or on their way
08:02 [{1a 2} {1b 1} {1c 1}] 4 balloons of 2.5: forecast 95, 85 pods running or on their way
08:02 [{1a 2} {1b 1} {1c 1}] 4 balloons of 2.5: demand 75, forecast 70, held at 95, 85 pods running or on their way
08:03 [{1a 0} {1b 0} {1c 0}] 0 balloons of 2.5: demand 75, forecast 70, 85 pods running or on their way
08:30 [{1a 4} {1b 3} {1c 1}] 8 balloons of 2.5: demand 75 and 20 by window morning, forecast 70, 75 pods running or on their way
08:31 [{1a 4} {1b 3} {1c 1}] 8 balloons of 2.5: demand 80 and 20 by window morning, no forecast, 80 pods running or on their way
08:45 [{1a 0} {1b 0} {1c 0}] 0 balloons of 2.5: demand unknown, no forecast, 80 pods running or on their way
`
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

func TestAWorkloadThatShrinksIsNotReplacedByBalloons(t *testing.T) {
	in := input()
	in.Demand, in.Upper, in.Running = 75, math.NaN(), 75
	in.State = balloon.Size(in).State
	in.Now = in.Now.Add(time.Minute)
	in.Demand, in.Running = 30, 30
	if d := balloon.Size(in); d.Total != 0 {
		t.Errorf("%d balloons for a workload that went from 75 pods to 30: want none (%s)", d.Total, d.Why)
	}
}

func TestBalloonsStayInTheirZonesWhilePodsMove(t *testing.T) {
	in := input()
	in.Zones = zones(20, 20, 20) // 8 balloons: 3, 3, 2
	for i, z := range balloon.Size(in).Zones {
		in.Zones[i].Balloons = z.Balloons
	}
	in.Zones[0].Pods, in.Zones[1].Pods, in.Zones[2].Pods = 18, 20, 22
	if got := fmt.Sprint(balloon.Size(in).Zones); got != "[{1a 3} {1b 3} {1c 2}]" {
		t.Errorf("two pods of sixty moved, and the balloons went to %s: want them to stay", got)
	}
	in.Zones[0].Pods, in.Zones[1].Pods, in.Zones[2].Pods = 5, 20, 35
	if got := fmt.Sprint(balloon.Size(in).Zones); got != "[{1a 2} {1b 3} {1c 3}]" && got != "[{1a 2} {1b 2} {1c 4}]" {
		t.Errorf("fifteen pods of sixty moved, and the balloons are %s: want them to follow", got)
	}
}

func TestBoundsAndOdds(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*balloon.Input)
		total   int
		problem string
	}{
		"a hundredfold forecast is cut at max": {func(in *balloon.Input) { in.Upper = 8000 }, 40, "raise spec.max"},
		"min holds without need":               {func(in *balloon.Input) { in.Min, in.Upper = 3, 0 }, 3, ""},
		"an infinite forecast is none":         {func(in *balloon.Input) { in.Upper = math.Inf(1) }, 0, "no forecast"},
		"a forecaster that is not ready":       {func(in *balloon.Input) { in.NotReady = "1h of history is too little" }, 0, "1h of history"},
		"half the share":                       {func(in *balloon.Input) { in.Share, in.Running = 0.5, 30 }, 4, ""},
		"no share":                             {func(in *balloon.Input) { in.Share = 0 }, 0, ""},
		"one zone lost of three":               {func(in *balloon.Input) { in.SurviveZone, in.Zones = true, zones(20, 20, 20) }, 24, ""},
		"one zone cannot be survived":          {func(in *balloon.Input) { in.SurviveZone, in.Zones = true, zones(60) }, 8, "fewer than two"},
		"no zone known":                        {func(in *balloon.Input) { in.Zones = nil }, 8, "no zone"},
		"chunk of nothing":                     {func(in *balloon.Input) { in.Chunk = 0 }, 0, "no sense"},
		"max below min":                        {func(in *balloon.Input) { in.Min, in.Max = 5, 3 }, 0, "no sense"},
		"exactly full":                         {func(in *balloon.Input) { in.Upper = 60 }, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := input()
			c.change(&in)
			d := balloon.Size(in)
			problems := fmt.Sprint(d.Problems)
			if d.Total != c.total || !strings.Contains(problems, c.problem) || c.problem == "" && len(d.Problems) > 0 {
				t.Errorf("%d balloons, %s; want %d and %q (%s)", d.Total, problems, c.total, c.problem, d.Why)
			}
		})
	}
}

func TestSizeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		load := rapid.OneOf(rapid.Float64Range(0, 500), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), 0, 1e9, -1}))
		in := balloon.Input{
			Now: t0, Chunk: rapid.Float64Range(0.1, 5).Draw(t, "chunk"), Min: rapid.IntRange(0, 5).Draw(t, "min"),
			Share: rapid.Float64Range(0, 1).Draw(t, "share"), Demand: load.Draw(t, "demand"), Upper: load.Draw(t, "upper"),
			Running: rapid.IntRange(0, 400).Draw(t, "running"), SurviveZone: rapid.Bool().Draw(t, "survive"),
		}
		in.Max = in.Min + rapid.IntRange(0, 60).Draw(t, "span")
		for i := range rapid.IntRange(1, 5).Draw(t, "zones") {
			in.Zones = append(in.Zones, balloon.Zone{Name: fmt.Sprint("z", i), Pods: rapid.IntRange(0, 100).Draw(t, "pods")})
		}
		for range rapid.IntRange(1, 20).Draw(t, "ticks") {
			d := balloon.Size(in)
			sum := 0
			for _, z := range d.Zones {
				if z.Balloons < 0 {
					t.Fatalf("%+v", d)
				}
				sum += z.Balloons
			}
			if sum != d.Total || sum < in.Min || sum > in.Max || len(d.State.Targets) > 130 {
				t.Fatalf("%d in zones, %d in all, bounds %d and %d", sum, d.Total, in.Min, in.Max)
			}
			if more := in; !math.IsNaN(in.Demand) && in.Demand >= 0 {
				more.Demand += rapid.Float64Range(0, 50).Draw(t, "more")
				if e := balloon.Size(more); e.Target < d.Target-1e-9 || e.Total < d.Total {
					t.Fatalf("demand %v wants %v, %v wants %v", in.Demand, d.Total, more.Demand, e.Total)
				}
			}
			for i, z := range d.Zones {
				if rapid.Bool().Draw(t, "exists") {
					in.Zones[i].Balloons = z.Balloons
				}
			}
			in.State = d.State
			in.Now = in.Now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "wait")) * time.Second)
			in.Upper = load.Draw(t, "upper")
		}
	})
}

// A forecast that cannot be is as good as none, one of nothing changes nothing, and one of far too much is cut at max.
func TestABadForecastYieldsTheFloorOrTheMaximum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := input()
		in.Demand, in.Running = rapid.Float64Range(0, 500).Draw(t, "demand"), rapid.IntRange(0, 500).Draw(t, "running")
		in.Min, in.Headroom = rapid.IntRange(0, 5).Draw(t, "min"), rapid.Float64Range(0, 50).Draw(t, "headroom")
		in.Max = in.Min + rapid.IntRange(0, 60).Draw(t, "span")
		none := in
		none.NotReady = "there is none"
		floor := balloon.Size(none)
		for _, upper := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 0} {
			in.Upper = upper
			d := balloon.Size(in)
			if d.Total != floor.Total || d.Target != floor.Target || upper != 0 && !strings.Contains(fmt.Sprint(d.Problems), "no forecast") {
				t.Fatalf("a forecast of %v: %+v, without one %+v", upper, d, floor)
			}
		}
		in.Upper = 100 * (float64(in.Running) + float64(in.Max+1)*in.Chunk)
		if d := balloon.Size(in); d.Total != in.Max || !strings.Contains(fmt.Sprint(d.Problems), "raise spec.max") {
			t.Fatalf("a hundredfold forecast: %+v", d)
		}
	})
}

// What runs with the balloons is never less than the target by more than a hundredth of a balloon, nor a whole balloon more,
// within the bounds.
func TestTheRoomIsTheTarget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := input()
		in.Chunk, in.Max = rapid.Float64Range(0.1, 20).Draw(t, "chunk"), rapid.IntRange(0, 200).Draw(t, "max")
		in.Demand, in.Upper = rapid.Float64Range(0, 500).Draw(t, "demand"), rapid.Float64Range(0, 500).Draw(t, "upper")
		in.Running = rapid.IntRange(0, 500).Draw(t, "running")
		d := balloon.Size(in)
		room, running := float64(in.Running)+float64(d.Total)*in.Chunk, float64(in.Running)
		if room < min(d.Target, running+float64(in.Max)*in.Chunk)-0.0101*in.Chunk || room > max(d.Target+in.Chunk, running)+1e-6 {
			t.Fatalf("room %v for a target of %v (%s)", room, d.Target, d.Why)
		}
		if d.Target != max(in.Demand, in.Upper) {
			t.Fatalf("target %v of demand %v and forecast %v", d.Target, in.Demand, in.Upper)
		}
	})
}

func TestQuantileByCost(t *testing.T) {
	for _, c := range []struct{ miss, room, want float64 }{{0.02, 0.02, 0.5}, {0.99, 0.01, 0.99}, {1, 1e-6, 0.999}, {0.01, 1, 0.5}} {
		if got, err := balloon.Quantile(c.miss, c.room); err != nil || math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%+v: got %v %v", c, got, err)
		}
	}
	if _, err := balloon.Quantile(0.02, 0); err == nil {
		t.Error("room without a price has no quantile")
	}
}

func TestAHairAboveAWholeBalloonMakesNoOtherOne(t *testing.T) {
	for upper, want := range map[float64]int{30: 6, 30.00002: 6, 30.02: 6, 30.1: 7} {
		d := balloon.Size(balloon.Input{Now: time.Unix(0, 0), Chunk: 2.5, Max: 20, Share: 1, Demand: 15, Upper: upper, Running: 15, Zones: []balloon.Zone{{Name: "a"}}})
		if d.Total != want {
			t.Errorf("a forecast of %g: %d balloons, want %d (%s)", upper, d.Total, want, d.Why)
		}
	}
}

// What a zone's loss leaves is the target, but for what whole balloons and their few moves round off; or it is said that
// it is less.
func TestSurvivingAZoneIsHeldOrSaidNotToBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := balloon.Input{Now: t0, Chunk: rapid.Float64Range(0.1, 5).Draw(t, "chunk"), Max: 1 << 20, Share: 1, SurviveZone: true}
		left := map[string]float64{}
		for i := range rapid.IntRange(2, 5).Draw(t, "zones") {
			z := balloon.Zone{Name: fmt.Sprint("z", i), Pods: rapid.IntRange(0, 100).Draw(t, "pods")}
			in.Zones, in.Running = append(in.Zones, z), in.Running+z.Pods
			left[z.Name] = float64(z.Pods)
		}
		in.Demand = rapid.Float64Range(0, 1000).Draw(t, "demand")
		in.Upper = in.Demand
		d := balloon.Size(in)
		all := 0.0
		for _, z := range d.Zones {
			left[z.Zone] += float64(z.Balloons) * in.Chunk
		}
		for _, capacity := range left {
			all += capacity
		}
		for zone, lost := range left {
			if all-lost < in.Demand-2*in.Chunk-1e-6 && !strings.Contains(fmt.Sprint(d.Problems), "is lost") {
				t.Fatalf("%g pods' room is left of %g when %s is lost, of %v, and the problems are %v (%s)", all-lost, in.Demand, zone, left, d.Problems, d.Why)
			}
		}
	})
}

func TestAZoneOfMoreThanAHalf(t *testing.T) {
	in := balloon.Input{Now: t0, Chunk: 1, Max: 1000, Share: 1, Demand: 100, Upper: 100, Running: 100, SurviveZone: true,
		Zones: []balloon.Zone{{Name: "a", Pods: 80}, {Name: "b", Pods: 10}, {Name: "c", Pods: 10}}}
	if d := balloon.Size(in); len(d.Problems) != 1 || !strings.Contains(d.Problems[0].What, "zone a has 80 %") || !strings.Contains(d.Problems[0].Mend, "survive") || !strings.Contains(d.Why, "zone a has more") {
		t.Errorf("%v (%s): want a problem about zone a", d.Problems, d.Why)
	}
	in.Zones[0].Pods, in.Zones[1].Pods, in.Zones[2].Pods = 50, 25, 25
	if d := balloon.Size(in); len(d.Problems) != 0 {
		t.Errorf("%v: a half is survived", d.Problems)
	}
}
