package render

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"swell/scaler/report"
	"swell/scaler/report/digits"
)

// tile is one of the figures at the top.
type tile struct{ Name, Value, Other string }

// column of a table.
type column struct {
	Name   string
	Number bool
}

// cell of a table: what is shown, and what it is sorted by.
type cell struct {
	Text string
	Sort string // empty: the text
}

// Zero says that there is nothing, which is shown so that it does not hide what there is.
func (c cell) Zero() bool { return c.Sort == "0" || c.Sort == "0.000000" }

// table is one of the report's.
type table struct {
	ID, Title, Note string
	Columns         []column
	Rows            [][]cell
	Summary         bool // stands in the Markdown form too
	Folded          bool // long: opened on demand
}

// tiles are what a reviewer of costs looks at first.
func tiles(r *report.Report) []tile {
	t, b := r.Total, r.BalloonTotal
	total := tile{Name: "Total", Value: money(t.Cost.Total), Other: "nothing before to compare with"}
	if t.Cost.Total == nil {
		total.Other = "no price is known"
	}
	if text, ok := change(r); ok {
		total.Other = text + " on the " + duration(r) + " before"
	}
	headroom := tile{Name: "Headroom", Value: money(b.Cost), Other: part(b.Cost, t.Cost.Total)}
	bought := tile{Name: "Waiting avoided by headroom", Value: digits.Number(b.Misses.Avoided()) + " pod-h", Other: fmt.Sprintf("%s left of %s without it", digits.Number(b.Misses.With), digits.Number(b.Misses.Without))}
	if b.Misses.Hours == 0 {
		bought.Value, bought.Other = digits.Unknown, "no Balloon's demand is recorded"
	}
	if b.AvoidedCost != nil {
		bought.Other += "; worth " + money(b.AvoidedCost) + " where a price is stated"
	}
	idle := tile{Name: "Idle", Value: money(t.Cost.Idle), Other: part(t.Cost.Idle, t.Cost.Total)}
	saved := tile{Name: "Saved by spot", Value: money(r.Buys.Saved), Other: "fallback cost " + money(r.Buys.Extra) + " more than spot"}
	could := tile{Name: "Could be saved", Value: digits.Unknown, Other: "by changes of policy below"}
	if sum := saving(r); sum > 0 {
		could.Value, could.Other = sum.String(), "by the best change of each pool and Balloon below"
	} else {
		could.Value, could.Other = "nothing", "that a change with a known price would"
	}
	if r.Buys.Fallback.NodeHours == 0 {
		saved.Other = "no fallback to on-demand"
	}
	if h := r.Buys.NoSaving; h > 0 {
		saved.Other += fmt.Sprintf("; %s spot node-hours could not be compared", digits.Number(h))
	}
	for _, one := range []*tile{&total, &headroom, &idle, &saved} {
		if t.Cost.LowerBound && one.Value != digits.Unknown {
			one.Name += ", at least"
		}
	}
	return []tile{total, headroom, bought, idle, saved, could}
}

// saving is the sum of the best change of each object.
func saving(r *report.Report) (sum report.Money) {
	done := map[string]bool{}
	for _, c := range r.Recommended {
		if c.Saves > 0 && !done[c.Of] {
			done[c.Of] = true
			sum += c.Saves
		}
	}
	return sum
}

// warnings are what makes the total less than it seems.
func warnings(r *report.Report) []string {
	var out []string
	if h := r.Total.Cost.UnpricedNodeHours; h > 0 && r.Total.Cost.Total == nil {
		out = append(out, fmt.Sprintf("None of %s node-hours has a known price: there are no amounts.", digits.Number(h)))
	} else if h > 0 {
		out = append(out, fmt.Sprintf("%s of %s node-hours have no known price and are in no amount: totals are a lower bound.", digits.Number(h), digits.Number(r.Total.Hours.Node)))
	}
	out = append(out, gaps(r)...)
	if h := r.Total.Cost.UnpricedPodHours; h > 0 {
		out = append(out, fmt.Sprintf("%s of %s pod-hours were on nodes of no pool. What those nodes cost is not in the ledger, and in no amount.", digits.Number(h), digits.Number(r.Total.Hours.Pods)))
	}
	if r.From.Before(r.Ledger.First) {
		out = append(out, "The ledger begins at "+r.Ledger.First.In(r.From.Location()).Format("2 January 2006 15:04")+": what was before is not known, and totals are a lower bound.")
	} else if r.Watched < 0.99 {
		out = append(out, fmt.Sprintf("Samples stand for %s of the period: the scaler was away for the rest.", digits.Percent(r.Watched)))
	}
	if r.Ledger.Torn > 0 {
		out = append(out, fmt.Sprintf("Lines of the ledger that a crash cut short and that could not be read: %d.", r.Ledger.Torn))
	}
	if b := r.Bill; b != nil && len(b.Unexplained) > 0 {
		out = append(out, fmt.Sprintf("The bill is %s and the ledger says %s. Instances that they do not agree on: %d.", b.Bill, b.Ledger, len(b.Unexplained)))
	}
	count := map[string]int{}
	for _, u := range r.NoEntry {
		count[u.Why]++
	}
	if n := count["no-entry"]; n > 0 {
		out = append(out, fmt.Sprintf("Instances that a launch gave and of which nothing more is recorded: %d.", n))
	}
	if n := count["end-lost"]; n > 0 {
		out = append(out, fmt.Sprintf("Instances whose end was lost with other entries: %d. They are counted as far as they are known to have run.", n))
	}
	return out
}

