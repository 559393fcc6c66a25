// Package policydiff plays the demand that a ledger recorded with the policies of then and with changed ones, and says what the
// change would have cost.
package policydiff

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"time"

	"swell/scaler/ledger"
	"swell/scaler/replay"
)

// stale is how old the last decision on a Balloon may be and still say what the demand is: the scaler was away after that.
const stale = 3 * ledger.SampleEvery

// record is what a ledger has of the span that is played.
type record struct {
	begin, from, to time.Time
	balloons        map[string]*guardedRecord
	pools           map[string]*poolRecord
	policies        map[string]json.RawMessage // the last specs by kind and name
	changed         []string                   // policies that changed within what is played
	notes           []string
}

// guardedRecord is one Balloon's decisions, oldest first.
type guardedRecord struct {
	sizes []decided
	last  *ledger.Sizing // the latest of all
	pool  string
}

// at is the last decision at a time; nil is that none is known.
func (g *guardedRecord) at(t time.Time) *decided {
	i := sort.Search(len(g.sizes), func(i int) bool { return g.sizes[i].at.After(t) }) - 1
	if i < 0 || t.Sub(g.sizes[i].at) > stale {
		return nil
	}
	return &g.sizes[i]
}

// demand of all clusters in pods, NaN where it is not known. While its source was unknown, the replicas that ran stand for it.
func (g *guardedRecord) demand(t time.Time) float64 {
	d := g.at(t)
	switch {
	case d == nil:
		return math.NaN()
	case !math.IsNaN(d.demand):
		return d.demand
	case d.share > 0:
		return d.running / d.share
	}
	return math.NaN()
}

// forecast that was made at a time. Another quantile than that of then is taken from it as if the errors were normal.
func (g *guardedRecord) forecast(t time.Time, quantile float64) (upper float64, ok bool) {
	d := g.at(t)
	if d == nil || math.IsNaN(d.upper) {
		return 0, false
	}
	if d.tau == quantile || math.IsNaN(d.point) || d.tau <= 0.5 || d.tau >= 1 {
		return d.upper, true
	}
	return max(d.point+(d.upper-d.point)*normal(quantile)/normal(d.tau), 0), true
}

func normal(q float64) float64 { return math.Sqrt2 * math.Erfinv(2*q-1) }

// poolRecord is one pool's nodes.
type poolRecord struct {
	zones    []string
	markets  map[string]bool
	node     ledger.Resources // of one node
	memory   bool             // it is memory and not cores that runs out first
	at       []time.Time
	others   []float64 // nodes that the pods of no Balloon take
	onDemand float64   // prices of a node an hour; 0 is unknown
	spot     float64
	boots    []float64 // seconds, sorted
	lost     int       // spot nodes that were interrupted
	short    []shortfall
	life     Life
}

// Life is what the ledger itself has of the span that is played.
type Life struct {
	Pool string `json:"pool,omitempty"`
	// NodeHours by market, and what they cost; null is that a price is unknown.
	NodeHours map[string]float64 `json:"node_hours"`
	Cost      *float64           `json:"cost"`
	// Instances that ran, and those of them without a price.
	Instances int `json:"instances"`
	Unpriced  int `json:"unpriced,omitempty"`
	// Unserved is the share of the guarded workloads' pods that had no node when a sample was taken; null is that there is none.
	Unserved *float64 `json:"unserved_sampled"`
	cost     float64
	pods     float64
	pending  float64
}

func (p *poolRecord) size(r ledger.Resources) float64 {
	if p.memory {
		return r.Memory / p.node.Memory
	}
	return r.Cores / p.node.Cores
}

func (p *poolRecord) othersAt(t time.Time) float64 {
	i := sort.Search(len(p.at), func(i int) bool { return p.at[i].After(t) }) - 1
	return p.others[max(i, 0)]
}

// leastPlayed is three samples, and leastTold below which a note says that it is short.
const (
	leastPlayed = 3 * ledger.SampleEvery
	leastTold   = 24 * time.Hour
)

