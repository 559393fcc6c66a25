package replay

import (
	"math"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
)

func TestWindowsAgainstAllValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.Int64Range(0, 50).Draw(t, "length")
		most, least := newMost(length), newLeast(length)
		var all []stamped
		at := int64(0)
		for range rapid.IntRange(1, 200).Draw(t, "n") {
			at += rapid.Int64Range(0, 20).Draw(t, "gap")
			v := rapid.IntRange(-5, 5).Draw(t, "v")
			all = append(all, stamped{at, v})
			var within []int
			for _, s := range all {
				if s.at >= at-length {
					within = append(within, s.v)
				}
			}
			if a, b := most.add(at, v), least.add(at, v); a != slices.Max(within) || b != slices.Min(within) {
				t.Fatalf("at %d: got %d and %d of %v", at, a, b, within)
			}
		}
	})
}

// naivePods keeps every pod by itself.
type naivePods struct {
	since []int64 // waiting, the oldest first
	runs  int
	waits []int64
}

func (p *naivePods) step(now int64, demand, capacity int) (waiting int) {
	for p.runs+len(p.since) < demand {
		p.since = append(p.since, now)
	}
	for p.runs+len(p.since) > demand {
		if n := len(p.since); n > 0 {
			p.waits = append(p.waits, now-p.since[n-1])
			p.since = p.since[:n-1]
		} else {
			p.runs--
		}
	}
	for p.runs > capacity {
		p.runs--
		p.since = append(p.since, now)
	}
	for p.runs < capacity && len(p.since) > 0 {
		p.waits = append(p.waits, now-p.since[0])
		p.since = p.since[1:]
		p.runs++
	}
	return len(p.since)
}

func TestPodsAgainstEachByItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a pods
		var b naivePods
		unserved, demanded := 0, 0
		for i := range int64(rapid.IntRange(1, 60).Draw(t, "n")) {
			demand, capacity := rapid.IntRange(0, 30).Draw(t, "demand"), rapid.IntRange(0, 30).Draw(t, "capacity")
			a.step(i*15, demand, capacity, 15)
			waiting := b.step(i*15, demand, capacity)
			if a.queued != waiting || a.running != b.runs || waiting != max(demand-capacity, 0) {
				t.Fatalf("step %d: %d wait and %d run, by themselves %d and %d", i, a.queued, a.running, waiting, b.runs)
			}
			unserved, demanded = unserved+15*waiting, demanded+15*demand
		}
		slices.Sort(b.waits)
		if n := len(b.waits); n > 0 {
			if want := b.waits[int(math.Ceil(0.99*float64(n)))-1]; a.quantile(0.99) != float64(want) {
				t.Fatalf("p99 %g, by themselves %d of %v", a.quantile(0.99), want, b.waits)
			}
		}
		if a.unserved != float64(unserved) || a.demanded != float64(demanded) {
			t.Fatalf("%g of %g, by themselves %d of %d", a.unserved, a.demanded, unserved, demanded)
		}
	})
}

func zonesScenario() Scenario {
	s, _ := BuiltIn("core-3z")
	return s
}

func TestNodesAreBoughtInTheMarketThatHasThem(t *testing.T) {
	in := Input{Scenario: zonesScenario(), Seed: 1}
	c := newCluster(in, &static{}, []outage{{0, spotMarket, 0, 100}, {0, onDemandMarket, 50, 100}})
	z := &c.zones[0]
	markets := func() (spot, onDemand int) {
		for _, n := range z.nodes {
			if n.market == spotMarket {
				spot++
			} else {
				onDemand++
			}
		}
		return spot, onDemand
	}
	c.follow(z, 0, 5, false)
	if spot, onDemand := markets(); spot != 0 || onDemand != 5 {
		t.Fatalf("spot is out: %d spot, %d on-demand", spot, onDemand)
	}
	c.follow(z, 60, 8, false)
	if len(z.nodes) != 5 {
		t.Fatalf("both are out: %d nodes", len(z.nodes))
	}
	c.follow(z, 120, 20, false)
	if spot, onDemand := markets(); spot != 14 || onDemand != 6 {
		t.Fatalf("both are back: %d spot, %d on-demand", spot, onDemand)
	}
	c.follow(z, 660, 10, false)
	c.follow(z, 720, 10, false)
	if len(z.nodes) != 20 {
		t.Fatalf("nodes went %d seconds after they were wanted", 600)
	}
	c.follow(z, 735, 10, false)
	if len(z.nodes) != 10 || z.nodes[0].number != 1 {
		t.Fatalf("%d nodes, the first is number %d", len(z.nodes), z.nodes[0].number)
	}
}