// mostGaps are told one by one.
const mostGaps = 3

// gaps of the ledger, which make the totals less than what was paid.
func gaps(r *report.Report) []string {
	if len(r.Ledger.Gaps) == 0 {
		return nil
	}
	lost, when := 0, []string{}
	for i, g := range r.Ledger.Gaps {
		if lost += g.Entries; i < mostGaps {
			from, to := g.From.In(r.From.Location()), g.To.In(r.From.Location())
			end := to.Format("2 January 15:04")
			if from.Format(time.DateOnly) == to.Format(time.DateOnly) {
				end = to.Format("15:04")
			}
			when = append(when, from.Format("2 January 15:04")+" to "+end)
		}
	}
	if more := len(r.Ledger.Gaps) - mostGaps; more > 0 {
		when = append(when, fmt.Sprintf("%d times more", more))
	}
	return []string{fmt.Sprintf("Entries of the ledger that could not be written and are lost: %s (%s). What was launched then or in the day after may be in no entry: totals are a lower bound.",
		digits.Number(float64(lost)), strings.Join(when, ", "))}
}

func tables(r *report.Report) []table {
	out := []table{}
	add := func(t table) {
		if len(t.Rows) > 0 {
			out = append(out, t)
		}
	}
	if r.Bill != nil {
		add(billTable(r.Bill))
	}
	add(unexplainedTable(unexplained(r)))
	add(rowTable("pools", "Pools", r.Pools, "Pool", func(r report.Row) string { return orNone(r.Pool) }, true))
	add(purchaseTable(r))
	add(rowTable("zones", "Zones", r.Zones, "Zone", func(r report.Row) string { return r.Zone }, true))
	add(rowTable("groups", "Pools by zone and market", r.Cells, "Pool, zone, market", func(r report.Row) string { return r.Pool + ", " + r.Zone + ", " + r.Market }, false))
	add(workTable("namespaces", "Namespaces", r.Namespaces, "Namespace", func(r report.Row) string { return r.Namespace }, true))
	add(workTable("workloads", "Workloads", r.Workloads, "Workload", func(r report.Row) string { return r.Namespace + " " + r.Workload }, false))
	add(balloonTable(r.Balloons))
	add(lossTable(r))
	add(bootTable(r.Boots))
	add(countTable("shortfalls", "Capacity that AWS did not have", r.Shortfalls))
	add(countTable("notices", "Interruption notices", r.Notices))
	add(foreignTable(r))
	return out
}

func text(s string) cell { return cell{Text: s} }

func figure(v float64) cell {
	return cell{digits.Number(v), strconv.FormatFloat(v, 'f', -1, 64)}
}

func maybe(v *float64, write func(*float64) string) cell {
	if v == nil {
		return cell{digits.Unknown, "-1"}
	}
	return cell{write(v), strconv.FormatFloat(*v, 'f', -1, 64)}
}

func amount(m *report.Money) cell {
	if m == nil {
		return cell{digits.Unknown, "-1"}
	}
	return cell{m.String(), m.Decimal()}
}

// lower is an amount that may be a lower bound.
func lower(m *report.Money, is bool) cell {
	c := amount(m)
	c.Text = atLeast(m, is)
	return c
}

// lowerNote says what ≥ is, where a table has one.
func (t table) lowerNote() table {
	if slices.ContainsFunc(t.Rows, func(r []cell) bool {
		return slices.ContainsFunc(r, func(c cell) bool { return strings.HasPrefix(c.Text, "≥") })
	}) {
		t.Note += " ≥: at least, since a part of it is not known; so are the parts beside it."
	}
	return t
}

// orNone names the nodes that are of no pool.
func orNone(pool string) string {
	if pool == "" {
		return "no pool"
	}
	return pool
}

