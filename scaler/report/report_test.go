package report_test

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"swell/scaler/ledger"
	"swell/scaler/report"
)

var nine = time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)

func known[T any](v T) *T { return &v }

// at is an entry of a minute after nine.
func at(minute float64, e ledger.Entry) ledger.Entry {
	e.Model = nine.Add(time.Duration(minute * float64(time.Minute)))
	e.At, e.Phase = e.Model, ledger.Note
	return e
}

func instance(id, zone, market string, from float64, to *float64, hourly *float64) ledger.Entry {
	i := &ledger.Instance{ID: id, Group: "g-" + zone + "-" + market, Pool: "general", Zone: zone, Market: market, Type: "m6i.4xlarge", Token: "t", LaunchedAt: nine.Add(time.Duration(from * float64(time.Minute))),
		Hourly: hourly, OnDemandHourly: known(1.0)}
	end := from
	if to != nil {
		gone := nine.Add(time.Duration(*to * float64(time.Minute)))
		i.GoneAt, end = &gone, *to
	}
	return at(end, ledger.Entry{Action: "instance", Object: id, Instance: i})
}

func use(zone, market string, nodes, booting int, asked, held float64) ledger.GroupUse {
	return ledger.GroupUse{Group: "g", Pool: "general", Zone: zone, Market: market, Nodes: nodes, Booting: booting, Allocatable: ledger.Resources{Cores: 10 * float64(nodes), Memory: 40 * float64(nodes)},
		Asked: ledger.Resources{Cores: asked, Memory: 2 * asked}, Held: ledger.Resources{Cores: held, Memory: 4 * held}}
}

func sampleAt(minute float64, groups []ledger.GroupUse, work ...ledger.WorkloadUse) ledger.Entry {
	return at(minute, ledger.Entry{Action: "sample", Sample: &ledger.Sample{Groups: groups, Workloads: work}})
}

func end(minute float64) ledger.Entry { return at(minute, ledger.Entry{Action: "start"}) }

