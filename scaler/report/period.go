package report

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// slot is a stretch within one local hour in which one sample stands, or none.
type slot struct {
	from, to time.Time
	sample   *sample
	day      string
	hour     int // of the period
}

// period is everything that is added up between two instants.
type period struct {
	books     *Books
	from, to  time.Time
	loc       *time.Location
	slots     []slot
	hourTimes []time.Time // the beginnings of hours that slots are in

	total                                 tally
	byCell                                []tally
	byDay                                 map[string]*tally
	byPool, byZone, byMarket, byNamespace map[string]*tally
	byWork                                []tally
	byHour                                []tally
	byDayMarket                           map[[2]string]*tally
	byHourMarket                          []map[string]*tally
	watched                               time.Duration
	hourWatched                           []time.Duration
	// partly says that the ledger does not know all of it.
	partly bool
}

// row of a tally of the whole period.
func (p *period) row(t tally) Row {
	r := t.row()
	r.Cost.LowerBound = r.Cost.LowerBound || p.partly
	return r
}

// workRow is a row of pods, of whose cost a part may be that of nodes of no pool.
func (p *period) workRow(t tally) Row {
	r := p.row(t)
	r.Cost.LowerBound = r.Cost.LowerBound || t.someBare
	return r
}

// over adds up a period of the books.
func (b *Books) over(from, to time.Time, loc *time.Location) *period {
	p := &period{books: b, from: from, to: to, loc: loc, byCell: make([]tally, len(b.cells)), byWork: make([]tally, len(b.works)),
		byDay: map[string]*tally{}, byPool: map[string]*tally{}, byZone: map[string]*tally{}, byMarket: map[string]*tally{}, byNamespace: map[string]*tally{}, byDayMarket: map[[2]string]*tally{}, partly: b.partly(from, to)}
	p.cut()
	p.hourWatched = make([]time.Duration, len(p.hourTimes))
	paid := p.pay()
	for n := range p.slots {
		p.addSlot(n, paid[n*len(b.cells):(n+1)*len(b.cells)])
	}
	return p
}

