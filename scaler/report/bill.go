package report

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// BillLine is one instance, or one stretch of its time, on a bill. Times are the bill's; a stretch without an end lasts.
type BillLine struct {
	ID     string     `json:"id"`
	Type   string     `json:"type"`
	Zone   string     `json:"zone"`
	Market string     `json:"market"`
	Start  time.Time  `json:"start"`
	End    *time.Time `json:"end,omitempty"`
	// Hourly is the price an hour; nil is not known.
	Hourly *float64 `json:"hourly"`
}

// billColumns are the header of a bill as CSV.
var billColumns = []string{"id", "type", "zone", "market", "start", "end", "hourly"}

// ReadBill reads a bill as CSV with the columns id, type, zone, market, start, end and hourly, or as JSON lines of these fields.
// Times are RFC 3339. An error names the line and the field.
func ReadBill(r io.Reader) ([]BillLine, error) {
	in := bufio.NewReader(r)
	first, err := in.Peek(1)
	if errors.Is(err, io.EOF) {
		return nil, errors.New("line 1: the bill is empty; give a header and an instance a line")
	}
	if err != nil {
		return nil, err
	}
	if first[0] == '{' {
		return jsonBill(in)
	}
	return csvBill(in)
}

func jsonBill(in io.Reader) (out []BillLine, err error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		var l BillLine
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("line %d: %w; give one JSON object a line", n, err)
		}
		if err := l.check(); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		out = append(out, l)
	}
	return out, lines.Err()
}

func csvBill(in io.Reader) ([]BillLine, error) {
	read := csv.NewReader(in)
	head, err := read.Read()
	if err != nil {
		return nil, err
	}
	column := map[string]int{}
	for i, name := range head {
		column[strings.ToLower(strings.TrimSpace(name))] = i
	}
	for _, name := range billColumns {
		if _, ok := column[name]; !ok {
			return nil, fmt.Errorf("line 1: the column %s is missing; the header is %s", name, strings.Join(billColumns, ","))
		}
	}
	var out []BillLine
	for {
		fields, err := read.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		n, _ := read.FieldPos(0)
		l, err := billLine(func(name string) string { return strings.TrimSpace(fields[column[name]]) })
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		out = append(out, l)
	}
}

func billLine(field func(string) string) (BillLine, error) {
	l := BillLine{ID: field("id"), Type: field("type"), Zone: field("zone"), Market: field("market")}
	var err error
	if l.Start, err = time.Parse(time.RFC3339, field("start")); err != nil {
		return l, fmt.Errorf("start is %q; give a time such as 2026-12-01T09:00:00Z", field("start"))
	}
	if text := field("end"); text != "" {
		end, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return l, fmt.Errorf("end is %q; give a time such as 2026-12-01T09:00:00Z, or nothing while it lasts", text)
		}
		l.End = &end
	}
	if text := field("hourly"); text != "" {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return l, fmt.Errorf("hourly is %q; give a price an hour, or nothing where it is not known", text)
		}
		l.Hourly = &v
	}
	return l, l.check()
}

func (l BillLine) check() error {
	switch {
	case l.ID == "":
		return errors.New("id is empty; give the instance's id")
	case l.Start.IsZero():
		return errors.New("start is missing; give a time such as 2026-12-01T09:00:00Z")
	case l.End != nil && l.End.Before(l.Start):
		return errors.New("end is before start; give the time at which it ended")
	case l.Hourly != nil && *l.Hourly < 0:
		return errors.New("hourly is below zero; give a price an hour, or nothing where it is not known")
	}
	return nil
}

// Reconciliation is the report beside a bill. Bill.Total = Ledger total + the differences of all Unexplained, to the last digit.
type Reconciliation struct {
	Ledger     Money `json:"ledger"`
	Bill       Money `json:"bill"`
	Difference Money `json:"difference"`
	// Unexplained are the instances that the two do not agree on, the dearest first.
	Unexplained []Unexplained `json:"unexplained"`
	// Matched are the instances that they do agree on.
	Matched int `json:"matchedInstances"`
	// UnpricedHours of the bill are in no amount.
	UnpricedHours float64 `json:"unpricedBillHours"`
}

// Unexplained is an instance on which the ledger and the bill, or the ledger and itself, do not agree.
type Unexplained struct {
	ID     string `json:"id"`
	Group  string `json:"group,omitempty"`
	Type   string `json:"type,omitempty"`
	Zone   string `json:"zone,omitempty"`
	Market string `json:"market,omitempty"`
	// Why: not-in-ledger, not-in-bill, other-times, other-price, or, without a bill, no-entry: a launch gave it and nothing more is known.
	Why string `json:"why"`
	// Said is that in words, with the times.
	Said string `json:"said"`
	// Ledger and Bill are its cost in each; null is unknown or not there.
	Ledger *Money `json:"ledger"`
	Bill   *Money `json:"bill"`
	// Difference is the bill's less the ledger's; null is unknown.
	Difference *Money `json:"difference"`
}

// charged is what one side says of one instance within the period.
type charged struct {
	charge
	said     string
	lost     string // entries that the ledger lost meanwhile
	instance *instance
	line     *BillLine
}

func (c *charged) cost() *Money {
	if c == nil {
		return nil
	}
	return c.charge.cost()
}

// onBill are a bill's instances that have a part in the period.
func (p *period) onBill(bill []BillLine) map[string]*charged {
	lines := map[string][]BillLine{}
	for _, l := range bill {
		lines[l.ID] = append(lines[l.ID], l)
	}
	out := map[string]*charged{}
	for id, list := range lines {
		slices.SortStableFunc(list, func(a, b BillLine) int { return a.Start.Compare(b.Start) })
		c := &charged{line: &list[0]}
		for len(list) > 0 {
			n := runs(list)
			p.chargeRun(c, list[:n])
			list = list[n:]
		}
		if c.priced+c.unpriced > 0 {
			out[id] = c
		}
	}
	return out
}