func made(t *testing.T, o report.Options, entries ...ledger.Entry) *report.Report {
	t.Helper()
	r, err := report.Make(slices.Values(entries), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantMoney(t *testing.T, what string, got *report.Money, dollars float64) {
	t.Helper()
	if got == nil {
		t.Errorf("%s is unknown, want %.6f", what, dollars)
	} else if math.Abs(got.Dollars()-dollars) > 2e-6 {
		t.Errorf("%s is %s, want %.6f", what, got.Decimal(), dollars)
	}
}

// An hour of one node at a dollar: five cores and ten GiB of ten and forty are asked for, two cores and eight GiB held.
func TestANodesPriceIsDividedByWhatItIsFor(t *testing.T) {
	web := ledger.WorkloadUse{Namespace: "shop", Workload: "Deployment/web", Pool: "general", Zone: "a", Market: "spot", Pods: 4, Pending: 1, Asked: ledger.Resources{Cores: 4, Memory: 8}, Held: ledger.Resources{Cores: 2, Memory: 8}}
	var entries []ledger.Entry
	entries = append(entries, instance("i-1", "a", "spot", 0, nil, known(1.0)))
	for m := 0.0; m < 60; m += 5 {
		entries = append(entries, sampleAt(m, []ledger.GroupUse{use("a", "spot", 1, 0, 5, 2)}, web))
	}
	r := made(t, report.Options{}, append(entries, end(60))...)
	wantMoney(t, "the total", r.Total.Cost.Total, 1)
	wantMoney(t, "asked", r.Total.Cost.Asked, (5.0/10+10.0/40)/2)
	wantMoney(t, "headroom", r.Total.Cost.Headroom, (2.0/10+8.0/40)/2)
	wantMoney(t, "idle", r.Total.Cost.Idle, 1-0.375-0.2)
	wantMoney(t, "not sampled", r.Total.Cost.NotSampled, 0)
	w := r.Workloads[0]
	wantMoney(t, "the workload", w.Cost.Total, (4.0/10+8.0/40)/2+0.2)
	if w.Hours.Pods != 4 || w.Hours.Pending != 1 || w.Hours.Asked.Cores != 4 || r.Total.Hours.Idle.Cores != 3 || r.Total.Hours.Node != 1 || r.Watched != 1 || w.Hours.Used != nil {
		t.Errorf("workload %+v, total %+v, watched %g", w.Hours, r.Total.Hours, r.Watched)
	}
}

func TestWhatNobodyLookedAtIsNotSampled(t *testing.T) {
	one := []ledger.GroupUse{use("a", "spot", 1, 1, 10, 0)}
	one[0].Asked.Memory = 40
	r := made(t, report.Options{}, instance("i-1", "a", "spot", 0, nil, known(1.0)), instance("i-2", "a", "spot", 0, nil, known(1.0)), sampleAt(0, one), sampleAt(30, one), end(60))
	// each sample stands for five minutes, half of the cost then is of an instance that boots
	wantMoney(t, "asked", r.Total.Cost.Asked, 10.0/60)
	wantMoney(t, "booting", r.Total.Cost.Booting, 10.0/60)
	wantMoney(t, "not sampled", r.Total.Cost.NotSampled, 2*50.0/60)
	if math.Abs(r.Watched-10.0/60) > 1e-9 {
		t.Errorf("watched is %g", r.Watched)
	}
}

func TestAnUnknownPriceStaysUnknown(t *testing.T) {
	r := made(t, report.Options{}, instance("i-1", "a", "spot", 0, nil, known(0.5)), instance("i-2", "b", "spot", 0, nil, nil), end(120))
	wantMoney(t, "the total", r.Total.Cost.Total, 1)
	if r.Total.Cost.UnpricedNodeHours != 2 {
		t.Errorf("%g hours are unpriced", r.Total.Cost.UnpricedNodeHours)
	}
	for _, z := range r.Zones {
		if (z.Cost.Total == nil) != (z.Zone == "b") {
			t.Errorf("zone %s costs %v", z.Zone, z.Cost.Total)
		}
	}
	text, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(text), `"zone":"b","hours":{"nodeHours":2,`) || !strings.Contains(string(text), `"cost":{"total":null,"asked":null`) {
		t.Errorf("%v in %s", err, text)
	}
	// a price that is given goes before the ledger's, from its time on
	r = made(t, report.Options{Prices: []report.Price{{Type: "m6i.4xlarge", Market: "spot", Zone: "b", From: nine.Add(time.Hour), Hourly: 3}, {Type: "m6i.4xlarge", Market: "on-demand", Hourly: 9}}},
		instance("i-1", "a", "spot", 0, nil, known(0.5)), instance("i-2", "b", "spot", 0, nil, nil), end(120))
	wantMoney(t, "the total", r.Total.Cost.Total, 4)
	if r.Total.Cost.UnpricedNodeHours != 1 {
		t.Errorf("%g hours are unpriced", r.Total.Cost.UnpricedNodeHours)
	}
}

func TestSpotSavingsAndFallback(t *testing.T) {
	fallback := instance("i-3", "a", "on-demand", 0, nil, known(1.0))
	fallback.Instance.Fallback = true
	elsewhere := instance("i-4", "c", "on-demand", 0, nil, known(1.0))
	elsewhere.Instance.Fallback = true
	base := instance("i-5", "a", "on-demand", 0, nil, known(1.0))
	base.Instance.Base = true
	r := made(t, report.Options{}, instance("i-1", "a", "spot", 0, nil, known(0.3)), fallback, elsewhere, base, end(60))
	wantMoney(t, "saved", r.Buys.Saved, 0.7)
	wantMoney(t, "base", r.Buys.Base.Cost, 1)
	wantMoney(t, "fallback", r.Buys.Fallback.Cost, 2)
	// what spot costs in zone c is not known
	wantMoney(t, "extra", r.Buys.Extra, 0.7)
	if r.Buys.NoExtra != 1 {
		t.Errorf("%g hours are not compared", r.Buys.NoExtra)
	}
}

func sizing(minute, demand, point, upper float64, balloons int) ledger.Entry {
	return at(minute, ledger.Entry{Action: "size", Object: "shop/web", Sizing: &ledger.Sizing{Balloon: "shop/web", Workload: "Deployment/web", Demand: &demand, Running: int(demand), Point: &point, Upper: &upper,
		Lead: 300, Tau: 0.9, Share: 1, Chunk: 2, Total: balloons}})
}

// Demand is ten, and from minute thirty on twenty. The forecast, five minutes ahead, says fifteen all the time.
func TestForecastsAndMissesAreCountedWhenTheirTimeHasCome(t *testing.T) {
	var entries []ledger.Entry
	for m := 0.0; m < 60; m++ {
		demand := 10.0
		if m >= 30 {
			demand = 20
		}
		entries = append(entries, sizing(m, demand, 15, 15, 3))
	}
	r := made(t, report.Options{}, append(entries, end(60))...)
	a := r.Balloons[0].Accuracy
	// forecasts that are made from minute 25 on are for a demand of 20; those of minute 56 and later are for after the ledger's end
	if a.WAPE == nil || math.Abs(*a.WAPE-5*56/(25*10+31*20.0)) > 1e-9 || math.Abs(*a.Coverage-25.0/56) > 1e-9 || *a.Promised != 0.9 {
		t.Errorf("WAPE %v, coverage %v, promised %v", *a.WAPE, *a.Coverage, *a.Promised)
	}
	// places follow demand five minutes late: ten pods miss one then, of which six have one by balloons of three times two
	m := r.Balloons[0].Misses
	if math.Abs(m.Without-10*5/60.0) > 1e-9 || math.Abs(m.With-4*5/60.0) > 1e-9 || math.Abs(m.Avoided()-6*5/60.0) > 1e-9 {
		t.Errorf("misses %+v", m)
	}
	if math.Abs(r.Balloons[0].HeldPodHours-6) > 1e-9 || r.Balloons[0].Cost != nil || r.Balloons[0].AvoidedCost != nil {
		t.Errorf("%+v", r.Balloons[0])
	}
	spec := at(0, ledger.Entry{Action: "policy", Policy: &ledger.Policy{Kind: "Balloon", Name: "shop/web", Spec: json.RawMessage(`{"target":{"missCostPerPodMinute":"0.10"}}`)}})
	r = made(t, report.Options{}, append(append([]ledger.Entry{spec}, entries...), end(60))...)
	wantMoney(t, "avoided", r.Balloons[0].AvoidedCost, 0.1*30)
}

// A zone with forty pods of a core each is lost; the other zone has six cores free, and nodes of ten.
func TestTheLossOfAZone(t *testing.T) {
	pods := func(zone string, n int) ledger.WorkloadUse {
		return ledger.WorkloadUse{Namespace: "shop", Workload: "Deployment/web", Pool: "general", Zone: zone, Market: "spot", Pods: n, Asked: ledger.Resources{Cores: float64(n), Memory: 2 * float64(n)}}
	}
	boot := instance("i-9", "b", "spot", 0, nil, known(0.4))
	boot.Instance.ReadyAt = known(nine.Add(90 * time.Second))
	quiet := sampleAt(0, []ledger.GroupUse{use("a", "spot", 4, 0, 10, 0), use("b", "spot", 4, 0, 34, 2)}, pods("a", 10), pods("b", 34))
	busy := sampleAt(5, []ledger.GroupUse{use("a", "spot", 4, 0, 40, 0), use("b", "spot", 4, 0, 34, 2)}, pods("a", 40), pods("b", 34))
	r := made(t, report.Options{}, boot, quiet, busy, end(60))
	z := r.ZoneLoss[slices.IndexFunc(r.ZoneLoss, func(z report.ZoneLoss) bool { return z.Zone == "a" })]
	if !z.At.Equal(nine.Add(5*time.Minute)) || z.Pods != 40 || z.Waiting != 34 || z.Nodes != 4 || z.WaitSeconds == nil || *z.WaitSeconds != 90 {
		t.Errorf("%+v", z)
	}
	wantMoney(t, "four nodes for an hour", z.Cost, 4*0.4)
	// pods on nodes of no pool are not swell's to place
	foreign := pods("a", 50)
	foreign.Pool, foreign.Market, foreign.Workload = "", "", "Deployment/system"
	quiet.Sample.Workloads = append(quiet.Sample.Workloads, foreign)
	if other := made(t, report.Options{}, boot, quiet, busy, end(60)).ZoneLoss; !reflect.DeepEqual(other, r.ZoneLoss) {
		t.Errorf("with nodes of no pool %+v, without %+v", other, r.ZoneLoss)
	}
	quiet.Sample.Workloads = quiet.Sample.Workloads[:2]
	// without a price there is no recommendation, and with one it is what it costs
	unpriced := boot
	unpriced.Instance = known(*boot.Instance)
	unpriced.Instance.Hourly = nil
	none := made(t, report.Options{}, unpriced, quiet, busy, end(60))
	if i := slices.IndexFunc(r.Recommended, func(c report.Recommendation) bool { return c.Kind == "survive-zone" }); i < 0 || math.Abs(r.Recommended[i].Saves.Dollars()+1.6) > 1e-6 || len(none.Recommended) > 0 {
		t.Errorf("recommended %+v, and without a price %+v", r.Recommended, none.Recommended)
	}
}

func TestAMoreSpotIsRecommendedAtItsPrice(t *testing.T) {
	spec := at(0, ledger.Entry{Action: "policy", Policy: &ledger.Policy{Kind: "CapacityPool", Name: "general", Spec: json.RawMessage(`{"purchase":{"onDemandBase":2,"spotMax":"50%"}}`)}})
	entries := []ledger.Entry{spec}
	for n := range 4 {
		e := instance(fmt.Sprintf("i-%d", n), "a", "on-demand", 0, nil, known(1.0))
		e.Instance.Base = n < 2
		entries = append(entries, e, instance(fmt.Sprintf("i-s%d", n), "a", "spot", 0, nil, known(0.4)))
	}
	r := made(t, report.Options{}, append(entries, end(24*60))...)
	found := map[string]report.Recommendation{}
	for _, c := range r.Recommended {
		found[c.Kind] = c
	}
	// one node less of two in the base: 24 hours at 0.60
	wantMoney(t, "the base", known(found["on-demand-base"].Saves), 24*0.6)
	// 10 % of the six nodes above the base
	wantMoney(t, "the share", known(found["spot-share"].Saves), 0.1*6*24*0.6)
	wantMoney(t, "the share in 30 days", known(found["spot-share"].Monthly), 30*0.1*6*24*0.6)
	if got := found["spot-share"].Arithmetic; got != "14.4 of the 48 node-hours on demand above the base × ($1.0000 − $0.4000) an hour" {
		t.Errorf("its arithmetic is %q", got)
	}
}

func TestInstancesWithoutAnEntryAndNotBySwell(t *testing.T) {
	launch := at(1, ledger.Entry{Action: "launch", Object: "g", Instances: []string{"i-1", "i-lost"}})
	launch.Phase = ledger.Done
	foreign := instance("i-2", "a", "spot", 0, nil, known(1.0))
	foreign.Instance.Token = ""
	r := made(t, report.Options{}, instance("i-1", "a", "spot", 1, nil, known(1.0)), launch, foreign, end(60))
	if len(r.NoEntry) != 1 || r.NoEntry[0].ID != "i-lost" || r.NoEntry[0].Why != "no-entry" || r.NoEntry[0].Ledger != nil {
		t.Errorf("unexplained %+v", r.NoEntry)
	}
	if len(r.NotBySwell) != 1 || r.NotBySwell[0].ID != "i-2" {
		t.Errorf("not by swell %+v", r.NotBySwell)
	}
}

// Days are those of the time zone; the one in which clocks go back has 25 hours.
func TestADayMayHaveTwentyFiveHours(t *testing.T) {
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2026, 10, 24, 0, 0, 0, 0, paris)
	i := &ledger.Instance{ID: "i", Pool: "p", Zone: "a", Market: "spot", Type: "t", LaunchedAt: from.Add(-time.Hour), Hourly: known(1.0)}
	r := made(t, report.Options{From: from, To: from.AddDate(0, 0, 3), Location: paris}, ledger.Entry{Model: from.Add(-time.Hour), Instance: i}, ledger.Entry{Model: from.AddDate(0, 0, 4)})
	var hours []float64
	for _, d := range r.Days {
		hours = append(hours, d.Hours.Node)
	}
	if !slices.Equal(hours, []float64{24, 25, 24}) {
		t.Errorf("the days have %v node-hours", hours)
	}
}

