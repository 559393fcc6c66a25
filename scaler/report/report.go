package report

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"swell/scaler/ledger"
)

// Schema is the number of the JSON form. Fields are added without a new one; it changes where one is renamed or means something else.
const Schema = 1

// Report is the capacity report of a period. Amounts are in the currency of the prices, hours are model time.
type Report struct {
	Schema   int       `json:"schema"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	TimeZone string    `json:"timeZone"`
	Ledger   Source    `json:"ledger"`
	// Watched is the share of the period that samples stand for.
	Watched float64 `json:"watchedShare"`
	Total   Row     `json:"total"`
	// Before is the period of the same length before; null where the ledger does not reach back to its beginning.
	Before *Row `json:"before"`
	// BalloonTotal sums the Balloons.
	BalloonTotal BalloonTotal     `json:"headroom"`
	Buys         Purchase         `json:"purchase"`
	Purchases    []Purchase       `json:"purchases"`
	Days         []Day            `json:"days"`
	Cells        []Row            `json:"groups"` // by pool, zone and market
	Pools        []Row            `json:"pools"`
	Zones        []Row            `json:"zones"`
	Markets      []Row            `json:"markets"`
	Namespaces   []Row            `json:"namespaces"`
	Workloads    []Row            `json:"workloads"`
	Balloons     []BalloonRow     `json:"balloons"`
	Boots        []Boots          `json:"boots"`      // by zone and type
	BootsByDay   []Boots          `json:"bootsByDay"` // by day, zone and type
	Shortfalls   []Count          `json:"shortfalls"` // by day, zone, market and AWS's code
	Notices      []Count          `json:"notices"`    // by day, zone, market and kind
	ZoneLoss     []ZoneLoss       `json:"zoneLosses"` // the worst first
	Recommended  []Recommendation `json:"recommendations"`
	// Bill is null without one.
	Bill *Reconciliation `json:"bill"`
	// NoEntry are instances that launches gave and that have no entry of their own, and those whose ends were lost.
	NoEntry []Unexplained `json:"unexplained"`
	// NotBySwell are instances that no call of swell's asked for.
	NotBySwell []Foreign `json:"notLaunchedBySwell"`
	Limits     []string  `json:"limits"`

	hours []Hour
}

// Source is the ledger that a report is from.
type Source struct {
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Entries int       `json:"entries"`
	Torn    int       `json:"tornLines"`
	Samples int       `json:"samples"`
	// Gaps are those of the period and of the day before it.
	Gaps []Gap `json:"gaps"`
}

// BalloonTotal is of all Balloons.
type BalloonTotal struct {
	Accuracy     Accuracy `json:"forecast"`
	Misses       Misses   `json:"misses"`
	HeldPodHours float64  `json:"heldPodHours"`
	// Cost is what the pools say that headroom cost, whosever it was.
	Cost *Money `json:"headroomCost"`
	// AvoidedCost is of the Balloons that say what a miss costs; null where none does.
	AvoidedCost *Money `json:"avoidedCost"`
}

// Day is a row with what else is told by day.
type Day struct {
	Row
	// Markets are its costs by market; null is unknown.
	Markets     map[string]*Money `json:"costByMarket"`
	Forecast    Accuracy          `json:"forecast"`
	Boots       Boots             `json:"boots"`
	Shortfalls  int               `json:"shortfalls"`
	Interrupted int               `json:"spotNotices"`
}

// Hour is for plots alone.
type Hour struct {
	At      time.Time
	Markets map[string]*Money
	Row
	// Watched is how many hours of it samples stand for.
	Watched float64
}

// Hours are the period's, for plots.
func (r *Report) Hours() []Hour { return r.hours }

// Foreign is an instance that no call of swell's asked for.
type Foreign struct {
	ID     string     `json:"id"`
	Group  string     `json:"group"`
	Pool   string     `json:"pool"`
	Zone   string     `json:"zone"`
	Market string     `json:"market"`
	Type   string     `json:"type"`
	From   time.Time  `json:"from"`
	To     *time.Time `json:"to"`
	// Seen ones ran before the ledger began.
	Seen bool   `json:"seen"`
	Cost *Money `json:"cost"`
}

// Make adds up the entries of a ledger: Keep and Report in one.
func Make(entries iter.Seq[ledger.Entry], o Options) (*Report, error) { return Keep(entries).Report(o) }

// Report adds up a period. An error says what of the options makes no sense, or that the ledger has nothing of the period.
func (b *Books) Report(o Options) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if b.entries == 0 {
		return nil, errors.New("the ledger has no entries; give the folder that ledgerDir names, of a scaler that has run")
	}
	from, to := o.From, o.To
	if from.IsZero() {
		from = b.first
	}
	if to.IsZero() || to.After(b.last) {
		to = b.last
	}
	if !from.Before(to) || !b.first.Before(to) {
		return nil, fmt.Errorf("the ledger has entries from %s to %s and none in the period; give one in between", b.first.UTC().Format(time.RFC3339), b.last.UTC().Format(time.RFC3339))
	}
	loc := o.location()
	b.price(listOf(o.Prices))
	p := b.over(from, to, loc)
	r := &Report{Schema: Schema, From: from.In(loc), To: to.In(loc), TimeZone: loc.String(), Ledger: Source{b.first.UTC(), b.last.UTC(), b.entries, o.Torn, len(b.samples), b.gapsIn(from, to)},
		Watched: p.watched.Seconds() / to.Sub(from).Seconds(), Total: p.row(p.total), Limits: slices.Concat(limits, o.Notes)}
	if before := from.Add(from.Sub(to)); !before.Before(b.first) {
		earlier := b.over(before, from, loc)
		row := earlier.row(earlier.total)
		r.Before = &row
	}
	r.Cells, r.Workloads = p.cellRows(), p.workRows()
	r.Pools = rows(p.byPool, p.row, func(r *Row, k string) { r.Pool = k })
	r.Zones = rows(p.byZone, p.row, func(r *Row, k string) { r.Zone = k })
	r.Markets = rows(p.byMarket, p.row, func(r *Row, k string) { r.Market = k })
	r.Namespaces = rows(p.byNamespace, p.workRow, func(r *Row, k string) { r.Namespace = k })
	r.Purchases, r.Buys = p.purchases()
	r.fill(p)
	r.NotBySwell, r.NoEntry = p.foreign(), append(p.lostEnds(), p.noEntry()...)
	if o.Bill != nil {
		r.Bill = p.reconcile(o.Bill)
	}
	r.ZoneLoss = p.zoneLosses()
	r.Recommended = r.recommend(p)
	return r, nil
}

// fill adds what is told of Balloons and by day.
func (r *Report) fill(p *period) {
	var sum accuracy
	var byDay map[string]*accuracy
	r.Balloons, sum, byDay = p.balloons(r.Workloads)
	t := &r.BalloonTotal
	t.Accuracy, t.Cost = sum.known(), r.Total.Cost.Headroom
	for _, b := range r.Balloons {
		t.Misses.With, t.Misses.Without, t.Misses.Demand = t.Misses.With+b.Misses.With, t.Misses.Without+b.Misses.Without, t.Misses.Demand+b.Misses.Demand
		t.Misses.Hours, t.HeldPodHours = max(t.Misses.Hours, b.Misses.Hours), t.HeldPodHours+b.HeldPodHours
		if b.AvoidedCost != nil {
			sum := *b.AvoidedCost
			if t.AvoidedCost != nil {
				sum += *t.AvoidedCost
			}
			t.AvoidedCost = &sum
		}
	}
	r.Boots = p.boots(func(i *instance) bootKey { return bootKey{"", i.Zone, i.Type} })
	r.BootsByDay = p.boots(func(i *instance) bootKey { return bootKey{p.day(i), i.Zone, i.Type} })
	r.Shortfalls, r.Notices = p.counts()
	days := p.boots(func(i *instance) bootKey { return bootKey{day: p.day(i)} })
	for _, row := range p.dayRows() {
		d := Day{Row: row, Boots: Boots{Day: row.Day}, Markets: map[string]*Money{}}
		for k, t := range p.byDayMarket {
			if k[0] == row.Day {
				d.Markets[k[1]] = t.cost().Total
			}
		}
		if a := byDay[row.Day]; a != nil {
			d.Forecast = a.known()
		}
		if i := slices.IndexFunc(days, func(b Boots) bool { return b.Day == row.Day }); i >= 0 {
			d.Boots = days[i]
		}
		d.Shortfalls, d.Interrupted = onDay(r.Shortfalls, row.Day, ""), onDay(r.Notices, row.Day, "spot")
		r.Days = append(r.Days, d)
	}
	for i, t := range p.byHour {
		markets := map[string]*Money{}
		if i < len(p.byHourMarket) {
			for market, t := range p.byHourMarket[i] {
				markets[market] = t.cost().Total
			}
		}
		r.hours = append(r.hours, Hour{p.hourTimes[i].In(p.loc), markets, t.row(), p.hourWatched[i].Hours()})
	}
}

func onDay(counts []Count, day, what string) (n int) {
	for _, c := range counts {
		if c.Day == day && (what == "" || c.What == what) {
			n += c.Count
		}
	}
	return n
}

// foreign are the instances that were paid for in the period and that no call of swell's named.
func (p *period) foreign() []Foreign {
	out := []Foreign{}
	for _, i := range p.books.instances {
		if i.Token != "" {
			continue
		}
		if c := i.charged(p); c.priced+c.unpriced > 0 {
			out = append(out, Foreign{i.ID, i.Group, i.Pool, i.Zone, i.Market, i.Type, i.launched, i.gone, i.Seen, c.cost()})
		}
	}
	return out
}

// limits are what the figures cannot say.
var limits = []string{
	"Hours asked for, held, idle and used are from samples, one every five minutes; what came and went in between is not seen. Where no sample stands, an instance's cost is told as not sampled.",
	"A node's price is divided half by cores and half by memory. Idle room is nobody's: it is in no workload's cost.",
	"Prices are those of the ledger, or of --prices: list prices an hour by the second. Discounts, taxes, disks, addresses, traffic and the cluster's own fee are not in them.",
	"Avoided misses come from a replay of the recorded demand in whole Balloons: places that were asked for serve after the lead time and stay ten minutes longer than they are asked for. It knows no nodes, zones or interruptions, no room that was idle by chance, and takes demand to be the same without balloons.",
	"Other quantiles are played with the period's own forecast errors, known only afterwards: the future may err otherwise.",
	"The loss of a zone is added up in cores and memory of a whole pool; whether each pod fits one node, its volumes and its affinities are not looked at, and the nodes' boot is taken for the whole wait.",
	"Amounts are of the pools' nodes. What nodes of no pool cost is in no ledger: a workload that runs there has no known cost, or only a part of it.",
	"The expected interruptions of more spot are the period's own rate.",
}
