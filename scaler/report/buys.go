package report

import (
	"cmp"
	"slices"
)

// Purchase is what one pool bought in one market, or all pools in all.
type Purchase struct {
	Pool      string  `json:"pool,omitempty"`
	Market    string  `json:"market,omitempty"`
	Instances int     `json:"instances"` // that were paid for in the period
	Launched  int     `json:"launched"`  // in the period
	NodeHours float64 `json:"nodeHours"`
	Cost      *Money  `json:"cost"`
	Unpriced  float64 `json:"unpricedNodeHours"`
	// LowerBound says that the amounts are less than what was paid, by an unknown sum.
	LowerBound bool `json:"lowerBound"`
	Base       Part `json:"onDemandBase"`
	Fallback   Part `json:"fallback"`
	Prepaid    Part `json:"prepaid"`
	// BasePrepaid is what is both of the base and prepaid.
	BasePrepaid Part     `json:"onDemandBasePrepaid"`
	Saved       *Money   `json:"spotSaved"`            // against the same instances on demand; null is unknown
	NoSaving    float64  `json:"spotHoursNotCompared"` // spot hours whose on-demand price is not known
	Extra       *Money   `json:"fallbackExtra"`        // what fallback cost more than spot; null is unknown
	NoExtra     float64  `json:"fallbackHoursNotCompared"`
	LostToAWS   int      `json:"interrupted"` // instances that AWS took
	Hourly      *float64 `json:"meanHourly"`  // null where none is priced

	// payable is the mean price of what is not prepaid; nil where none is priced.
	payable *float64
}

// Part of a purchase.
type Part struct {
	NodeHours float64 `json:"nodeHours"`
	Cost      *Money  `json:"cost"` // null where none of it is priced
}

type bought struct {
	instances, launched, lost                   int
	paid, base, fallback, prepaid, saved, extra charge
	basePrepaid, payable                        charge
	pool, market                                string
}

// charge is an amount with the seconds that it is of, and those that have no price.
type charge struct {
	amount           Money
	priced, unpriced int64
}

func (c *charge) add(o charge) {
	c.amount, c.priced, c.unpriced = c.amount+o.amount, c.priced+o.priced, c.unpriced+o.unpriced
}

func (c charge) cost() *Money {
	if c.priced == 0 && c.unpriced > 0 {
		return nil
	}
	return &c.amount
}

func (c charge) part() Part { return Part{float64(c.priced+c.unpriced) / 3600, c.cost()} }

// mean is the mean rate, in millionths an hour; false where nothing is priced.
func (c charge) mean() (int64, bool) {
	if c.priced == 0 {
		return 0, false
	}
	return int64(c.amount) / c.priced, true
}

// hourly is the mean price an hour; nil where nothing is priced.
func (c charge) hourly() *float64 {
	m, ok := c.mean()
	if !ok {
		return nil
	}
	v := float64(m) / 1e6
	return &v
}

func (b bought) row() Purchase {
	p := Purchase{Pool: b.pool, Market: b.market, Instances: b.instances, Launched: b.launched, NodeHours: float64(b.paid.priced+b.paid.unpriced) / 3600,
		Cost: b.paid.cost(), Unpriced: float64(b.paid.unpriced) / 3600, Base: b.base.part(), Fallback: b.fallback.part(), Prepaid: b.prepaid.part(), BasePrepaid: b.basePrepaid.part(),
		Saved: b.saved.cost(), NoSaving: float64(b.saved.unpriced) / 3600, Extra: b.extra.cost(), NoExtra: float64(b.extra.unpriced) / 3600, LostToAWS: b.lost}
	p.Hourly, p.payable = b.paid.hourly(), b.payable.hourly()
	return p
}

// charged is what an instance cost in a period.
func (i *instance) charged(p *period) (c charge) {
	c.amount, c.priced, c.unpriced = i.paid(i.steps, p.from, p.to)
	return c
}

// purchases are by pool and market, and their sum.
func (p *period) purchases() (list []Purchase, all Purchase) {
	sum := bought{}
	by := map[[2]string]*bought{}
	spotMeans := p.spotMeans()
	for _, i := range p.books.instances {
		one := p.boughtOf(i, spotMeans)
		if one.paid.priced+one.paid.unpriced == 0 {
			continue
		}
		k := [2]string{i.Pool, i.Market}
		if by[k] == nil {
			by[k] = &bought{pool: i.Pool, market: i.Market}
		}
		by[k].add(one)
		sum.add(one)
	}
	list = []Purchase{}
	for _, b := range by {
		list = append(list, p.purchase(*b))
	}
	slices.SortFunc(list, func(a, b Purchase) int { return cmp.Or(cmp.Compare(a.Pool, b.Pool), cmp.Compare(a.Market, b.Market)) })
	return list, p.purchase(sum)
}

func (p *period) purchase(b bought) Purchase {
	out := b.row()
	out.LowerBound = p.partly || out.Unpriced > 0
	return out
}

func (b *bought) add(o bought) {
	b.instances, b.launched, b.lost = b.instances+o.instances, b.launched+o.launched, b.lost+o.lost
	b.paid.add(o.paid)
	b.base.add(o.base)
	b.fallback.add(o.fallback)
	b.prepaid.add(o.prepaid)
	b.basePrepaid.add(o.basePrepaid)
	b.payable.add(o.payable)
	b.saved.add(o.saved)
	b.extra.add(o.extra)
}

// spotMeans are the mean charges of spot by type and zone in the period.
func (p *period) spotMeans() map[[2]string]charge {
	out := map[[2]string]charge{}
	for _, i := range p.books.instances {
		if i.Market == spot {
			sum := out[[2]string{i.Type, i.Zone}]
			sum.add(i.charged(p))
			out[[2]string{i.Type, i.Zone}] = sum
		}
	}
	return out
}

func (p *period) boughtOf(i *instance, spotMeans map[[2]string]charge) bought {
	b := bought{instances: 1, paid: i.charged(p)}
	if !i.launched.Before(p.from) && i.launched.Before(p.to) {
		b.launched = 1
	}
	if i.End == "interrupted" && i.gone != nil && !i.gone.Before(p.from) && i.gone.Before(p.to) {
		b.lost = 1
	}
	if i.Base {
		b.base = b.paid
	}
	switch {
	case !i.Prepaid:
		b.payable = b.paid
	case i.Base:
		b.prepaid, b.basePrepaid = b.paid, b.paid
	default:
		b.prepaid = b.paid
	}
	if i.Market == spot {
		b.saved = less(i, i.onDemand, p, b.paid)
	}
	if i.Fallback && i.Market == onDemand {
		b.fallback = b.paid
		steps := p.books.prices.of(i.Type, spot, i.Zone)
		if mean, ok := spotMeans[[2]string{i.Type, i.Zone}].mean(); ok {
			steps = []step{{rate: mean, known: true}}
		}
		b.extra = less(i, over(steps, nil), p, b.paid)
		b.extra.amount = -b.extra.amount
	}
	return b
}

// less is what an instance would have cost by other prices, less what it did; unknown where either is.
func less(i *instance, steps []step, p *period, paid charge) charge {
	amount, priced, unpriced := i.paid(steps, p.from, p.to)
	if unpriced > 0 || paid.unpriced > 0 {
		return charge{unpriced: paid.priced + paid.unpriced}
	}
	return charge{amount - paid.amount, priced, 0}
}