// spanOf puts together what was recorded; since is how much of its end is played.
func spanOf(k *Recording, since time.Duration) (*record, error) {
	r := &record{balloons: map[string]*guardedRecord{}, pools: map[string]*poolRecord{}, policies: map[string]json.RawMessage{}}
	for name, b := range k.balloons {
		slices.SortStableFunc(b.sizes, func(x, y decided) int { return x.at.Compare(y.at) })
		r.balloons[name] = &guardedRecord{sizes: b.sizes, last: b.last}
		if first := b.sizes[0].at; r.begin.IsZero() || first.Before(r.begin) {
			r.begin = first
		}
		if last := b.sizes[len(b.sizes)-1].at; last.After(r.to) {
			r.to = last
		}
	}
	if len(r.balloons) == 0 {
		return nil, fmt.Errorf("the ledger has no decision on a Balloon (action size), so that no demand is known; give the ledger of a swell-scaler that has Balloons and writes them")
	}
	r.from = r.to.Add(-since)
	if first := r.begin.Add(ledger.SampleEvery); r.from.Before(first) { // what is decided first rests on what was before
		r.notes = append(r.notes, fmt.Sprintf("the ledger has no demand before %s: %s are played in place of %s", r.begin.UTC().Format(time.RFC3339), hours(r.to.Sub(first)), hours(since)))
		r.from = first
	}
	if played := r.to.Sub(r.from); played < leastPlayed {
		return nil, fmt.Errorf("the ledger has demand for %s, from %s to %s; %s are the least that is played: give a longer ledger, or a longer --since", hours(max(played, 0)), r.from.UTC().Format(time.RFC3339), r.to.UTC().Format(time.RFC3339), hours(leastPlayed))
	} else if played < leastTold {
		r.notes = append(r.notes, fmt.Sprintf("%s are less than a day: what a change costs at other hours does not show", hours(played)))
	}
	if err := r.known(); err != nil {
		return nil, err
	}
	r.readPolicies(k.policies)
	r.readSamples(k.samples)
	r.readInstances(k)
	return r, r.complete()
}

// known says of which part of the time the demand is not, and is an error where that is nearly all.
func (r *record) known() error {
	played, most := r.to.Sub(r.from), 0.0
	for _, name := range slices.Sorted(maps.Keys(r.balloons)) {
		n, all := 0, 0
		for t := r.from; t.Before(r.to); t = t.Add(time.Minute) {
			all++
			if math.IsNaN(r.balloons[name].demand(t)) {
				n++
			}
		}
		share := float64(n) / float64(all)
		most = max(most, 1-share)
		if share > 0.01 {
			r.notes = append(r.notes, fmt.Sprintf("Balloon %s: for %.0f %% of the time the ledger has no demand of it (it was not there, the scaler was away, or lines are missing), and the last one that was known stands in", name, 100*share))
		}
	}
	if played = time.Duration(most * float64(played)); played < leastPlayed {
		return fmt.Errorf("of the %s from %s to %s the ledger has demand for %s; %s are the least that is played: give --since so that there is demand in it, or a ledger without an entry of a wrong clock",
			hours(r.to.Sub(r.from)), r.from.UTC().Format(time.RFC3339), r.to.UTC().Format(time.RFC3339), hours(played), hours(leastPlayed))
	}
	return nil
}

func (r *record) readPolicies(all []policy) {
	slices.SortStableFunc(all, func(x, y policy) int { return x.at.Compare(y.at) })
	for _, p := range all {
		key := p.kind + " " + p.name
		if before, known := r.policies[key]; known && string(before) != string(p.spec) && p.at.After(r.from) {
			r.changed = append(r.changed, key)
		}
		r.policies[key] = p.spec
	}
	slices.Sort(r.changed)
	r.changed = slices.Compact(r.changed)
}

func (r *record) pool(name string) *poolRecord {
	if r.pools[name] == nil {
		r.pools[name] = &poolRecord{markets: map[string]bool{}, life: Life{Pool: name, NodeHours: map[string]float64{}}}
	}
	return r.pools[name]
}

// readSamples finds the pools' zones and nodes, the Balloons' pools, what others' pods take of each pool, in nodes, and how many pods had
// no node.
func (r *record) readSamples(all []sampled) {
	slices.SortStableFunc(all, func(x, y sampled) int { return x.at.Compare(y.at) })
	in := map[string]map[string]float64{}
	for _, s := range all {
		for name := range s.pools {
			r.pool(name)
		}
		for _, g := range s.guarded {
			if g.pool == "" {
				continue
			}
			if in[g.balloon] == nil {
				in[g.balloon] = map[string]float64{}
			}
			in[g.balloon][g.pool] += g.pods
		}
	}
	for name, p := range r.pools {
		p.sized(all, name)
	}
	for name, by := range in {
		r.balloons[name].pool = slices.MaxFunc(slices.Sorted(maps.Keys(by)), func(a, b string) int { return cmp.Compare(by[a], by[b]) })
	}
	for _, s := range all {
		for name, u := range s.pools {
			if p := r.pools[name]; p.node.Cores > 0 {
				p.at, p.others = append(p.at, s.at), append(p.others, max(p.size(u.others), 0))
			}
		}
		for _, g := range s.guarded {
			if p := r.pools[r.balloons[g.balloon].pool]; p != nil && !s.at.Before(r.from) {
				p.life.pods += g.pods + g.pending
				p.life.pending += g.pending
			}
		}
	}
}

