package report

import (
	"swell/scaler/ledger"
)

// Cost of a row. Amounts are null where nothing of it has a known price.
type Cost struct {
	Total *Money `json:"total"`
	// Asked, Headroom, Idle, Booting and NotSampled are the parts of Total.
	Asked      *Money `json:"asked"`
	Headroom   *Money `json:"headroom"`
	Idle       *Money `json:"idle"`
	Booting    *Money `json:"booting"`
	NotSampled *Money `json:"notSampled"`
	// UnpricedNodeHours are in no amount.
	UnpricedNodeHours float64 `json:"unpricedNodeHours"`
	// UnpricedPodHours are of pods on nodes of no pool: what those cost is in no ledger, and in no amount.
	UnpricedPodHours float64 `json:"unpricedPodHours"`
	// LowerBound says that the amounts are less than what was paid, by an unknown sum.
	LowerBound bool `json:"lowerBound"`

	// bare says that a part is of nodes of no pool.
	bare bool
}

// Hours are sums over the time that samples stand for; resources are core-hours and GiB-hours.
type Hours struct {
	// Node is from the instances' own times, at the second as they are paid, and of nodes of no recorded instance from samples.
	Node     float64          `json:"nodeHours"`
	Capacity ledger.Resources `json:"capacity"`
	Asked    ledger.Resources `json:"asked"`
	Held     ledger.Resources `json:"headroom"`
	Idle     ledger.Resources `json:"idle"`
	// Used is null where no sample knew it; UsedKnown is the share of the time that it is of.
	Used      *ledger.Resources `json:"used"`
	UsedKnown float64           `json:"usedKnownShare"`
	Pods      float64           `json:"podHours"`
	Pending   float64           `json:"pendingPodHours"`
}

// Row is what one pool, zone, market, namespace, workload, day or all of them had. Only the names that it is of are set.
type Row struct {
	Day       string `json:"day,omitempty"`
	Pool      string `json:"pool,omitempty"`
	Zone      string `json:"zone,omitempty"`
	Market    string `json:"market,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Workload  string `json:"workload,omitempty"`
	Hours     Hours  `json:"hours"`
	Cost      Cost   `json:"cost"`
}

// split is an amount by what it was for.
type split struct{ total, asked, held, idle, booting, dark Money }

func (s *split) add(o split) {
	s.total, s.asked, s.held = s.total+o.total, s.asked+o.asked, s.held+o.held
	s.idle, s.booting, s.dark = s.idle+o.idle, s.booting+o.booting, s.dark+o.dark
}

// tally is a row while it is added up; resources are times seconds.
type tally struct {
	split
	priced, unpriced            float64 // node-seconds
	nodes                       float64
	capacity, asked, held, idle res
	used                        res
	sampled, usedKnown          float64 // capacity-seconds, as shares of nodes, with a sample and with a known use
	pods, pending               float64
	// bare are pod-seconds on nodes of no pool; someBare says that there were pods or balloons on such.
	bare     float64
	someBare bool
}

func (t *tally) add(o tally) {
	t.split.add(o.split)
	t.priced, t.unpriced, t.nodes = t.priced+o.priced, t.unpriced+o.unpriced, t.nodes+o.nodes
	t.capacity, t.asked, t.held, t.idle, t.used = t.capacity.plus(o.capacity), t.asked.plus(o.asked), t.held.plus(o.held), t.idle.plus(o.idle), t.used.plus(o.used)
	t.sampled, t.usedKnown = t.sampled+o.sampled, t.usedKnown+o.usedKnown
	t.pods, t.pending = t.pods+o.pods, t.pending+o.pending
	t.bare, t.someBare = t.bare+o.bare, t.someBare || o.someBare
}

func (t tally) cost() Cost {
	c := Cost{UnpricedNodeHours: t.unpriced / 3600, UnpricedPodHours: t.bare / 3600, LowerBound: t.unpriced > 0, bare: t.someBare}
	if t.priced == 0 && (t.unpriced > 0 || t.someBare) {
		c.LowerBound = true
		return c
	}
	c.Total, c.Asked, c.Headroom, c.Idle, c.Booting, c.NotSampled = &t.total, &t.split.asked, &t.split.held, &t.split.idle, &t.booting, &t.dark
	return c
}

func (t tally) row() Row {
	h := Hours{Node: t.nodes / 3600, Capacity: t.capacity.hours(), Asked: t.asked.hours(), Held: t.held.hours(), Idle: t.idle.hours(), Pods: t.pods / 3600, Pending: t.pending / 3600}
	if t.usedKnown > 0 {
		used := t.used.hours()
		h.Used, h.UsedKnown = &used, t.usedKnown/t.sampled
	}
	return Row{Hours: h, Cost: t.cost()}
}