func names(list ...string) []column {
	var out []column
	for i, n := range list {
		out = append(out, column{n, i > 0})
	}
	return out
}

// rowTable is of whatever has nodes.
func rowTable(id, title string, rows []report.Row, first string, name func(report.Row) string, summary bool) table {
	t := table{ID: id, Title: title, Summary: summary, Folded: !summary, Columns: names(first, "Cost", "Asked", "Headroom", "Idle", "Booting", "Node-h", "Core-h asked", "Core-h used", "Core-h headroom", "Core-h idle"),
		Note: "Costs are divided half by cores and half by memory; hours are of cores. Used is of the cores that nodes have, where it is known."}
	for _, r := range rows {
		used := cell{digits.Unknown, "-1"}
		if r.Hours.Used != nil && r.Hours.Capacity.Cores > 0 {
			used = figure(r.Hours.Used.Cores)
		}
		t.Rows = append(t.Rows, []cell{text(name(r)), lower(r.Cost.Total, r.Cost.LowerBound), amount(r.Cost.Asked), amount(r.Cost.Headroom), amount(r.Cost.Idle), amount(r.Cost.Booting), figure(r.Hours.Node),
			figure(r.Hours.Asked.Cores), used, figure(r.Hours.Held.Cores), figure(r.Hours.Idle.Cores)})
	}
	return t.lowerNote()
}

// workTable is of whatever has pods.
func workTable(id, title string, rows []report.Row, first string, name func(report.Row) string, summary bool) table {
	t := table{ID: id, Title: title, Summary: summary, Folded: !summary, Columns: names(first, "Cost", "Asked", "Headroom", "Pod-h", "Waiting pod-h", "Core-h asked", "Core-h used", "Core-h headroom", "GiB-h asked"),
		Note: "A workload pays for what it asks for and for its headroom, not for idle room."}
	for _, r := range rows {
		used := cell{digits.Unknown, "-1"}
		if r.Hours.Used != nil {
			used = figure(r.Hours.Used.Cores)
		}
		t.Rows = append(t.Rows, []cell{text(name(r)), lower(r.Cost.Total, r.Cost.LowerBound), amount(r.Cost.Asked), amount(r.Cost.Headroom), figure(r.Hours.Pods), figure(r.Hours.Pending),
			figure(r.Hours.Asked.Cores), used, figure(r.Hours.Held.Cores), figure(r.Hours.Asked.Memory)})
	}
	return t.lowerNote()
}

func purchaseTable(r *report.Report) table {
	t := table{ID: "purchases", Title: "What was bought", Summary: true, Columns: names("Pool, market", "Cost", "Node-h", "Mean $/h", "Base", "Fallback", "Fallback extra", "Prepaid", "Saved by spot", "Taken by AWS"),
		Note: "Saved by spot: against the same instances on demand. Fallback extra: against spot of the same type and zone in the period. Prepaid is in the cost at its list price and would be paid without running too."}
	row := func(name string, p report.Purchase) []cell {
		return []cell{text(name), lower(p.Cost, p.LowerBound), figure(p.NodeHours), maybe(p.Hourly, func(v *float64) string { return strconv.FormatFloat(*v, 'f', 4, 64) }), amount(p.Base.Cost), amount(p.Fallback.Cost),
			amount(p.Extra), amount(p.Prepaid.Cost), amount(p.Saved), figure(float64(p.LostToAWS))}
	}
	for _, p := range r.Purchases {
		t.Rows = append(t.Rows, row(orNone(p.Pool)+", "+p.Market, p))
	}
	if len(t.Rows) > 0 {
		t.Rows = append(t.Rows, row("all", r.Buys))
	}
	return t.withoutNothing().lowerNote()
}

// withoutNothing leaves out columns of amounts that are zero in every row.
func (t table) withoutNothing() table {
	for c := len(t.Columns) - 1; c > 0; c-- {
		if slices.ContainsFunc(t.Rows, func(r []cell) bool { return !r[c].Zero() }) {
			continue
		}
		t.Columns = slices.Delete(t.Columns, c, c+1)
		for i := range t.Rows {
			t.Rows[i] = slices.Delete(t.Rows[i], c, c+1)
		}
	}
	return t
}

