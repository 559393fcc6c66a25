package report

import (
	"encoding/json"
	"iter"
	"slices"
	"time"

	"swell/scaler/ledger"
)

// res are cores and GiB, or those times seconds.
type res struct{ cores, memory float64 }

func of(r ledger.Resources) res { return res{r.Cores, r.Memory} }

func (r res) plus(o res) res      { return res{r.cores + o.cores, r.memory + o.memory} }
func (r res) minus(o res) res     { return res{r.cores - o.cores, r.memory - o.memory} }
func (r res) times(f float64) res { return res{r.cores * f, r.memory * f} }
func (r res) atLeastZero() res    { return res{max(0, r.cores), max(0, r.memory)} }
func (r res) hours() ledger.Resources {
	return ledger.Resources{Cores: r.cores / 3600, Memory: r.memory / 3600}
}
func (r res) isZero() bool { return r == res{} }
func (r res) largestOf(o res) (f float64) {
	if o.cores > 0 {
		f = r.cores / o.cores
	}
	if o.memory > 0 {
		f = max(f, r.memory/o.memory)
	}
	return f
}

// shareOf is how a node's price is divided: half by cores, half by memory.
func (r res) shareOf(all res) float64 {
	switch {
	case all.cores <= 0 && all.memory <= 0:
		return 0
	case all.cores <= 0:
		return r.memory / all.memory
	case all.memory <= 0:
		return r.cores / all.cores
	}
	return (r.cores/all.cores + r.memory/all.memory) / 2
}

// cell is where capacity is bought: costs and shares are told apart by it.
type cell struct{ pool, zone, market string }

type workloadKey struct{ namespace, workload string }

type cellUse struct {
	cell, nodes, booting int
	allocatable, asked   res
	held, used           res
	usedKnown            bool
}

type workUse struct {
	work, cell    int32 // cell -1: pods without a node
	pods, pending int32
	asked, held   res
	used          res
	usedKnown     bool
}

// sample stands from at until until.
type sample struct {
	at, until time.Time
	cells     []cellUse
	work      []workUse
}

type instance struct {
	ledger.Instance
	life
	cell int
	// told is the time of its newest entry; lost is the gap that its end was lost in, nil where it was not.
	told time.Time
	lost *Gap
	// own and list are the ledger's prices, its and that on demand; steps and onDemand those that count.
	own, list, steps, onDemand []step
}

// priced adds a price that an entry tells to those before. The first that is known counts from the launch on, another from its
// entry on, and one that is no longer known has not changed.
func priced(steps []step, now time.Time, hourly *float64) []step {
	if hourly == nil || *hourly <= 0 {
		return steps
	}
	next := step{from: now, rate: rate(*hourly), known: true}
	if len(steps) == 0 {
		next.from = time.Time{}
	} else if steps[len(steps)-1].rate == next.rate {
		return steps
	}
	return append(steps, next)
}

type sizing struct {
	at time.Time
	*ledger.Sizing
}

type policy struct {
	at time.Time
	*ledger.Policy
}

// mostGap is how long a sample or a sizing stands at most: a longer gap is a time in which nobody looked.
const mostGap = 2 * ledger.SampleEvery

// Books are a ledger's entries in the form that is added up: a small part of the entries' own size.
type Books struct {
	first, last time.Time
	entries     int
	instances   []*instance
	samples     []sample
	cells       []cell
	works       []workloadKey
	sizings     map[string][]sizing // by Balloon
	policies    []policy
	shortfalls  []at[ledger.Shortfall]
	notices     []at[ledger.Notice]
	gaps        []Gap
	launched    map[string]at[string] // instances that launches gave, with the group

	cellOf map[cell]int
	workOf map[workloadKey]int
	byID   map[string]*instance
	prices priceList
	lived  []span // by cell
}

// span are when the instances of a cell were launched and when they had ended, each sorted.
type span struct{ launched, gone []time.Time }

// at is something with its time.
type at[T any] struct {
	at time.Time
	is T
}

// Keep reads entries, one at a time.
func Keep(entries iter.Seq[ledger.Entry]) *Books {
	b := &Books{sizings: map[string][]sizing{}, launched: map[string]at[string]{}, cellOf: map[cell]int{}, workOf: map[workloadKey]int{}, byID: map[string]*instance{}}
	for e := range entries {
		b.add(e)
	}
	b.close()
	b.loseEnds()
	return b
}

func (b *Books) add(e ledger.Entry) {
	now := e.Model
	if now.IsZero() {
		now = e.At
	}
	before := b.last
	if b.entries++; b.first.IsZero() || now.Before(b.first) {
		b.first = now
	}
	if now.After(b.last) {
		b.last = now
	}
	switch {
	case e.Instance != nil:
		i := b.byID[e.Instance.ID]
		if i == nil {
			i = &instance{Instance: *e.Instance}
			b.byID[e.Instance.ID] = i
			b.instances = append(b.instances, i)
		}
		i.Instance, i.told = e.Instance.After(i.Instance), now
		i.own, i.list = priced(i.own, now, e.Instance.Hourly), priced(i.list, now, e.Instance.OnDemandHourly)
	case e.Sample != nil:
		b.samples = append(b.samples, b.compact(now, e.Sample))
	case e.Sizing != nil:
		b.sizings[e.Sizing.Balloon] = append(b.sizings[e.Sizing.Balloon], sizing{now, e.Sizing})
	case e.Policy != nil:
		b.policies = append(b.policies, policy{now, e.Policy})
	case e.Shortfall != nil:
		b.shortfalls = append(b.shortfalls, at[ledger.Shortfall]{now, *e.Shortfall})
	case e.Notice != nil:
		b.notices = append(b.notices, at[ledger.Notice]{now, *e.Notice})
	case e.Action == ledger.GapAction:
		b.lost(e, before, now)
	case e.Action == "launch": // one that failed in part has instances too
		for _, id := range e.Instances {
			b.launched[id] = at[string]{now, e.Object}
		}
	}
}

