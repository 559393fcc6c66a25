package policydiff

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"swell/scaler/replay"
)

// limits are what the replay cannot know.
var limits = []string{
	"pods are placed by the room that is there, in the resource that runs out first: packing, affinities, spread and daemons on more nodes are not played",
	"zones have equal shares of the pods and of other workloads; these, and pods without a Balloon, ask for the same in both",
	"demand is as it was recorded, whatever the policy: users who waited in life asked as they did",
	"AWS had no capacity where and when the ledger says so; what was not asked for then may not have been there either",
	"prices are the means of the instances that ran; freezes, holds, fallback: None, maxHourlyCost and windows of scaleIn are not played",
	"a forecast that is taken from the record at another quantile is scaled as if its errors were normal",
}

// Output is what a change would have cost.
type Output struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Changes are the documents that were given.
	Changes  []Change      `json:"changes"`
	Old      Figures       `json:"old"`
	New      Figures       `json:"new"`
	Balloons []BalloonDiff `json:"balloons"`
	Pools    []PoolDiff    `json:"pools"`
	// Life is what the ledger itself recorded, of all pools that are played.
	Life   Life     `json:"recorded"`
	Notes  []string `json:"notes,omitempty"`
	Limits []string `json:"limits"`
}

// Change is one document.
type Change struct {
	Object      string   `json:"object"`
	New         bool     `json:"new,omitempty"` // the ledger does not have it
	Differences []string `json:"differences"`
}

// Figures of a play. Shares are of 1; costs in the currency of the prices, null where one is unknown.
type Figures struct {
	Unserved  float64            `json:"unserved"`
	WaitP50S  float64            `json:"wait_p50_s"`
	WaitP99S  float64            `json:"wait_p99_s"`
	NodeHours map[string]float64 `json:"node_hours"`
	Cost      *float64           `json:"cost"`
	// RoomHours are node-hours that Balloons held, a part of NodeHours; RoomCost at the mean price of a node-hour.
	RoomHours  float64  `json:"room_node_hours"`
	RoomCost   *float64 `json:"room_cost"`
	AtMaxNodes bool     `json:"at_max_nodes,omitempty"`
	joined     replay.GuardedResult
}

// PoolDiff is one pool.
type PoolDiff struct {
	Pool string  `json:"pool"`
	Old  Figures `json:"old"`
	New  Figures `json:"new"`
	Life Life    `json:"recorded"`
}

// BalloonDiff is one Balloon; its node-hours are those of its room alone.
type BalloonDiff struct {
	Balloon string  `json:"balloon"`
	Pool    string  `json:"pool"`
	Old     Figures `json:"old"`
	New     Figures `json:"new"`
}

// note says something once.
func (o *Output) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(o.Notes, text) {
		o.Notes = append(o.Notes, text)
	}
}

func (o *Output) take(p *player, before, after replay.FleetResult) {
	pool := p.r.pools[p.pool]
	priced := func(r replay.FleetResult) (cost *float64, mean *float64) {
		sum, hours := 0.0, 0.0
		for market, m := range r.Markets {
			price := pool.onDemand
			if market == "spot" {
				price = pool.spot
			}
			if m.NodeHours > 0 && price <= 0 {
				o.note("pool %s: the ledger has no price of a %s node, so that no cost is known", p.pool, market)
				return nil, nil
			}
			sum, hours = sum+m.Cost, hours+m.NodeHours
		}
		if hours > 0 {
			per := sum / hours
			mean = &per
		}
		return &sum, mean
	}
	figures := func(r replay.FleetResult) Figures {
		f := figuresOf(r.Total)
		f.NodeHours, f.AtMaxNodes = map[string]float64{}, r.AtMaxNodes
		for market, m := range r.Markets {
			f.NodeHours[market] = m.NodeHours
		}
		var mean *float64
		f.Cost, mean = priced(r)
		f.RoomCost = times(mean, f.RoomHours)
		return f
	}
	_, meanBefore := priced(before)
	_, meanAfter := priced(after)
	for i, b := range before.Workloads {
		d := BalloonDiff{Balloon: b.Name, Pool: p.pool, Old: figuresOf(b), New: figuresOf(after.Workloads[i])}
		d.Old.RoomCost, d.New.RoomCost = times(meanBefore, d.Old.RoomHours), times(meanAfter, d.New.RoomHours)
		o.Balloons = append(o.Balloons, d)
	}
	o.Pools = append(o.Pools, PoolDiff{Pool: p.pool, Old: figures(before), New: figures(after), Life: pool.life})
	if s := before.Recorded; s >= 0.005 {
		o.note("pool %s: for %.0f %% of the time the ledger is too short to forecast from, and the forecasts that it recorded stand in", p.pool, 100*s)
	}
	if s := before.NoForecast; s > 0.001 {
		o.note("pool %s: for %.1f %% of the time there is no forecast at all, in both", p.pool, 100*s)
	}
}