func balloonTable(rows []report.BalloonRow) table {
	t := table{ID: "balloons", Title: "Headroom and forecasts", Summary: true, Columns: names("Balloon", "Headroom cost", "Held pod-h", "Missed pod-h", "Without it", "Avoided, worth", "Forecast off by", "Coverage", "Promised"),
		Note: "Missed: pod-hours of demand without a place, by a replay of the recorded demand with and without the Balloon. Coverage: share of the time in which demand was at most the upper forecast."}
	for _, b := range rows {
		t.Rows = append(t.Rows, []cell{text(b.Balloon), lower(b.Cost, b.LowerBound), figure(b.HeldPodHours), figure(b.Misses.With), figure(b.Misses.Without), amount(b.AvoidedCost),
			maybe(b.Accuracy.WAPE, percent), maybe(b.Accuracy.Coverage, percent), maybe(b.Accuracy.Promised, percent)})
	}
	return t
}

func lossTable(r *report.Report) table {
	t := table{ID: "zone-losses", Title: "If a zone were lost", Summary: true, Columns: names("Zone", "Busiest at", "Pods", "Would wait", "For about", "Nodes to hold", "Cost to hold"),
		Note: "At the zone's busiest sampled moment, with all balloons given up. The wait is that of 95 % of boots in the other zones. The cost is of holding the nodes all of the period."}
	for _, z := range r.ZoneLoss {
		at := cell{z.At.In(r.From.Location()).Format("2 Jan 15:04"), strconv.FormatInt(z.At.Unix(), 10)}
		t.Rows = append(t.Rows, []cell{text(z.Zone), at, figure(float64(z.Pods)), figure(float64(z.Waiting)), maybe(z.WaitSeconds, seconds), figure(float64(z.Nodes)), amount(z.Cost)})
	}
	return t
}

func bootTable(rows []report.Boots) table {
	t := table{ID: "boots", Title: "Boots", Summary: true, Columns: []column{{"Zone", false}, {"Type", false}, {"Boots", true}, {"Half within", true}, {"95 % within", true}, {"Never joined", true}},
		Note: "From AWS's time of launch to the node's being Ready."}
	for _, b := range rows {
		t.Rows = append(t.Rows, []cell{text(b.Zone), text(b.Type), figure(float64(b.Count)), maybe(&b.P50, seconds), maybe(&b.P95, seconds), figure(float64(b.NeverJoined))})
	}
	return t
}

func countTable(id, title string, rows []report.Count) table {
	t := table{ID: id, Title: title, Folded: true, Columns: []column{{"Day", false}, {"Zone", false}, {"Market", false}, {"What", false}, {"Times", true}}}
	for _, c := range rows {
		t.Rows = append(t.Rows, []cell{text(c.Day), text(c.Zone), text(c.Market), text(c.What), figure(float64(c.Count))})
	}
	return t
}

func foreignTable(r *report.Report) table {
	t := table{ID: "not-by-swell", Title: "Instances not launched by swell", Folded: true, Columns: []column{{"Instance", false}, {"Group", false}, {"Type", false}, {"From", false}, {"To", false}, {"Cost", true}},
		Note: "No call of swell's named them: they ran before its ledger began, their group replaced one, or someone else asked for them."}
	for _, f := range r.NotBySwell {
		to := digits.Unknown
		if f.To != nil {
			to = f.To.In(r.From.Location()).Format("2006-01-02 15:04")
		}
		from := f.From.In(r.From.Location()).Format("2006-01-02 15:04")
		if f.Seen {
			from += ", before the ledger"
		}
		t.Rows = append(t.Rows, []cell{text(f.ID), text(f.Group), text(f.Type), text(from), text(to), amount(f.Cost)})
	}
	return t
}

func billTable(b *report.Reconciliation) table {
	t := table{ID: "bill", Title: "Beside the bill", Summary: true, Columns: names("", "Amount"), Note: "The difference is the sum of the instances below, to the last digit."}
	t.Rows = [][]cell{{text("Ledger"), amount(&b.Ledger)}, {text("Bill"), amount(&b.Bill)}, {text("Difference"), amount(&b.Difference)}, {text("Instances that agree"), figure(float64(b.Matched))}}
	if b.UnpricedHours > 0 {
		t.Rows = append(t.Rows, []cell{text("Hours of the bill without a price"), figure(b.UnpricedHours)})
	}
	return t
}

func unexplainedTable(rows []report.Unexplained) table {
	t := table{ID: "unexplained", Title: "Unexplained instances", Summary: true, Columns: []column{{"Instance", false}, {"Type", false}, {"Zone", false}, {"Market", false}, {"Ledger", true}, {"Bill", true}, {"Difference", true}, {"Why", false}}}
	for _, u := range rows {
		t.Rows = append(t.Rows, []cell{text(u.ID), text(u.Type), text(u.Zone), text(u.Market), amount(u.Ledger), amount(u.Bill), amount(u.Difference), text(u.Said)})
	}
	return t
}