// runs is how many lines from the first on are of one time without a break: the instance ran through.
func runs(lines []BillLine) int {
	for n := 1; n < len(lines); n++ {
		if end := endOf(lines[:n]); end != nil && end.Before(lines[n].Start) {
			return n
		}
	}
	return len(lines)
}

// endOf lines is the latest; nil is that one of them lasts.
func endOf(lines []BillLine) (end *time.Time) {
	for _, l := range lines {
		if l.End == nil {
			return nil
		}
		if end == nil || l.End.After(*end) {
			end = l.End
		}
	}
	return end
}

// chargeRun adds the lines of one time without a break, which as a whole is paid for a minute at least: what is lacking is the last line's.
func (p *period) chargeRun(c *charged, lines []BillLine) {
	i := life{lines[0].Start, endOf(lines), p.to}
	var sum charge
	for n, l := range lines {
		steps := []step{{}}
		if l.Hourly != nil { // zero too: what a reservation pays for may stand so on a bill
			steps = []step{{rate: rate(*l.Hourly), known: true}}
		}
		to := p.to
		if n+1 < len(lines) && l.End != nil {
			to = earlier(to, *l.End)
		}
		var one charge
		one.amount, one.priced, one.unpriced = i.paid(steps, later(p.from, l.Start), to)
		sum.add(one)
	}
	if sum.priced+sum.unpriced == 0 {
		return
	}
	c.add(sum)
	if c.said != "" {
		c.said += " and "
	}
	c.said += i.said()
	if c.lost == "" {
		c.lost = p.books.lostThen(i.launched, i.end())
	}
}

// reconcile compares each instance of a period on the bill with the ledger's.
func (p *period) reconcile(bill []BillLine) *Reconciliation {
	own, theirs := map[string]*charged{}, p.onBill(bill)
	out := &Reconciliation{Unexplained: []Unexplained{}}
	for _, i := range p.books.instances {
		if c := i.charged(p); c.priced+c.unpriced > 0 {
			own[i.ID] = &charged{charge: c, said: i.said(), instance: i}
			out.Ledger += c.amount
		}
	}
	for _, c := range theirs {
		out.Bill += c.amount
		out.UnpricedHours += float64(c.unpriced) / 3600
	}
	for id, c := range theirs {
		if u, differs := compare(id, own[id], c); differs {
			out.Unexplained = append(out.Unexplained, u)
		} else {
			out.Matched++
		}
	}
	for id, c := range own {
		if theirs[id] == nil {
			u, _ := compare(id, c, nil)
			out.Unexplained = append(out.Unexplained, u)
		}
	}
	out.Difference = out.Bill - out.Ledger
	sortUnexplained(out.Unexplained)
	return out
}

func sortUnexplained(list []Unexplained) {
	size := func(u Unexplained) Money {
		if u.Difference == nil {
			return -1
		}
		return max(*u.Difference, -*u.Difference)
	}
	slices.SortFunc(list, func(a, b Unexplained) int { return cmp.Or(cmp.Compare(size(b), size(a)), cmp.Compare(a.ID, b.ID)) })
}

func (l life) said() string {
	if l.gone == nil {
		return "from " + l.launched.UTC().Format(time.RFC3339) + " on"
	}
	return "from " + l.launched.UTC().Format(time.RFC3339) + " to " + l.gone.UTC().Format(time.RFC3339)
}

// compare two sides of one instance; either may be nil.
func compare(id string, own, theirs *charged) (u Unexplained, differs bool) {
	u = Unexplained{ID: id, Ledger: own.cost(), Bill: theirs.cost()}
	var difference Money
	switch {
	case own == nil:
		u.Type, u.Zone, u.Market = theirs.line.Type, theirs.line.Zone, theirs.line.Market
		u.Why, u.Said = "not-in-ledger", "on the bill "+theirs.said+"; the ledger does not know it"+theirs.lost
		difference = theirs.amount
	case theirs == nil:
		u.of(own.instance)
		u.Why, u.Said = "not-in-bill", "in the ledger "+own.said+"; the bill does not have it"
		difference = -own.amount
	default:
		u.of(own.instance)
		difference = theirs.amount - own.amount
		switch {
		case own.priced+own.unpriced != theirs.priced+theirs.unpriced:
			u.Why, u.Said = "other-times", "in the ledger "+own.said+", on the bill "+theirs.said
		case difference != 0 || own.unpriced != theirs.unpriced:
			u.Why, u.Said = "other-price", fmt.Sprintf("%s in the ledger, %s on the bill, for the same time", written(u.Ledger), written(u.Bill))
		default:
			return u, false
		}
	}
	u.Difference = &difference
	if own != nil && own.unpriced > 0 || theirs != nil && theirs.unpriced > 0 {
		u.Difference = nil
	}
	return u, true
}

func (u *Unexplained) of(i *instance) {
	u.Group, u.Type, u.Zone, u.Market = i.Group, i.Type, i.Zone, i.Market
}

func written(m *Money) string {
	if m == nil {
		return "unknown"
	}
	return m.String()
}

// noEntry are instances that launches gave and of which nothing more was recorded.
func (p *period) noEntry() []Unexplained {
	out := []Unexplained{}
	for id, l := range p.books.launched {
		if p.books.byID[id] == nil && !l.at.Before(p.from) && l.at.Before(p.to) {
			out = append(out, Unexplained{ID: id, Group: l.is, Why: "no-entry", Said: "a launch gave it at " + l.at.UTC().Format(time.RFC3339) + "; no entry says what became of it"})
		}
	}
	sortUnexplained(out)
	return out
}