// cut makes the slots: they end where a sample, a local hour or the period does.
func (p *period) cut() {
	samples := p.books.samples
	next := sort.Search(len(samples), func(i int) bool { return samples[i].until.After(p.from) })
	hour := p.from
	for t := p.from; t.Before(p.to); {
		if !t.Before(hour) {
			local := t.In(p.loc)
			p.hourTimes = append(p.hourTimes, t)
			hour = t.Add(time.Hour - time.Duration(local.Minute())*time.Minute - time.Duration(local.Second())*time.Second - time.Duration(local.Nanosecond()))
		}
		end := hour
		if p.to.Before(end) {
			end = p.to
		}
		for next < len(samples) && !samples[next].until.After(t) {
			next++
		}
		s := slot{from: t, day: t.In(p.loc).Format(time.DateOnly), hour: len(p.hourTimes) - 1}
		if next < len(samples) {
			at := &samples[next]
			if at.at.After(t) {
				end = earlier(end, at.at)
			} else {
				s.sample, end = at, earlier(end, at.until)
			}
		}
		s.to = end
		p.slots = append(p.slots, s)
		t = end
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// payment is what the instances of a cell cost in a slot.
type payment struct {
	amount           Money
	priced, unpriced int64 // seconds
}

// unseen is how many nodes of a cell a sample shows that no recorded instance can be: as many had not ended much before it, or were
// not launched when it no longer stood.
func (p *period) unseen(s *sample, u *cellUse) int {
	i := &p.books.lived[u.cell]
	begun := sort.Search(len(i.launched), func(n int) bool { return !i.launched[n].Before(s.until.Add(mostGap)) })
	ended := sort.Search(len(i.gone), func(n int) bool { return !i.gone[n].Before(s.at.Add(-mostGap)) })
	return max(0, u.nodes-begun+ended)
}

// pay is what each cell's instances cost in each slot.
func (p *period) pay() []payment {
	width := len(p.books.cells)
	out := make([]payment, len(p.slots)*width)
	for _, i := range p.books.instances {
		n := sort.Search(len(p.slots), func(n int) bool { return p.slots[n].to.After(i.launched) })
		for whole := i.billed(p.to); n < len(p.slots) && i.billed(p.slots[n].from) < whole; n++ {
			s := &p.slots[n]
			amount, priced, unpriced := i.paid(i.steps, s.from, s.to)
			o := &out[n*width+i.cell]
			o.amount, o.priced, o.unpriced = o.amount+amount, o.priced+priced, o.unpriced+unpriced
		}
	}
	return out
}

// addSlot adds a slot's cells and workloads to every row that they belong to.
func (p *period) addSlot(n int, paid []payment) {
	s := &p.slots[n]
	seconds := s.to.Sub(s.from).Seconds()
	uses := make([]*cellUse, len(p.books.cells))
	if s.sample != nil {
		p.watched += s.to.Sub(s.from)
		p.hourWatched[s.hour] += s.to.Sub(s.from)
		for i := range s.sample.cells {
			uses[s.sample.cells[i].cell] = &s.sample.cells[i]
		}
	}
	for c, pay := range paid {
		if uses[c] == nil && pay == (payment{}) {
			continue
		}
		if uses[c] != nil {
			unseen := p.unseen(s.sample, uses[c])
			pay.unpriced += int64(float64(unseen) * seconds)
			paid[c] = pay
		}
		p.addCell(s, c, cellTally(uses[c], pay, seconds, s.sample != nil))
	}
	if s.sample == nil {
		return
	}
	for i := range s.sample.work {
		p.addWork(s, &s.sample.work[i], uses, paid, seconds)
	}
}

// cellTally divides what a cell costs in a slot among what it was for.
func cellTally(u *cellUse, pay payment, seconds float64, sampled bool) tally {
	t := tally{nodes: float64(pay.priced + pay.unpriced), priced: float64(pay.priced), unpriced: float64(pay.unpriced)}
	t.total = pay.amount
	switch {
	case !sampled:
		t.dark = pay.amount
		return t
	case u == nil || u.nodes+u.booting == 0:
		// the sample saw no instance here, but one was paid for: it came and went between two samples, or has no Node yet
		t.booting = pay.amount
		return t
	}
	t.booting = pay.amount.share(float64(u.booting) / float64(u.nodes+u.booting))
	rest := t.total - t.booting
	t.split.asked = rest.share(min(1, u.asked.shareOf(u.allocatable)))
	t.split.held = min(rest-t.split.asked, rest.share(min(1, u.held.shareOf(u.allocatable))))
	t.split.idle = rest - t.split.asked - t.split.held
	t.capacity, t.asked, t.held = u.allocatable.times(seconds), u.asked.times(seconds), u.held.times(seconds)
	t.idle = u.allocatable.minus(u.asked).minus(u.held).atLeastZero().times(seconds)
	t.sampled = float64(u.nodes) * seconds
	if u.usedKnown {
		t.used, t.usedKnown = u.used.times(seconds), t.sampled
	}
	return t
}

func (p *period) addCell(s *slot, c int, t tally) {
	key := p.books.cells[c]
	p.total.add(t)
	p.byCell[c].add(t)
	into(p.byDay, s.day).add(t)
	into(p.byPool, key.pool).add(t)
	into(p.byZone, key.zone).add(t)
	into(p.byMarket, key.market).add(t)
	into(p.byDayMarket, [2]string{s.day, key.market}).add(t)
	p.hourOf(s).add(t)
	for len(p.byHourMarket) <= s.hour {
		p.byHourMarket = append(p.byHourMarket, map[string]*tally{})
	}
	into(p.byHourMarket[s.hour], key.market).add(t)
}

func (p *period) hourOf(s *slot) *tally {
	for len(p.byHour) <= s.hour {
		p.byHour = append(p.byHour, tally{})
	}
	return &p.byHour[s.hour]
}

// addWork adds a workload's part of its cell.
func (p *period) addWork(s *slot, w *workUse, uses []*cellUse, paid []payment, seconds float64) {
	t := tally{asked: w.asked.times(seconds), held: w.held.times(seconds), pods: float64(w.pods) * seconds, pending: float64(w.pending) * seconds}
	if (w.pods > 0 || !w.held.isZero()) && (w.cell < 0 || uses[w.cell] == nil) {
		t.bare, t.someBare = t.pods, true
	}
	counts := tally{pods: t.pods, pending: t.pending, bare: t.bare, someBare: t.someBare}
	if w.cell >= 0 {
		u, pay := uses[w.cell], paid[w.cell]
		if u != nil && u.nodes > 0 {
			ready := float64(u.nodes) / float64(u.nodes+u.booting)
			asked, held := w.asked.shareOf(u.allocatable)*ready, w.held.shareOf(u.allocatable)*ready
			t.split.asked, t.split.held = pay.amount.share(min(1, asked)), pay.amount.share(min(1, held))
			t.total = t.split.asked + t.split.held
			t.priced, t.unpriced = float64(pay.priced)*(asked+held), float64(pay.unpriced)*(asked+held)
			t.nodes = t.priced + t.unpriced
		}
		key := p.books.cells[w.cell]
		into(p.byPool, key.pool).add(counts)
		into(p.byZone, key.zone).add(counts)
		into(p.byMarket, key.market).add(counts)
		p.byCell[w.cell].add(counts)
	}
	t.sampled = float64(w.pods) * seconds
	if w.usedKnown {
		t.used, t.usedKnown = w.used.times(seconds), t.sampled
	}
	p.byWork[w.work].add(t)
	into(p.byNamespace, p.books.works[w.work].namespace).add(t)
	p.total.add(counts)
	into(p.byDay, s.day).add(counts)
	p.hourOf(s).add(counts)
}

func into[K comparable](m map[K]*tally, key K) *tally {
	t := m[key]
	if t == nil {
		t = &tally{}
		m[key] = t
	}
	return t
}

// rows are named in the order of their cost, the highest first.
func rows(m map[string]*tally, row func(tally) Row, name func(*Row, string)) []Row {
	out := []Row{}
	for key, t := range m {
		r := row(*t)
		name(&r, key)
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Row) int { return compareRows(a, b) })
	return out
}

func compareRows(a, b Row) int {
	return cmp.Or(cmp.Compare(amount(b.Cost.Total), amount(a.Cost.Total)), cmp.Compare(a.Day, b.Day), cmp.Compare(a.Pool, b.Pool), cmp.Compare(a.Zone, b.Zone),
		cmp.Compare(a.Market, b.Market), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Workload, b.Workload))
}