// Whatever instances there are: rows of each kind have the total's cost to the last digit, and so do the parts of it.
func TestEveryDivisionHasTheTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var entries []ledger.Entry
		for n := range rapid.IntRange(1, 12).Draw(t, "instances") {
			from := rapid.Float64Range(-30, 200).Draw(t, "from")
			var to *float64
			if rapid.Bool().Draw(t, "ended") {
				to = known(from + rapid.Float64Range(0, 120).Draw(t, "for"))
			}
			zone, market := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "zone"), rapid.SampledFrom([]string{"spot", "on-demand"}).Draw(t, "market")
			entries = append(entries, instance(fmt.Sprintf("i-%d", n), zone, market, from, to, known(rapid.Float64Range(0.001, 5).Draw(t, "hourly"))))
		}
		for m := 0.0; m < 200; m += rapid.Float64Range(1, 25).Draw(t, "gap") {
			entries = append(entries, sampleAt(m, []ledger.GroupUse{use("a", "spot", rapid.IntRange(0, 3).Draw(t, "nodes"), rapid.IntRange(0, 2).Draw(t, "booting"), rapid.Float64Range(0, 40).Draw(t, "asked"), rapid.Float64Range(0, 9).Draw(t, "held"))}))
		}
		r, err := report.Make(slices.Values(append(entries, end(400))), report.Options{From: nine.Add(7 * time.Second), To: nine.Add(211 * time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		for name, rows := range map[string][]report.Row{"pools": r.Pools, "zones": r.Zones, "markets": r.Markets, "groups": r.Cells} {
			sum := report.Money(0)
			for _, row := range rows {
				if row.Cost.Total != nil { // unknown is what samples alone show
					sum += *row.Cost.Total
				}
			}
			if r.Total.Cost.Total != nil && sum != *r.Total.Cost.Total {
				t.Errorf("%s cost %s, the total is %s", name, sum.Decimal(), r.Total.Cost.Total.Decimal())
			}
		}
		c := r.Total.Cost
		if c.Total == nil {
			if r.Buys.Cost != nil && *r.Buys.Cost != 0 {
				t.Errorf("purchases cost %s, and the total is unknown", r.Buys.Cost)
			}
			return
		}
		if parts := *c.Asked + *c.Headroom + *c.Idle + *c.Booting + *c.NotSampled; parts != *c.Total || *r.Buys.Cost != *c.Total {
			t.Errorf("the parts cost %s, purchases %s, the total is %s", parts.Decimal(), r.Buys.Cost.Decimal(), c.Total.Decimal())
		}
		for _, part := range []*report.Money{c.Asked, c.Headroom, c.Idle, c.Booting, c.NotSampled} {
			if *part < 0 {
				t.Errorf("a part costs %s", part.Decimal())
			}
		}
	})
}

