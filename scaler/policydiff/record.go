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
	at    []time.Time
	sizes []*ledger.Sizing
	pool  string
}

// last decision at a time; nil is that none is known.
func (g *guardedRecord) last(t time.Time) *ledger.Sizing {
	i := sort.Search(len(g.at), func(i int) bool { return g.at[i].After(t) }) - 1
	if i < 0 || t.Sub(g.at[i]) > stale {
		return nil
	}
	return g.sizes[i]
}

// demand of all clusters in pods, NaN where it is not known. While its source was unknown, the replicas that ran stand for it.
func (g *guardedRecord) demand(t time.Time) float64 {
	s := g.last(t)
	switch {
	case s == nil:
		return math.NaN()
	case s.Demand != nil:
		return *s.Demand
	case s.Share > 0:
		return float64(s.Running) / s.Share
	}
	return math.NaN()
}

// forecast that was made at a time. Another quantile than that of then is taken from it as if the errors were normal.
func (g *guardedRecord) forecast(t time.Time, quantile float64) (upper float64, ok bool) {
	s := g.last(t)
	if s == nil || s.Upper == nil {
		return 0, false
	}
	if s.Tau == quantile || s.Point == nil || s.Tau <= 0.5 || s.Tau >= 1 {
		return *s.Upper, true
	}
	return max(*s.Point+(*s.Upper-*s.Point)*normal(quantile)/normal(s.Tau), 0), true
}

func normal(q float64) float64 { return math.Sqrt2 * math.Erfinv(2*q-1) }

// latest decision of all.
func (g *guardedRecord) latest() *ledger.Sizing { return g.sizes[len(g.sizes)-1] }

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
	short    []*ledger.Entry
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