// amount for an order alone: an unknown one stands last.
func amount(m *Money) Money {
	if m == nil {
		return -1
	}
	return *m
}

func (p *period) cellRows() []Row {
	out := []Row{}
	for c, t := range p.byCell {
		if t.nodes == 0 && t.capacity.isZero() {
			continue
		}
		r := p.row(t)
		r.Pool, r.Zone, r.Market = p.books.cells[c].pool, p.books.cells[c].zone, p.books.cells[c].market
		out = append(out, r)
	}
	slices.SortFunc(out, compareRows)
	return out
}

func (p *period) workRows() []Row {
	out := []Row{}
	for w, t := range p.byWork {
		if t.pods == 0 && t.pending == 0 && t.held.isZero() {
			continue
		}
		r := p.workRow(t)
		r.Namespace, r.Workload = p.books.works[w].namespace, p.books.works[w].workload
		out = append(out, r)
	}
	slices.SortFunc(out, compareRows)
	return out
}

func (p *period) dayRows() []Row {
	out := rows(p.byDay, tally.row, func(r *Row, key string) { r.Day = key })
	slices.SortFunc(out, func(a, b Row) int { return cmp.Compare(a.Day, b.Day) })
	for i := range out {
		// every row is of a day in the report's zone
		day, _ := time.ParseInLocation(time.DateOnly, out[i].Day, p.loc)
		out[i].Cost.LowerBound = out[i].Cost.LowerBound || p.books.partly(later(day, p.from), earlier(day.AddDate(0, 0, 1), p.to))
	}
	return out
}
