package aws_test

import (
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