// read puts a ledger's entries together; since is how much of its end is played.
func read(entries []ledger.Entry, since time.Duration) (*record, error) {
	r := &record{balloons: map[string]*guardedRecord{}, pools: map[string]*poolRecord{}, policies: map[string]json.RawMessage{}}
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b ledger.Entry) int { return a.Model.Compare(b.Model) })
	for i := range entries {
		if z := entries[i].Sizing; z != nil {
			g := r.balloons[z.Balloon]
			if g == nil {
				g = &guardedRecord{}
				r.balloons[z.Balloon] = g
			}
			g.at, g.sizes = append(g.at, entries[i].Model), append(g.sizes, z)
			if r.begin.IsZero() {
				r.begin = entries[i].Model
			}
			r.to = entries[i].Model
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
	if r.to.Sub(r.from) < time.Hour {
		return nil, fmt.Errorf("the ledger has demand for %s, from %s to %s; an hour is the least that is played", hours(r.to.Sub(r.from)), r.from.UTC().Format(time.RFC3339), r.to.UTC().Format(time.RFC3339))
	}
	r.readPolicies(entries)
	r.readSamples(entries)
	r.readInstances(entries)
	return r, r.complete()
}

func (r *record) readPolicies(entries []ledger.Entry) {
	for i := range entries {
		p := entries[i].Policy
		if p == nil {
			continue
		}
		key := p.Kind + " " + p.Name
		if before, known := r.policies[key]; known && string(before) != string(p.Spec) && entries[i].Model.After(r.from) {
			r.changed = append(r.changed, key)
		}
		r.policies[key] = p.Spec
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

// readSamples finds the pools' zones and nodes, the Balloons' pools, and what others' pods take.
func (r *record) readSamples(entries []ledger.Entry) {
	guards := map[string]string{} // Balloons by the namespace and workload that they guard
	for name, g := range r.balloons {
		namespace, _, _ := cut(name)
		guards[namespace+" "+g.latest().Workload] = name
	}
	in := map[string]map[string]float64{}
	total := map[string]*[4]float64{} // asked and allocatable cores and memory, by pool
	nodes := map[string]float64{}
	for i := range entries {
		s := entries[i].Sample
		if s == nil {
			continue
		}
		for _, g := range s.Groups {
			p := r.pool(g.Pool)
			if !slices.Contains(p.zones, g.Zone) {
				p.zones = append(p.zones, g.Zone)
			}
			p.markets[g.Market] = true
			if total[g.Pool] == nil {
				total[g.Pool] = &[4]float64{}
			}
			t := total[g.Pool]
			t[0], t[1] = t[0]+g.Asked.Cores+g.Held.Cores, t[1]+g.Allocatable.Cores
			t[2], t[3] = t[2]+g.Asked.Memory+g.Held.Memory, t[3]+g.Allocatable.Memory
			nodes[g.Pool] += float64(g.Nodes)
		}
		for _, w := range s.Workloads {
			if b := guards[w.Namespace+" "+w.Workload]; b != "" && w.Pool != "" {
				if in[b] == nil {
					in[b] = map[string]float64{}
				}
				in[b][w.Pool] += float64(w.Pods)
			}
		}
	}
	for name, p := range r.pools {
		slices.Sort(p.zones)
		if t, n := total[name], nodes[name]; n > 0 {
			p.node = ledger.Resources{Cores: t[1] / n, Memory: t[3] / n}
			p.memory = t[1] == 0 || t[3] > 0 && t[2]/t[3] > t[0]/t[1]
		}
	}
	for name, by := range in {
		r.balloons[name].pool = slices.MaxFunc(slices.Sorted(maps.Keys(by)), func(a, b string) int { return cmp.Compare(by[a], by[b]) })
	}
	r.readOthers(entries, guards)
}

// readOthers finds what the pods that no Balloon guards take of each pool, in nodes, and how many pods had no node.
func (r *record) readOthers(entries []ledger.Entry, guards map[string]string) {
	for i := range entries {
		s := entries[i].Sample
		if s == nil {
			continue
		}
		asked := map[string]ledger.Resources{}
		add := func(pool string, x ledger.Resources, sign float64) {
			a := asked[pool]
			asked[pool] = ledger.Resources{Cores: a.Cores + sign*x.Cores, Memory: a.Memory + sign*x.Memory}
		}
		for _, g := range s.Groups {
			add(g.Pool, g.Asked, 1)
		}
		for _, w := range s.Workloads {
			b := guards[w.Namespace+" "+w.Workload]
			if b == "" {
				continue
			}
			if w.Pool != "" {
				add(w.Pool, w.Asked, -1)
			}
			if p := r.pools[r.balloons[b].pool]; p != nil && !entries[i].Model.Before(r.from) {
				p.life.pods += float64(w.Pods + w.Pending)
				p.life.pending += float64(w.Pending)
			}
		}
		for name, a := range asked {
			if p := r.pools[name]; p != nil && p.node.Cores > 0 {
				p.at, p.others = append(p.at, entries[i].Model), append(p.others, max(p.size(a), 0))
			}
		}
	}
}

// readInstances finds prices, boot times, interruptions, times without capacity, and what was paid.
func (r *record) readInstances(entries []ledger.Entry) {
	last := map[string]*ledger.Instance{}
	for i := range entries {
		if in := entries[i].Instance; in != nil {
			if older := last[in.ID]; older != nil {
				merged := in.After(*older)
				in = &merged
			}
			last[in.ID] = in
		}
		if f := entries[i].Shortfall; f != nil && r.pools[f.Pool] != nil {
			r.pools[f.Pool].short = append(r.pools[f.Pool].short, &entries[i])
		}
	}
	sums := map[string]map[string]*sum{}
	for _, id := range slices.Sorted(maps.Keys(last)) {
		in := last[id]
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

// outages are the times in which AWS had no capacity in a market of a zone.
func (p *poolRecord) outages() []replay.Short {
	var out []replay.Short
	for _, e := range p.short {
		if zone := slices.Index(p.zones, e.Shortfall.Zone); zone >= 0 {
			out = append(out, replay.Short{Zone: zone, Market: e.Shortfall.Market, From: e.Model, To: e.Shortfall.Until})
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