func TestReclaimedNodesAreReplaced(t *testing.T) {
	s := zonesScenario()
	s.Spot.ReclaimedPerHour, s.Outages = 0.9, Outages{Lasting: metav1.Duration{Duration: time.Minute}}
	for _, foresees := range []bool{false, true} {
		c := newCluster(Input{Scenario: s, Seed: 1}, &static{}, nil)
		c.foresees = foresees
		z := &c.zones[0]
		least, noticed := math.MaxInt, 0
		for at := int64(0); at < 6*3600; at += 15 {
			c.lose(z, at)
			c.follow(z, at, 10, at == 0)
			serving := 0
			for _, n := range z.nodes {
				if n.readyAt <= at {
					serving++
				}
				if n.goneAt == at+120 {
					noticed++
				}
			}
			least = min(least, serving)
		}
		if noticed < 10 {
			t.Fatalf("%d notices in six hours", noticed)
		}
		if !foresees && least >= 10 || foresees && least < 8 {
			t.Errorf("replaced on notice: %v; at least %d of 10 served", foresees, least)
		}
	}
}

func TestBootTimesAreTheirQuantiles(t *testing.T) {
	c := newCluster(Input{Scenario: zonesScenario(), Seed: 3}, &static{}, nil)
	var all []int64
	for i := range uint64(20000) {
		all = append(all, c.boot(i))
	}
	slices.Sort(all)
	if p50, p95 := all[10000], all[19000]; p50 < 74 || p50 > 77 || p95 < 141 || p95 > 150 {
		t.Fatalf("p50 %d s, p95 %d s with 25 s of pod start", p50, p95)
	}
}

func TestTheOfficeIsAsDescribed(t *testing.T) {
	in := Input{Seed: 4}
	in.Scenario, _ = BuiltIn("office-morning")
	if err := in.localise(); err != nil {
		t.Fatal(err)
	}
	*in.Scenario.Demand.Noise = 0
	d, sp := ofOffice(in.Scenario, in)
	if weeks := time.Duration(sp.to-sp.from) * time.Second / (7 * day); weeks != 4 || sp.from-sp.history != 8*7*daySeconds {
		t.Fatalf("%d weeks after %d s", weeks, sp.from-sp.history)
	}
	at := func(date string) float64 {
		local, err := time.ParseInLocation("2006-01-02 15:04:05", date, in.Location)
		if err != nil {
			t.Fatal(err)
		}
		return float64(d.at(local.Unix()))
	}
	level := at("2026-04-14 10:00:00") / 600 // a Tuesday
	for date, want := range map[string]float64{
		"2026-04-14 03:00:00": 60, "2026-04-14 08:40:00": 60, "2026-04-14 08:59:59": 366.6, "2026-04-14 09:00:00": 446.7,
		"2026-04-14 09:10:00": 600, "2026-04-14 12:30:00": 450, "2026-04-14 14:00:00": 600, "2026-04-14 19:30:00": 330, "2026-04-14 22:00:00": 60,
	} {
		if got := at(date); math.Abs(got-want*level) > 2 {
			t.Errorf("%s: %g pods, want %g", date, got, want*level)
		}
	}
	for _, free := range []string{"2026-04-18 10:00:00", "2026-05-04 10:00:00"} { // a Saturday, a holiday
		if got := at(free); got < 75 || got > 110 {
			t.Errorf("%s: %g pods", free, got)
		}
	}
	if o := d.(*office); o.bursts[0] == o.bursts[1] || d.at(o.bursts[0]+200)-d.at(o.bursts[0]-1) < 120 {
		t.Errorf("bursts %v add %d pods", o.bursts, d.at(o.bursts[0]+200)-d.at(o.bursts[0]-1))
	}
}