// sized finds a pool's zones, markets and the size of a node.
func (p *poolRecord) sized(all []sampled, name string) {
	var asked, allocatable ledger.Resources
	nodes := 0.0
	for _, s := range all {
		u, there := s.pools[name]
		if !there {
			continue
		}
		for _, zone := range u.zones {
			if !slices.Contains(p.zones, zone) {
				p.zones = append(p.zones, zone)
			}
		}
		for _, market := range u.markets {
			p.markets[market] = true
		}
		asked, allocatable, nodes = plus(asked, u.asked, 1), plus(allocatable, u.allocatable, 1), nodes+u.nodes
	}
	slices.Sort(p.zones)
	if nodes > 0 {
		p.node = ledger.Resources{Cores: allocatable.Cores / nodes, Memory: allocatable.Memory / nodes}
		p.memory = allocatable.Cores == 0 || allocatable.Memory > 0 && asked.Memory/allocatable.Memory > asked.Cores/allocatable.Cores
	}
}

// readInstances finds prices, boot times, interruptions, times without capacity, and what was paid.
func (r *record) readInstances(k *Recording) {
	for _, s := range k.short {
		if p := r.pools[s.Pool]; p != nil {
			p.short = append(p.short, s)
		}
	}
	sums := map[string]map[string]*sum{}
	for _, id := range slices.Sorted(maps.Keys(k.instances)) {
		in := k.instances[id].Instance
		p := r.pools[in.Pool]
		if p == nil {
			continue
		}
		if in.ReadyAt != nil && !in.Seen {
			p.boots = append(p.boots, in.ReadyAt.Sub(in.LaunchedAt).Seconds())
		}
		from, to := in.LaunchedAt, r.to
		if in.GoneAt != nil {
			to = *in.GoneAt
		}
		from, to = latest(from, r.from), earliest(to, r.to)
		h := to.Sub(from).Hours()
		if h <= 0 {
			continue
		}
		if in.End == "interrupted" && in.Market == "spot" {
			p.lost++
		}
		p.life.Instances++
		p.life.NodeHours[in.Market] += h
		if in.Hourly == nil {
			p.life.Unpriced++
			continue
		}
		p.life.cost += h * *in.Hourly
		if sums[in.Pool] == nil {
			sums[in.Pool] = map[string]*sum{"spot": {}, "on-demand": {}, "listed": {}}
		}
		if s := sums[in.Pool][in.Market]; s != nil {
			s.hours, s.cost = s.hours+h, s.cost+h**in.Hourly
		}
		if in.OnDemandHourly != nil {
			s := sums[in.Pool]["listed"]
			s.hours, s.cost = s.hours+h, s.cost+h**in.OnDemandHourly
		}
	}
	r.price(sums)
}

// sum is of instances.
type sum struct{ hours, cost float64 }

// price finds the mean prices of pools, from what ran by market; listed is what the same types cost on demand.
func (r *record) price(sums map[string]map[string]*sum) {
	for name, by := range sums {
		p := r.pools[name]
		mean := func(s *sum) float64 {
			if s.hours == 0 {
				return 0
			}
			return s.cost / s.hours
		}
		p.spot, p.onDemand = mean(by["spot"]), cmp.Or(mean(by["on-demand"]), mean(by["listed"]))
	}
}

// complete says what is missing without which nothing can be played.
func (r *record) complete() error {
	known := slices.Sorted(maps.Keys(r.pools))
	known = slices.DeleteFunc(known, func(name string) bool { return r.pools[name].node.Cores <= 0 || len(r.pools[name].at) == 0 })
	if len(known) == 0 {
		return fmt.Errorf("the ledger has no sample of a pool's nodes (action sample), so that their size is not known; give the ledger of a swell-scaler that writes them")
	}
	for _, name := range slices.Sorted(maps.Keys(r.balloons)) {
		if g := r.balloons[name]; g.pool == "" || !slices.Contains(known, g.pool) {
			g.pool = known[0]
			if len(known) > 1 {
				r.notes = append(r.notes, fmt.Sprintf("no sample says on which pool's nodes the workload of Balloon %s runs: %s is taken", name, known[0]))
			}
		}
	}
	for _, name := range known {
		p := r.pools[name]
		slices.Sort(p.boots)
		if p.life.Unpriced == 0 && p.life.Instances > 0 {
			p.life.Cost = &p.life.cost
		}
		if p.life.pods > 0 {
			share := p.life.pending / p.life.pods
			p.life.Unserved = &share
		}
	}
	maps.DeleteFunc(r.pools, func(name string, _ *poolRecord) bool { return !slices.Contains(known, name) })
	return nil
}

// outages are the times in which AWS had no capacity in a market of a zone. Where a pool has no on-demand group, nothing else is bought then.
func (p *poolRecord) outages() []replay.Short {
	var out []replay.Short
	for _, s := range p.short {
		zone := slices.Index(p.zones, s.Zone)
		if zone < 0 {
			continue
		}
		out = append(out, replay.Short{Zone: zone, Market: s.Market, From: s.at, To: s.Until})
		if s.Market == "spot" && !p.markets["on-demand"] {
			out = append(out, replay.Short{Zone: zone, Market: "on-demand", From: s.at, To: s.Until})
		}
	}
	return out
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
