package aws_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	emulator "swell/bench/testbed/aws"
	"swell/nodegroups/aws"
)

func TestSpotPricesAreReadByZone(t *testing.T) {
	w := newWorldOf(t, func(f *emulator.Fleet) {
		f.Prices["m6i.4xlarge"] = emulator.Price{OnDemand: 0.992, Spot: 0.31, SpotIn: map[string]float64{"ap-northeast-1c": 0.4}}
	}, func(o *aws.Options) { o.Prices = map[string]aws.Price{"m6i.4xlarge": {OnDemand: 0.992}} })
	groups, problems := w.groups(general)
	for name, want := range map[string]float64{"general-1a-spot": 0.31, "general-1c-spot": 0.4, "general-1a-on-demand": 0.992} {
		if g := find(groups, name); g.HourlyPrice != want {
			t.Errorf("%s costs %v, want %v", name, g.HourlyPrice, want)
		}
	}
	if slices.ContainsFunc(problems, func(p aws.Problem) bool { return strings.Contains(p.What, "price") }) {
		t.Errorf("problems %v", problems)
	}
	w.groups(general)
	w.c.Age(4 * time.Minute)
	if w.groups(general); w.seen["DescribeSpotPriceHistory"] != 1 {
		t.Errorf("%d calls within five minutes, want one", w.seen["DescribeSpotPriceHistory"])
	}
	// what cannot be read again is kept for an hour, and asked for once a minute
	w.order("deny", emulator.Order{Fault: emulator.Fault{Action: "DescribeSpotPriceHistory"}})
	for _, c := range []struct {
		later time.Duration
		want  float64
		calls int
	}{{time.Minute, 0.31, 2}, {0, 0.31, 2}, {54 * time.Minute, 0.31, 3}, {2 * time.Minute, 0, 4}} {
		w.c.Age(c.later)
		groups, problems = w.groups(general)
		if g := find(groups, "general-1a-spot"); g.HourlyPrice != c.want || w.seen["DescribeSpotPriceHistory"] != c.calls ||
			!slices.ContainsFunc(problems, func(p aws.Problem) bool { return strings.Contains(p.Mend, "ec2:DescribeSpotPriceHistory") }) {
			t.Errorf("%s later: %v by %d calls, want %v by %d; problems %v", c.later, g.HourlyPrice, w.seen["DescribeSpotPriceHistory"], c.want, c.calls, problems)
		}
	}
}

func TestAConfiguredSpotPriceGoesFirst(t *testing.T) {
	w := newWorld(t, func(o *aws.Options) {
		o.Prices = map[string]aws.Price{"m6i.4xlarge": {OnDemand: 0.992, Spot: 0.5}, "m5.4xlarge": {Spot: 0.1}}
	})
	groups, _ := w.groups(general)
	if g := find(groups, "general-1a-spot"); g.HourlyPrice != 0.5 || w.seen["DescribeSpotPriceHistory"] != 0 {
		t.Errorf("%v by %d calls", g.HourlyPrice, w.seen["DescribeSpotPriceHistory"])
	}
}

// A group of several types has one price, the dearest; its instances have that of their own type each.
func TestAnInstanceHasThePriceOfItsType(t *testing.T) {
	w := newWorldOf(t, func(f *emulator.Fleet) {
		f.Prices["m6i.4xlarge"] = emulator.Price{OnDemand: 0.992, Spot: 0.31, SpotIn: map[string]float64{"ap-northeast-1c": 0.28}}
		f.Groups[1].InstanceTypes = []string{"m6i.4xlarge", "m5.4xlarge"}
	}, func(o *aws.Options) {
		o.Prices = map[string]aws.Price{"m6i.4xlarge": {OnDemand: 0.992}, "m5.4xlarge": {OnDemand: 0.95}}
	})
	launch := func(token string) {
		for group, zone := range map[string]string{"general-1c-spot": "ap-northeast-1c", "general-1a-on-demand": "ap-northeast-1a"} {
			if got, err := w.c.Launch(ctx, group, zone, 1, group+token); err != nil || len(got.Instances) != 1 {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		w.pass(30 * time.Second)
	}
	launch("1")
	w.order("capacity", emulator.Order{Fault: emulator.Fault{Type: "m6i.4xlarge"}})
	launch("2")
	groups, _ := w.groups(general)
	for name, want := range map[string]map[string]float64{"general-1c-spot": {"m6i.4xlarge": 0.28, "m5.4xlarge": 0.33}, "general-1a-on-demand": {"m6i.4xlarge": 0.992, "m5.4xlarge": 0.95}} {
		got := map[string]float64{}
		for _, in := range find(groups, name).Instances {
			got[in.Type] = in.HourlyPrice
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: by type %v, want %v", name, got, want)
		}
	}
	if w.seen["DescribeSpotPriceHistory"] != 1 {
		t.Errorf("%d calls, want one", w.seen["DescribeSpotPriceHistory"])
	}
}