func TestBillsNameWhatCannotBeRead(t *testing.T) {
	const head = "id,type,zone,market,start,end,hourly\n"
	for text, want := range map[string]string{
		"":                                   "line 1: the bill is empty",
		"id,type,zone,market,start,end\n":    "line 1: the column hourly is missing",
		head + "i-1,t,a,spot,yesterday,,1\n": `line 2: start is "yesterday"`,
		head + "i-1,t,a,spot,2026-12-01T09:00:00Z,,x\n":                     `line 2: hourly is "x"`,
		head + ",t,a,spot,2026-12-01T09:00:00Z,,1\n":                        "line 2: id is empty",
		head + "i-1,t,a,spot,2026-12-01T09:00:00Z,2026-12-01T08:00:00Z,1\n": "line 2: end is before start",
		`{"id":"i-1","start":"2026-12-01T09:00:00Z"}` + "\n{":               "line 2: ",
		`{"id":"i-1"}`: "line 1: start is missing",
	} {
		if _, err := report.ReadBill(strings.NewReader(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q gives %v, want %s", text, err, want)
		}
	}
	lines, err := report.ReadBill(strings.NewReader(`{"id":"i-1","type":"t","zone":"a","market":"spot","start":"2026-12-01T09:00:00Z","hourly":0.5}`))
	if err != nil || len(lines) != 1 || *lines[0].Hourly != 0.5 || lines[0].End != nil {
		t.Errorf("%+v, %v", lines, err)
	}
}

func TestAPeriodWithoutEntriesIsRefused(t *testing.T) {
	for _, o := range []report.Options{{From: nine.Add(2 * time.Hour)}, {To: nine.Add(-time.Hour)}, {From: nine.Add(time.Hour), To: nine}} {
		if r, err := report.Make(slices.Values([]ledger.Entry{end(0), end(60)}), o); err == nil {
			t.Errorf("%+v gives %+v", o, r)
		}
	}
	if _, err := report.Make(slices.Values([]ledger.Entry{}), report.Options{}); err == nil {
		t.Error("no entries give a report")
	}
}

func TestAPriceThatChangesCountsFromThenOn(t *testing.T) {
	before := instance("i-1", "a", "spot", 0, nil, known(0.4))
	unknown := instance("i-1", "a", "spot", 0, nil, nil)
	later := instance("i-1", "a", "spot", 0, nil, known(0.7))
	later.Model = nine.Add(time.Hour)
	r := made(t, report.Options{}, unknown, before, later, end(120))
	wantMoney(t, "an hour at each price", r.Total.Cost.Total, 1.1)
}

func TestABalloonThatOnlyObservesHoldsNothing(t *testing.T) {
	var entries []ledger.Entry
	for m := 0.0; m < 60; m++ {
		e := sizing(m, 10+m, 15, 15, 3)
		e.Sizing.Mode = "Observe"
		entries = append(entries, e)
	}
	b := made(t, report.Options{}, append(entries, end(60))...).Balloons[0]
	if b.HeldPodHours != 0 || b.Misses.Avoided() != 0 || b.Misses.With == 0 {
		t.Errorf("%+v", b)
	}
}

// Placeholders that are no pods are in no sample: what their room cost is unknown, not nothing.
func TestRoomThatNoPodHoldsHasNoKnownCost(t *testing.T) {
	for output, priced := range map[string]bool{"": true, "Pods": true, "Virtual": false, "CapacityBuffer": false} {
		web := ledger.WorkloadUse{Namespace: "shop", Workload: "Deployment/web", Pool: "general", Zone: "a", Market: "spot", Pods: 4, Asked: ledger.Resources{Cores: 4, Memory: 8}}
		entries := []ledger.Entry{instance("i-1", "a", "spot", 0, nil, known(1.0))}
		for m := 0.0; m < 60; m += 5 {
			s := sizing(m, 4, 4, 5, 2)
			s.Sizing.Output = output
			entries = append(entries, s, sampleAt(m, []ledger.GroupUse{use("a", "spot", 1, 0, 5, 0)}, web))
		}
		b := made(t, report.Options{}, append(entries, end(60))...).Balloons[0]
		if (b.Cost != nil) != priced {
			t.Errorf("output %q: the room's cost is %v, want known: %t", output, b.Cost, priced)
		}
	}
}