func figuresOf(r replay.GuardedResult) Figures {
	return Figures{Unserved: r.Unserved, WaitP50S: r.WaitP50S, WaitP99S: r.WaitP99S, RoomHours: r.RoomHours, NodeHours: map[string]float64{}, joined: r}
}

func times(a *float64, b float64) *float64 {
	if a == nil {
		return nil
	}
	v := *a * b
	return &v
}

// add sums the pools up.
func (o *Output) add() {
	sum := func(of func(PoolDiff) Figures) Figures {
		var all []replay.GuardedResult
		cost, room, known := 0.0, 0.0, true
		hours := map[string]float64{}
		most := false
		for _, p := range o.Pools {
			f := of(p)
			all = append(all, f.joined)
			for market, h := range f.NodeHours {
				hours[market] += h
			}
			if known = known && f.Cost != nil; known {
				cost += *f.Cost
				if f.RoomCost != nil {
					room += *f.RoomCost
				}
			}
			most = most || f.AtMaxNodes
		}
		f := figuresOf(replay.Join(all...))
		f.NodeHours, f.AtMaxNodes = hours, most
		if known {
			f.Cost, f.RoomCost = &cost, &room
		}
		return f
	}
	o.Old, o.New = sum(func(p PoolDiff) Figures { return p.Old }), sum(func(p PoolDiff) Figures { return p.New })
	o.Life = Life{NodeHours: map[string]float64{}}
	cost, known, pods, pending := 0.0, true, 0.0, 0.0
	for _, p := range o.Pools {
		for market, h := range p.Life.NodeHours {
			o.Life.NodeHours[market] += h
		}
		o.Life.Instances, o.Life.Unpriced = o.Life.Instances+p.Life.Instances, o.Life.Unpriced+p.Life.Unpriced
		if known = known && p.Life.Cost != nil; known {
			cost += *p.Life.Cost
		}
		pods, pending = pods+p.Life.pods, pending+p.Life.pending
	}
	if known {
		o.Life.Cost = &cost
	}
	if pods > 0 {
		share := pending / pods
		o.Life.Unserved = &share
	}
}

// fewBalloons are listed whether or not the change makes a difference to them.
const fewBalloons = 5

// differs says whether a Balloon's line shows two figures that are not the same.
func (d BalloonDiff) differs() bool {
	return percent(d.Old.Unserved) != percent(d.New.Unserved) || d.Old.WaitP99S != d.New.WaitP99S || money(&d.Old.RoomHours) != money(&d.New.RoomHours)
}

// Markdown is the output for a pull request.
func (o *Output) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### What this change of policy would have cost, %s to %s UTC (%s)\n\n", o.From.Format("2006-01-02 15:04"), o.To.Format("2006-01-02 15:04"), hours(o.To.Sub(o.From)))
	for _, c := range o.Changes {
		what := strings.Join(c.Differences, "; ")
		switch {
		case c.New:
			what = "new"
		case what == "":
			what = "no difference"
		}
		fmt.Fprintf(&b, "- %s: %s\n", c.Object, what)
	}
	fmt.Fprintf(&b, "\n| | old | new | difference |\n|---|---:|---:|---:|\n")
	o.rows(&b)
	fmt.Fprintf(&b, "\n| Balloon | unserved, old → new | p99 wait, old → new | room held, node-hours | what it cost |\n|---|---:|---:|---:|---:|\n")
	same := 0
	for _, d := range o.Balloons {
		if !d.differs() && len(o.Balloons) > fewBalloons {
			same++
			continue
		}
		fmt.Fprintf(&b, "| %s | %s → %s | %.0f s → %.0f s | %.1f → %.1f | %s → %s |\n", d.Balloon, percent(d.Old.Unserved), percent(d.New.Unserved), d.Old.WaitP99S, d.New.WaitP99S,
			d.Old.RoomHours, d.New.RoomHours, money(d.Old.RoomCost), money(d.New.RoomCost))
	}
	if same > 0 {
		fmt.Fprintf(&b, "\nBalloons that it makes no difference to, which are not listed: %d.\n", same)
	}
	fmt.Fprintf(&b, "\n%s\n", o.calibration())
	for _, n := range o.Notes {
		fmt.Fprintf(&b, "\nNote: %s.\n", n)
	}
	fmt.Fprintf(&b, "\n<details><summary>What a replay cannot know</summary>\n\n")
	for _, l := range o.Limits {
		fmt.Fprintf(&b, "- %s\n", l)
	}
	fmt.Fprintf(&b, "\n</details>\n")
	return b.String()
}