func (b *Books) cell(pool, zone, market string) int {
	c := cell{pool, zone, market}
	n, ok := b.cellOf[c]
	if !ok {
		n = len(b.cells)
		b.cells, b.cellOf[c] = append(b.cells, c), n
	}
	return n
}

func (b *Books) work(namespace, workload string) int {
	w := workloadKey{namespace, workload}
	n, ok := b.workOf[w]
	if !ok {
		n = len(b.works)
		b.works, b.workOf[w] = append(b.works, w), n
	}
	return n
}

// compact sums a sample's groups by pool, zone and market.
func (b *Books) compact(now time.Time, s *ledger.Sample) sample {
	out := sample{at: now, work: make([]workUse, 0, len(s.Workloads))}
	place := map[int]int{}
	for _, g := range s.Groups {
		c := b.cell(g.Pool, g.Zone, g.Market)
		n, ok := place[c]
		if !ok {
			n = len(out.cells)
			place[c] = n
			out.cells = append(out.cells, cellUse{cell: c, usedKnown: true})
		}
		u := &out.cells[n]
		u.nodes, u.booting = u.nodes+g.Nodes, u.booting+g.Booting
		u.allocatable, u.asked, u.held = u.allocatable.plus(of(g.Allocatable)), u.asked.plus(of(g.Asked)), u.held.plus(of(g.Held))
		if g.Used != nil {
			u.used = u.used.plus(of(*g.Used))
		} else if g.Nodes > 0 {
			u.usedKnown = false
		}
	}
	for _, w := range s.Workloads {
		u := workUse{work: int32(b.work(w.Namespace, w.Workload)), cell: -1, pods: int32(w.Pods), pending: int32(w.Pending), asked: of(w.Asked), held: of(w.Held)}
		if w.Pool != "" || w.Zone != "" || w.Market != "" {
			u.cell = int32(b.cell(w.Pool, w.Zone, w.Market))
		}
		if w.Used != nil {
			u.used, u.usedKnown = of(*w.Used), true
		}
		out.work = append(out.work, u)
	}
	return out
}

// close sorts what the order of the entries does not give, and finds prices.
func (b *Books) close() {
	slices.SortStableFunc(b.samples, func(x, y sample) int { return x.at.Compare(y.at) })
	for i := range b.samples {
		s := &b.samples[i]
		s.until = b.last
		if i+1 < len(b.samples) {
			s.until = b.samples[i+1].at
		}
		if s.until.Sub(s.at) > mostGap { // nobody looked
			s.until = s.at.Add(ledger.SampleEvery)
		}
	}
	for _, list := range b.sizings {
		slices.SortStableFunc(list, func(x, y sizing) int { return x.at.Compare(y.at) })
	}
	for _, i := range b.instances {
		i.cell = b.cell(i.Pool, i.Zone, i.Market)
		i.life = life{i.LaunchedAt, i.GoneAt, b.last}
	}
	b.lived = make([]span, len(b.cells))
	for _, i := range b.instances {
		s := &b.lived[i.cell]
		if s.launched = append(s.launched, i.launched); i.gone != nil {
			s.gone = append(s.gone, *i.gone)
		}
	}
	for _, s := range b.lived {
		slices.SortFunc(s.launched, time.Time.Compare)
		slices.SortFunc(s.gone, time.Time.Compare)
	}
	slices.SortFunc(b.instances, func(x, y *instance) int {
		if c := x.LaunchedAt.Compare(y.LaunchedAt); c != 0 {
			return c
		}
		if x.ID < y.ID {
			return -1
		}
		return 1
	})
}

// Span is from the first entry to the last; both are zero where there is none.
func (b *Books) Span() (first, last time.Time) { return b.first, b.last }

// Types are the instances' types, sorted.
func (b *Books) Types() []string {
	var out []string
	for _, i := range b.instances {
		if i.Type != "" {
			out = append(out, i.Type)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// price gives each instance the prices that it is paid by.
func (b *Books) price(prices priceList) {
	b.prices = prices
	for _, i := range b.instances {
		i.steps = over(prices.of(i.Type, i.Market, i.Zone), i.own)
		i.onDemand = over(prices.of(i.Type, onDemand, i.Zone), i.list)
		if i.Market == onDemand {
			i.onDemand = i.steps
		}
	}
}

// specOf is the newest spec of a kind and name that was in force before a time.
func (b *Books) specOf(kind, name string, before time.Time) (spec json.RawMessage) {
	for _, p := range b.policies {
		if p.Kind == kind && p.Name == name && p.at.Before(before) {
			spec = p.Spec
		}
	}
	return spec
}