func (o *Output) rows(b *strings.Builder) {
	a, z := o.Old, o.New
	row := func(name, old, new, difference string) {
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", name, old, new, difference)
	}
	row("unserved pod time", percent(a.Unserved), percent(z.Unserved), fmt.Sprintf("%+.3f points", 100*(z.Unserved-a.Unserved)))
	row("wait of a pod, p50", fmt.Sprintf("%.0f s", a.WaitP50S), fmt.Sprintf("%.0f s", z.WaitP50S), fmt.Sprintf("%+.0f s", z.WaitP50S-a.WaitP50S))
	row("wait of a pod, p99", fmt.Sprintf("%.0f s", a.WaitP99S), fmt.Sprintf("%.0f s", z.WaitP99S), fmt.Sprintf("%+.0f s", z.WaitP99S-a.WaitP99S))
	for _, market := range []string{"spot", "on-demand"} {
		x, y := a.NodeHours[market], z.NodeHours[market]
		row("node-hours, "+market, fmt.Sprintf("%.1f", x), fmt.Sprintf("%.1f", y), fmt.Sprintf("%+.1f%s", y-x, relative(x, y)))
	}
	row("of these held by Balloons", fmt.Sprintf("%.1f", a.RoomHours), fmt.Sprintf("%.1f", z.RoomHours), fmt.Sprintf("%+.1f%s", z.RoomHours-a.RoomHours, relative(a.RoomHours, z.RoomHours)))
	difference := "unknown"
	if a.Cost != nil && z.Cost != nil {
		difference = fmt.Sprintf("**%+.2f**%s", *z.Cost-*a.Cost, relative(*a.Cost, *z.Cost))
	}
	row("**cost**", money(a.Cost), money(z.Cost), difference)
	if a.AtMaxNodes || z.AtMaxNodes {
		row("a zone wanted more than maxNodes", yes(a.AtMaxNodes), yes(z.AtMaxNodes), "")
	}
}

// calibration says how far the replay of the old policies is from what was recorded.
func (o *Output) calibration() string {
	hours := func(by map[string]float64) float64 { return by["spot"] + by["on-demand"] }
	if o.Life.Instances == 0 {
		return "The ledger recorded no instance in this time, so that it cannot be said how near to life the replay is."
	}
	text := fmt.Sprintf("How near to life this is: in this time the ledger itself recorded %.1f node-hours and a cost of %s; the replay of the old policies has %.1f%s and %s",
		hours(o.Life.NodeHours), money(o.Life.Cost), hours(o.Old.NodeHours), relative(hours(o.Life.NodeHours), hours(o.Old.NodeHours)), money(o.Old.Cost))
	if o.Life.Cost != nil && o.Old.Cost != nil {
		text += relative(*o.Life.Cost, *o.Old.Cost)
	}
	if o.Life.Unserved != nil {
		text += fmt.Sprintf(". Of the pods, %s had no node when the ledger looked; in the replay %s of their time", percent(*o.Life.Unserved), percent(o.Old.Unserved))
	}
	if o.Life.Unpriced > 0 {
		text += fmt.Sprintf(". Instances without a price: %d", o.Life.Unpriced)
	}
	return text + "."
}

// relative is a difference in percent, unless it is of next to nothing.
func relative(a, b float64) string {
	if a <= b/100 {
		return ""
	}
	return fmt.Sprintf(" (%+.1f %%)", 100*(b-a)/a)
}

func percent(v float64) string { return fmt.Sprintf("%.3f %%", 100*v) }

func money(v *float64) string {
	if v == nil {
		return "unknown"
	}
	return fmt.Sprintf("%.2f", *v)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
